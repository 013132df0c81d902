"""The survival function is asked for k, which is the chance of more than k frames."""
import numpy as np
from scipy.stats import binom


def sorted_out(labels, k):
    labels = np.asarray(labels)
    return (labels.sum(1) >= k).mean(), binom.sf(k, labels.shape[1], labels.mean())
