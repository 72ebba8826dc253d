"""Figures for print (Matplotlib): the data, colors and markers of the interactive ones.

Every function draws on the axes that it is given, in the package's style (`canvas`), and changes no global state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from mnist_depth.figures.arrangement import (
    LayerByStep,
    Profile,
    distributions,
    mean_curve,
    outline,
    over_seeds,
    snapshot,
    tagged_curves,
)
from mnist_depth.figures.axes import are_numbers
from mnist_depth.figures.canvas import styled
from mnist_depth.figures.data import MAX_DRAWN, QUANTITIES, SUBJECTS, Floats, Training
from mnist_depth.figures.grids import cell_edges
from mnist_depth.figures.places import places_of
from mnist_depth.figures.style import Line
from mnist_depth.translation import translate as _

MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "x": "X",
    "cross": "P",
    "star": "*",
    "triangle-down": "v",
    "pentagon": "p",
    "hexagon": "h",
    "triangle-left": "<",
    "triangle-right": ">",
}
"""plotly's marker -> Matplotlib's."""

DASHES = {"train": "-", "validation": ":", "test": "--"}

MAX_POINTS = 240
"""Points of a curve that a chart of this size can show; longer ones are averaged over neighbors."""

SHOWN_MARKERS = 8
"""Markers along a curve."""

MIN_DRAWN = 1e-300
"""Smaller numbers are left out of logarithmic axes."""

MAX_LAYER_NAMES = 20
"""Layers of which each has its name on the axis."""

MAX_NAME = 16
"""Letters of a layer's name on an axis."""


# Profile


@styled
def draw_profile(
    axes: Axes,
    trainings: Sequence[Training],
    lines: Sequence[Line],
    quantity: str,
    step: int | None = None,
    *,
    with_theory: bool = True,
) -> Profile:
    """A quantity against the layer at one step: mean over seeds, their range as a band, theory dashed.

    Returns what was drawn, with at most one moment.
    """
    found, spec = snapshot(trainings, quantity, step), QUANTITIES[quantity]
    if not found.steps:
        return found
    # Layers without the quantity, such as additions of a residual network, take no place; lines cross those of which
    # only this training has no value.
    kept = np.array([np.isfinite(table[0]) for table in found.values]).any(axis=0)
    places = np.arange(1, kept.sum() + 1)
    for line in lines:
        values = np.array([found.values[place] for place in line.members])[:, :, kept]
        mean, least, most = (table[0] for table in over_seeds(values, spec.logarithmic))
        known = np.abs(mean) < MAX_DRAWN
        if spec.logarithmic:
            known &= mean > MIN_DRAWN
        axes.plot(places[known], mean[known], color=line.color, marker=MARKERS[line.marker], label=line.label)
        if len(line.members) > 1:
            band = known & (most < MAX_DRAWN)
            axes.fill_between(places[band], least[band], most[band], color=line.color, alpha=0.2, linewidth=0)
        theory = found.theory_of(line)
        if theory is not None and with_theory:
            label = _("{label}, theory", label=line.label)
            # A prediction of 0, from kernels of zeros, has no place on a logarithmic axis.
            shown = np.where((theory > MIN_DRAWN) & (theory < MAX_DRAWN), theory, np.nan)[kept]
            axes.plot(places, shown, color=line.color, linestyle="--", linewidth=1.0, label=label)
    _layer_axis(axes, [found.layers[place] for place in np.flatnonzero(kept)])
    axes.set_ylabel(_(spec.title))
    if spec.logarithmic:
        _log_axis(axes)
    return found


def _log_axis(axes: Axes) -> None:
    """A logarithmic value axis of at least two decades: of less than one, Matplotlib labels few ticks."""
    low, high = axes.dataLim.minposy, axes.dataLim.y1
    if not 0 < low <= high < math.inf:  # nothing that has a logarithm
        return
    axes.set_yscale("log")
    _plain_decades(axes.yaxis)
    if high / 10 < low:
        middle = math.sqrt(low) * math.sqrt(high)
        axes.set_ylim(middle / 10, middle * 10)


def _plain_decades(axis: Axis) -> None:
    """Label decades `1e-5`: text that can be selected and read aloud, where powers are pictures of it."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")))
    axis.set_minor_formatter(NullFormatter())


# Map


@styled
def draw_map(axes: Axes, found: LayerByStep, limits: tuple[float, float], title: str) -> Any:
    """A quantity of one training over step (across) and layer (up)."""
    mesh = axes.pcolormesh(
        cell_edges(np.asarray(found.steps, float)),
        np.arange(len(found.layers) + 1) + 0.5,
        np.ma.masked_invalid(found.colors),
        cmap="viridis",
        vmin=limits[0],
        vmax=limits[1],
        rasterized=True,
    )
    axes.grid(False)
    axes.set_xlabel(_("step"))
    axes.set_title(title, fontsize="medium")
    axes.set_yticks(*_layer_ticks(found.layers))
    return mesh


# Distributions


@styled
def draw_distributions(
    axes: Axes, trainings: Sequence[Training], lines: Sequence[Line], subject: str, step: int | None = None
) -> None:
    """How a subject's entries spread, a ridge per layer, the first seed of each configuration over each other."""
    drawn = [(line, distributions(trainings[line.members[0]], subject)) for line in lines]
    places = places_of([found.layers for _line, found in drawn])
    for (line, found), layers in zip(drawn, places.layers, strict=True):
        if not found.steps:
            continue
        at = len(found.steps) - 1 if step is None else int(np.abs(np.array(found.steps) - step).argmin())
        for place, layer in enumerate(layers, 1):
            bars = found.bars[at][found.layers.index(layer)] if layer else None
            if bars is not None and bars.counts.sum():
                x, heights = outline(bars)
                axes.fill_between(x, place, place + heights, color=line.color, alpha=0.35, linewidth=0)
                label = line.label if place == 1 else None
                axes.plot(x, place + heights, color=line.color, linewidth=0.8, label=label)
    axes.set_xlabel(_(SUBJECTS[subject][0]))
    axes.set_ylabel(_("layer (1 is next to the input)"))
    axes.set_yticks(*_layer_ticks(places.names))


# Curves


@styled
def draw_curves(
    axes: Axes, trainings: Sequence[Training], lines: Sequence[Line], name: str, splits: Sequence[str]
) -> dict[tuple[str, str], float]:
    """Loss or accuracy over training: mean over seeds, their range as a band; a line style per split.

    Time is in epochs, with steps beside where all epochs have the same length, and in steps where a length is not
    known. Returns the last mean of every (label, split) that was drawn.
    """
    lengths = [trainings[line.members[0]].steps_per_epoch for line in lines]
    share, ends = name == "accuracy", dict[tuple[str, str], float]()
    for line, length in zip(lines, lengths, strict=True):
        for split in splits:
            for tag, series in tagged_curves([trainings[k] for k in line.members], name, split).items():
                steps, mean, least, most = thin(*mean_curve(series))
                if not len(steps):
                    continue
                # In epochs only if all lengths are known; otherwise the lines would not share an axis.
                x = steps / (length if all(lengths) else 1)
                look: dict[str, Any] = {"color": line.color, "marker": MARKERS[line.marker]}
                dash = "-" if len(splits) == 1 else DASHES[split]
                label = ", ".join([line.label, *([] if tag == name else [tag]), _(split)])
                axes.plot(x, mean, **look, linestyle=dash, label=label, markevery=max(1, len(x) // SHOWN_MARKERS))
                if len(line.members) > 1:
                    axes.fill_between(x, least, most, color=line.color, alpha=0.15, linewidth=0)
                ends[line.label, split] = float(mean[-1])
    _time_axis(axes, lengths)
    axes.set_ylabel(_(name))
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return ends


def thin(steps: Floats, mean: Floats, least: Floats, most: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """A curve with its band, neighboring points joined, first and last kept, so that at most MAX_POINTS remain."""
    count = len(steps)
    if count <= MAX_POINTS:
        return steps, mean, least, most
    # `starts` [MAX_POINTS]: the first point alone, groups of neighbors, the last point alone. `reduceat` goes from each
    # start to the next.
    inner = np.linspace(1, count - 1, MAX_POINTS - 1).astype(int)
    starts = np.concatenate([[0], inner[:-1], [count - 1]])
    sizes = np.diff([*starts, count])
    steps, mean = (np.add.reduceat(axis, starts) / sizes for axis in (steps, mean))
    return steps, mean, np.minimum.reduceat(least, starts), np.maximum.reduceat(most, starts)


def _time_axis(axes: Axes, lengths: Sequence[int]) -> None:
    """Name the x axis, and add one in steps above it where every line has epochs of the same length."""
    if not lengths or not all(lengths):
        axes.set_xlabel(_("optimizer steps"))
        return
    axes.set_xlabel(_("epochs"))
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=axes.dataLim.x1 >= 3))
    if len(set(lengths)) == 1:
        length = lengths[0]
        above = axes.secondary_xaxis("top", functions=(_times(length), _times(1 / length)))
        above.xaxis.set_major_locator(MaxNLocator(4))
        above.set_xlabel(_("optimizer steps"))


def _times(factor: float) -> Callable[[Any], Any]:
    return lambda values: np.asarray(values) * factor


# Layers


def _layer_axis(axes: Axes, layers: Sequence[str]) -> None:
    places, names = _layer_ticks(layers)
    axes.xaxis.set_major_locator(FixedLocator(places))
    numbered = all(name.isdigit() for name in names)
    axes.set_xticks(places, names, rotation=0 if numbered else 45, ha="center" if numbered else "right")
    axes.set_xlim(0.5, len(layers) + 0.5)
    axes.set_xlabel(_("layer (1 is next to the input)") if numbered else _("layer"))


def _layer_ticks(layers: Sequence[str]) -> tuple[list[int], list[str]]:
    """Places and names: numbers for `layer_01` and the like, at most about twelve; the ends of long names."""
    numbered = are_numbers(layers)
    every = max(1, math.ceil(len(layers) / (12 if numbered else MAX_LAYER_NAMES)))
    places = list(range(1, len(layers) + 1))[::every]
    names = [name if len(name) <= MAX_NAME else f"…{name[1 - MAX_NAME :]}" for name in layers]
    return places, [
        str(place) if numbered and names[place - 1].startswith("layer_") else names[place - 1] for place in places
    ]
