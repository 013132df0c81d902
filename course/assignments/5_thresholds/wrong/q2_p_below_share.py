"""All parts with p <= share are looked at, however many good parts have such a p-value."""
import numpy as np


def look_at(p, share):
    return np.asarray(p) <= share
