"""The detectors, one module each, and their names on the command line."""
import difflib

from ..detector import MeanPicture
from .cflow import CFlow
from .dfkde import DFKDE
from .dfm import DFM
from .ganomaly import GANomaly
from .padim import PaDiM
from .patchcore import PatchCore
from .reverse_distillation import ReverseDistillation
from .stfpm import STFPM

MODELS = {"dfkde": DFKDE, "dfm": DFM, "padim": PaDiM, "patchcore": PatchCore,
          "stfpm": STFPM, "reverse_distillation": ReverseDistillation, "cflow": CFlow,
          "ganomaly": GANomaly}
BASELINES = {"mean_picture": MeanPicture}  # what a model has to beat; not in "all"


def by_name(name):
    """The class called `name` on the command line; ValueError with the near names."""
    known = MODELS | BASELINES
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise ValueError(
            f"no model {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            + f" There are: {', '.join(known)}")
    return known[name]


__all__ = ["MODELS", "BASELINES", "by_name"] + [cls.__name__ for cls in MODELS.values()]
