#!/usr/bin/env python
"""The rows of another library, anomalib 2.7.0, on the same pictures with the same weights.

    python -m venv peer && peer/bin/pip install 'anomalib[cpu]==2.7.0' -e .
    peer/bin/python tools/peer.py DATA --weights FILE --out anomaly_nb/results/mvtec_peer.csv

DATA holds the categories of MVTec AD, FILE a ResNet-18's weights (safetensors), the file of
our own rows. The library reads the pictures, trains and scores by its own code, with the
defaults of its classes. What is not its own:

- The weights: it is told to load none, and FILE's are put in. They are compared again after
  the fit, and a changed one ends the run.
- Its evaluation is off. Image scores and maps are those of its torch model, before they are
  normalised and clipped; the metrics are ours, over our order of the test pictures, so the
  scores of a row pair with those of a row of `tools/mvtec_rows.py` picture by picture.
- The test pictures are scored in batches of a drawn order: its CFlow moves all scores of a batch
  by the largest likelihoods in it, and batches by kind, as the folders lie, would tell the kind.
- Nothing looks at the test pictures during a training: no early stopping, no choice of an
  epoch. No class of the library says how long to train: `--epochs` does, or the numbers of its
  example configurations, EPOCHS.
- With `--coreset blocks`, the default, PatchCore's greedy choice is made by
  `neighbours.greedy_coreset`, with the library's projection and first point: the same points
  in minutes instead of hours. `--coreset own` takes the library's loop; `--compare N` counts
  for N points how many choices the two have in common, and ends.

`config` of a row is in the library's words. Costs are noted with `--costs` only: give it where
nothing else runs. A run that was killed, started again, goes on with the rows that are missing.
"""
import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from importlib.metadata import version
from unittest import mock

import timm
import torch
from anomalib.data import MVTecAD
from anomalib.engine import Engine
from anomalib.models import (Cflow, Dfkde, Dfm, Ganomaly, Padim, Patchcore,
                             ReverseDistillation, Stfpm)
from anomalib.models.components.sampling import KCenterGreedy
from lightning import seed_everything
from safetensors.torch import load_file

from anomaly_nb import benchmark
from anomaly_nb.data import MVTec
from anomaly_nb.files import FileError
from anomaly_nb.metrics import Predictions
from anomaly_nb.neighbours import greedy_coreset

CLASSES = dict(dfkde=Dfkde, dfm=Dfm, padim=Padim, patchcore=Patchcore, stfpm=Stfpm,
               reverse_distillation=ReverseDistillation, cflow=Cflow, ganomaly=Ganomaly)
OURS = dict(dfm={"layers": ["layer3"]}, ganomaly={"size": 256})     # for the weights' hash
EPOCHS = dict(stfpm=100, reverse_distillation=200, cflow=50, ganomaly=100)    # its configs'
BATCH = 32                                   # of its data module, for training and scoring


def settings():
    "(model, size, arguments) of each row; what is not given is the library's default."
    yield "dfkde", 256, {}
    yield "dfm", 256, dict(pooling_kernel_size=2)           # of its table for a ResNet-18
    yield "dfm", 256, {}
    yield "padim", 256, {}
    yield "patchcore", 224, {}                              # of its table
    yield "patchcore", 256, {}
    yield "stfpm", 256, {}
    yield "reverse_distillation", 256, {}
    yield "cflow", 256, {}
    yield "ganomaly", 256, {}
    yield "ganomaly", 64, {}


@contextmanager
def without_weights():
    "timm loads none: one of the classes cannot be told so."
    create = timm.create_model
    with mock.patch.object(timm, "create_model", lambda name, *_, pretrained=False, **kw:
                           create(name, pretrained=False, **kw)):
        yield


def build(name, size, arguments):
    "The library's model, without weights, for pictures of `size`."
    cls = CLASSES[name]
    own = dict(arguments, evaluator=False, post_processor=False, visualizer=False,
               pre_processor=cls.configure_pre_processor((size, size)))
    if name != "ganomaly": own["backbone"] = "resnet18"
    with without_weights():
        return cls(**own)


def backbone(model):
    "The network in a model that is to have the file's weights; None for GANomaly."
    inner = model.model
    for name in "feature_extractor", "teacher_model", "encoder":
        if hasattr(inner, name): return getattr(inner, name).feature_extractor
    return None


def differing(net, tensors):
    "Names of the tensors of `net` that are not those of the file."
    return [k for k, v in net.state_dict().items() if not torch.equal(v.cpu(), tensors[k])]


def put_in(net, tensors):
    "Give `net` the file's tensors, all of its own."
    lacking = [k for k in net.state_dict() if k not in tensors]
    if lacking: raise FileError(f"the weights lack {', '.join(lacking[:5])}")
    net.load_state_dict({k: tensors[k] for k in net.state_dict()})


def in_blocks(sampler):
    "What `KCenterGreedy.select_coreset_idxs` returns, from the same draws."
    sampler.model.fit(sampler.embedding)
    sampler.features = sampler.model.transform(sampler.embedding)
    start = int(torch.randint(high=sampler.n_observations, size=(1,)))
    return greedy_coreset(sampler.features, sampler.coreset_size, start)[0].tolist()


def compare(model, data, n, seed):
    "Print how many choices among n patches of `data` the library's loop and ours share."
    with torch.inference_mode():
        model.model.train()
        batch = next(iter(data.train_dataloader()))
        rows = model.model(model.pre_processor.transform(batch.image))
    rows = rows[torch.linspace(0, len(rows) - 1, min(n, len(rows))).long()]
    found = []
    for choose in KCenterGreedy.select_coreset_idxs, in_blocks:
        seed_everything(seed, verbose=False)
        found.append(choose(KCenterGreedy(rows, 0.1)))
    same = sum(a == b for a, b in zip(*found))
    print(f"{len(rows):,} patches: of {len(found[0]):,} choices {same:,} are the same at the "
          f"same place, {len(set(found[0]) & set(found[1])):,} in both")


def fit(model, data, epochs, folder, device):
    "Train `model` by the library's engine, which looks at no test picture; the seconds it took."
    trainer = dict(max_epochs=epochs) if epochs else {}
    engine = Engine(default_root_dir=folder, accelerator=device, limit_val_batches=0,
                    enable_progress_bar=False, enable_model_summary=False, **trainer)
    start = time.perf_counter()
    engine.fit(model, datamodule=data)
    return time.perf_counter() - start


@torch.inference_mode()
def predict(model, data, pictures, device):
    "Raw `Predictions` for our `pictures`, read by the library, and the seconds that it took."
    model.to(device)
    data.setup("test")
    theirs, inner = data.test_data, model.model.eval()
    place = {str(p): i for i, p in enumerate(theirs.samples.image_path)}
    order = [place[str(p)] for p in pictures.paths]
    drawn = torch.randperm(len(order), generator=torch.Generator().manual_seed(0))
    start, scores, maps = time.perf_counter(), [], []
    for some in drawn.split(BATCH):
        batch = theirs.collate_fn([theirs[order[i]] for i in some])
        out = inner(model.pre_processor.transform(batch.image.to(device)))
        scores.append(out.pred_score.flatten().cpu())
        if out.anomaly_map is not None: maps.append(out.anomaly_map.squeeze(1).cpu())
    taken = time.perf_counter() - start
    masks = torch.stack([item.mask for item in pictures]) if maps else None
    back = drawn.argsort()
    return Predictions(torch.cat(scores)[back], torch.cat(maps)[back] if maps else None,
                       torch.tensor(pictures.targets), masks, pictures.paths,
                       pictures.defects), taken


def epochs_of(a, name):
    "How long the model `name` trains; 0 for one that is not trained."
    return (a.epochs or EPOCHS[name]) if name in EPOCHS else 0


def identity(a, category, name, size, seed, model):
    "The columns of a row that are known before the model is fitted; `config` as JSON."
    config = {k: getattr(v, "value", v) for k, v in model.hparams.items() if k != "pre_trained"}
    config |= dict(train_batch_size=BATCH, eval_batch_size=BATCH)
    if name in EPOCHS: config |= dict(max_epochs=epochs_of(a, name))
    if name == "patchcore": config |= dict(coreset=a.coreset)
    job = benchmark.Job(a.data, category, name, "resnet18", a.weights, size, seed,
                        OURS.get(name, {}))
    return benchmark.identity(job) | dict(config=json.dumps(config, sort_keys=True),
                                          version=f"anomalib {version('anomalib')}")


def run(a, tensors, category, name, size, arguments, seed, done):
    "The row of one model, a dict; None if it is in the file."
    seed_everything(seed, verbose=False)
    model = build(name, size, arguments)
    row = identity(a, category, name, size, seed, model)
    if tuple(str(row[k]) for k in benchmark.KEY) in done: return None
    net = backbone(model)
    if net is not None: put_in(net, tensors)
    data = MVTecAD(a.data, category, BATCH, BATCH, num_workers=0)
    epochs = epochs_of(a, name)
    choose = KCenterGreedy.select_coreset_idxs if a.coreset == "own" else in_blocks
    with tempfile.TemporaryDirectory() as folder, \
            mock.patch.object(KCenterGreedy, "select_coreset_idxs", choose):
        fitted = fit(model, data, epochs, folder, a.device)
    if net is not None and (changed := differing(net, tensors)):
        raise FileError(f"the fit has changed the backbone: {', '.join(changed[:5])}")
    pred, taken = predict(model, data, MVTec(a.data, category, size).test, a.device)
    row |= benchmark.columns_of(pred) | dict(
        epochs=f"{epochs}/{EPOCHS[name]}" if epochs else "", threads=torch.get_num_threads(),
        device=torch.cuda.get_device_name() if a.device == "cuda" else "cpu", status="ok")
    if a.costs:
        row |= dict(fit_seconds=fitted, predict_ms_per_image=taken / len(pred) * 1e3)
    print(f"{category} {name} {size} seed {seed}: {fitted:.0f} + {taken:.0f} s", flush=True)
    return row


def main(argv=None):
    "The command line; returns the exit status."
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--category", nargs="+", default=["transistor", "screw"])
    parser.add_argument("--only", nargs="+", metavar="MODEL", choices=list(CLASSES))
    parser.add_argument("--size", nargs="+", type=int, help="rows of these sizes only")
    parser.add_argument("--seeds", nargs="+", type=int, default=[42, 0])
    parser.add_argument("--epochs", type=int, help="of the trained models; default: its configs'")
    parser.add_argument("--coreset", choices=["own", "blocks"], default="blocks")
    parser.add_argument("--compare", type=int, metavar="N")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--costs", action="store_true", help="nothing else runs here")
    a = parser.parse_args(argv)
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    tensors = {k: v.float() if v.is_floating_point() else v
               for k, v in load_file(a.weights).items()}
    if a.compare:
        model = build("patchcore", 256, {})
        put_in(backbone(model), tensors)
        data = MVTecAD(a.data, a.category[0], BATCH, BATCH, num_workers=0)
        data.setup()
        compare(model, data, a.compare, a.seeds[0])
        return 0
    store = benchmark.Results(a.out)
    store.start()
    for seed in a.seeds:
        for name, size, arguments in settings():
            if (a.only and name not in a.only) or (a.size and size not in a.size): continue
            for category in a.category:
                done = {store.key(r) for r in store.rows() if r["status"] == "ok"}
                row = run(a, tensors, category, name, size, arguments, seed, done)
                if row: store.append(row)
    shown = ["category", "model", "size", "seed", "epochs", "image_auroc", "image_f1",
             "pixel_auroc", "aupro"]
    print(store.frame()[shown].round(4).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
