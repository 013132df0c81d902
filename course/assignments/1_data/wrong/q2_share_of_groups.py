"""A share of the groups is held out, however many pictures these groups have."""
import numpy as np


def split(group, share, seed=0):
    names = np.random.default_rng(seed).permutation(np.unique(group))
    return np.isin(group, names[:round(share * len(names))])
