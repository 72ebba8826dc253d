"""Figures of trainings: `data` holds measurements, `arrangement` puts them on common axes, `style` chooses colors and
names, `interactive` and `traces` draw with plotly, `static` with matplotlib, and `draw` has one call per figure, which
this package exports.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_depth.figures.draw import by_layer, by_step, curves, distributions, grid, phase_diagram

__all__ = ["by_layer", "by_step", "curves", "distributions", "grid", "phase_diagram"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.draw"), name)


def __dir__() -> list[str]:
    return __all__
