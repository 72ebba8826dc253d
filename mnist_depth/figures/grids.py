"""The numbers of grids: a final figure over two fields, and over initial scale and depth with theory's border."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_depth import theory
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError, unknown
from mnist_depth.figures.data import Floats, natural
from mnist_depth.registry import split_name

SHARES = ("accuracy", "share")
"""Endings of figures that lie between 0 and 1 and are shown in percent."""

LINE_POINTS = 61
"""Scales at which theory's border is computed, besides those of the runs."""

HIGHEST = 1e6
"""The border where theory sets no limit: it is infinite at the critical scale."""


@dataclass(frozen=True)
class Grid:
    """A final figure over two fields: `values` [rows, columns], nan where there is none."""

    row_name: str
    rows: list[Any]
    column_name: str
    columns: list[Any]
    values: Floats
    figure: str

    @property
    def is_share(self) -> bool:
        return self.figure.endswith(SHARES)

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of the color scale: 0 to 1 for shares, so that one color means one figure in every grid."""
        finite = self.values[np.isfinite(self.values)]
        if self.is_share or not len(finite):
            return 0.0, 1.0
        return float(finite.min()), float(finite.max())

    def text(self, value: float) -> str:
        """A value as a cell shows it, shares in percent."""
        value = 100 * value if self.is_share else value
        return "×" if not math.isfinite(value) else f"{value:.1f}" if 1 <= abs(value) < 1000 else f"{value:.2g}"

    def is_dark(self, value: float) -> bool:
        """Whether the color map (cividis) is dark at a value, so that its number is written in white."""
        low, high = self.limits
        return value - low < 0.55 * (high - low)


def grid_of(trainings: Sequence[Mapping[str, Any]], rows: str, columns: str, figure: str) -> Grid:
    """The mean of a figure at every pair of values of two fields; each training is a mapping of fields and figures.

    Raises UserError for a field or figure that none of them has.
    """
    known = list(dict.fromkeys(name for one in trainings for name in one))
    for name in (rows, columns, figure):
        if name not in known:
            raise unknown("field or figure", name, known)
    axes = [sorted({one[name] for one in trainings}, key=by_size) for name in (rows, columns)]
    cells: dict[tuple[int, int], list[float]] = {}
    for one in trainings:
        place = axes[0].index(one[rows]), axes[1].index(one[columns])
        cells.setdefault(place, []).append(float(one.get(figure, math.nan)))
    values = np.full((len(axes[0]), len(axes[1])), math.nan)
    for place, found in cells.items():
        finite = [value for value in found if math.isfinite(value)]
        values[place] = np.mean(finite) if finite else math.nan
    return Grid(rows, axes[0], columns, axes[1], values, figure)


def varying_in_cells(trainings: Sequence[Mapping[str, Any]], rows: str, columns: str) -> list[str]:
    """The fields besides the seed in which trainings of one cell differ, so that its mean is not only over seeds."""
    cells: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in trainings:
        cells.setdefault((repr(one.get(rows)), repr(one.get(columns))), []).append(one)
    names = dict.fromkeys(name for one in trainings for name in one if name != "seed")
    return [name for name in names if any(len({repr(one.get(name)) for one in cell}) > 1 for cell in cells.values())]


def by_size(value: Any) -> tuple[float, list[tuple[int, str]], float]:
    """Numbers by size, names with the numbers in them by size, `normal:0.1` by its argument."""
    if isinstance(value, (int, float)):
        return float(value), [], 0.0
    base, arguments = split_name(str(value))
    try:
        return 0.0, natural(base), float(arguments[0])
    except (IndexError, ValueError):
        return 0.0, natural(str(value)), 0.0


def border_of(config: RunConfig, sigmas: Sequence[float]) -> tuple[Floats, Floats]:
    """(sigma_w, trainable depth 6 xi) from the smallest to the largest scale, the runs' own scales among them.

    Source: Schoenholz et al. 2017. Raises UserError for networks that theory does not cover.
    """
    if reason := theory.not_covered(config):
        raise UserError("theory does not cover these networks: {reason}", reason=reason)
    start = theory.predict_config(config)[0].length
    x = np.union1d(np.asarray(sigmas, float), np.linspace(min(sigmas), max(sigmas), LINE_POINTS))
    depths = [theory.depth_scales(config.activation, sigma, config.bias_std, start).trainable_depth for sigma in x]
    return x, np.minimum(depths, HIGHEST)


def cell_edges(centers: Floats) -> Floats:
    """Borders of cells around their centers: [n] -> [n + 1]."""
    if len(centers) == 1:
        return centers[0] + np.array([-0.5, 0.5])
    middle = (centers[:-1] + centers[1:]) / 2
    return np.concatenate([[2 * centers[0] - middle[0]], middle, [2 * centers[-1] - middle[-1]]])
