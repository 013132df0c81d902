"""The detectors, one module each, and their names on the command line."""
import difflib
import importlib

from ..arguments import KNOWN
from ..detector import Detector, MeanPicture
from ..files import ArgumentError
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
    """The class that `name` means: of `MODELS` or `BASELINES`, or "module:Class", a
    `Detector` of your own. `ArgumentError` says what there is."""
    known, (module, colon, attribute) = MODELS | BASELINES, name.partition(":")
    if name in known:
        return known[name]
    if not colon:
        near = difflib.get_close_matches(name, known, 1)
        raise ArgumentError(
            f"no model {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            + f" There are: {', '.join(known)}; your own is module:Class")
    if (module, attribute) in KNOWN:
        return KNOWN[module, attribute]
    if module == "__main__" or not all(map(str.isidentifier, module.split("."))):
        raise ArgumentError(f"model {name!r}: write module:Class as Python writes it after "
                            "import; a class of a script or notebook belongs into a module")
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as e:
        raise ArgumentError(f"model {name!r}: {e}; is the module's folder in PYTHONPATH?") from e
    if not (isinstance(cls, type) and issubclass(cls, Detector)):
        raise ArgumentError(f"model {name!r} is no Detector")
    return cls


__all__ = ["MODELS", "BASELINES", "by_name"] + [cls.__name__ for cls in MODELS.values()]
