"""Reads every piece of metadata from settings.ini, so that nothing is stated twice."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
ini = ConfigParser(delimiters=["="], interpolation=None)
ini.read(here / "settings.ini", encoding="utf-8")
cfg = ini["DEFAULT"]

setup(
    name=cfg["name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=cfg["keywords"],
    author=cfg["author"],
    license=cfg["license"],
    url=cfg["git_url"],
    python_requires=">=" + cfg["min_python"],
    packages=find_packages(include=["anomaly_nb", "anomaly_nb.*"]),
    package_data={"": ["*.pyi", "py.typed"],
                  "anomaly_nb": ["*.html", "weights/*.safetensors", "results/*.csv"]},
    install_requires=cfg["requirements"].split(),
    extras_require={k.removesuffix("_requirements"): v.split() for k, v in cfg.items()
                    if k.endswith("_requirements")},
    entry_points={"console_scripts": cfg["console_scripts"].split()},
)
