#!/usr/bin/env python
"""How good are a backbone's features? The nearest normal patch, on a category of MVTec AD.

    python tools/judge_backbone.py ~/data/mvtec transistor --backbone bundled --seeds 0,1
    python tools/judge_backbone.py ~/data/mvtec transistor --backbone resnet18 --weights random

prints image and pixel AUROC of each seed (the draw of the kept patches) and their mean,
and the time of a pass per picture as a ratio to ResNet-18's, taken in turns in one run.
Layers 2 and 3, 256 pixels, 2 % of the patches: as in `anomaly_nb.pretrain`.
"""
import argparse
import statistics
import time

import torch

from anomaly_nb.data import MVTec
from anomaly_nb.features import Features
from anomaly_nb.files import AnomalyError
from anomaly_nb.pretrain import neighbour_auroc


def ratio(features, images, rounds=9):
    "Median time of a pass of `features` over that of ResNet-18, cut at the same layers"
    others = Features("resnet18", features.layers, "random")
    times = {features: [], others: []}
    with torch.inference_mode():
        for _ in range(rounds + 1):                    # the first round warms up
            for net, taken in times.items():
                start = time.perf_counter()
                net(images)
                taken.append(time.perf_counter() - start)
    ours, theirs = (statistics.median(t[1:]) for t in times.values())
    return ours / len(images), ours / theirs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="folder with MVTec AD's categories")
    parser.add_argument("category")
    parser.add_argument("--backbone", default="bundled")
    parser.add_argument("--weights", help="file, tag or random; default: the backbone's own")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--share", type=float, default=0.02, help="of the patches is kept")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = MVTec(args.data, args.category, size=256)
    features = Features(args.backbone, weights=args.weights)
    print(features.weights_id, *features.layers)
    rows = []
    for seed in map(int, args.seeds.split(",")):
        rows.append(neighbour_auroc(features, data, args.share, seed))
        print(f"seed {seed}: image {rows[-1]['image']:.3f}, pixel {rows[-1]['pixel']:.3f}",
              flush=True)
    mean = {k: statistics.mean(r[k] for r in rows) for k in rows[0]}
    print(f"mean:   image {mean['image']:.3f}, pixel {mean['pixel']:.3f}")
    seconds, times = ratio(features, torch.stack([data.train[0].image] * 8))
    print(f"a pass takes {1000 * seconds:.1f} ms a picture, {times:.2f} times ResNet-18's")


if __name__ == "__main__":
    try:
        main()
    except AnomalyError as e:
        raise SystemExit(f"judge_backbone: {e}") from None
