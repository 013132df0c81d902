#!/usr/bin/env python
"""The rows of PatchCore's official code on the same pictures with the same weights.

    git clone https://github.com/amazon-science/patchcore-inspection
    git -C patchcore-inspection checkout 8a7748c
    pip install faiss-cpu matplotlib tqdm torchvision
    python tools/official.py DATA --code patchcore-inspection --weights FILE \\
        --out anomaly_nb/results/mvtec_official.csv

DATA holds the categories of MVTec AD, FILE a ResNet-18's weights (safetensors), the file of
our own rows. The official code reads the pictures, describes their patches, chooses the
coreset, searches with faiss, and makes scores and maps, with the settings of its README's
baseline: layer2 and layer3, both embedding dimensions 1,024, patches of 3 x 3, one
neighbour, 10 % by the approximate greedy choice, two pictures a batch, seed 0. What is not
its own:

- The network: a ResNet-18, which its list of backbones lacks, with FILE's tensors. They are
  compared again at the end, and a changed one ends the run.
- The network is in evaluation mode from the start. Its own script hands it over in training
  mode, and `PatchCore.load` sends one picture of ones through it to count channels; that
  moves the running statistics of each BatchNorm a tenth of the way to that picture's.
  `--moved` lets it happen; it is the script's network only where FILE holds the statistics
  of the training, not with BatchNorm folded into the convolutions.
- The pictures are resized to 224 and not cropped, as for our rows; the baseline resizes to
  256 and cuts the middle 224 out.
- Image scores and maps are those before its script maps them to 0..1 over the test set. The
  metrics are ours, over our masks and our order of the test pictures, so the scores of a row
  pair with those of a row of `tools/mvtec_rows.py` picture by picture.
- With `--coreset blocks`, the default, the sampler's greedy choice is made by
  `neighbours.greedy_coreset`, from the sampler's projection, starting points and first
  distances: in a fraction of the time. `--coreset own` takes the sampler's loop;
  `--compare N` counts for N patches of the first category how many choices the two have in
  common, and ends.

One of its steps means something else on a ResNet-18. It brings the 9 x C numbers of a patch to
1,024 by averages over neighbours in their list. With the 1,024 channels of a
WideResNet-50's layer3 that is the average over the 3 x 3 cells of each channel; with the 128
and 256 here the cells stay apart, and a patch is compared cell by cell.

`config` of a row is in the code's words, but for `coreset` and `moved`; `version` names its
commit, or the hash of its files if they are others. Costs are noted with `--costs` only: give
it where nothing else runs. A killed run goes on with the next category.
"""
import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torchvision
from safetensors.torch import load_file

from anomaly_nb import benchmark, neighbours
from anomaly_nb.data import MVTec
from anomaly_nb.files import FileError
from anomaly_nb.metrics import Predictions

SIZE, BATCH = 224, 2
LOAD = dict(layers_to_extract_from=["layer2", "layer3"], pretrain_embed_dimension=1024,
            target_embed_dimension=1024, patchsize=3, patchstride=1, anomaly_score_num_nn=1)
SAMPLER = dict(percentage=0.1, number_of_starting_points=10,
               dimension_to_project_features_to=128)
FILES = "common.py", "patchcore.py", "sampler.py", "utils.py", "datasets/mvtec.py"
KNOWN = {"38a470f345c8": "8a7748c"}                              # of FILES: their commit


def official(folder):
    "The package of the official code in `folder`, and the name of its version."
    source = Path(folder).expanduser().resolve() / "src"
    try: parts = [(source / "patchcore" / name).read_bytes() for name in FILES]
    except OSError as e:
        raise FileError(f"{folder} is no clone of patchcore-inspection: {e}") from e
    digest = hashlib.sha256(b"".join(parts)).hexdigest()[:12]
    sys.path.insert(0, str(source))
    import patchcore.common
    import patchcore.datasets.mvtec
    import patchcore.patchcore
    import patchcore.sampler
    import patchcore.utils
    return patchcore, f"patchcore-inspection {KNOWN.get(digest, digest)}"


def network(tensors):
    "A ResNet-18 to the end of layer3 with the file's tensors."
    net = torchvision.models.resnet18(weights=None)
    net.layer4 = net.fc = torch.nn.Identity()
    lacking = net.load_state_dict(tensors, strict=False).missing_keys
    if lacking: raise FileError(f"the weights lack {', '.join(lacking[:5])}")
    return net


def differing(net, tensors, moved):
    "Names of the tensors of `net` that are not the file's; `moved`: statistics may differ."
    free = ("running_mean", "running_var", "num_batches_tracked") if moved else ()
    return [k for k, v in net.state_dict().items()
            if not k.endswith(free) and not torch.equal(v, tensors[k])]


def in_blocks(sampler, features):
    "What the sampler's `_compute_greedy_coreset_indices` returns, from the same draws."
    some = np.random.choice(len(features), min(sampler.number_of_starting_points,
                                               len(features)), replace=False)
    bound = sampler._compute_batchwise_differences(features, features[some]).mean(1)

    class Bounded(neighbours.Gaps):
        "Gaps that begin at the mean distance from `some`, as the sampler's do."
        def __init__(self, z, k):
            super().__init__(z, k)
            self.gap = bound.square()
    with mock.patch.object(neighbours, "Gaps", Bounded):
        k = int(len(features) * sampler.percentage)
        return neighbours.greedy_coreset(features, k, int(bound.argmax()))[0].numpy()


def compare(a, code, tensors):
    "How many of the choices among N patches of a category its loop and ours share."
    own = code.sampler.ApproximateGreedyCoresetSampler._compute_greedy_coreset_indices
    model, _ = build(a, code, tensors)
    rows = torch.from_numpy(np.concatenate(
        model.embed(loader(code, a.data, a.category[0], "train"))))
    rows = rows[torch.linspace(0, len(rows) - 1, min(a.compare, len(rows))).long()]
    found = []
    with torch.no_grad():
        for choose in own, in_blocks:
            code.utils.fix_seeds(a.seed)
            sampler = model.featuresampler
            found.append(choose(sampler, sampler._reduce_features(rows)).tolist())
    same = sum(a == b for a, b in zip(*found))
    print(f"{len(rows):,} patches: of {len(found[0]):,} choices {same:,} are the same at the "
          f"same place, {len(set(found[0]) & set(found[1])):,} in both")
    return 0


def loader(code, root, category, split):
    "Its pictures of one half of a category, as its script reads them, but for the crop."
    data = code.datasets.mvtec
    pictures = data.MVTecDataset(root, category, resize=SIZE, imagesize=SIZE,
                                 split=data.DatasetSplit(split))
    return torch.utils.data.DataLoader(pictures, batch_size=BATCH, shuffle=False)


def build(a, code, tensors):
    "Its model, not yet fitted, and the network in it; random numbers begin here."
    code.utils.fix_seeds(a.seed)
    net = network(tensors).train(a.moved)
    device = code.utils.set_torch_device([])
    model = code.patchcore.PatchCore(device)
    sampler = code.sampler.ApproximateGreedyCoresetSampler(device=device, **SAMPLER)
    search = code.common.FaissNN(False, torch.get_num_threads())
    model.load(backbone=net, device=device, input_shape=(3, SIZE, SIZE),
               featuresampler=sampler, nn_method=search, **LOAD)
    return model, net


def predictions(scores, maps, theirs, pictures):
    "`Predictions` in our order of the test pictures; `theirs`: the paths in its order."
    place = {str(Path(p).resolve()): i for i, p in enumerate(theirs)}
    order = [place[str(Path(p).resolve())] for p in pictures.paths]
    if len(order) != len(place): raise FileError("the two readers find different pictures")
    masks = torch.stack([item.mask for item in pictures])
    return Predictions(torch.tensor(np.array(scores)[order]),
                       torch.tensor(np.stack(maps)[order]), torch.tensor(pictures.targets),
                       masks, pictures.paths, pictures.defects)


def run(a, code, version, tensors, category, done):
    "The row of one category, a dict; None if it is in the file."
    config = LOAD | SAMPLER | dict(sampler="approx_greedy_coreset", resize=SIZE,
                                   imagesize=SIZE, batch_size=BATCH, moved=a.moved,
                                   coreset=a.coreset)
    job = benchmark.Job(a.data, category, "patchcore", "resnet18", a.weights, SIZE, a.seed)
    row = benchmark.identity(job) | dict(config=json.dumps(config, sort_keys=True),
                                         version=version)
    if tuple(str(row[k]) for k in benchmark.KEY) in done: return None
    train, test = (loader(code, a.data, category, split) for split in ("train", "test"))
    model, net = build(a, code, tensors)
    sampler = code.sampler.ApproximateGreedyCoresetSampler
    choose = sampler._compute_greedy_coreset_indices if a.coreset == "own" else in_blocks
    start = time.perf_counter()
    with torch.no_grad(), mock.patch.object(sampler, "_compute_greedy_coreset_indices", choose):
        model.fit(train)
    fitted = time.perf_counter() - start
    scores, maps, _, _ = model.predict(test)
    taken = time.perf_counter() - start - fitted
    if changed := differing(net, tensors, a.moved):
        raise FileError(f"the network has changed: {', '.join(changed[:5])}")
    pred = predictions(scores, maps, [d[2] for d in test.dataset.data_to_iterate],
                       MVTec(a.data, category, SIZE).test)
    row |= benchmark.columns_of(pred) | dict(
        threads=torch.get_num_threads(), device="cpu", status="ok")
    if a.costs:
        row |= dict(fit_seconds=fitted, predict_ms_per_image=taken / len(pred) * 1e3)
    print(f"{category} seed {a.seed}: {fitted:.0f} + {taken:.0f} s", flush=True)
    return row


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--code", required=True, help="a clone of patchcore-inspection")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--category", nargs="+", default=["transistor", "screw"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--coreset", choices=["own", "blocks"], default="blocks")
    parser.add_argument("--compare", type=int, metavar="N")
    parser.add_argument("--moved", action="store_true",
                        help="the picture of ones moves BatchNorm's statistics")
    parser.add_argument("--costs", action="store_true", help="nothing else runs here")
    a = parser.parse_args(argv)
    code, version = official(a.code)
    tensors = {k: v.float() if v.is_floating_point() else v
               for k, v in load_file(a.weights).items()}
    if a.compare: return compare(a, code, tensors)
    store = benchmark.Results(a.out)
    store.start()
    for category in a.category:
        done = {store.key(r) for r in store.rows() if r["status"] == "ok"}
        row = run(a, code, version, tensors, category, done)
        if row: store.append(row)
    shown = ["category", "model", "size", "seed", "image_auroc", "image_f1", "pixel_auroc",
             "aupro"]
    print(store.frame()[shown].round(4).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
