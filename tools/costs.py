#!/usr/bin/env python
"""Time and memory of all eight models and of another library's, in one run.

    peer/bin/python tools/costs.py DATA --weights FILE --out anomaly_nb/results/costs.csv

Runs in the environment of `tools/peer.py`, whose code makes the other library's models, on a
machine that does nothing else. From a category of MVTec AD in the folder DATA it takes 32
pictures to learn from and up to 8 of each kind to judge. In each of `--rounds` rounds every
model has its turn, ours and theirs one after the other: a fit, which is one epoch for those that
learn by gradient steps, and a prediction, reading included; before each, the floor common to all,
a bare pass of a ResNet-18 up to layer 3 over 32 pictures of 256 pixels. A model's first turn is
once more its warm-up, which does not count. The peak of memory is that of a process of its own
that fits and predicts once.

Their PatchCore chooses its patches by our `neighbours.greedy_coreset`, as in `tools/peer.py`:
the time of its fit is not that of their own loop.

One row of the file is one fit and one prediction. A run that was killed, started again, goes on
with the rows that are missing.
"""
import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import torch

from anomaly_nb import benchmark, models
from anomaly_nb.data import MVTec
from anomaly_nb.features import Features
from anomaly_nb.files import Rows

SIZE = dict(patchcore=224)                   # of its table; all others 256
ONE_EPOCH = dict(epochs=1)
OWN = dict(stfpm=ONE_EPOCH, reverse_distillation=ONE_EPOCH, cflow=ONE_EPOCH,
           ganomaly=dict(ONE_EPOCH, size=256, batch_size=32))
KEY = ["library", "model", "round"]
COLUMNS = [*KEY, "fit_seconds", "predict_ms_per_image", "pass_ms_per_image", "peak_memory_mb",
           "category", "n_train", "n_test", "size", "threads", "version"]
TEXTS = ["library", "model", "category", "version"]


def small(source, folder, category, n=32):
    "A copy of a category with `n` pictures to learn from and about `n` to judge."
    for part in "train/good", "test/good", "test/*", "ground_truth/*":
        for kind in sorted(Path(source, category).glob(part)):
            made = Path(folder, category, kind.relative_to(Path(source, category)))
            if made.exists(): continue
            made.mkdir(parents=True)
            for p in sorted(kind.iterdir())[:n if "train" in part else n // 4]:
                shutil.copy(p, made)
    return folder


def ours(name, a):
    "(seconds of a fit, ms a picture of a prediction) with our detector."
    axes = {} if name == "ganomaly" else dict(backbone="resnet18", weights=a.weights)
    data = MVTec(a.small, a.category, SIZE.get(name, 256))
    det = models.by_name(name)(**axes, **OWN.get(name, {}), seed=0)
    start = time.perf_counter()
    det.fit(data.train, device="cpu", progress=False)
    fitted = time.perf_counter()
    det.predict(data.test, progress=False)
    return fitted - start, 1e3 * (time.perf_counter() - fitted) / len(data.test)


def theirs(name, a):
    "The same with the other library's, whose imports our own memory is not to hold."
    import peer
    from anomalib.data import MVTecAD
    from lightning import seed_everything
    from safetensors.torch import load_file
    warnings.filterwarnings("ignore", module="lightning")
    seed_everything(0, verbose=False)
    model = peer.build(name, SIZE.get(name, 256), {})
    if (net := peer.backbone(model)) is not None:
        peer.put_in(net, {k: v.float() if v.is_floating_point() else v
                          for k, v in load_file(a.weights).items()})
    data = MVTecAD(a.small, a.category, peer.BATCH, peer.BATCH, num_workers=0)
    choice = mock.patch.object(peer.KCenterGreedy, "select_coreset_idxs", peer.in_blocks)
    with tempfile.TemporaryDirectory() as folder, choice:
        fitted = peer.fit(model, data, int(name in OWN), folder, "cpu")
    test = MVTec(a.small, a.category, SIZE.get(name, 256)).test
    return fitted, 1e3 * peer.predict(model, data, test, "cpu")[1] / len(test)


@torch.inference_mode()
def floor(net, x):
    "ms a picture of a bare pass of `net` over `x`."
    net(x)                                   # the first pass also asks for its memory
    start = time.perf_counter()
    net(x)
    return 1e3 * (time.perf_counter() - start) / len(x)


LIBRARIES = dict(ours=ours, anomalib=theirs)


def alone(library, name, a):
    "Peak MB of a process that fits and predicts once."
    command = [sys.executable, "-W", "ignore", __file__, a.small, "--weights", a.weights,
               "--category", a.category, "--alone", library, name]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode: raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out")
    parser.add_argument("--category", default="transistor")
    parser.add_argument("--only", nargs="+", metavar="MODEL", choices=list(models.MODELS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--alone", nargs=2, metavar=("LIBRARY", "MODEL"), help=argparse.SUPPRESS)
    a = parser.parse_args(argv)
    if a.alone:
        a.small = a.data
        LIBRARIES[a.alone[0]](a.alone[1], a)
        print(benchmark._peak_mb())
        return
    if not a.out: parser.error("--out is missing")
    store = Rows(a.out, COLUMNS, KEY, TEXTS)
    store.start()
    done = {store.key(r) for r in store.rows()}
    bare = Features("resnet18", ("layer1", "layer2", "layer3"), a.weights)
    x = torch.rand(32, 3, 256, 256)
    with tempfile.TemporaryDirectory() as folder:
        a.small, warm = small(a.data, folder, a.category), {}
        data = MVTec(a.small, a.category)
        for turn in range(a.rounds):
            for name in a.only or models.MODELS:
                for library, run in LIBRARIES.items():
                    row = dict(library=library, model=name, round=turn)
                    if store.key(row) in done: continue
                    if (library, name) not in warm:
                        warm[library, name] = alone(library, name, a)
                        run(name, a)
                    row["pass_ms_per_image"] = floor(bare, x)
                    row["fit_seconds"], row["predict_ms_per_image"] = run(name, a)
                    row |= dict(
                        peak_memory_mb=warm[library, name], category=a.category,
                        n_train=len(data.train), n_test=len(data.test),
                        size=SIZE.get(name, 256), threads=torch.get_num_threads(),
                        version=version({"ours": "anomaly_nb"}.get(library, library)))
                    store.append(row)
                    print(*(row[c] for c in COLUMNS[:7]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
