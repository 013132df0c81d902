#!/usr/bin/env python
"""The rows of the final notebook: all eight models and the baseline on MVTec AD.

    python tools/mvtec_rows.py DATA --weights FILE --out anomaly_nb/results/mvtec_v1.csv

DATA holds the categories, FILE the ResNet-18's weights (left out: timm's tv_in1k). The settings
are those of the published tables where there are presets of them, and our defaults beside.
`--only` takes models, `--seeds` numbers; a killed run goes on. Costs are measured with one job
at a time (`--jobs 1`, the default). `--dry` lists the jobs and runs none.
"""
import argparse
import sys

from anomaly_nb import benchmark, cli, models

CURVE = 25, 50, 100                     # shorter trainings of Reverse Distillation


def settings(seeds):
    "(model, size, arguments, seeds) of each line of jobs, long ones first"
    two = seeds[:2]
    yield "cflow", 256, {}, two
    yield "cflow", 256, models.CFlow.presets["published"], two
    for total in ("log", "likelihood"):     # without the layer that the file has from elsewhere
        yield "cflow", 256, dict(layers=("layer2", "layer3"), combine=total), two[:1]
    yield "reverse_distillation", 256, {}, two
    for epochs in CURVE[::-1]:
        yield "reverse_distillation", 256, dict(epochs=epochs), two[:1]
    yield "ganomaly", 256, dict(size=256, batch_size=32), two
    yield "ganomaly", 256, dict(models.GANomaly.presets["published"], size=256,
                                batch_size=32), two
    yield "ganomaly", 64, {}, seeds
    # as short as the peer's can be here
    yield "cflow", 256, dict(models.CFlow.presets["published"], epochs=3), two[:1]
    yield "ganomaly", 64, dict(epochs=10), two
    yield "stfpm", 256, {}, seeds
    yield "patchcore", 256, {}, seeds
    yield "patchcore", 224, models.PatchCore.presets["published"], seeds
    yield "patchcore", 224, {}, seeds[:1]
    yield "padim", 256, {}, seeds
    yield "padim", 256, models.PaDiM.presets["published"], seeds[:1]
    for name in ("dfm", "dfkde", "mean_picture"):       # nothing is drawn
        yield name, 256, {}, seeds[:1]


def jobs(a):
    "every `Job`, for all categories"
    for name, size, config, seeds in settings(a.seeds):
        if a.only and name not in a.only:
            continue
        for category in a.category:
            for seed in seeds:
                yield benchmark.Job(a.data, category, name, "resnet18", a.weights, size,
                                    seed, config, a.device)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--weights")
    parser.add_argument("--out", required=True)
    parser.add_argument("--category", nargs="+", default=["transistor", "screw"])
    parser.add_argument("--only", nargs="+", metavar="MODEL")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dry", action="store_true")
    a = parser.parse_args(argv)
    todo = list(jobs(a))
    if a.dry:
        for j in todo:
            print(j.category, j.model, j.size, j.seed, j.config)
        return 0
    frame = benchmark.run(todo, a.out, workers=a.jobs)
    print(benchmark.summary(frame).drop(columns=["weights"]).round(3).to_string())
    return cli._failures(frame)


if __name__ == "__main__":
    sys.exit(main())
