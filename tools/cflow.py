#!/usr/bin/env python
"""A trained CFlow: what its score loses when constants come from the batch, and its cost.

    anomaly_nb train --model cflow --data ~/data/mvtec --category transistor --out det.safetensors
    python tools/cflow.py det.safetensors ~/data/mvtec transistor
"""
import argparse

import torch
from training import milliseconds

from anomaly_nb.data import MVTec
from anomaly_nb.detector import load
from anomaly_nb.maps import smooth_map
from anomaly_nb.metrics import auroc


def likelihoods(det, pictures):
    "Log-likelihoods of all pictures, layer by layer: a list of (N, h, w)"
    parts = []
    with torch.inference_mode():
        for b in pictures.batches(16):
            seen = det.observe(b.images.to(det.device))
            parts.append([p.cpu() for p in det.log_likelihood(seen).values()])
    return [torch.cat(layer) for layer in zip(*parts)]


def relative(logp, peaks, size):
    "The paper's sum of likelihoods, each divided by its peak and at most 1, as in CFlow"
    return sum(smooth_map((p - m).clamp_max(0).exp(), size, 0) for p, m in zip(logp, peaks))


def by_batch(logp, size, n):
    "The paper's maps with both maxima over batches of n pictures"
    maps = []
    for part in zip(*(p.split(n) for p in logp)):
        total = relative(part, [p.max() for p in part], size)
        maps.append(total.max() - total)
    return torch.cat(maps)


def cost(det, pictures):
    "Median milliseconds a picture of the backbone's pass, and of flows and maps"
    x = next(pictures.batches(8)).images.to(det.device)
    seen = det.observe(x)
    return [milliseconds(work) / len(x) for work in
            (lambda: det.observe(x), lambda: det.score(seen, pictures.size))]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detector")
    parser.add_argument("data", help="folder of categories")
    parser.add_argument("category")
    args = parser.parse_args()
    det = load(args.detector)
    test = MVTec(args.data, args.category, det.input_size[0]).test
    logp, size = likelihoods(det, test), test.size
    targets = torch.from_numpy(test.targets)
    masks = torch.stack([p.mask for p in test]).flatten()
    constants = zip(logp, det.mean.cpu(), det.spread.cpu())
    rows = {"log-likelihoods": sum(smooth_map((m - p) / r, size, 0) for p, m, r in constants),
            "likelihoods, training maxima": -relative(logp, det.peak.cpu(), size)}
    for n in (len(test), 32, 16):
        rows[f"likelihoods, maxima of {n} pictures"] = by_batch(logp, size, n)
    for name, maps in rows.items():
        print(f"{name:40} image AUROC {auroc(maps.amax((1, 2)), targets):.3f}  pixel AUROC "
              f"{auroc(maps.flatten(), masks):.3f}")
    with torch.inference_mode():
        floor, flows = cost(det, test)
    print(f"backbone {floor:.1f} ms a picture, flows and maps {flows:.1f} ms: prediction is "
          f"{1 + flows / floor:.2f} times the pass")


if __name__ == "__main__":
    main()
