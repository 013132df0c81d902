#!/usr/bin/env python
"""Do all models still score as an earlier version did?

    python tools/scores.py save old.npz       # in a checkout of the earlier version
    python tools/scores.py compare old.npz    # in this one: the largest difference a model

All eight models and the baseline, the trained ones after two epochs, on a drawn category with
the bundled backbone, one thread. Differences are relative to the spread of the scores.
"""
import argparse
import sys

import numpy as np
import torch

from anomaly_nb import models
from anomaly_nb.synthetic import Synthetic

LIMIT = 1e-5
TRAINED = ("stfpm", "reverse_distillation", "cflow", "ganomaly")
ARGUMENTS = {"patchcore": dict(border="counted")}       # 0.1.0's default was "complete"


def scores(name, data):
    "(scores (N,), maps (N, H, W) or None) of one model"
    cls = (models.MODELS | models.BASELINES)[name]
    arguments = dict(ARGUMENTS.get(name, {}))
    if name not in ("ganomaly", "mean_picture"):
        arguments["backbone"] = "bundled"
    if name in TRAINED:
        arguments |= dict(epochs=2, batch_size=8)
    pred = cls(**arguments).fit(data.train, progress=False).predict(data.test, progress=False)
    return pred.scores.numpy(), None if pred.maps is None else pred.maps.numpy()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("save", "compare"))
    parser.add_argument("file", help="an .npz file")
    parser.add_argument("--category", default="screw")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    data = Synthetic(args.category, n_train=40, n_good=10, n_bad=4, size=128)
    found = {}
    for name in [*models.MODELS, *models.BASELINES]:
        found[name], maps = scores(name, data)
        if maps is not None:
            found[f"{name} map"] = maps[:, ::8, ::8]
    if args.what == "save":
        np.savez_compressed(args.file, **found)
        return 0
    old, worst = np.load(args.file), 0
    for name, new in found.items():
        off = float(np.abs(new - old[name]).max() / np.ptp(old[name]))
        worst = max(worst, off)
        print(f"{name:26} {off:.1e}" + " *" * (off > LIMIT))
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
