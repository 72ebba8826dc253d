"""Choose and draw the figures of a page, each with its caption and an alternative text."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mnist_depth import theory
from mnist_depth.errors import UserError
from mnist_depth.figures.canvas import INK, canvas, legend_below, styled
from mnist_depth.figures.data import QUANTITIES
from mnist_depth.figures.grids import Grid, border_of, by_size, grid_of
from mnist_depth.figures.static import MARKERS, draw_curves, draw_distributions, draw_profile
from mnist_depth.figures.static_grids import color_bar, draw_grid, draw_phase_diagram
from mnist_depth.figures.style import Line
from mnist_depth.registry import split_name
from mnist_depth.results import captions
from mnist_depth.results.comparison import Bars
from mnist_depth.results.comparison_picture import picture_of
from mnist_depth.results.groups import Group
from mnist_depth.results.overview import RANKINGS, Overview
from mnist_depth.results.rendering import Picture
from mnist_depth.results.shown import Entry, Shown, representatives, shown_of
from mnist_depth.results.tables import heading
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _

NARROW, WIDE = 4.8, 7.6
"""Inches. Narrow figures keep 9-point text readable on a phone; wide ones scroll there."""

MAX_NARROW_COLUMNS = 6

CURVES = (
    ("test", "accuracy", mark("test accuracy")),
    ("test", "loss", mark("test loss")),
    ("validation", "accuracy", mark("validation accuracy")),
    ("validation", "loss", mark("validation loss")),
    ("train", "loss", mark("training loss")),
)
"""(split, curve, words); validation only where there is no test."""

NORMS = ("pre_activation_gradient_norm", "probe_gradient_norm", "gradient_norm")
"""Gradients against layer: the first of these that was measured. The first one is what theory predicts."""

START, END = mark("{norm} against layer, before training"), mark("{norm} against layer, after training")

SUBJECTS = {
    "gradients": (
        ("probe_gradient_log10", mark("Kernel gradients on a fixed batch, last measurement")),
        ("gradient_log10", mark("Kernel gradients as applied, last measurement")),
    ),
    "activations": (("activation", mark("Outputs of layers, last measurement")),),
}
"""Picture -> (subject of histograms, caption): the first that was recorded is drawn."""

MAX_RIDGES = 3
"""Configurations whose distributions are drawn over each other."""

SCALED = ("mean_field", "normal", "orthogonal")
"""Initializers whose argument is a scale: a grid of them has a number on its axis."""

MIN_FILLED = 0.5
"""Share of a grid's cells that must have a value; trials of a random search are no grid."""

MAX_PANELS = 6
"""Grids that vary on a third field are drawn once for each of its values, up to this many."""

MAX_READABLE = 6
"""With more lines than this, a map says more at first sight than lines."""


class Drawn(NamedTuple):
    """The figures of a page."""

    first: Picture | None
    """The one that answers the question, which is in no section."""
    sections: Mapping[str, Sequence[Picture]]
    legend: Sequence[Entry]
    configurations: int
    """Number of those that the charts show."""

    @property
    def all(self) -> list[Picture]:
        return [*([self.first] if self.first else []), *(one for section in self.sections.values() for one in section)]


def draw_figures(overview: Overview) -> Drawn:
    """All figures of a page, of at most MAX_LINES configurations."""
    depths = dict.fromkeys(group.config.depth for group in overview.groups if group.config)
    if overview.bars and len(depths) > 1:
        return _draw_by_depth(overview, overview.bars, list(depths))
    chosen = representatives(overview.groups)
    shown = shown_of(chosen)
    signals = overview.story.signals
    sections = {"grids": grids(overview.groups, overview.story.columns), **_sections(chosen, shown, signals)}
    if overview.bars:
        return Drawn(picture_of(overview.bars), sections, shown.legend, len(chosen))
    wanted = overview.story.picture or ("grid" if len(chosen) > MAX_READABLE else "")
    first = _first([one for section in sections.values() for one in section], wanted)
    rest = {name: [one for one in section if one is not first] for name, section in sections.items()}
    return Drawn(first, rest, shown.legend, len(chosen))


def _sections(chosen: Sequence[Group], shown: Shown, signals: Sequence[str] = ()) -> dict[str, list[Picture]]:
    return {
        "gradients": [*gradients_by_layer(shown), *signals_by_layer(shown, signals)],
        "curves": training_curves(shown),
        "spreads": distributions(chosen, shown),
    }


def _draw_by_depth(overview: Overview, bars: Bars, depths: Sequence[int]) -> Drawn:
    """The bars, and charts of networks of one depth each: others are not comparable. Every chart has its own legend."""
    sections: dict[str, list[Picture]] = {"grids": []}
    drawn = 0
    for depth in depths:
        alike = [group for group in overview.groups if group.config and group.config.depth == depth]
        chosen = representatives(alike)
        drawn += len(chosen)
        for name, pictures in _sections(chosen, shown_of(chosen)).items():
            found = sections.setdefault(name, [])
            found += [replace(picture, name=f"{picture.name}_depth_{depth}") for picture in pictures]
    return Drawn(picture_of(bars), sections, [], drawn)


def _first(found: Sequence[Picture], wanted: str) -> Picture | None:
    """The figure whose name begins as wanted, else gradient against layer, else the first one."""
    for name in (wanted, "gradient_by_layer_start", "test_accuracy"):
        for picture in found:
            if name and picture.name.startswith(name):
                return picture
    return found[0] if found else None


# Lines


@styled
def training_curves(shown: Shown) -> list[Picture]:
    """Accuracy and losses over training, as far as they were recorded."""
    tested = any(len(one.curve("accuracy", "test").steps) for one in shown.trainings)
    seeded = any(len(line.members) > 1 for line in shown.lines)
    pictures = []
    for split, name, title in CURVES:
        figure, (axes,) = canvas(width=NARROW, height=3.4, color="none")
        ends = draw_curves(axes, shown.trainings, shown.lines, name, [split])
        if not ends or (tested and split == "validation"):
            continue
        axes.set_ylabel(_(title))
        of_labels = {label: value for (label, _split), value in ends.items()}
        _legend(figure, shown, of_labels)
        caption, alt = captions.of_curves(_(title), of_labels, percent=name == "accuracy", seeded=seeded)
        pictures.append(Picture(title.replace(" ", "_"), caption, alt, figure))
    return pictures


@styled
def gradients_by_layer(shown: Shown) -> list[Picture]:
    """Gradient norm against layer, before training with theory and after it; no picture where nothing was measured."""
    measured = {name for one in shown.trainings for name in one.quantities}
    norm = next((name for name in NORMS if name in measured), None)
    if norm is None:
        return []
    lines = [line for line in shown.lines if any(norm in shown.trainings[place].quantities for place in line.members)]
    pictures, moments = [], list[list[int]]()
    for name, title, step in (("start", START, 0), ("end", END, None)):
        figure, (axes,) = canvas(width=NARROW, height=3.3, color="none")
        drawn = draw_profile(axes, shown.trainings, lines, norm, step, with_theory=step == 0)
        if drawn.steps in ([], *moments):
            continue
        moments.append(drawn.steps)
        _legend(figure, shown, [line.label for line in lines])
        words = _(title, norm=_(QUANTITIES[norm].title))
        caption, alt = captions.of_profile(words, drawn, lines, with_theory=step == 0)
        pictures.append(Picture(f"gradient_by_layer_{name}", caption, alt, figure))
    return pictures


@styled
def signals_by_layer(shown: Shown, quantities: Sequence[str]) -> list[Picture]:
    """These quantities against layer before training, as far as they were measured; named like the quantity."""
    pictures = []
    for quantity in quantities:
        figure, (axes,) = canvas(width=NARROW, height=3.3, color="none")
        drawn = draw_profile(axes, shown.trainings, shown.lines, quantity, 0, with_theory=False)
        if drawn.steps:
            _legend(figure, shown, [line.label for line in shown.lines])
            words = _(START, norm=_(QUANTITIES[quantity].title))
            caption, alt = captions.of_profile(words, drawn, shown.lines, with_theory=False)
            pictures.append(Picture(quantity, caption, alt, figure))
    return pictures


@styled
def distributions(groups: Sequence[Group], shown: Shown) -> list[Picture]:
    """The last histograms of gradients and of activations, of a few configurations from the best to the worst."""
    pictures = []
    for name, subjects in SUBJECTS.items():
        for subject, title in subjects:
            having = [line for line in shown.lines if shown.trainings[line.members[0]].histograms_of(subject)]
            labels = {line.label for line in having}
            chosen = representatives([group for group in groups if group.label in labels], MAX_RIDGES)
            lines = [line for line in having if line.label in {group.label for group in chosen}]
            if lines:
                pictures.append(_ridges(name, _(title), shown, lines, subject))
                break
    return pictures


def _ridges(name: str, title: str, shown: Shown, lines: Sequence[Line], subject: str) -> Picture:
    layers = max(len(shown.trainings[line.members[0]].layers) for line in lines)
    figure, (axes,) = canvas(width=NARROW, height=min(6.0, 1.5 + 0.28 * layers), color="none")
    draw_distributions(axes, shown.trainings, lines, subject)
    _legend(figure, shown, [line.label for line in lines])
    if len(lines) < len(shown.lines):
        title = _("{title}: {labels}", title=title, labels=", ".join(line.label for line in lines))
    caption, alt = captions.of_distributions(title, shown.trainings, lines, subject)
    return Picture(name, caption, alt, figure)


def _legend(figure: Figure, shown: Shown, labels: Collection[str]) -> None:
    """The legend of the whole page; where every entry is one configuration, of those that the chart shows."""
    own = {line.label for line in shown.lines}
    entries = [entry for entry in shown.legend if entry.text in labels or entry.text not in own]
    keys = [Line2D([], [], color=entry.color or INK, marker=MARKERS.get(entry.marker, "")) for entry in entries]
    legend_below(figure, keys, [entry.text for entry in entries])


# Grids


def grids(groups: Sequence[Group], columns: Sequence[str] = ()) -> list[Picture]:
    """Heat maps where the configurations vary on two axes; one for each value of a third, all on one color scale.

    None where a study has columns and no accuracy among them: its networks are not trained for one.
    """
    names = [name for name in RANKINGS if not columns or name in columns]
    metric = next((name for name in names if any(group.spread(name) for group in groups)), None)
    axes = list(groups[0].places) if groups else []
    if metric is None or not 2 <= len(axes) <= 3:
        return []
    split, pair = _split(groups, axes)
    pictures = []
    for value in sorted(_values(groups, split), key=by_size) if split else [None]:
        chosen = [group for group in groups if split is None or group.places[split] == value]
        picture = _grid_picture(chosen, pair, metric, "" if value is None else str(value))
        if picture is not None:
            pictures.append(picture)
    return pictures if len(pictures) <= MAX_PANELS else []


def _split(groups: Sequence[Group], axes: Sequence[str]) -> tuple[str | None, tuple[str, str]]:
    """The axis to split on, if there are three, and the two that span a grid (rows, columns).

    Split on the activation, else on the axis with the fewest values.
    """
    by_count = sorted(axes, key=lambda name: (name != "activation", len(_values(groups, name))))
    pair = [name for name in axes if name in by_count[-2:]]
    rows, columns = (pair[1], pair[0]) if pair[1] == "depth" else (pair[0], pair[1])
    return (by_count[0] if len(axes) == 3 else None), (rows, columns)


def _values(groups: Sequence[Group], axis: str) -> set[Any]:
    return {group.places[axis] for group in groups}


def _grid_picture(groups: Sequence[Group], pair: tuple[str, str], metric: str, only: str) -> Picture | None:
    sigmas = _sigmas(groups) if pair == ("depth", "initializer") else {}
    cells = [
        {
            pair[0]: group.places[pair[0]],
            pair[1]: sigmas.get(group.places[pair[1]], group.places[pair[1]]),
            metric: spread.mean if (spread := group.spread(metric)) else float("nan"),
        }
        for group in groups
    ]
    grid = grid_of(cells, *pair, metric)
    filled = grid.values[~np.isnan(grid.values)]
    if min(grid.values.shape) < 2 or len(filled) < MIN_FILLED * grid.values.size:
        return None
    words = heading(metric)
    if sigmas:
        return _phase_picture(groups, grid, words, only)
    return _heat_map(grid, (heading(pair[0]), heading(pair[1])), words, only)


@styled
def _heat_map(grid: Grid, names: tuple[str, str], words: str, only: str) -> Picture:
    wide = len(grid.columns) > MAX_NARROW_COLUMNS
    figure, (axes,) = canvas(width=WIDE if wide else NARROW, height=max(2.8, 1.6 + 0.34 * len(grid.rows)), color="none")
    color_bar(figure, draw_grid(axes, grid, names), axes, words, share=grid.is_share)
    caption, alt = captions.of_grid(f"{words}, {only}" if only else words, grid, names)
    return Picture(_file_name("grid", only), caption, alt, figure, wide)


def _sigmas(groups: Sequence[Group]) -> dict[str, float]:
    """initializer -> sigma_w between hidden layers, where all are of one kind with a scale; nothing otherwise."""
    configs = [group.config for group in groups if group.config]
    kinds = {split_name(config.initializer)[0] for config in configs}
    if len(kinds) > 1 or not kinds <= set(SCALED):
        return {}
    return {config.initializer: theory.hidden_sigma_w(config) for config in configs}


@styled
def _phase_picture(groups: Sequence[Group], grid: Grid, words: str, only: str) -> Picture:
    config = next(group.config for group in groups if group.config)
    try:
        border = border_of(config, grid.columns)
    except UserError:  # theory does not cover these networks
        border = None
    figure, (axes,) = canvas(width=NARROW, height=3.9, color="none")
    color_bar(figure, draw_phase_diagram(axes, grid, border), axes, words, share=grid.is_share)
    legend_below(figure, *axes.get_legend_handles_labels())
    caption, alt = captions.of_phases(words, grid, config.activation, border)
    return Picture(_file_name("phase_diagram", only), caption, alt, figure)


def _file_name(kind: str, only: str) -> str:
    """A name that is safe as a file name and as an id in a page."""
    return re.sub(r"[^A-Za-z0-9]+", "_", f"{kind} {only}").strip("_")
