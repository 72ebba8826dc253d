"""A laboratory for seeing gradients vanish, explode and flow in Keras networks.

Names are imported on first use: `import mnist_depth` costs nothing and imports no TensorFlow.
"""

from __future__ import annotations

import importlib

from mnist_depth.version import __version__

TYPE_CHECKING = False  # type checkers take it as true; `typing` may be a file of the user's until runtime.shadowing ran
if TYPE_CHECKING:
    from typing import Any

    from mnist_depth.config import RunConfig
    from mnist_depth.instrument import DepthGauge
    from mnist_depth.results.diagnosis import diagnose

__all__ = ["DepthGauge", "RunConfig", "__version__", "diagnose"]

_HOMES = {
    "DepthGauge": "mnist_depth.instrument",
    "RunConfig": "mnist_depth.config",
    "diagnose": "mnist_depth.results.diagnosis",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
