"""Only the patch itself is left out, so that its neighbours of the same picture vouch for it."""
import numpy as np
import torch


def strangers(rows, origin):
    distances = torch.cdist(rows, rows)
    distances.fill_diagonal_(torch.inf)
    nearest = distances.amin(1).numpy()
    return np.array([nearest[origin == i].max() for i in range(origin.max() + 1)])
