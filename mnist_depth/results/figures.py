"""Choose the figures for a set of runs and compute their numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_depth import theory
from mnist_depth.errors import UserError
from mnist_depth.records import HistogramPoint
from mnist_depth.registry import split_name
from mnist_depth.results import plots
from mnist_depth.results.diagnosis import Diagnosis, diagnose_run
from mnist_depth.results.groups import Group
from mnist_depth.results.measurements import Moment
from mnist_depth.results.plots import Density, Profile
from mnist_depth.results.rendering import Picture
from mnist_depth.results.style import Styles
from mnist_depth.results.tables import heading, ranked
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _

Array = NDArray[np.float64]

RANKING = "best_test_accuracy"
GRID_METRICS = ("best_test_accuracy", "test_accuracy", "best_validation_accuracy", "validation_accuracy")
"""Figures that heat maps show: the first of these that the runs have."""

CURVES = (
    ("test", "accuracy", mark("test accuracy"), True),
    ("test", "loss", mark("test loss"), False),
    ("validation", "accuracy", mark("validation accuracy"), True),
    ("validation", "loss", mark("validation loss"), False),
    ("train", "loss", mark("training loss"), False),
)
"""(split, tag, words, whether in percent) of the training curves; validation only where there is no test."""

NORMS = {
    "pre-activation gradient": mark("gradient norm ||dL/dz||"),
    "kernel gradient": mark("kernel gradient norm ||dL/dW||"),
}
"""The words for each norm that a diagnosis may have judged."""

MOMENTS: dict[Moment, str] = {
    "start": mark("{norm} against layer, before training"),
    "end": mark("{norm} against layer, after training"),
}

SCALED = ("mean_field", "normal", "orthogonal")
"""Initializers whose argument is a scale: a grid of them has a number on its axis."""

BINS, TAIL = 48, 0.002
MIN_FILLED = 0.5
"""Share of a grid's cells that must have a value; trials of a random search are no grid."""

MAX_PANELS = 6
"""Grids that vary on a third field are drawn once for each of its values, up to this many."""


def representatives(groups: Sequence[Group]) -> list[Group]:
    """Choose groups for one chart, in the given order: the best, the worst, and evenly spaced ones between."""
    if len(groups) <= plots.MAX_LINES:
        return list(groups)
    ranking = ranked(groups, RANKING)
    chosen = {ranking[round(place)].label for place in np.linspace(0, len(ranking) - 1, plots.MAX_LINES)}
    return [group for group in groups if group.label in chosen]


def training_curves(groups: Sequence[Group], styles: Styles) -> list[Picture]:
    """Accuracy and losses over training, as far as they were recorded."""
    epoch = {group.label: group.steps_per_epoch for group in groups}
    pictures = []
    tested = any(group.curve("test", "accuracy") for group in groups)
    for run, tag, words, percent in CURVES:
        if tested and run == "validation":
            continue
        lines = {group.label: curve for group in groups if (curve := group.curve(run, tag))}
        if lines:
            name = words.replace(" ", "_")
            pictures.append(plots.curves(name, lines, styles, ylabel=_(words), percent=percent, epoch=epoch))
    return pictures


# Gradient against layer


Diagnoses = Mapping[str, Sequence[Diagnosis]]
"""Group label -> the diagnosis of every seed that can be diagnosed."""


def diagnose_groups(groups: Sequence[Group], moment: Moment) -> dict[str, list[Diagnosis]]:
    """The diagnoses of all runs that recorded gradients."""
    found: dict[str, list[Diagnosis]] = {}
    for group in groups:
        for run in group.runs:
            try:
                found.setdefault(group.label, []).append(diagnose_run(run, moment))
            except UserError:
                continue
    return found


def gradients_by_layer(groups: Sequence[Group], diagnoses: Diagnoses, moment: Moment, styles: Styles) -> list[Picture]:
    """Gradient norm against layer, measured and, before training, predicted; no picture where nothing was measured."""
    found = {group.label: diagnoses[group.label] for group in groups if group.label in diagnoses}
    kinds = Counter(diagnosis.quantity for of_seeds in found.values() for diagnosis in of_seeds)
    if not kinds:
        return []
    quantity = kinds.most_common(1)[0][0]
    profiles = {}
    for label, of_seeds in found.items():
        profile = _profile([diagnosis for diagnosis in of_seeds if diagnosis.quantity == quantity])
        if profile is not None:
            profiles[label] = profile
    if not profiles:
        return []
    norm = _(NORMS[quantity])
    title = _(MOMENTS[moment], norm=norm)
    return [plots.gradient_by_layer(f"gradient_by_layer_{moment}", profiles, styles, ylabel=norm, title=title)]


def _profile(of_seeds: Sequence[Diagnosis]) -> Profile | None:
    if not of_seeds:
        return None
    layers = [layer.name for layer in of_seeds[0].layers]
    logs = [_log10(d.gradients) for d in of_seeds if len(d.gradients) == len(layers)]
    table = np.array(logs)
    usable = np.isfinite(table)
    if not usable.any():
        return None
    counts = usable.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(usable, table, 0.0).sum(axis=0) / counts
        squares = np.where(usable, (table - mean) ** 2, 0.0).sum(axis=0)
        deviation = np.where(counts > 1, np.sqrt(squares / np.maximum(counts - 1, 1)), np.nan)
    return Profile(layers, mean, deviation, _theory_line(of_seeds[0], mean))


def _log10(values: Sequence[float | None]) -> list[float]:
    return [math.log10(v) if v is not None and math.isfinite(v) and v > 0 else math.nan for v in values]


def _theory_line(diagnosis: Diagnosis, mean: Array) -> Array | None:
    """log10 of the predicted norms, anchored at the last layer's measured mean."""
    gains = [layer.predicted_gain for layer in diagnosis.layers[:-1]]
    if diagnosis.quantity != "pre-activation gradient" or not gains or not math.isfinite(mean[-1]):
        return None
    logs = [math.log10(gain) for gain in gains if gain is not None and gain > 0]
    if len(logs) < len(gains):
        return None
    return mean[-1] + np.append(np.cumsum(logs[::-1])[::-1], 0.0)


# Distributions


def gradient_distributions(groups: Sequence[Group], styles: Styles) -> list[Picture]:
    """log10 |gradient| of the first, middle and last layer's kernel, the groups overlaid."""
    for prefix, caption in (
        ("probe_gradient_log10/", _("Kernel gradients on a fixed batch, last measurement")),
        ("gradient_log10/", _("Kernel gradients as applied, last measurement")),
    ):
        panels = _panels(groups, prefix, "/kernel", hidden_only=False)
        if panels:
            xlabel = _("log10 |kernel gradient|")
            return [plots.distributions("gradients", panels, styles, xlabel=xlabel, caption=caption)]
    return []


def activation_distributions(groups: Sequence[Group], styles: Styles) -> list[Picture]:
    """Outputs of the first, middle and last hidden layer, the groups overlaid."""
    panels = _panels(groups, "activation/", "", hidden_only=True)
    if not panels:
        return []
    caption = _("Outputs of hidden layers, last measurement")
    return [plots.distributions("activations", panels, styles, xlabel=_("activation value"), caption=caption)]


def _panels(groups: Sequence[Group], prefix: str, suffix: str, *, hidden_only: bool) -> dict[str, dict[str, Density]]:
    """role -> group -> density. Roles, not layer names, because the depths may differ."""
    panels: dict[str, dict[str, list[HistogramPoint]]] = {}
    for group in groups:
        layers = _recorded_layers(group, prefix, suffix)
        layers = layers[:-1] if hidden_only else layers
        for role, layer in _roles(layers, _("last hidden layer") if hidden_only else _("last layer")).items():
            tag = f"{prefix}{layer}{suffix}"
            points = [last[tag] for last in group.last_histograms if tag in last]
            panels.setdefault(role, {})[group.label] = points
    return {role: _densities(of_groups) for role, of_groups in panels.items()}


def _recorded_layers(group: Group, prefix: str, suffix: str) -> list[str]:
    tags = {tag for last in group.last_histograms for tag in last}
    names = (
        tag[len(prefix) : len(tag) - len(suffix)] for tag in tags if tag.startswith(prefix) and tag.endswith(suffix)
    )
    return sorted(name for name in names if name.startswith("layer_") and "/" not in name)


def _roles(layers: Sequence[str], last: str) -> dict[str, str]:
    if not layers:
        return {}
    roles = {_("first layer"): layers[0]}
    if len(layers) > 2:
        roles[_("middle layer")] = layers[len(layers) // 2]
    return roles | ({last: layers[-1]} if len(layers) > 1 else {})


def _densities(of_groups: Mapping[str, Sequence[HistogramPoint]]) -> dict[str, Density]:
    """All groups on common bins, the mean over seeds."""
    ends = np.array([_bulk(point) for points in of_groups.values() for point in points])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    edges = np.linspace(low, high if high > low else low + 1e-9, BINS + 1)
    return {
        label: Density(edges, np.mean([_rebinned(point, edges) for point in points], axis=0))
        for label, points in of_groups.items()
    }


def _cumulative(point: HistogramPoint) -> Array:
    return np.concatenate([[0.0], np.cumsum(point.counts)]) / np.sum(point.counts)


def _bulk(point: HistogramPoint) -> Array:
    """The range without the fraction TAIL at either end, so that outliers do not compress the rest."""
    return np.interp([TAIL, 1 - TAIL], _cumulative(point), point.edges)


def _rebinned(point: HistogramPoint, edges: Array) -> Array:
    """Density on new bins; the cumulative counts are linear within an old bin."""
    return np.diff(np.interp(edges, point.edges, _cumulative(point))) / np.diff(edges)


# Grids


class _Grid(NamedTuple):
    rows: list[Any]
    columns: list[Any]
    values: Array


def grids(groups: Sequence[Group]) -> list[Picture]:
    """Heat maps where the configurations vary on two axes; one for each value of a third, all on one color scale."""
    metric = next((name for name in GRID_METRICS if any(group.spread(name) for group in groups)), None)
    axes = list(groups[0].places) if groups else []
    if metric is None or not 2 <= len(axes) <= 3:
        return []
    split, pair = _split(groups, axes)
    pictures = []
    for value in _values(groups, split) if split else [None]:
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


def _values(groups: Sequence[Group], axis: str) -> list[Any]:
    return sorted({group.places[axis] for group in groups}, key=_natural)


def _natural(value: Any) -> tuple[str, float, str]:
    """Numbers by size, `normal:0.1` by its argument, everything else by name."""
    if isinstance(value, (int, float)):
        return "", float(value), ""
    base, arguments = split_name(value)
    try:
        return base, float(arguments[0]), value
    except (IndexError, ValueError):
        return base, 0.0, value


def _grid_picture(groups: Sequence[Group], pair: tuple[str, str], metric: str, only: str) -> Picture | None:
    rows, columns = (_values(groups, axis) for axis in pair)
    if len(rows) < 2 or len(columns) < 2:
        return None
    sigmas = _sigmas(groups) if pair == ("depth", "initializer") else {}
    columns = sorted(columns, key=sigmas.__getitem__) if sigmas else columns
    values = np.full((len(rows), len(columns)), np.nan)
    for group in groups:
        spread = group.spread(metric)
        at = rows.index(group.places[pair[0]]), columns.index(group.places[pair[1]])
        values[at] = spread.mean if spread else np.nan
    if np.isfinite(values).mean() < MIN_FILLED:
        return None
    words = heading(metric)
    if sigmas:
        grid = _Grid(rows, [sigmas[name] for name in columns], values)
        return _phase_picture(groups, grid, words, only)
    return plots.heat_map(
        _file_name("grid", only),
        values,
        rows=[str(value) for value in rows],
        columns=[str(value) for value in columns],
        row_name=heading(pair[0]),
        column_name=heading(pair[1]),
        quantity=f"{words}, {only}" if only else words,
    )


def _sigmas(groups: Sequence[Group]) -> dict[str, float]:
    """initializer -> sigma_w between hidden layers, where all are of one kind with a scale; nothing otherwise."""
    configs = [group.config for group in groups if group.config]
    kinds = {split_name(config.initializer)[0] for config in configs}
    if len(kinds) > 1 or not kinds <= set(SCALED):
        return {}
    return {config.initializer: theory.hidden_sigma_w(config) for config in configs}


def _phase_picture(groups: Sequence[Group], grid: _Grid, quantity: str, only: str) -> Picture:
    config = next(group.config for group in groups if group.config)
    line: Callable[[float], float] | None = None
    if theory.not_covered(config) is None:
        start = theory.predict_config(config)[0].length

        def trainable_depth(sigma_w: float) -> float:
            return theory.depth_scales(config.activation, sigma_w, config.bias_std, start).trainable_depth

        line = trainable_depth
    return plots.phase_diagram(
        _file_name("phase_diagram", only),
        grid.values,
        depths=grid.rows,
        sigmas=grid.columns,
        quantity=quantity,
        activation=config.activation,
        trainable_depth=line,
    )


def _file_name(kind: str, only: str) -> str:
    """A name that is safe as a file name and as an id in a page."""
    return re.sub(r"[^A-Za-z0-9]+", "_", f"{kind} {only}").strip("_")
