"""Measurements of several trainings on common axes: profiles over the layers, maps, histograms, curves over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mnist_depth.figures.data import MAX_DRAWN, QUANTITIES, Bars, Floats, Series, Training
from mnist_depth.figures.places import Places, places_of
from mnist_depth.figures.style import Line
from mnist_depth.translation import translate as _

MAX_MOMENTS = 60
"""Positions of the slider over the steps."""

MAX_MAPS = 6
"""Heat maps side by side."""

RIDGE = 0.9
"""Height of the tallest bar of a histogram, as a share of the distance between two layers."""


@dataclass(frozen=True)
class Profile:
    """One quantity against the layer, at every moment."""

    quantity: str
    layers: list[str]
    """What the common axis shows at every place: names of layers, or numbers."""
    own: list[list[str]]
    """Of every training: its layer at every place, empty where it has none."""
    steps: list[int]
    """Moments, rising."""
    values: list[Floats]
    """Of every training: [moments, layers]; nan where nothing was measured nearby."""
    predicted: list[Floats | None]
    """Of every training: theory's [layers], in units of what was measured of the last layer at the start."""

    def theory_of(self, line: Line) -> Floats | None:
        """Theory's values [layers] for a configuration, in units of the first of its seeds that has any."""
        return next((self.predicted[place] for place in line.members if self.predicted[place] is not None), None)


def profile(trainings: Sequence[Training], quantity: str) -> Profile:
    """A quantity of all trainings on one axis of layers and one of steps."""
    places = places_of([training.layers for training in trainings])
    points = _points_by_layer(trainings, quantity, places)
    return _profile_at(trainings, quantity, places, points, _moments_of(points))


def snapshot(trainings: Sequence[Training], quantity: str, step: int | None = None) -> Profile:
    """The profile at the moment nearest to a step, default the last one; no moment where nothing was measured."""
    places = places_of([training.layers for training in trainings])
    points = _points_by_layer(trainings, quantity, places)
    steps = _moments_of(points)
    if step is not None and steps:
        steps = [min(steps, key=lambda one: abs(one - step))]
    return _profile_at(trainings, quantity, places, points, steps[-1:])


def _points_by_layer(trainings: Sequence[Training], quantity: str, places: Places) -> list[list[Series]]:
    """Of every training: the points at every place."""
    return [
        [training.of_layer(quantity, layer) for layer in layers]
        for training, layers in zip(trainings, places.layers, strict=True)
    ]


def _moments_of(points: Sequence[Sequence[Series]]) -> list[int]:
    return moments(series for of_training in points for series in of_training)


def _profile_at(
    trainings: Sequence[Training],
    quantity: str,
    places: Places,
    points: Sequence[Sequence[Series]],
    steps: list[int],
) -> Profile:
    values = [
        np.array([[series.near(step) for series in of_training] for step in steps], float).reshape(
            -1, len(places.names)
        )
        for of_training in points
    ]
    predicted = [
        _scaled(training.predicted.get(quantity), of_training, layers)
        for training, of_training, layers in zip(trainings, points, places.layers, strict=True)
    ]
    return Profile(quantity, places.names, places.layers, steps, values, predicted)


def moments(series: Iterable[Series]) -> list[int]:
    """At most MAX_MOMENTS of the steps at which something was measured, the first and the last among them."""
    found = [one.steps for one in series if len(one.steps)]
    steps = np.unique(np.concatenate(found)) if found else np.empty(0)
    if len(steps) > MAX_MOMENTS:
        wanted = np.linspace(steps[0], steps[-1], MAX_MOMENTS)
        after = np.clip(np.searchsorted(steps, wanted), 1, len(steps) - 1)
        nearer = np.where(wanted - steps[after - 1] <= steps[after] - wanted, after - 1, after)
        steps = steps[np.unique(nearer)]
    return [int(step) for step in steps]


def _scaled(theory: Floats | None, measured: Sequence[Series], layers: Sequence[str]) -> Floats | None:
    """Theory at the places of a training's layers, equal to the first measurement of the last layer."""
    own = [place for place, layer in enumerate(layers) if layer]
    if theory is None or len(theory) != len(own) or not len(measured[own[-1]].values) or not theory[-1]:
        return None
    scale = measured[own[-1]].values[0] / theory[-1]
    if not math.isfinite(scale):
        return None
    result = np.full(len(layers), math.nan)
    result[own] = np.asarray(theory) * scale
    return result


def over_seeds(values: Floats, logarithmic: bool) -> tuple[Floats, Floats, Floats]:
    """Mean, least and most over the seeds: `values` is [seeds, moments, layers]. Geometric mean on a log axis.

    Where a seed has no positive value, which has no logarithm, the mean is the arithmetic one.
    """
    with np.errstate(all="ignore"):
        some = np.isfinite(values).any(axis=0)
        count = np.isfinite(values).sum(axis=0)
        mean = np.where(some, np.nansum(values, axis=0) / np.maximum(count, 1), math.nan)
        if logarithmic:
            geometric = np.exp(np.nansum(np.log(values), axis=0) / np.maximum(count, 1))
            mean = np.where(np.nan_to_num(values, nan=1.0).min(axis=0) > 0, np.where(some, geometric, math.nan), mean)
        least = np.where(some, np.nanmin(np.where(np.isnan(values), np.inf, values), axis=0), math.nan)
        most = np.where(some, np.nanmax(np.where(np.isnan(values), -np.inf, values), axis=0), math.nan)
    return mean, least, most


@dataclass(frozen=True)
class LayerByStep:
    """One quantity of one training: `values` [layers, steps]."""

    quantity: str
    layers: list[str]
    steps: list[int]
    values: Floats

    @cached_property
    def colors(self) -> Floats:
        """[layers, steps]: what a map colors, log10 of quantities that span decades."""
        if not QUANTITIES[self.quantity].logarithmic:
            return self.values
        with np.errstate(all="ignore"):
            return np.where(self.values > 0, np.log10(self.values), math.nan)

    @property
    def color_title(self) -> str:
        title = _(QUANTITIES[self.quantity].title)
        return f"log10 {title}" if QUANTITIES[self.quantity].logarithmic else title


def layer_by_step(training: Training, quantity: str) -> LayerByStep:
    """A quantity over layers and training."""
    alone = profile([training], quantity)
    return LayerByStep(quantity, alone.layers, alone.steps, alone.values[0].T)


def color_limits(tables: Sequence[LayerByStep]) -> tuple[float, float]:
    """The ends of one color scale for several maps."""
    finite = np.concatenate([table.colors[np.isfinite(table.colors)] for table in tables] or [np.empty(0)])
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


@dataclass(frozen=True)
class Distributions:
    """Histograms of one subject of one training: `bars[moment][layer]`, None where there is none."""

    layers: list[str]
    steps: list[int]
    bars: list[list[Bars | None]]


def distributions(training: Training, subject: str) -> Distributions:
    """The histograms of all layers, at every step at which some were taken."""
    found = training.histograms_of(subject)
    steps = sorted({step for by_step in found.values() for step in by_step})
    bars = [[by_step.get(step) for by_step in found.values()] for step in steps]
    return Distributions(list(found), steps, bars)


def outline(bars: Bars) -> tuple[Floats, Floats]:
    """The outline of a histogram from left to right, x and height [2n]; the highest bar reaches RIDGE."""
    density = bars.counts / np.diff(bars.edges)
    # Every bar has two corners at its height: of the inner edges, each ends one bar and begins the next.
    x = np.concatenate([[bars.edges[0]], np.repeat(bars.edges[1:-1], 2), [bars.edges[-1]]])
    return x, np.repeat(RIDGE * density / density.max(), 2)


def tagged_curves(trainings: Sequence[Training], name: str, split: str) -> dict[str, list[Series]]:
    """Tag -> its points in every training that has some, for all tags of one curve."""
    found: dict[str, list[Series]] = {}
    for training in trainings:
        for tag in training.curve_tags.get((name, split), ()):
            if len(training.series[split, tag].steps):
                found.setdefault(tag, []).append(training.series[split, tag])
    return found


def mean_curve(series: Sequence[Series]) -> tuple[Floats, Floats, Floats, Floats]:
    """Steps, mean, least and most over some seeds' curves, at every step that one of them has.

    Values that are not finite, or so large that the margins of axes would overflow, are left out.
    """
    points = np.concatenate([np.empty((0, 2)), *(np.transpose([one.steps, one.values]) for one in series)])
    points = points[np.abs(points[:, 1]) < MAX_DRAWN]
    values = points[:, 1]
    steps, where, counts = np.unique(points[:, 0], return_inverse=True, return_counts=True)
    least, most = np.full(len(steps), np.inf), np.full(len(steps), -np.inf)
    np.minimum.at(least, where, values)
    np.maximum.at(most, where, values)
    return steps, np.bincount(where, values) / counts, least, most
