#!/usr/bin/env python
"""What training a model costs, and how it learns.

    python tools/training.py step  ~/data/mvtec transistor   # a step against its parts
    python tools/training.py cache ~/data/mvtec transistor   # observing the pictures once
    python tools/training.py curve ~/data/mvtec transistor --epochs 40   # over epochs

`curve` looks at the test set while training, for your eyes; nothing is chosen by it. --model,
--backbone, --weights, --seed and --set as in `anomaly_nb benchmark`; --checkpoint for a
`curve` that may be killed. "drawn" for the data is the synthetic set.
"""
import argparse
import statistics
import time

import torch

from anomaly_nb.benchmark import Job
from anomaly_nb.cli import settings
from anomaly_nb.data import MVTec
from anomaly_nb.training import Observed
from anomaly_nb.metrics import auroc
from anomaly_nb.synthetic import Synthetic


def milliseconds(work, times=15):
    "Median wall-clock milliseconds of `work()`, after a first one that does not count"
    laps = []
    for _ in range(times + 1):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        laps.append((time.perf_counter() - start) * 1e3)
    return statistics.median(laps[1:])


def step(det, data):
    "A training step against the sum of teacher, student and optimiser"
    det.optimiser = det.make_optimiser()
    det.train()
    images = torch.stack([data.train[i].image for i in range(det.batch_size)]).to(det.device)
    seen = det.observe(images)

    def learn():
        det.optimiser.zero_grad()
        det.loss(seen).backward()

    parts = {"observing the pictures": milliseconds(lambda: det.observe(images)),
             "loss and its gradient": milliseconds(learn),
             "optimiser": milliseconds(det.optimiser.step)}
    whole = milliseconds(lambda: det.step(det.observe(images)))
    kept = milliseconds(lambda: det.step(seen))
    for name, ms in parts.items():
        print(f"{name:30} {ms:8.1f} ms a batch of {det.batch_size}")
    print(f"{'whole step':30} {whole:8.1f} ms, {whole / sum(parts.values()) - 1:+.1%} over "
          f"the sum\n{'with observations kept':30} {kept:8.1f} ms, {kept / whole:.2f} of it")


def epoch_seconds(det, data):
    "Seconds of the steps of the second epoch; the first one warms up"
    return det.fit(data.train, progress=False).history[1]["seconds"]


def cache(det, data):
    "Memory of the kept observations, and an epoch with and without them"
    seen = Observed(det, data.train)
    each = seen.bytes / len(data.train)
    del seen
    print(f"{each / 1e6:.2f} MB a picture, {each * len(data.train) / 1e6:.0f} MB for "
          f"{len(data.train)}; kept up to {det.cache_bytes / 1e6:.0f} MB")
    det.epochs = 2
    kept = epoch_seconds(det, data)
    det.cache_bytes = 0
    anew = epoch_seconds(det, data)
    print(f"an epoch: kept {kept:.1f} s, decoded and observed anew {anew:.1f} s, "
          f"{anew / kept:.2f} times as long")


def curve(det, data, every, checkpoint):
    "Loss and test AUROCs every few epochs"
    test = list(data.test)
    images, masks = (torch.stack([p[k] for p in test]) for k in (0, 2))
    targets = torch.from_numpy(data.test.targets)

    def watch():
        last = det.history[-1]
        if last["epoch"] % every and last["epoch"] != 1:
            return
        with torch.no_grad():
            det.finish(det.observe(b.images.to(det.device)) for b in data.train.batches(20))
            found = [det.score(det.observe(x.to(det.device)), data.test.size)
                     for x in images.split(20)]
        scores = torch.cat([s.cpu() for s, _ in found])
        held = last["validation"]
        line = (f"epoch {last['epoch']:4} of {det.epochs}  loss {last['loss']:.4f}  held out "
                f"{'-' if held is None else format(held, '.4f')}  image AUROC "
                f"{auroc(scores, targets):.4f}")
        if found[0][1] is not None:
            maps = torch.cat([m.cpu() for _, m in found])
            line += f"  pixel AUROC {auroc(maps.flatten(), masks.flatten()):.4f}"
        print(line, flush=True)

    det.after_epoch = watch
    det.fit(data.train, progress=False, checkpoint=checkpoint)
    print(f"{sum(h['seconds'] for h in det.history) / 60:.1f} minutes of training")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("step", "cache", "curve"))
    parser.add_argument("data", help='folder of categories, or "drawn"')
    parser.add_argument("category")
    parser.add_argument("--model", default="stfpm")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--weights")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="MODEL.ARG=VALUE")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--every", type=int, default=5, help="epochs between two rows")
    parser.add_argument("--checkpoint", help="file from which a killed curve goes on")
    args = parser.parse_args()
    data = (Synthetic(args.category, size=args.size) if args.data == "drawn"
            else MVTec(args.data, args.category, args.size))
    chosen = settings(args.model, args.set)
    if args.epochs:
        chosen["epochs"] = args.epochs
    det = Job(args.data, args.category, args.model, args.backbone, args.weights, args.size,
              args.seed, chosen).detector()
    det.to("cuda" if torch.cuda.is_available() else "cpu")
    if args.what == "curve":
        curve(det, data, args.every, args.checkpoint)
    else:
        {"step": step, "cache": cache}[args.what](det, data)


if __name__ == "__main__":
    main()
