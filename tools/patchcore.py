#!/usr/bin/env python
"""What PatchCore costs and what its scores are worth, on a category of MVTec AD.

    python tools/patchcore.py coreset ~/data/mvtec transistor   # greedy choice against loops
    python tools/patchcore.py search  ~/data/mvtec transistor   # prediction against a pass
    python tools/patchcore.py scores  ~/data/mvtec transistor   # image scores, borders
    python tools/patchcore.py memory  drawn board --pictures 2000     # a large fit

`coreset` takes all cells of the grid (218,112 points for transistor at 256 pixels); the
loops are timed for 200 picks in the same run and extrapolated. --backbone, --weights and
--seeds as in `anomaly_nb benchmark`; "drawn" for the data is the synthetic set.
"""
import argparse
import statistics
import time

import torch

from anomaly_nb import benchmark
from anomaly_nb.data import MVTec
from anomaly_nb.metrics import auroc, pixel_metrics
from anomaly_nb.models import PatchCore
from anomaly_nb.models.patchcore import flat
from anomaly_nb.neighbours import AllDistances, greedy_coreset
from anomaly_nb.synthetic import Synthetic
from anomaly_nb.testing import certify


def seconds(work):
    "Wall-clock seconds of `work()`, and what it returned"
    start = time.perf_counter()
    out = work()
    return time.perf_counter() - start, out


def fair_loop(z, picks):
    "One pick at a time: cached norms, one matrix-vector product a pick"
    norms, gap, last = z.square().sum(1), torch.full((len(z),), torch.inf), 0
    for _ in range(picks):
        d = norms + norms[last] - 2 * (z @ z[last])
        gap = torch.minimum(gap, d)
        last = int(gap.argmax())


def usual_loop(z, picks):
    "One pick at a time: the norm of the difference from all points"
    gap, last = torch.full((len(z),), torch.inf), 0
    for _ in range(picks):
        gap = torch.minimum(gap, (z - z[last]).norm(dim=1))
        last = int(gap.argmax())


def points(det, pictures):
    "All patch embeddings of `pictures`, projected as before the greedy choice"
    torch.manual_seed(det.seed)
    rows = torch.cat([flat(det.embed(det.observe(b.images)))
                      for b in pictures.batches(32)])
    return rows @ (torch.randn(rows.shape[1], 296) / 296**.5)


def coreset(args, data):
    det = PatchCore(args.backbone, weights=args.weights, border="counted", seed=args.seeds[0])
    z = points(det, data.train)
    k = round(args.coreset * len(z))
    print(f"{len(z):,} points, {z.shape[1]} dimensions, {k:,} picks, "
          f"{torch.get_num_threads()} threads", flush=True)
    ours, (taken, far) = seconds(lambda: greedy_coreset(z, k, progress=True))
    flop = 2 * len(z) * k * z.shape[1]
    print(f"greedy_coreset     {ours:8.1f} s   covering radius {far[1]:.3f} to {far[-1]:.3f}; "
          f"{flop / ours / 1e9:.0f} Gflop/s", flush=True)
    a, b = z[:8192], z[:2048]
    floor = min(seconds(lambda: a @ b.T)[0] for _ in range(5))
    floor *= flop / (2 * len(a) * len(b) * z.shape[1])
    print(f"bare matrix product {floor:7.1f} s   of all points with all picks")
    for name, loop in (("fair loop", fair_loop), ("usual loop", usual_loop)):
        loop(z, 5)
        t = seconds(lambda: loop(z, 200))[0] / 200
        print(f"{name:18} {t * k:8.1f} s   {t:.4f} s a pick, {t * k / ours:.0f} times ours",
              flush=True)
    if args.certify:
        t, (worst, radii) = seconds(lambda: certify(z, taken))
        print(f"replay in float64  {t:8.1f} s   a pick is at most {worst:.1e} short; radii fall: "
              f"{bool((radii.diff() <= 0).all())}")


def search(args, data):
    x = torch.stack([data.test[i].image for i in range(min(32, len(data.test)))])
    det = PatchCore(args.backbone, weights=args.weights, coreset=args.coreset,
                    seed=args.seeds[0]).fit(data.train)
    bank = det.bank
    for share in (args.coreset, args.coreset / 10):
        det.bank = bank[:round(len(bank) * share / args.coreset)]      # the order is greedy
        det(x)
        index = det.index
        z = flat(det.embed(det.observe(x)))
        every = AllDistances(det.bank)
        plain = lambda: [every(q) for q in z.split(256)]
        work = dict(pass_=lambda: det.observe(x), everything=lambda: det(x), plain=plain,
                    index=lambda: index(z))
        times = {name: [] for name in work}
        for _ in range(7):
            for name, f in work.items():
                times[name].append(seconds(f)[0] / len(x) * 1e3)
        ms = {name: statistics.median(t[1:]) for name, t in times.items()}
        d, _ = index(z)
        want = torch.cat([torch.cdist(q, det.bank.double()).amin(1)
                          for q in z[:8192].double().split(256)])
        error = ((d[:8192] - want) / want).abs().max().item()
        with_plain = ms["everything"] - ms["index"] + ms["plain"]
        print(f"bank {len(det.bank):,} ({share:.3g}): a pass {ms['pass_']:.1f} ms a picture; "
              f"everything {ms['everything']:.1f}, {ms['everything'] / ms['pass_']:.2f} times "
              f"the pass;\n  search {ms['index']:.1f} ms, plain search {ms['plain']:.1f} "
              f"({with_plain / ms['pass_']:.2f} times the pass with it); distances differ "
              f"from float64 by at most {error:.0e}", flush=True)


def scores(args, data):
    for border in ("complete", "ignored", "scaled", "counted"):
        rows = []
        for seed in args.seeds:
            det = PatchCore(args.backbone, weights=args.weights, coreset=args.coreset,
                            border=border, seed=seed).fit(data.train)
            pred = det.predict(data.test)
            det.neighbours, det.sigma = 1, 0
            plain = det.predict(data.test)
            good = plain.maps[pred.targets == 0]
            c = det.features.strides["layer2"]                   # pixels of a cell
            inner = good[:, c:-c, c:-c].amax((1, 2))             # without the outermost cells
            of = lambda s: auroc(s, pred.targets)
            rows.append(dict(unblurred=of(plain.scores), blurred=of(pred.maps.amax((1, 2))),
                             reweighted=of(pred.scores),
                             pixel=pixel_metrics(pred.maps, pred.masks)["pixel_auroc"],
                             largest_at_border=(good.amax((1, 2)) > inner).float().mean().item()))
            print(border, f"seed {seed}:",
                  *(f"{k} {v:.4f}" for k, v in rows[-1].items()), flush=True)
        print(border, "mean:  ", *(f"{k} {statistics.mean(r[k] for r in rows):.4f}"
                                   for k in rows[0]), flush=True)


def memory(args, data):
    det = PatchCore(args.backbone, weights=args.weights, coreset=args.coreset,
                    memory_gb=args.memory_gb, seed=args.seeds[0])
    _, C, h, w = det.embed(det.observe(data.train[0].image[None])).shape
    t, _ = seconds(lambda: det.fit(data.train))
    used = benchmark._peak_mb() / 1024
    print(f"{len(data.train):,} pictures, {len(data.train) * h * w:,} patches of {C} channels "
          f"({len(data.train) * h * w * C * 4 / 2**30:.1f} GB), {args.memory_gb} GB allowed: "
          f"bank {len(det.bank):,}, {t:.0f} s, at most {used:.2f} GB used by the process")


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["coreset", "search", "scores", "memory"])
    parser.add_argument("data", help="folder with MVTec AD's categories, or drawn")
    parser.add_argument("category")
    parser.add_argument("--backbone", default="bundled")
    parser.add_argument("--weights", help="file, tag or random; default: the backbone's own")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seeds", default="0", help="such as 0,1,2")
    parser.add_argument("--coreset", type=float, default=0.1)
    parser.add_argument("--certify", action="store_true", help="replay the choice in float64")
    parser.add_argument("--memory-gb", type=float, default=1.5)
    parser.add_argument("--pictures", type=int, default=80, help="for drawn: to train on")
    args = parser.parse_args()
    args.seeds = [int(s) for s in args.seeds.split(",")]
    data = (Synthetic(args.category, size=args.size, n_train=args.pictures)
            if args.data == "drawn" else MVTec(args.data, args.category, size=args.size))
    dict(coreset=coreset, search=search, scores=scores, memory=memory)[args.what](args, data)


if __name__ == "__main__":
    main()
