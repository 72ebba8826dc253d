"""Figures that plotly draws, in the Depth tab and in notebooks, as the plain data that plotly's JSON is made of.

Importing plotly takes seconds and the tab needs it only in the browser, so functions return dictionaries; `figure`
makes a `plotly.graph_objects.Figure` of one. Every figure has `data` and `layout`; one with a slider has `moments`
too, a list of {"step", "title", "update"}, where `update` maps a place in `data` to what changes there. The `meta` of a
line, band or ridge is the label of its configuration; lines with a label in `hidden` are left out, and the others look
as if they were there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from mnist_depth.figures import traces
from mnist_depth.figures.arrangement import (
    MAX_MAPS,
    LayerByStep,
    Profile,
    color_limits,
    distributions,
    layer_by_step,
    mean_curve,
    over_seeds,
    profile,
    tagged_curves,
)
from mnist_depth.figures.axes import (
    Figure,
    axis_name,
    common_epoch,
    empty_layout,
    layer_axis,
    moment_title,
    panel,
    panel_axes,
    value_axis,
)
from mnist_depth.figures.data import CURVES, QUANTITIES, SPLITS, SUBJECTS, Training
from mnist_depth.figures.places import Places, places_of
from mnist_depth.figures.style import Line, drawn, plain
from mnist_depth.translation import translate as _

MAX_DISTRIBUTIONS = 3
"""Trainings whose distributions are drawn over each other."""


def figure(drawn: Figure) -> Any:
    """A `plotly.graph_objects.Figure` for notebooks, at its last moment."""
    import plotly.graph_objects as go

    made = go.Figure(drawn["data"], drawn["layout"])
    for place, changes in (drawn["moments"][-1]["update"] if drawn.get("moments") else {}).items():
        made.data[int(place)].update(changes)
    return made


# Profile


def profile_figure(
    trainings: Sequence[Training], quantity: str, color_by: str = "activation", hidden: Collection[str] = ()
) -> Figure:
    """A quantity against the layer: a line per configuration, the range over its seeds as a band, theory dashed."""
    trainings, groups = drawn(trainings, color_by, lambda one: quantity in one.quantities, hidden)
    found = profile(trainings, quantity)
    spec, places = QUANTITIES[quantity], list(range(1, len(found.layers) + 1))
    low, high = _limits(found, spec.logarithmic)
    data: list[Figure] = []
    updates: list[dict[str, Any]] = [{} for _ in found.steps]
    for line in groups:
        names = found.own[line.members[0]]
        values = np.array([found.values[place] for place in line.members])
        mean, least, most = over_seeds(values, spec.logarithmic)
        if len(line.members) > 1:
            for moment, update in enumerate(updates):
                update[str(len(data))] = traces.band_at(least[moment], most[moment], places, low)
            data.append(traces.band(places, line))
        for moment, update in enumerate(updates):
            update[str(len(data))] = {
                "y": traces.clipped(mean[moment], low),
                "text": [traces.hover(name, value) for name, value in zip(names, mean[moment], strict=True)],
            }
        data.append(traces.profile_line(places, line))
        theory = found.theory_of(line)
        if theory is not None:
            data.append(traces.theory_line(places, theory, line, low))
    _one_entry_per_name(data)
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


def _one_entry_per_name(data: Sequence[Figure]) -> None:
    """Of traces that share a name, such as those of theory, only the first appears in the legend."""
    seen: set[str] = set()
    for trace in data:
        if trace.get("showlegend", True):
            trace["showlegend"] = trace["name"] not in seen
            seen.add(trace["name"])


# Map


def map_figure(
    trainings: Sequence[Training], quantity: str, color_by: str = "activation", hidden: Collection[str] = ()
) -> Figure:
    """A quantity over layer and step, the first seed of each configuration, side by side on one color scale."""
    trainings, groups = drawn(trainings, color_by, lambda one: quantity in one.quantities, hidden)
    groups = _diverse(groups, MAX_MAPS)
    tables = [layer_by_step(trainings[line.members[0]], quantity) for line in groups]
    ends = color_limits(tables)
    places = places_of([table.layers for table in tables])
    layout: Figure = empty_layout()
    data: list[Figure] = []
    for number, (line, table) in enumerate(zip(groups, tables, strict=True), 1):
        data.append(traces.heat_map(table, ends, number))
        panel(layout, number, len(groups), plain(line.label))
        layout[axis_name("xaxis", number)] |= {"title": {"text": _("step")}, "nticks": 4, "tickangle": 0}
        layout[axis_name("yaxis", number)] |= _map_axis(table, tables[0], places, number)
    return {"data": data, "layout": layout}


def _diverse(groups: Sequence[Line], count: int) -> list[Line]:
    """At most `count` configurations, in their order: one of each color before a second of any."""
    seen: dict[str, int] = {}
    rounds = []
    for place, line in enumerate(groups):
        rounds.append((seen.get(line.color, 0), place))
        seen[line.color] = seen.get(line.color, 0) + 1
    return [groups[place] for place in sorted(place for _round, place in sorted(rounds)[:count])]


def _map_axis(table: LayerByStep, first: LayerByStep, places: Places, number: int) -> Figure:
    """Title and names at the first map, names again where the layers are others; numbers where models differ."""
    layers = table.layers if places.is_shared else places.names[: len(table.layers)]
    return layer_axis(layers, title=None if number == 1 else "", named=number == 1 or table.layers != first.layers)


# Distributions


def distributions_figure(
    trainings: Sequence[Training], subject: str, color_by: str = "activation", hidden: Collection[str] = ()
) -> Figure:
    """How a subject's entries spread, a ridge per layer, one or a few configurations over each other."""
    trainings, groups = drawn(trainings, color_by, lambda one: bool(one.histograms_of(subject)), hidden)
    groups = _diverse(groups, MAX_DISTRIBUTIONS)
    found = [distributions(trainings[line.members[0]], subject) for line in groups]
    places = places_of([one.layers for one in found])
    steps = sorted({step for one in found for step in one.steps})
    data = [
        traces.ridge(layer, line, first=place == 0)
        for line, layers in zip(groups, places.layers, strict=True)
        for place, layer in enumerate(layers)
    ]
    per_epoch = common_epoch(trainings)
    moments = [
        {
            "step": step,
            "title": moment_title(step, per_epoch),
            "update": {
                str(number * len(places.names) + place): traces.ridge_at(one, layer, step, place + 1)
                for number, one in enumerate(found)
                for place, layer in enumerate(places.layers[number])
            },
        }
        for step in steps
    ]
    layout = empty_layout() | {
        "xaxis": {"title": {"text": _(SUBJECTS[subject][0])}, "zeroline": False},
        "yaxis": layer_axis(places.names) | {"range": [0.5, len(places.names) + 1.2]},
    }
    return {"data": data, "layout": layout, "moments": moments}


# Curves


def curves_figure(trainings: Sequence[Training], color_by: str = "activation", hidden: Collection[str] = ()) -> Figure:
    """Loss and accuracy against the step, mean over seeds: training solid, validation dotted, test dashed.

    Each has a panel where a training has it. Several losses of one training have their names at their ends.
    """
    trainings, groups = drawn(trainings, color_by, lambda one: bool(one.curve_tags), hidden)
    curves = {name: list(_curves(trainings, groups, name)) for name in CURVES}
    curves = {name: found for name, found in curves.items() if found}
    layout: Figure = empty_layout()
    for number, name in enumerate(curves, 1):
        panel(layout, number, len(curves), rows=True)
        layout[axis_name("yaxis", number)] |= {"title": {"text": _(name)}}
    if curves:
        layout[axis_name("xaxis", len(curves))] |= {"title": {"text": _("step")}}
    data = [curve | panel_axes(number) for number, found in enumerate(curves.values(), 1) for curve in found]
    _one_entry_per_name(data)
    return {"data": data, "layout": layout}


def _curves(trainings: Sequence[Training], groups: Sequence[Line], name: str) -> Iterator[Figure]:
    """The lines of one panel, without its axes."""
    for line in groups:
        for split in SPLITS:
            for tag, series in tagged_curves([trainings[place] for place in line.members], name, split).items():
                x, y = mean_curve(series)[:2]
                if len(x):
                    yield traces.curve(line, split, x, y, "" if tag == name else tag)
