"""The bootstrap draws pictures: four photographs of a part count as four parts."""
import numpy as np

from anomaly_nb.metrics import auroc


def by_part(a, b, targets, part, n=1000, seed=0):
    rng, found = np.random.default_rng(seed), []
    bad, good = (np.flatnonzero(targets == t) for t in (1, 0))
    for _ in range(n):
        i = np.concatenate([rng.choice(bad, len(bad)), rng.choice(good, len(good))])
        found.append(auroc(a[i], targets[i]) - auroc(b[i], targets[i]))
    return tuple(np.quantile(found, [.025, .975]))
