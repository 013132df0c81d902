#!/usr/bin/env python
"""What makes the student of `anomaly_nb pretrain` learn?  Short runs, one thing varied.

    python tools/pretrain_trials.py trials.csv --mvtec ~/data/mvtec \\
        --teacher ~/weights/resnet18.tv_in1k.safetensors

Each variant differs from the recipe of the notebook 08 in one thing and sees as many
pieces of pictures. Written per variant and seed: the share of the teacher's variance that
the student explains on its own, for each stage, on drawn scenes kept aside and on normal
training pictures of MVTec AD. A run of 240 steps takes about two minutes on two cores.
Variants that `trials.csv` holds are not run again.
"""
import argparse
import time
from pathlib import Path
from unittest import mock

import pandas as pd
import torch
import torch.nn.functional as F

from anomaly_nb import pretrain as recipe
from anomaly_nb.data import MVTec
from anomaly_nb.features import Features
from anomaly_nb.files import AnomalyError, bar

CONFIG = dict(scenes=320, classes=128, batch=8, size=128, lr=2e-2)


def rectified(student, teacher, x, variances, forced):
    "As `missed`, with the maps compared behind the last ReLU"
    relu = lambda net: lambda *a: [F.relu(m) for m in net(*a)]
    return recipe_missed(relu(student), relu(teacher), x, variances, forced)


def unforced(student, teacher, x, variances, forced):
    "As `missed`, each stage fed with the student's own map from the start"
    return recipe_missed(student, teacher, x, variances, False)


def adam(run):
    "The run with AdamW in place of Muon"
    weights = [p for p in run.net.parameters() if p.ndim > 1]
    run.muon = torch.optim.AdamW([dict(params=weights, peak=2e-3)])


recipe_missed = recipe.missed
VARIANTS = {                                           # changes: config, names, the run
    "the recipe": ({}, {}, None),
    "maps behind the last ReLU": ({}, dict(missed=rectified), None),
    "own maps from the start": ({}, dict(missed=unforced), None),
    "AdamW, rate .002": ({}, {}, adam),
    "batches of 32": (dict(batch=32), {}, None),
    "rate .05": (dict(lr=0.05), {}, None),
    "no photographs": ({}, dict(PHOTOS=0.0), None),
}


@torch.no_grad()
def explained(run, pictures):
    "Per stage 1 - the squared error over the variance, mean over the teacher's channels"
    x = run.normalise(pictures)
    pairs = zip(run.student(x), run.teacher(x))
    return [float(1 - ((a - b).square().mean((0, 2, 3)) / b.var((0, 2, 3))).mean())
            for a, b in pairs]


def trained(variant, steps, seed, teacher):
    "A run to its end"
    config, names, change = VARIANTS[variant]
    config = CONFIG | config | dict(seed=seed)
    config["steps"] = steps * CONFIG["batch"] // config["batch"]
    with mock.patch.multiple(recipe, **names):
        run = recipe.Run(config, teacher, "cpu", False)
        if change: change(run)
        for _ in bar(range(config["steps"]), config["steps"], f"{variant}, seed {seed}"):
            recipe.advance(run)
    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="the CSV file")
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--mvtec", required=True, type=Path, help="folder of categories")
    parser.add_argument("--steps", type=int, default=240, help="of batches of 8")
    parser.add_argument("--seeds", default="0,1")
    a = parser.parse_args()
    teacher = Features("resnet18", recipe.TAPS, a.teacher)
    aside = recipe.draw_pool(32, 32, 10_000, False)
    sets = dict(drawn=F.interpolate(aside / 255, (256, 256)))
    for category in "transistor", "screw":
        normal = MVTec(a.mvtec, category).train
        sets[category] = torch.stack([normal[i].image for i in range(32)])
    rows = pd.read_csv(a.out).to_dict("records") if a.out.exists() else []
    done = {(r["variant"], r["seed"], r["steps"]) for r in rows}
    for seed in map(int, a.seeds.split(",")):
        for variant in VARIANTS:
            if (variant, seed, a.steps) in done: continue
            start = time.monotonic()
            run = trained(variant, a.steps, seed, teacher)
            row = dict(variant=variant, seed=seed, steps=a.steps,
                       seconds=round(time.monotonic() - start),
                       teacher=teacher.weights_id)
            for name, x in sets.items():
                for stage, share in zip(recipe.TAPS, explained(run, x)):
                    row[f"{name}_{stage}"] = round(share, 4)
            rows.append(row)
            pd.DataFrame(rows).to_csv(a.out, index=False)
    print(pd.DataFrame(rows).drop(columns="teacher").round(2).to_string())


if __name__ == "__main__":
    try:
        main()
    except AnomalyError as e:
        raise SystemExit(f"pretrain_trials: {e}") from None
