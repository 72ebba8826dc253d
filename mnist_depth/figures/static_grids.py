"""Grids for print (Matplotlib): a final figure over two fields, and the phase diagram."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mnist_depth.figures.canvas import INK, styled
from mnist_depth.figures.data import Floats
from mnist_depth.figures.grids import Grid, cell_edges
from mnist_depth.translation import translate as _

COLOR_MAP = "cividis"

MAX_LABELED_CELLS = 150
"""Grids with more cells than this show colors only."""

MAX_LEVEL = 5
"""Letters of a column's name that still fit when it is written level."""


@styled
def draw_grid(axes: Axes, grid: Grid, names: tuple[str, str] | None = None) -> Any:
    """A final figure over two fields as colored cells with their numbers, a cross where there is none.

    `names` are the titles of rows and columns, default those of the fields.
    """
    rows, columns = [str(value) for value in grid.rows], [str(value) for value in grid.columns]
    row_name, column_name = names or (grid.row_name.replace("_", " "), grid.column_name.replace("_", " "))
    mesh = _cells(axes, grid, np.arange(len(columns) + 1.0), np.arange(len(rows) + 1.0))
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if max(map(len, columns)) > MAX_LEVEL else {}
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, **slanted)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.invert_yaxis()
    axes.set_xlabel(column_name)
    axes.set_ylabel(row_name)
    if grid.values.size <= MAX_LABELED_CELLS:
        for (row, column), value in np.ndenumerate(grid.values):
            color = INK if not np.isfinite(value) else "white" if grid.is_dark(value) else "black"
            text = grid.text(value)
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7.5, color=color)
    return mesh


@styled
def draw_phase_diagram(axes: Axes, grid: Grid, border: tuple[Floats, Floats] | None) -> Any:
    """A final figure over the initial scale sigma_w (columns) and the depth (rows), with theory's border over it.

    As figure 5 of Schoenholz et al. 2017; `border` is (sigma_w, depth up to which networks train).
    """
    x, y = (cell_edges(np.asarray(centers, float)) for centers in (grid.columns, grid.rows))
    mesh = _cells(axes, grid, x, y)
    if border is not None:
        outline = [withStroke(linewidth=3.6, foreground="black")]
        label = _("theory: 6 ξ")
        axes.plot(*border, color="white", linestyle="--", linewidth=1.8, label=label, path_effects=outline)
    axes.set_xlim(*x[[0, -1]])
    axes.set_ylim(*y[[0, -1]])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(_("initial scale σ_w"))
    axes.set_ylabel(_("depth (weight layers)"))
    return mesh


def _cells(axes: Axes, grid: Grid, x: Floats, y: Floats) -> Any:
    """Cells between the borders x [columns + 1] and y [rows + 1]."""
    low, high = grid.limits
    shown = np.ma.masked_invalid(grid.values)
    mesh = axes.pcolormesh(x, y, shown, cmap=COLOR_MAP, vmin=low, vmax=high, edgecolors="face", linewidth=0.3)
    axes.grid(False)
    return mesh


@styled
def color_bar(figure: Any, mesh: Any, axes: Any, label: str, *, share: bool = False) -> None:
    """The color scale beside some axes, in percent for shares."""
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, shrink=0.9, format=PercentFormatter(1.0) if share else None)
    bar.set_label(label)
    bar.outline.set_visible(False)
