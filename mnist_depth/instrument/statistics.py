"""What to measure: named functions of one array, computed inside the compiled step.

Every function takes tensors of any float type and returns one float32 number. The key of `STATISTICS` is the first part
of the tag. Norms, means and deviations divide by the largest entry before they square, so that a float32 gradient of
1e-34 is reported as such, not as 0, and one of 1e30 not as infinity. NaN and infinity in the input show in the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

SATURATED = 0.05
"""An output is saturated within this share of the activation's range from one of its limits."""


def _rescaled(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The largest finite magnitude m (1 where all are zero), and values / m in float32, non-finite entries as 0."""
    values = tf.cast(values, tf.float32)
    finite = tf.where(tf.math.is_finite(values), values, 0.0)
    largest = tf.reduce_max(tf.abs(finite))
    largest = tf.where(largest > 0, largest, 1.0)
    return largest, finite / largest


def _marked(result: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """`result`, or NaN or infinity where `values` hold one."""
    result = tf.where(tf.reduce_any(tf.math.is_inf(values)), float("inf"), result)
    return tf.where(tf.reduce_any(tf.math.is_nan(values)), float("nan"), result)


def norm(values: tf.Tensor) -> tf.Tensor:
    """sqrt(sum x^2)."""
    largest, scaled = _rescaled(values)
    return _marked(largest * tf.sqrt(tf.reduce_sum(tf.square(scaled))), values)


def rms(values: tf.Tensor) -> tf.Tensor:
    """sqrt(mean x^2)."""
    largest, scaled = _rescaled(values)
    return _marked(largest * tf.sqrt(tf.reduce_mean(tf.square(scaled))), values)


def mean_abs(values: tf.Tensor) -> tf.Tensor:
    """mean |x|."""
    largest, scaled = _rescaled(values)
    return _marked(largest * tf.reduce_mean(tf.abs(scaled)), values)


def maximum(values: tf.Tensor) -> tf.Tensor:
    """max |x|."""
    finite = tf.where(tf.math.is_finite(values), tf.abs(values), tf.zeros_like(values))
    return _marked(tf.cast(tf.reduce_max(finite), tf.float32), values)


def mean(values: tf.Tensor) -> tf.Tensor:
    """mean x."""
    largest, scaled = _rescaled(values)
    return _marked(largest * tf.reduce_mean(scaled), values)


def std(values: tf.Tensor) -> tf.Tensor:
    """Standard deviation over all entries."""
    largest, scaled = _rescaled(values)
    return _marked(largest * tf.math.reduce_std(scaled), values)


def std_across_samples(values: tf.Tensor) -> tf.Tensor:
    """How much a unit's output differs between samples: values [samples, ...] -> sqrt(mean over units of the variance)."""
    largest, scaled = _rescaled(values)
    return _marked(largest * tf.sqrt(tf.reduce_mean(tf.math.reduce_variance(scaled, axis=0))), values)


def zero_share(values: tf.Tensor) -> tf.Tensor:
    """Share of exact zeros."""
    return tf.reduce_mean(tf.cast(tf.equal(values, tf.zeros_like(values)), tf.float32))


def nonfinite_share(values: tf.Tensor) -> tf.Tensor:
    """Share of NaNs and infinities."""
    return tf.reduce_mean(tf.cast(~tf.math.is_finite(values), tf.float32))


def dead_share(values: tf.Tensor) -> tf.Tensor:
    """Share of units (last axis) that are exactly zero for every sample and position."""
    silent = tf.equal(values, tf.zeros_like(values))
    return tf.reduce_mean(tf.cast(tf.reduce_all(silent, axis=tuple(range(values.shape.rank - 1))), tf.float32))


def saturated_share(values: tf.Tensor, limits: tuple[float, float, float]) -> tf.Tensor:
    """Share of entries near a limit of a bounded activation; `limits` = (at -infinity, at +infinity, range)."""
    values = tf.cast(values, tf.float32)
    low, high, width = limits
    near = (tf.abs(values - low) < SATURATED * width) | (tf.abs(values - high) < SATURATED * width)
    return tf.reduce_mean(tf.cast(near, tf.float32))


def ratio(values: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """||values|| / ||reference||; 0 where both are 0."""
    return tf.where(tf.equal(norm(values), 0.0), 0.0, norm(values) / norm(reference))


@dataclass(frozen=True)
class Statistic:
    """One number of one subject; skipped where the subject, or one that stands `beside` it, does not exist."""

    subject: str
    function: Callable[..., tf.Tensor]
    beside: tuple[str, ...] = ()


STATISTICS: dict[str, Statistic] = {
    "gradient_norm": Statistic("gradient", norm),
    "gradient_rms": Statistic("gradient", rms),
    "gradient_mean_abs": Statistic("gradient", mean_abs),
    "gradient_max": Statistic("gradient", maximum),
    "gradient_zero_share": Statistic("gradient", zero_share),
    "gradient_nonfinite_share": Statistic("gradient", nonfinite_share),
    "weight_norm": Statistic("weight", norm),
    "weight_rms": Statistic("weight", rms),
    "weight_mean_abs": Statistic("weight", mean_abs),
    "weight_max": Statistic("weight", maximum),
    "weight_zero_share": Statistic("weight", zero_share),
    "weight_nonfinite_share": Statistic("weight", nonfinite_share),
    "update_norm": Statistic("update", norm),
    "update_rms": Statistic("update", rms),
    "update_mean_abs": Statistic("update", mean_abs),
    "update_max": Statistic("update", maximum),
    "update_zero_share": Statistic("update", zero_share),
    "update_nonfinite_share": Statistic("update", nonfinite_share),
    "update_ratio": Statistic("update", ratio, ("weight",)),
    "activation_mean": Statistic("activation", mean),
    "activation_std": Statistic("activation", std),
    "activation_std_across_samples": Statistic("activation", std_across_samples),
    "saturated_share": Statistic("activation", saturated_share, ("limits",)),
    "zero_share": Statistic("activation", zero_share),
    "dead_share": Statistic("activation", dead_share),
    "activation_nonfinite_share": Statistic("activation", nonfinite_share),
    "activation_gradient_norm": Statistic("activation_gradient", norm),
    "activation_gradient_rms": Statistic("activation_gradient", rms),
    "activation_gradient_mean": Statistic("activation_gradient", mean),
    "activation_gradient_std": Statistic("activation_gradient", std),
    "activation_gradient_zero_share": Statistic("activation_gradient", zero_share),
    "activation_gradient_nonfinite_share": Statistic("activation_gradient", nonfinite_share),
    "pre_activation_mean": Statistic("pre_activation", mean),
    "pre_activation_std": Statistic("pre_activation", std),
    "pre_activation_gradient_norm": Statistic("pre_activation_gradient", norm),
}
"""Adding a statistic is adding one line here."""

VARIABLE_SUBJECTS = ("gradient", "weight", "update")
LAYER_SUBJECTS = ("activation", "activation_gradient", "pre_activation", "pre_activation_gradient")


def choose(names: Iterable[str], subjects: Iterable[str]) -> dict[str, Statistic]:
    """The named statistics of some subjects. ValueError that lists the valid names for an unknown one."""
    unknown = [name for name in names if name not in STATISTICS]
    if unknown:
        raise ValueError(f"unknown statistic {unknown[0]!r}; valid: {', '.join(STATISTICS)}")
    return {name: STATISTICS[name] for name in names if STATISTICS[name].subject in set(subjects)}


def evaluate(chosen: Mapping[str, Statistic], subjects: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Every chosen statistic whose subjects exist: name -> float32 [] tensor."""
    return {
        name: statistic.function(subjects[statistic.subject], *(subjects[other] for other in statistic.beside))
        for name, statistic in chosen.items()
        if all(key in subjects for key in (statistic.subject, *statistic.beside))
    }
