"""Figures that plotly draws, in the Depth tab and in notebooks, as the plain data that plotly's JSON is made of.

Importing plotly takes seconds and the tab needs it only in the browser, so functions return dictionaries; `figure`
makes a `plotly.graph_objects.Figure` of one. Every figure has `data` and `layout`; one with a slider has `moments`
too, a list of {"step", "title", "update"}, where `update` maps a place in `data` to what changes there. The `meta` of a
line, band or ridge is the label of its configuration.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_depth.figures.axes import (
    Figure,
    axis_name,
    common_epoch,
    empty_layout,
    layer_axis,
    moment_title,
    panel,
    value_axis,
)
from mnist_depth.figures.data import (
    CURVES,
    QUANTITIES,
    SPLITS,
    SUBJECTS,
    Distributions,
    LayerByStep,
    Profile,
    Training,
    distributions,
    layer_by_step,
    mean_curve,
    over_seeds,
    profile,
)
from mnist_depth.figures.style import Line, lines, plain
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _

Floats = NDArray[np.float64]

MAX_MAPS = 6
"""Heat maps side by side."""

MAX_DISTRIBUTIONS = 3
"""Trainings whose distributions are drawn over each other."""

DASHES = {"train": "solid", "validation": "dot", "test": "dash"}

COLOR_SCALE = "Viridis"


def figure(drawn: Figure) -> Any:
    """A `plotly.graph_objects.Figure` for notebooks, at its last moment."""
    import plotly.graph_objects as go

    made = go.Figure(drawn["data"], drawn["layout"])
    for place, changes in (drawn["moments"][-1]["update"] if drawn.get("moments") else {}).items():
        made.data[int(place)].update(changes)
    return made


# Profile


def profile_figure(trainings: Sequence[Training], quantity: str, color_by: str = "activation") -> Figure:
    """A quantity against the layer: a line per configuration, the range over its seeds as a band, theory dashed."""
    found, groups = profile(trainings, quantity), lines(trainings, color_by)
    spec, places = QUANTITIES[quantity], list(range(1, len(found.layers) + 1))
    low, high = _limits(found, spec.logarithmic)
    data: list[Figure] = []
    updates: list[dict[str, Any]] = [{} for _ in found.steps]
    for line in groups:
        values = np.array([found.values[place] for place in line.members])
        mean, least, most = over_seeds(values, spec.logarithmic)
        if len(line.members) > 1:
            band = _band(places, line)
            for moment, update in enumerate(updates):
                update[str(len(data))] = {
                    "x": [*places, *places[::-1]],
                    "y": _outline(least[moment], most[moment], low),
                }
            data.append(band)
        for moment, update in enumerate(updates):
            update[str(len(data))] = {
                "y": _drawn(mean[moment], low),
                "text": [_hover(name, value) for name, value in zip(found.layers, mean[moment], strict=True)],
            }
        data.append(_line(places, line))
        theory = next((found.predicted[place] for place in line.members if found.predicted[place] is not None), None)
        if theory is not None:
            data.append(_theory(places, theory, line, low) | {"showlegend": not any(map(_is_theory, data))})
    layout = empty_layout() | {
        "xaxis": layer_axis(found.layers),
        "yaxis": value_axis(_(spec.title), spec.logarithmic, low, high),
        "legend": {"itemsizing": "constant", "orientation": "v"},
    }
    per_epoch = common_epoch(trainings)
    steps = [
        {"step": step, "title": moment_title(step, per_epoch), "update": update}
        for step, update in zip(found.steps, updates, strict=True)
    ]
    return {"data": data, "layout": layout, "moments": steps}


def _limits(found: Profile, logarithmic: bool) -> tuple[float, float]:
    """The ends of the value axis, the same at every moment so that play does not make it jump."""
    tables = [*found.values, *(one for one in found.predicted if one is not None)]
    values = np.concatenate([table.ravel() for table in tables]) if tables else np.empty(0)
    values = values[np.isfinite(values) & (values > 0 if logarithmic else True)]
    if not len(values):
        return (1e-3, 1.0) if logarithmic else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if logarithmic:
        return low / 2, high * 2
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 0.05
    return low - margin, high + margin


def _drawn(values: Iterable[float], low: float) -> list[float | None]:
    """Values for a line: zeros, which have no place on a logarithmic axis, lie on its lower end."""
    return [None if not math.isfinite(value) else max(float(value), low) for value in values]


def _outline(least: Floats, most: Floats, low: float) -> list[float | None]:
    return [*_drawn(most, low), *_drawn(least, low)[::-1]]


def _hover(name: str, value: float) -> str:
    return f"{plain(name)}: {value:.3g}"


def _line(places: list[int], line: Line) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plain(line.label),
        "legendgroup": plain(line.label),
        "meta": plain(line.label),
        "x": places,
        "y": [],
        "text": [],
        "line": {"color": line.color, "width": 2},
        "marker": {"symbol": line.marker, "size": 7},
        "hovertemplate": "%{text}<extra>%{fullData.name}</extra>",
        "connectgaps": True,
    }


def _band(places: list[int], line: Line) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plain(line.label),
        "legendgroup": plain(line.label),
        "meta": plain(line.label),
        "showlegend": False,
        "x": [*places, *places[::-1]],
        "y": [],
        "fill": "toself",
        "fillcolor": line.color + "33",
        "line": {"width": 0},
        "hoverinfo": "skip",
    }


THEORY = mark("theory at the start")


def _is_theory(trace: Figure) -> bool:
    return trace["name"] == _(THEORY)


def _theory(places: list[int], theory: Floats, line: Line, low: float) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": _(THEORY),
        "legendgroup": plain(line.label),
        "meta": plain(line.label),
        "x": places,
        "y": _drawn(theory, low),
        "line": {"color": line.color, "width": 1.5, "dash": "dash"},
        "hovertemplate": f"%{{y:.3g}}<extra>{plain(line.label)}, {_(THEORY)}</extra>",
        "connectgaps": True,
    }


# Map


def map_figure(trainings: Sequence[Training], quantity: str, color_by: str = "activation") -> Figure:
    """A quantity over layer and step, the first seed of each configuration, side by side on one color scale."""
    groups = _diverse(lines(trainings, color_by), MAX_MAPS)
    tables = [layer_by_step(trainings[line.members[0]], quantity) for line in groups]
    logarithmic = QUANTITIES[quantity].logarithmic
    drawn = [_logs(table.values) if logarithmic else table.values for table in tables]
    finite = np.concatenate([values[np.isfinite(values)].ravel() for values in drawn] or [np.empty(0)])
    ends = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    layout: Figure = empty_layout()
    data: list[Figure] = []
    for number, (line, table, values) in enumerate(zip(groups, tables, drawn, strict=True), 1):
        data.append(_heat_map(table, values, ends, number, _(QUANTITIES[quantity].title), logarithmic))
        panel(layout, number, len(groups), plain(line.label))
        layout[axis_name("xaxis", number)] |= {"title": {"text": _("step")}, "nticks": 4, "tickangle": 0}
        layout[axis_name("yaxis", number)] |= _shared_layer_axis(table.layers, tables[0].layers, number)
    return {"data": data, "layout": layout}


def _diverse(groups: Sequence[Line], count: int) -> list[Line]:
    """At most `count` configurations, in their order: one of each color before a second of any."""
    seen: dict[str, int] = {}
    rounds = []
    for place, line in enumerate(groups):
        rounds.append((seen.get(line.color, 0), place))
        seen[line.color] = seen.get(line.color, 0) + 1
    return [groups[place] for place in sorted(place for _round, place in sorted(rounds)[:count])]


def _shared_layer_axis(layers: Sequence[str], first: Sequence[str], number: int) -> Figure:
    """Title and names at the first map, names again where the layers are others."""
    return layer_axis(layers, title=None if number == 1 else "", named=number == 1 or list(layers) != list(first))


def _logs(values: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return np.where(values > 0, np.log10(values), math.nan)


def _heat_map(
    table: LayerByStep, values: Floats, ends: tuple[float, float], number: int, title: str, logarithmic: bool
) -> Figure:
    return {
        "type": "heatmap",
        "x": table.steps,
        "y": list(range(1, len(table.layers) + 1)),
        "z": _rows(values),
        "text": [[_hover(name, value) for value in row] for name, row in zip(table.layers, table.values, strict=True)],
        "hovertemplate": f"%{{text}}, {_('step')} %{{x}}<extra></extra>",
        "zmin": ends[0],
        "zmax": ends[1],
        "colorscale": COLOR_SCALE,
        "showscale": number == 1,
        "colorbar": {"title": {"text": f"log10 {title}" if logarithmic else title, "side": "right"}},
        "xaxis": f"x{number}" if number > 1 else "x",
        "yaxis": f"y{number}" if number > 1 else "y",
    }


def _rows(values: Floats) -> list[list[float | None]]:
    return [[float(value) if math.isfinite(value) else None for value in row] for row in values]


# Distributions


def distributions_figure(trainings: Sequence[Training], subject: str, color_by: str = "activation") -> Figure:
    """How a subject's entries spread, a ridge per layer, one or a few configurations over each other."""
    groups = [line for line in lines(trainings, color_by) if _has(trainings[line.members[0]], subject)]
    groups = _diverse(groups, MAX_DISTRIBUTIONS)
    found = [distributions(trainings[line.members[0]], subject) for line in groups]
    layers = max((one.layers for one in found), key=len, default=[])
    steps = sorted({step for one in found for step in one.steps})
    data = [_ridge(layer, line, first=place == 0) for line in groups for place, layer in enumerate(layers)]
    per_epoch = common_epoch(trainings)
    moments = [
        {
            "step": step,
            "title": moment_title(step, per_epoch),
            "update": {
                str(number * len(layers) + place): _ridge_at(one, layer, step, place)
                for number, one in enumerate(found)
                for place, layer in enumerate(layers)
            },
        }
        for step in steps
    ]
    layout = empty_layout() | {
        "xaxis": {"title": {"text": _(SUBJECTS[subject][0])}, "zeroline": False},
        "yaxis": layer_axis(layers) | {"range": [0.5, len(layers) + 1.2]},
    }
    return {"data": data, "layout": layout, "moments": moments}


def _has(training: Training, subject: str) -> bool:
    return any(tag.startswith(f"{subject}/") for tag in training.histograms)


def _ridge(layer: str, line: Line, first: bool) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plain(line.label),
        "legendgroup": plain(line.label),
        "meta": plain(line.label),
        "showlegend": first,
        "x": [],
        "y": [],
        "fill": "toself",
        "fillcolor": line.color + "55",
        "line": {"color": line.color, "width": 1},
        "hoverinfo": "text",
        "text": f"{plain(layer)}, {plain(line.label)}",
    }


def _ridge_at(found: Distributions, layer: str, step: int, place: int) -> Figure:
    """The outline of one histogram, its highest bar 0.9 of the distance between two layers."""
    at = max((index for index, one in enumerate(found.steps) if one <= step), default=None)
    bars = found.bars[at][found.layers.index(layer)] if at is not None and layer in found.layers else None
    if bars is None or not bars.counts.sum():
        return {"x": [], "y": []}
    density = bars.counts / np.diff(bars.edges)
    heights = place + 1 + 0.9 * density / density.max()
    x = np.concatenate([[bars.edges[0]], np.repeat(bars.edges[1:-1], 2), [bars.edges[-1]]])
    y = np.repeat(heights, 2)
    base = float(place + 1)
    return {
        "x": [float(bars.edges[0]), *map(float, x), float(bars.edges[-1])],
        "y": [base, *map(float, y), base],
    }


# Curves


def curves_figure(trainings: Sequence[Training], color_by: str = "activation") -> Figure:
    """Loss and accuracy against the step, mean over seeds: training solid, validation dotted, test dashed."""
    layout: Figure = empty_layout()
    data: list[Figure] = []
    for number, name in enumerate(CURVES, 1):
        panel(layout, number, len(CURVES), rows=True)
        layout[axis_name("yaxis", number)] |= {"title": {"text": _(name)}}
        for line in lines(trainings, color_by):
            for split in SPLITS:
                series = [trainings[place].curve(name, split) for place in line.members]
                x, y = mean_curve([one for one in series if len(one.steps)])[:2]
                if len(x):
                    data.append(_curve(line, split, x, y, number))
    layout[axis_name("xaxis", len(CURVES))] |= {"title": {"text": _("step")}}
    for number, line_trace in enumerate(data):
        line_trace["showlegend"] = line_trace["name"] not in {one["name"] for one in data[:number]}
    return {"data": data, "layout": layout}


def _curve(line: Line, split: str, x: Floats, y: Floats, number: int) -> Figure:
    name = f"{plain(line.label)}, {_(split)}"
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(x) == 1 else "lines",
        "name": name,
        "legendgroup": name,
        "meta": plain(line.label),
        "x": [float(step) for step in x],
        "y": [float(value) if math.isfinite(value) else None for value in y],
        "line": {"color": line.color, "width": 1.5, "dash": DASHES[split]},
        "hovertemplate": f"{_('step')} %{{x}}: %{{y:.4g}}<extra>%{{fullData.name}}</extra>",
        "xaxis": f"x{number}" if number > 1 else "x",
        "yaxis": f"y{number}" if number > 1 else "y",
    }
