"""The detectors, one module each, and their names on the command line."""
import difflib

from .padim import PaDiM

MODELS = {"padim": PaDiM}


def by_name(name):
    """The class called `name` on the command line; ValueError with the near names."""
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, 1)
        raise ValueError(
            f"no model {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            + f" There are: {', '.join(MODELS)}")
    return MODELS[name]


__all__ = ["MODELS", "by_name"] + [cls.__name__ for cls in MODELS.values()]
