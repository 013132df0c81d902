"""One Chromium for the tests that look at pages: reports, site, slides, widgets."""
import contextlib
import os
import shutil
import sys
from pathlib import Path

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]


@contextlib.contextmanager
def chromium():
    """A browser of Playwright's; the program ends with status 2 where something is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print('playwright is missing: pip install "anomaly_nb[browser]"')
        sys.exit(2)
    if not Path(CHROMIUM).exists():
        print(f"{CHROMIUM} is missing: apt-get install -y chromium, or CHROMIUM=/path/to/it")
        sys.exit(2)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
