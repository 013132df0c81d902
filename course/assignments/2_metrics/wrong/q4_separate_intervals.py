"""Two detectors count as different only where their separate intervals do not overlap."""
from anomaly_nb.metrics import auroc_interval


def better(names, a, b, targets):
    (low_a, high_a), (low_b, high_b) = auroc_interval(a, targets), auroc_interval(b, targets)
    return names[0] if low_a > high_b else names[1] if low_b > high_a else None
