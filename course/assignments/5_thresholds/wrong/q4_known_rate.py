"""The rate that was asked for is taken for the rate that the threshold has."""
from scipy.stats import binom


def chance(count, m, n, fpr):
    return binom.sf(count - 1, m, fpr)


it_shows = True
