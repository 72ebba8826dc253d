"""See gradients vanish, explode and flow in Keras networks: train, measure, diagnose, repair, draw.

Names are imported on first use: `import mnist_depth` takes milliseconds and imports no TensorFlow.
"""

from __future__ import annotations

import importlib

from mnist_depth.version import __version__

TYPE_CHECKING = False  # type checkers know the name; the current folder may hold a `typing.py` (runtime/shadowing.py)
if TYPE_CHECKING:
    from typing import Any

    from mnist_depth import figures, theory
    from mnist_depth.api import train, train_many
    from mnist_depth.config import RunConfig
    from mnist_depth.instrument import DepthGauge, measure
    from mnist_depth.model_diagnosis.diagnose import diagnose
    from mnist_depth.model_diagnosis.lsuv import lsuv
    from mnist_depth.model_diagnosis.repair import repair
    from mnist_depth.results.diagnosis import diagnose_run
    from mnist_depth.results.frames import Runs, runs
    from mnist_depth.results.report import write_report
    from mnist_depth.sweeps.grid import grid

EXPORTS = {
    "DepthGauge": "mnist_depth.instrument",
    "RunConfig": "mnist_depth.config",
    "Runs": "mnist_depth.results.frames",
    "diagnose": "mnist_depth.model_diagnosis.diagnose",
    "diagnose_run": "mnist_depth.results.diagnosis",
    "figures": "mnist_depth.figures",
    "grid": "mnist_depth.sweeps.grid",
    "lsuv": "mnist_depth.model_diagnosis.lsuv",
    "measure": "mnist_depth.instrument",
    "repair": "mnist_depth.model_diagnosis.repair",
    "runs": "mnist_depth.results.frames",
    "theory": "mnist_depth.theory",
    "train": "mnist_depth.api",
    "train_many": "mnist_depth.api",
    "write_report": "mnist_depth.results.report",
}
"""Public name -> the module that defines it, or that it is."""

__all__ = [
    "DepthGauge",
    "RunConfig",
    "Runs",
    "__version__",
    "diagnose",
    "diagnose_run",
    "figures",
    "grid",
    "lsuv",
    "measure",
    "repair",
    "runs",
    "theory",
    "train",
    "train_many",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(EXPORTS[name])
    return module if EXPORTS[name] == f"{__name__}.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
