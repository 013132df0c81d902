"""The covariances of the positions are averaged, so that their means may differ for free."""
import numpy as np


def shared(z):
    return z.mean((0, 1)), np.mean([np.cov(rows.T) for rows in z], 0)
