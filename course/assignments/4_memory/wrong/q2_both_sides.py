"""A score is taken to be off by the radius in both directions."""
import numpy as np


def enough(far, radius):
    reached = np.flatnonzero(np.asarray(far) <= radius)
    return int(reached[0]) if len(reached) else None


def could_change(scores, radius, threshold):
    return int((np.abs(np.asarray(scores) - threshold) < radius).sum())
