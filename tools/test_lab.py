#!/usr/bin/env python3
"""Do the explorers answer a hand in a real JupyterLab?

    python tools/test_lab.py [--pictures FOLDER]

Starts JupyterLab in a temporary folder on a notebook with three explorers, opens it in
Chromium, runs all cells, moves a slider of each with the keyboard, clicks into two of the
figures, and reads sentence and picture. FOLDER gets a screenshot before and after each.
It needs `make lab` (JupyterLab and ipyevents), `playwright` and a Chromium.
"""
import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from browser import chromium

CELLS = {
    "operating_point": "import numpy as np\nfrom anomaly_nb.explorers import *\n"
                       "rng, y = np.random.default_rng(0), np.arange(600) >= 500\n"
                       "operating_point(rng.normal(2.3 * y), y)",
    "two_distances": "two_distances()",
    "drawn_defect": "from anomaly_nb.detector import MeanPicture\n"
                    "from anomaly_nb.synthetic import Synthetic\n"
                    "data = Synthetic('board', size=96, n_train=24, n_good=4, n_bad=1, holdout=.4)\n"
                    "det = MeanPicture().fit(data.train, progress=False)\n"
                    "det.calibrate(data.holdout, fpr=.2, progress=False)\n"
                    "drawn_defect({'mean picture': det}, data.test[0].image)"}
SLOW = 120_000  # ms until the kernel has run a cell


def notebook(path):
    "A notebook of `CELLS`."
    cells = [dict(cell_type="code", id=k, metadata={}, outputs=[], execution_count=None,
                  source=source) for k, source in CELLS.items()]
    kernel = dict(kernelspec=dict(name="python3", display_name="Python 3", language="python"))
    path.write_text(json.dumps(dict(cells=cells, metadata=kernel, nbformat=4, nbformat_minor=5)))


def settings(folder):
    "Settings of our own: every cell is on the page, seen or not, and no news are asked for."
    for name, value in {"notebook-extension/tracker": {"windowingMode": "none"},
                        "apputils-extension/notification": {"fetchNews": "false"}}.items():
        path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
    return {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(folder)}


@contextlib.contextmanager
def lab(folder):
    "The address of a JupyterLab of our own, gone afterwards."
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}",
               "--ip=127.0.0.1", "--ServerApp.token=", "--ServerApp.password=", "--allow-root",
               f"--ServerApp.root_dir={folder}"]
    with open(folder / "lab.log", "w") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log,
                                  env=settings(folder / "settings"))
    try:
        address = f"http://127.0.0.1:{port}/lab"
        for _ in range(240):
            if server.poll() is not None:
                raise SystemExit((folder / "lab.log").read_text()[-2000:])
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(address, timeout=5).close()
                break
            time.sleep(.5)
        yield address
    finally:
        server.kill()                 # it asks on a terminal before it obeys another signal
        server.wait()


def state(widget):
    "(sentence, picture) of an explorer."
    return widget.locator(".widget-html").inner_text(), widget.locator("img").get_attribute("src")


def changed(widget, before, seconds=20):
    "Seconds until sentence and picture are others than `before`; fails after `seconds`."
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        now = state(widget)
        if now[0] != before[0] and now[1] != before[1]:
            return time.perf_counter() - start
        time.sleep(.01)
    raise AssertionError(f"nothing happened: {before[0]}")


def moved(page, widget, name, pictures):
    "Move the first slider by one, click where clicks are heard; lines for the report."
    widget.screenshot(path=pictures / f"{name}_1.png")
    before = state(widget)
    handle = widget.locator(".noUi-handle").first
    handle.focus()
    page.keyboard.press("ArrowRight")
    took = changed(widget, before)
    print(f"{name}: a key, {1000 * took:.0f} ms\n  before: {before[0]}\n  after:  {state(widget)[0]}")
    if name != "operating_point":
        before, box = state(widget), widget.locator("img").bounding_box()
        page.mouse.click(box["x"] + .2 * box["width"], box["y"] + .3 * box["height"])
        took = changed(widget, before)
        print(f"  a click, {1000 * took:.0f} ms: {state(widget)[0]}")
    widget.screenshot(path=pictures / f"{name}_2.png")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, default=Path("out/lab_pictures"))
    pictures = parser.parse_args(argv).pictures
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, chromium() as browser:
        folder = Path(made)
        notebook(folder / "explorers.ipynb")
        with lab(folder) as address:
            page = browser.new_page(viewport=dict(width=1400, height=1600))
            page.goto(f"{address}/tree/explorers.ipynb?reset", wait_until="load")
            page.wait_for_selector(".jp-Notebook-cell", timeout=SLOW)
            page.get_by_text("| Idle").wait_for(timeout=SLOW)          # the kernel is there
            page.get_by_text("Run", exact=True).first.click()
            page.get_by_text("Run All Cells", exact=True).click()
            images = page.locator(".jp-OutputArea-output img")
            images.nth(len(CELLS) - 1).wait_for(timeout=SLOW, state="attached")
            widgets = page.locator(".jp-OutputArea-output .widget-hbox:has(img)")
            assert widgets.count() == len(CELLS), f"{widgets.count()} explorers are shown"
            for k, name in enumerate(CELLS):
                moved(page, widgets.nth(k), name, pictures)
    print(f"{len(CELLS)} explorers answered; pictures in {pictures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
