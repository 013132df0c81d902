"""Do the figures of a notebook call a picture what its label says?

`watch` is called before a notebook runs. It notes every picture that is read through
`Pictures` and its target, and looks at every one that is drawn: a title or label beside it
that says "good" or "normal" over an anomalous picture, or the reverse, goes into the list
that it returns.
"""
import functools
import hashlib
import re
from pathlib import Path

CALLED = (re.compile(r"\b(anomalous|defective)\b", re.I),  # by target 0, by target 1:
          re.compile(r"\b(good|normal)\b", re.I))          # what a title must not say


def key(picture):
    """The bytes of a picture (H, W, 3), as 8 bits."""
    import numpy as np
    a = np.asarray(picture)
    if a.ndim != 3:
        return None
    if a.dtype.kind == "f":
        a = (a.clip(0, 1) * 255).round()
    return hashlib.sha1(a.astype(np.uint8).tobytes()).hexdigest()


def watch(root):
    """Hook reading and drawing; returns the list of wrong names, which grows."""
    if not Path(root, "anomaly_nb", "data.py").exists():  # a project without pictures
        return []
    from matplotlib.axes import Axes

    from anomaly_nb.data import Pictures
    targets, wrong = {}, []
    read, draw = Pictures.__getitem__, Axes.imshow

    @functools.wraps(read)
    def noted(self, i):
        item = read(self, i)
        targets[key(item.image.permute(1, 2, 0).numpy())] = item.target
        return item

    def compare(ax):
        target = getattr(ax, "_target_seen", None)
        text = f"{ax.get_title()} {ax.get_ylabel()}".strip()
        if target is not None and CALLED[target].search(text):
            wrong.append(f"a figure calls {['a normal', 'an anomalous'][target]} picture "
                         f"{text!r}")

    @functools.wraps(draw)
    def seen(ax, x, *args, **kwargs):
        ax._target_seen = targets.get(key(x))
        compare(ax)
        return draw(ax, x, *args, **kwargs)

    def then_compare(method):
        @functools.wraps(method)
        def changed(ax, *args, **kwargs):
            made = method(ax, *args, **kwargs)
            compare(ax)
            return made
        return changed

    Pictures.__getitem__, Axes.imshow = noted, seen
    for name in "set_title", "set_ylabel":
        setattr(Axes, name, then_compare(getattr(Axes, name)))
    return wrong
