"""Traces that plotly draws for one configuration or training: lines, bands, ridges, curves, heat maps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mnist_depth.figures.arrangement import Distributions, LayerByStep, outline
from mnist_depth.figures.axes import Figure, panel_axes
from mnist_depth.figures.data import Floats
from mnist_depth.figures.style import Line, plain
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _

DASHES = {"train": "solid", "validation": "dot", "test": "dash"}

COLOR_SCALE = "Viridis"

THEORY = mark("theory at the start")


def known(values: Iterable[float]) -> list[float | None]:
    """Values for plotly's JSON, which has neither NaN nor infinity."""
    return [float(value) if math.isfinite(value) else None for value in values]


def clipped(values: Iterable[float], low: float) -> list[float | None]:
    """Values for a line: zeros, which have no place on a logarithmic axis, lie on its lower end."""
    return [None if value is None else max(value, low) for value in known(values)]


def hover(name: str, value: float) -> str:
    return f"{plain(name)}: {value:.3g}"


def _trace(configuration: Line, mode: str = "lines", /, **more: Any) -> Figure:
    """A trace that appears and disappears with its configuration in the legend."""
    label = plain(configuration.label)
    return {"type": "scatter", "mode": mode, "name": label, "legendgroup": label, "meta": label, **more}


def profile_line(places: list[int], line: Line) -> Figure:
    return _trace(
        line,
        "lines+markers",
        x=places,
        y=[],
        text=[],
        line={"color": line.color, "width": 2},
        marker={"symbol": line.marker, "size": 7},
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
        connectgaps=True,
    )


def band(places: list[int], line: Line) -> Figure:
    return _trace(
        line,
        showlegend=False,
        x=[*places, *places[::-1]],
        y=[],
        fill="toself",
        fillcolor=line.color + "33",
        line={"width": 0},
        hoverinfo="skip",
    )


def band_at(least: Floats, most: Floats, places: list[int], low: float) -> Figure:
    """The outline of a band: along its upper edge to the last layer, back along the lower one."""
    return {"x": [*places, *places[::-1]], "y": [*clipped(most, low), *clipped(least, low)[::-1]]}


def theory_line(places: list[int], theory: Floats, line: Line, low: float) -> Figure:
    return _trace(
        line,
        x=places,
        y=clipped(theory, low),
        line={"color": line.color, "width": 1.5, "dash": "dash"},
        hovertemplate=f"%{{y:.3g}}<extra>{plain(line.label)}, {_(THEORY)}</extra>",
        connectgaps=True,
    ) | {"name": _(THEORY)}


def ridge(layer: str, line: Line, *, first: bool) -> Figure:
    return _trace(
        line,
        showlegend=first,
        x=[],
        y=[],
        fill="toself",
        fillcolor=line.color + "55",
        line={"color": line.color, "width": 1},
        hoverinfo="text",
        text=f"{plain(layer)}, {plain(line.label)}",
    )


def ridge_at(found: Distributions, layer: str, step: int, place: int) -> Figure:
    """The outline of a layer's last histogram up to `step`, on the base line of its `place`."""
    at = max((index for index, one in enumerate(found.steps) if one <= step), default=None)
    bars = found.bars[at][found.layers.index(layer)] if at is not None and layer in found.layers else None
    if bars is None or not bars.counts.sum():
        return {"x": [], "y": []}
    x, heights = outline(bars)
    # One more point at each end brings the filled outline down to the base line.
    return {"x": [x[0], *x.tolist(), x[-1]], "y": [place, *(place + heights).tolist(), place]}


def curve(line: Line, split: str, x: Floats, y: Floats, tag: str = "") -> Figure:
    """A curve over the steps; one that is not the only one of its kind has its `tag` at its end."""
    name = ", ".join(word for word in (plain(line.label), plain(tag), _(split)) if word)
    drawn = _trace(
        line,
        "lines+markers" if len(x) == 1 else "lines",
        x=x.tolist(),
        y=known(y),
        line={"color": line.color, "width": 1.5, "dash": DASHES[split]},
        hovertemplate=f"{_('step')} %{{x}}: %{{y:.4g}}<extra>%{{fullData.name}}</extra>",
    )
    if tag:
        at_end = {"text": [*[""] * (len(x) - 1), plain(tag)], "textposition": "top left", "cliponaxis": False}
        drawn |= at_end | {"mode": f"{drawn['mode']}+text"}
    return drawn | {"name": name, "legendgroup": name}


def heat_map(table: LayerByStep, ends: tuple[float, float], number: int) -> Figure:
    return {
        "type": "heatmap",
        "x": table.steps,
        "y": list(range(1, len(table.layers) + 1)),
        "z": [known(row) for row in table.colors],
        "text": [[hover(name, value) for value in row] for name, row in zip(table.layers, table.values, strict=True)],
        "hovertemplate": f"%{{text}}, {_('step')} %{{x}}<extra></extra>",
        "zmin": ends[0],
        "zmax": ends[1],
        "colorscale": COLOR_SCALE,
        "showscale": number == 1,
        "colorbar": {"title": {"text": table.color_title, "side": "right"}},
    } | panel_axes(number)
