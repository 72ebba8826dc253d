"""The numbers behind every figure: what was measured of some trainings, arranged by layer, step and split.

Nothing here knows where a training was read from: run folders (`from_record`) and TensorBoard's event files
(`tensorboard_plugin.data`) both become `Training`s.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KERNEL = r"(kernel|embeddings)"
"""The variables that carry a signal from layer to layer; biases and averages do not."""

MAX_MOMENTS = 60
"""Positions of the slider over the steps."""

MAX_DRAWN = 1e300
"""Larger numbers are left out of curves."""

NEAR = 0.25
"""A value counts for a moment if it was measured within this share of the moment's step."""


class Quantity(NamedTuple):
    """A number that is measured of every layer: tags are `name/layer`, or `name/layer/kernel` for those of kernels."""

    title: str
    of_kernel: bool = False
    logarithmic: bool = True


QUANTITIES: dict[str, Quantity] = {
    "pre_activation_gradient_norm": Quantity("gradient norm |dL/dz|"),
    "probe_gradient_norm": Quantity("gradient norm of the kernel, fixed batch", of_kernel=True),
    "gradient_norm": Quantity("gradient norm of the kernel, as applied", of_kernel=True),
    "update_ratio": Quantity("update / weight", of_kernel=True),
    "activation_std": Quantity("activation spread"),
    "activation_std_across_samples": Quantity("activation spread across samples"),
    "activation_mean": Quantity("activation mean", logarithmic=False),
    "saturated_share": Quantity("saturated share", logarithmic=False),
    "dead_share": Quantity("dead share", logarithmic=False),
    "zero_share": Quantity("share of zeros", logarithmic=False),
    "activation_gradient_norm": Quantity("gradient norm of the activations"),
    "pre_activation_std": Quantity("pre-activation spread"),
    "weight_norm": Quantity("weight norm", of_kernel=True),
}
"""The quantities that figures can show, most informative first."""

SUBJECTS: dict[str, tuple[str, bool]] = {
    "gradient_log10": ("log10 |gradient|, as applied", True),
    "probe_gradient_log10": ("log10 |gradient|, fixed batch", True),
    "activation": ("activation value", False),
    "weight": ("weight", True),
    "gradient": ("gradient", True),
    "update": ("update", True),
}
"""Histograms per layer: title, and whether they are of kernels."""

CURVES: dict[str, tuple[str, ...]] = {
    "loss": ("loss", "epoch_loss"),
    "accuracy": (
        "accuracy", "epoch_accuracy", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy",
        "epoch_sparse_categorical_accuracy", "epoch_categorical_accuracy", "epoch_binary_accuracy",
    ),
}  # fmt: skip
"""Curves beside the profile, and the tags under which they are found, the first that exists."""

SPLITS = ("train", "validation", "test")


class Series(NamedTuple):
    """The points of one tag, steps rising: both [points]."""

    steps: Floats
    values: Floats

    def near(self, step: float) -> float:
        """The value measured nearest to `step` (the last one after the end); nan if none is nearby."""
        if not len(self.steps):
            return math.nan
        if step > self.steps[-1]:
            return float(self.values[-1])
        right = int(np.searchsorted(self.steps, step))
        around = [index for index in (right - 1, right) if 0 <= index < len(self.steps)]
        nearest = min(around, key=lambda index: abs(self.steps[index] - step))
        is_near = abs(self.steps[nearest] - step) <= max(1.0, NEAR * step)
        return float(self.values[nearest]) if is_near else math.nan


class Bars(NamedTuple):
    """A histogram: `edges` [n + 1], `counts` [n]."""

    edges: Floats
    counts: Floats


@dataclass(frozen=True)
class Training:
    """One training, as the figures need it."""

    name: str
    series: Mapping[tuple[str, str], Series]
    """(split, tag) -> points."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Its settings; trainings that differ only in `seed` are one configuration."""
    known_layers: Sequence[str] = ()
    """Layers in the order of the model; empty where it is not known."""
    steps_per_epoch: int = 0
    """0 where it is not known."""
    predicted: Mapping[str, Floats] = field(default_factory=dict)
    """Quantity -> theory's values [layers], in any unit."""
    histograms: Mapping[str, Mapping[int, Bars]] = field(default_factory=dict)
    """Tag -> step -> histogram."""

    @cached_property
    def layers(self) -> list[str]:
        """The layers of which a quantity was measured, in the order of the model or else of their names."""
        measured = {layer for split, tag in self.series if split == "train" and (layer := layer_of(tag)) is not None}
        known = [name for name in self.known_layers if name in measured]
        return known + sorted(measured - set(known), key=natural)

    @cached_property
    def quantities(self) -> list[str]:
        """The quantities that were measured of two layers or more, in the order of QUANTITIES."""
        counts: dict[str, int] = {}
        for split, tag in self.series:
            if split == "train" and layer_of(tag) is not None:
                counts[tag.partition("/")[0]] = counts.get(tag.partition("/")[0], 0) + 1
        return [name for name in QUANTITIES if counts.get(name, 0) > 1]

    def of_layer(self, quantity: str, layer: str) -> Series:
        """The points of one quantity of one layer; none where it was not measured."""
        endings = ("/kernel", "/embeddings") if QUANTITIES[quantity].of_kernel else ("",)
        found = (self.series.get(("train", f"{quantity}/{layer}{ending}")) for ending in endings)
        return next((series for series in found if series is not None), NOTHING)

    def curve(self, name: str, split: str) -> Series:
        """Loss or accuracy of one split; nothing where it was not measured."""
        found = (self.series.get((split, tag)) for tag in CURVES[name])
        return next((series for series in found if series is not None), NOTHING)


NOTHING = Series(np.empty(0), np.empty(0))


def layer_of(tag: str) -> str | None:
    """The layer that a tag of one of the QUANTITIES is about.

    >>> layer_of("gradient_norm/block/conv/kernel"), layer_of("activation_std/layer_03"), layer_of("loss")
    ('block/conv', 'layer_03', None)
    """
    name, slash, rest = tag.partition("/")
    if not slash or name not in QUANTITIES:
        return None
    if not QUANTITIES[name].of_kernel:
        return rest
    found = re.fullmatch(rf"(.+)/{KERNEL}", rest)
    return found[1] if found else None


def natural(name: str) -> list[tuple[int, str]]:
    """Sort `conv_10` behind `conv_9`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


@dataclass(frozen=True)
class Profile:
    """One quantity against the layer, at every moment."""

    quantity: str
    layers: list[str]
    """The common axis of all trainings."""
    steps: list[int]
    """Moments, rising."""
    values: list[Floats]
    """Of every training: [moments, layers]; nan where nothing was measured nearby."""
    predicted: list[Floats | None]
    """Of every training: theory's [layers], in units of what was measured of the last layer at the start."""


def profile(trainings: Sequence[Training], quantity: str) -> Profile:
    """A quantity of all trainings on one axis of layers and one of steps."""
    points = _points_by_layer(trainings, quantity)
    return _profile_at(trainings, quantity, points, _moments_of(points))


def snapshot(trainings: Sequence[Training], quantity: str, step: int | None = None) -> Profile:
    """The profile at the moment nearest to a step, default the last one; no moment where nothing was measured."""
    points = _points_by_layer(trainings, quantity)
    steps = _moments_of(points)
    if step is not None and steps:
        steps = [min(steps, key=lambda one: abs(one - step))]
    return _profile_at(trainings, quantity, points, steps[-1:])


def _points_by_layer(trainings: Sequence[Training], quantity: str) -> list[list[Series]]:
    """Of every training: the points of every common layer."""
    layers = common_layers(trainings)
    return [[training.of_layer(quantity, layer) for layer in layers] for training in trainings]


def _moments_of(points: Sequence[Sequence[Series]]) -> list[int]:
    return moments(series for of_training in points for series in of_training)


def _profile_at(
    trainings: Sequence[Training], quantity: str, points: Sequence[Sequence[Series]], steps: list[int]
) -> Profile:
    layers = common_layers(trainings)
    values = [
        np.array([[series.near(step) for series in of_training] for step in steps], float).reshape(-1, len(layers))
        for of_training in points
    ]
    predicted = [
        _scaled(training, training.predicted.get(quantity), of_training, layers)
        for training, of_training in zip(trainings, points, strict=True)
    ]
    return Profile(quantity, layers, steps, values, predicted)


def common_layers(trainings: Iterable[Training]) -> list[str]:
    """The layers of all trainings on one axis: those of the deepest model in its order, then all others."""
    layers: list[str] = []
    for training in sorted(trainings, key=lambda one: -len(one.layers)):
        layers += [layer for layer in training.layers if layer not in layers]
    return layers


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


def _scaled(
    training: Training, theory: Floats | None, measured: Sequence[Series], layers: Sequence[str]
) -> Floats | None:
    """Theory at the places of a training's layers, equal to the first measurement of the last layer."""
    own = [layers.index(layer) for layer in training.layers]
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

    name: str
    layers: list[str]
    steps: list[int]
    values: Floats


def layer_by_step(training: Training, quantity: str) -> LayerByStep:
    """A quantity over layers and training."""
    alone = profile([training], quantity)
    return LayerByStep(training.name, alone.layers, alone.steps, alone.values[0].T)


@dataclass(frozen=True)
class Distributions:
    """Histograms of one subject of one training: `bars[moment][layer]`, None where there is none."""

    name: str
    layers: list[str]
    steps: list[int]
    bars: list[list[Bars | None]]


def distributions(training: Training, subject: str) -> Distributions:
    """The histograms of all layers, at every step at which some were taken."""
    of_kernel = SUBJECTS[subject][1]
    tags = {name: f"{subject}/{name}{'/kernel' if of_kernel else ''}" for name in training.layers}
    found = {name: training.histograms[tag] for name, tag in tags.items() if tag in training.histograms}
    steps = sorted({step for by_step in found.values() for step in by_step})
    bars = [[by_step.get(step) for by_step in found.values()] for step in steps]
    return Distributions(training.name, list(found), steps, bars)


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


def epoch_of(step: float, steps_per_epoch: int) -> int | None:
    """The epoch, counted from 1, that a step belongs to; 0 before training, None where it is not known."""
    return math.ceil(step / steps_per_epoch) if steps_per_epoch else None
