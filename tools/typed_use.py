"""How programs use the package, for mypy: never run. A line with `type: ignore` holds a
mistake; mypy reports one that it does not find, as it reports an error in any other line."""
from anomaly_nb.data import Pictures
from anomaly_nb.detector import load
from anomaly_nb.models import PaDiM, PatchCore
from anomaly_nb.own_pictures import Folder

data = Folder("good", "bad", holdout=0.2)
det = PatchCore("bundled", coreset=0.01, seed=3)
det.fit(data.train, batch_size=3)
det.fit(data.train, batchsize=3)  # type: ignore[call-arg]
det.fti(data.train)  # type: ignore[operator]
pred = PaDiM("bundled").fit(data.train).predict(data.test, progress=False)
PaDiM("bundled").fit(data.train).predict(data.test, bars=False)  # type: ignore[call-arg]
det.calibrate(data.holdout, fpr=0.05)
det.calibrate(data.holdout, rate=0.05)  # type: ignore[call-arg]
det.save("good.safetensors")
load("good.safetensors").predict(data.test)

for batch in Pictures(data.train.records).batches(4):
    scores, maps = det(batch.images)
data.train.batches(batchsize=4)  # type: ignore[call-arg]

PatchCore(coreset="x")  # type: ignore[arg-type]
PatchCore(border="none")  # type: ignore[arg-type]
