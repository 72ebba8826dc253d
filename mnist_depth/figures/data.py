"""What figures are drawn from: the quantities that they show, and `Training`, the measurements of one training.

Nothing here knows where a training was read from: run folders (`from_record`) and TensorBoard's event files
(`tensorboard_plugin.data`) both become `Training`s. `arrangement` puts several of them on common axes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnist_depth.figures.places import nested

Floats = NDArray[np.float64]

KERNEL = r"(kernel|embeddings)"
"""The variables that carry a signal from layer to layer; biases and averages do not."""

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

CURVES = ("loss", "accuracy")
"""Curves beside the profile: the scalar of this name, or else all whose names end with it, such as those of a GAN."""

NO_CURVES = ("probe_", "epoch_", "batch_", "evaluation_")
"""Scalars that are no curves: of the fixed batch, and of Keras' own callback, which counts epochs instead of steps."""

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
        return [name for name in nested(self.known_layers, sorted(measured, key=natural)) if name in measured]

    @cached_property
    def quantities(self) -> dict[str, int]:
        """The quantities that were measured of two layers or more, in the order of QUANTITIES: name -> layers."""
        counts = Counter(tag.partition("/")[0] for split, tag in self.series if split == "train" and layer_of(tag))
        return {name: counts[name] for name in QUANTITIES if counts[name] > 1}

    def histograms_of(self, subject: str) -> dict[str, Mapping[int, Bars]]:
        """Layer -> step -> histogram of a subject, of the layers that have any."""
        ending = "/kernel" if SUBJECTS[subject][1] else ""
        tags = {layer: f"{subject}/{layer}{ending}" for layer in self.layers}
        return {layer: self.histograms[tag] for layer, tag in tags.items() if tag in self.histograms}

    def of_layer(self, quantity: str, layer: str) -> Series:
        """The points of one quantity of one layer; none where it was not measured."""
        endings = ("/kernel", "/embeddings") if QUANTITIES[quantity].of_kernel else ("",)
        found = (self.series.get(("train", f"{quantity}/{layer}{ending}")) for ending in endings)
        return next((series for series in found if series is not None), NOTHING)

    @cached_property
    def curve_tags(self) -> dict[tuple[str, str], list[str]]:
        """(curve, split) -> its tags: `loss` where there is one, else every loss by its own name."""
        found: dict[tuple[str, str], list[str]] = {}
        for split, tag in self.series:
            if (name := curve_of(tag)) is not None:
                found.setdefault((name, split), []).append(tag)
        return {key: [key[0]] if key[0] in tags else sorted(tags) for key, tags in found.items()}

    def curve(self, name: str, split: str) -> Series:
        """Loss or accuracy of one split, of several the first; nothing where it was not measured."""
        return next((self.series[split, tag] for tag in self.curve_tags.get((name, split), ())), NOTHING)


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


def curve_of(tag: str) -> str | None:
    """The curve that a scalar belongs to.

    >>> curve_of("d_loss"), curve_of("sparse_categorical_accuracy"), curve_of("probe_loss"), curve_of("epoch_loss")
    ('loss', 'accuracy', None, None)
    """
    if "/" in tag or tag.startswith(NO_CURVES):
        return None
    return next((name for name in CURVES if tag.endswith(name)), None)


def quantities_of(trainings: Collection[Training]) -> list[str]:
    """What was measured of some training, the most informative first.

    The gradient of the signal comes later where that of the kernels is known of more than twice as many layers, as in
    models of blocks with layers inside.
    """
    counts = {name: sum(training.quantities.get(name, 0) for training in trainings) for name in QUANTITIES}
    most = max(counts["probe_gradient_norm"], counts["gradient_norm"])
    names = [name for name in QUANTITIES if counts[name]]
    return sorted(names, key=lambda name: name == "pre_activation_gradient_norm" and 2 * counts[name] < most)


def natural(name: str) -> list[tuple[int, str]]:
    """Sort `conv_10` behind `conv_9`."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def epoch_of(step: float, steps_per_epoch: int) -> int | None:
    """The epoch, counted from 1, that a step belongs to; 0 before training, None where it is not known."""
    return math.ceil(step / steps_per_epoch) if steps_per_epoch else None
