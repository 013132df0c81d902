"""Visual anomaly detection in notebooks: the package that the notebooks in `nbs` export."""
from importlib.metadata import version

__version__ = version("anomaly_nb")
