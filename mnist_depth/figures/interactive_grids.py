"""Grids that plotly draws, as the plain data that plotly's JSON is made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mnist_depth.figures.data import Floats
from mnist_depth.figures.grids import Grid, cell_edges
from mnist_depth.figures.style import plain
from mnist_depth.translation import translate as _

Figure = dict[str, Any]

COLOR_SCALE = "Cividis"


def grid_figure(grid: Grid, title: str = "") -> Figure:
    """A final figure over two fields as colored cells with their numbers, a cross where there is none."""
    rows, columns = ([plain(str(value)) for value in axis] for axis in (grid.rows, grid.columns))
    cells = _cells(grid) | {"x": columns, "y": rows}
    texts = [
        {"x": column, "y": row, "text": grid.text(value), "showarrow": False, "font": {"color": _ink(grid, value)}}
        for row, values in zip(rows, grid.values, strict=True)
        for column, value in zip(columns, values, strict=True)
    ]
    layout = {
        "xaxis": {"title": {"text": plain(grid.column_name.replace("_", " "))}, "type": "category"},
        "yaxis": {
            "title": {"text": plain(grid.row_name.replace("_", " "))},
            "type": "category",
            "autorange": "reversed",
        },
        "annotations": texts,
        **({"title": {"text": plain(title)}} if title else {}),
    }
    return {"data": [cells], "layout": layout}


def _ink(grid: Grid, value: float) -> str:
    return "white" if math.isfinite(value) and grid.is_dark(value) else "black"


def phase_figure(grid: Grid, border: tuple[Floats, Floats] | None) -> Figure:
    """A final figure over the initial scale sigma_w (columns) and the depth (rows), with theory's border over it."""
    x, y = (cell_edges(np.asarray(centers, float)) for centers in (grid.columns, grid.rows))
    data = [_cells(grid) | {"x": x.tolist(), "y": y.tolist()}]
    if border is not None:
        line = {"type": "scatter", "mode": "lines", "name": _("theory: 6 ξ"), "x": border[0].tolist()}
        data.append(line | {"y": border[1].tolist(), "line": {"color": "white", "width": 2, "dash": "dash"}})
    layout = {
        "xaxis": {"title": {"text": _("initial scale σ_w")}, "range": x[[0, -1]].tolist()},
        "yaxis": {"title": {"text": _("depth (weight layers)")}, "range": y[[0, -1]].tolist()},
        "legend": {"orientation": "h", "y": 1.1, "bgcolor": "#8a8f98"},
    }
    return {"data": data, "layout": layout}


def _cells(grid: Grid) -> Figure:
    low, high = grid.limits
    title = plain(grid.figure.replace("_", " "))
    return {
        "type": "heatmap",
        "z": [[float(value) if math.isfinite(value) else None for value in row] for row in grid.values],
        "zmin": low,
        "zmax": high,
        "colorscale": COLOR_SCALE,
        "colorbar": {"title": {"text": title, "side": "right"}, "tickformat": ".0%" if grid.is_share else ""},
        "hovertemplate": f"%{{x}}, %{{y}}: %{{z:{'.2%' if grid.is_share else '.4g'}}}<extra></extra>",
    }
