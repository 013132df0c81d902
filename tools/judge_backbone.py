#!/usr/bin/env python
"""How good are a backbone's features for the models that do not train?

    python tools/judge_backbone.py judged.csv --mvtec ~/data/mvtec \\
        bundled resnet18=~/weights/resnet18.tv_in1k.safetensors

Each network, a timm name or "bundled", with `=` its weights if they are not its own, is
measured on the four drawn categories and on MVTec AD's transistor and screw, as
`anomaly_nb benchmark` does it: 256 pixels, PatchCore with 2 % of the patches. The rows
are kept in `judged.csv`, and what it holds is not measured again. Printed: image AUROC,
mean of the seeds; each network beside the last one named, the reference; PatchCore's
pixel AUROC; and the time of a pass, in turns in one run.
"""
import argparse
import statistics
import time
from pathlib import Path

import pandas as pd
import torch

from anomaly_nb.benchmark import Job, run
from anomaly_nb.features import Features
from anomaly_nb.files import AnomalyError
from anomaly_nb.synthetic import CATEGORIES, cache_folder, write

MODELS = {"dfkde": {}, "dfm": {}, "padim": {}, "patchcore": dict(coreset=0.02)}
CHOOSING = ["patchcore", "padim", "dfm"]
ALLOWED = dict(patchcore=0.04, padim=0.03, dfm=0.06)   # below the reference, drawn set
FLOORS = {("transistor", "patchcore"): 0.96, ("screw", "patchcore"): 0.88,
          ("screw", "padim"): 0.72}


def measured(networks, mvtec, seeds, out, models):
    "The rows of all jobs, with `network` and `set`: drawn or real."
    drawn = write(cache_folder() / "synthetic" / "judge")
    rows = []
    for network in networks:
        name, _, weights = network.partition("=")
        for root, categories in ((drawn, CATEGORIES), (mvtec, ("transistor", "screw"))):
            jobs = [Job(str(root), c, m, name, weights or None, seed=s, config=MODELS[m])
                    for c in categories for m in models for s in seeds]
            frame = run(jobs, out).assign(network=network,
                                          set="drawn" if root == drawn else "real")
            rows.append(frame)
    rows = pd.concat(rows, ignore_index=True)
    for r in rows[rows.status != "ok"].itertuples():
        raise SystemExit(f"judge_backbone: {r.category} {r.model}: {r.error}")
    return rows


def order(means):
    "The models of a column of AUROCs, best first."
    return " > ".join(means.sort_values(ascending=False).index)


def verdict(rows, network, reference):
    "Lines that hold `network` against the reference and the floors."
    mean = rows.groupby(["network", "set", "category", "model"]).image_auroc.mean()
    ours, theirs = mean[network, "drawn"], mean[reference, "drawn"]
    for model, allowed in ALLOWED.items():
        below = theirs.xs(model, level=1).mean() - ours.xs(model, level=1).mean()
        yield f"drawn, {model}: {below:+.3f} below (at most {allowed})", below <= allowed
    same = [c for c in CATEGORIES if order(ours[c]) == order(theirs[c])]
    yield f"drawn, order of the models as the reference's: {len(same)} of 4 {same}", (
        len(same) >= 3)
    at = rows[(rows.network == network) & (rows.model == "patchcore")]
    pixel = at[(at.set == "drawn") & (at.category == "screw")].pixel_auroc.mean()
    yield f"drawn screw, patchcore, pixels: {pixel:.3f} (above .75)", pixel > 0.75
    for (category, model), least in FLOORS.items():
        got = mean[network, "real", category, model]
        yield f"{category}, {model}: {got:.3f} (at least {least})", got >= least


def pass_ratio(features, others, images, rounds=9):
    "Median time of a pass of `features` over that of `others`, measured in turns"
    times = {features: [], others: []}
    with torch.inference_mode():
        for _ in range(rounds + 1):                    # the first round warms up
            for net, taken in times.items():
                start = time.perf_counter()
                net(images)
                taken.append(time.perf_counter() - start)
    ours, theirs = (statistics.median(t[1:]) for t in times.values())
    return ours / theirs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", help="the CSV file of the rows")
    parser.add_argument("networks", nargs="+", help="NAME or NAME=WEIGHTS; last: reference")
    parser.add_argument("--mvtec", required=True, type=Path, help="folder of categories")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--models", default=",".join(MODELS))
    a = parser.parse_args()
    seeds = [int(s) for s in a.seeds.split(",")]
    rows = measured(a.networks, a.mvtec, seeds, a.out, a.models.split(","))
    table = rows.pivot_table("image_auroc", ["network", "model"], ["set", "category"])
    print(table.round(3).to_string())
    chosen = rows[rows.model.isin(CHOOSING)]
    print(f"\nmean over the six sets and {', '.join(CHOOSING)}:")
    print(chosen.groupby("network", sort=False).image_auroc.mean().round(4).to_string())
    images, reference = torch.rand(8, 3, 256, 256), a.networks[-1]
    nets = {n: Features(n.partition("=")[0], weights=n.partition("=")[2] or None)
            for n in a.networks}
    for network in a.networks[:-1]:
        print(f"\n{network}, {nets[network].weights_id}, beside {reference}:")
        if a.models == ",".join(MODELS):
            for line, holds in verdict(rows, network, reference):
                print("  yes " if holds else "  NO  ", line)
        ratio = pass_ratio(nets[network], nets[reference], images)
        print(f"  a pass takes {ratio:.2f} times the reference's")


if __name__ == "__main__":
    try:
        main()
    except AnomalyError as e:
        raise SystemExit(f"judge_backbone: {e}") from None
