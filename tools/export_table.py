#!/usr/bin/env python
"""Export every detector, hold the files against it on your own pictures, and time them.

    python tools/export_table.py --data ~/data/mvtec --category screw

Prints a Markdown table: how far ONNX Runtime and OpenVINO are from torch on the test
pictures, labels that flip, and milliseconds for one picture. What learns by gradient steps
sees 32 pictures once: enough to compare programs, not detectors.
"""
import argparse
import contextlib
import sys
import tempfile
from inspect import signature
from pathlib import Path

from anomaly_nb.data import MVTec
from anomaly_nb.export import compare, latencies, runner
from anomaly_nb.models import MODELS

ENGINES = ("onnxruntime", "openvino")
ARGUMENTS = {"patchcore": {"coreset": 0.01}}


def fitted(name, args, data):
    "The detector `name`, fitted and calibrated"
    given = dict(ARGUMENTS.get(name, {}))
    if name != "ganomaly":
        given |= {"backbone": args.backbone, "weights": args.weights}
    pictures = data.train
    if "epochs" in signature(MODELS[name]).parameters:
        given["epochs"], pictures = 1, pictures.subset(range(min(32, len(pictures))))
    return MODELS[name](**given).fit(pictures).calibrate(data.holdout)


def row(name, args, data, folder):
    "A row of the table"
    det, path = fitted(name, args, data), Path(folder, f"{name}.onnx")
    with contextlib.redirect_stdout(sys.stderr):     # what it says of the holdout
        det.export(path, pictures=data.holdout)
    found = [compare(det, runner(path, engine), data.test) for engine in ENGINES]
    ms = latencies(det, path, data.test[0].image[None], args.threads,
                   rounds=args.rounds)
    text = [f"{max(p.score, p.map or 0):.1e}" for p in found]
    text += [" + ".join(str(p.flips) for p in found)]
    text += [f"{ms[k]:.1f}" if k in ms else "" for k in ("pass", "torch", *ENGINES)]
    ratio = min(ms[k] for k in ENGINES) / ms.get("pass", float("nan"))
    return [name, *text, f"{ratio:.2f}", f"{path.stat().st_size / 2**20:.0f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of categories in MVTec AD's layout")
    parser.add_argument("--category", required=True)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--weights", help="a tag or a file")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    data = MVTec(args.data, args.category, args.size, holdout=0.2)
    head = ["model", "ONNX Runtime apart", "OpenVINO apart", "flips", "pass ms", "torch ms",
            "ONNX Runtime ms", "OpenVINO ms", "faster engine / pass", "MB"]
    print(f"{data}, {args.backbone}, {args.threads} threads")
    with tempfile.TemporaryDirectory() as folder:
        for cells in head, ["---"] * len(head):
            print("|", " | ".join(cells), "|")
        for name in args.models:                 # a row as soon as it is there
            print("|", " | ".join(row(name, args, data, folder)), "|", flush=True)


if __name__ == "__main__":
    main()
