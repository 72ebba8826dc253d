"""Named statistics of arrays, computed inside the compiled step.

The key of `STATISTICS` is the first part of the tag. A function takes several arrays of one shape at once, because a
deep network repeats its shapes and one operation over nine layers compiles and runs faster than nine.

Norms, means and deviations divide by the largest entry before they square, so that a float32 gradient of 1e-34 is
reported as such, not as 0, and one of 1e30 not as infinity. An array that holds a NaN or an infinity gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from mnist_depth.instrument.arrays import Arrays, join_norms, precision

SATURATED = 0.05
"""An output is saturated within this share of the activation's range from one of its limits."""


def _share(condition: tf.Tensor) -> tf.Tensor:
    """[arrays, ...] -> [arrays]."""
    return tf.reduce_mean(tf.cast(condition, tf.float32), axis=tuple(range(1, condition.shape.rank)))


def norm(arrays: Arrays) -> tf.Tensor:
    """sqrt(sum x^2)."""
    return arrays.norm


def rms(arrays: Arrays) -> tf.Tensor:
    """sqrt(mean x^2)."""
    return arrays.unit * tf.sqrt(tf.reduce_mean(tf.square(arrays.scaled), axis=1))


def mean_abs(arrays: Arrays) -> tf.Tensor:
    """mean |x|."""
    return arrays.unit * tf.reduce_mean(tf.abs(arrays.scaled), axis=1)


def maximum(arrays: Arrays) -> tf.Tensor:
    """max |x|."""
    # A compiled maximum passes over NaN.
    broken = tf.reduce_any(~tf.math.is_finite(arrays.flat), axis=1)
    return tf.where(broken, tf.constant(float("nan"), arrays.dtype), arrays.largest)


def mean(arrays: Arrays) -> tf.Tensor:
    """mean x."""
    return arrays.unit * tf.reduce_mean(arrays.scaled, axis=1)


def std(arrays: Arrays) -> tf.Tensor:
    """Standard deviation over all entries."""
    # Measured from the first entry on, the deviation of equal entries is exactly zero.
    return arrays.unit * tf.math.reduce_std(arrays.scaled - arrays.scaled[:, :1], axis=1)


def std_across_samples(arrays: Arrays) -> tf.Tensor:
    """How much one unit differs between samples, [arrays, samples, ...]: sqrt(mean over units of its variance)."""
    samples = tf.reshape(arrays.scaled, [arrays.stacked.shape[0], tf.shape(arrays.stacked)[1], -1])
    samples -= samples[:, :1]  # so that equal samples differ by exactly nothing
    return arrays.unit * tf.sqrt(tf.reduce_mean(tf.math.reduce_variance(samples, axis=1), axis=1))


def zero_share(arrays: Arrays) -> tf.Tensor:
    """Share of exact zeros."""
    return _share(arrays.zero)


def nonfinite_share(arrays: Arrays) -> tf.Tensor:
    """Share of NaNs and infinities."""
    return _share(~tf.math.is_finite(arrays.stacked))


def dead_share(arrays: Arrays) -> tf.Tensor:
    """Share of units (last axis) that are exactly zero for every sample and position."""
    return _share(tf.reduce_all(arrays.zero, axis=tuple(range(1, arrays.zero.shape.rank - 1))))


def saturated_share(arrays: Arrays, limits: Sequence[tuple[float, float, float]]) -> tf.Tensor:
    """Share of entries near a limit of a bounded activation; `limits` = (at -infinity, at +infinity, range) of each."""
    low, high, width = (tf.constant(column, arrays.dtype)[:, None] for column in zip(*limits, strict=True))
    # low, high, width: [arrays, 1], against [arrays, entries].
    near = tf.minimum(tf.abs(arrays.flat - low), tf.abs(arrays.flat - high)) < SATURATED * width
    return _share(near)


def ratio(arrays: Arrays, reference: Arrays) -> tf.Tensor:
    """||x|| / ||reference||; 0 where x is 0."""
    # 0/0 is 0, not NaN: a frozen layer of zeros has not moved.
    size = arrays.norm
    return tf.math.divide_no_nan(size, tf.where(size == 0, tf.zeros_like(size), reference.norm))


def time_gain(arrays: Arrays) -> tf.Tensor:
    """Geometric mean of the factor per step toward the first, from the logarithms of norms, [arrays, steps]."""
    steps = tf.cast(tf.maximum(tf.shape(arrays.flat)[1] - 1, 1), arrays.dtype)
    return tf.exp((arrays.flat[:, 0] - arrays.flat[:, -1]) / steps)


def time_steps(arrays: Arrays) -> tf.Tensor:
    """Length of a sequence."""
    return tf.cast(tf.fill(tf.shape(arrays.flat)[:1], tf.shape(arrays.flat)[1]), arrays.dtype)


@dataclass(frozen=True)
class Statistic:
    """One number of one subject; skipped if `subject` or any tensor in `beside` is missing."""

    subject: str
    function: Callable[..., tf.Tensor]
    beside: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        return (self.subject, *self.beside)


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
    "time_gain": Statistic("time_gradient", time_gain),
    "time_steps": Statistic("time_gradient", time_steps),
}
"""Adding a statistic is adding one line here."""

VARIABLE_SUBJECTS = ("gradient", "weight", "update")
LAYER_SUBJECTS = ("activation", "activation_gradient", "pre_activation", "pre_activation_gradient", "time_gradient")

Subjects = Mapping[str, Mapping[str, Any]]
"""Layer or variable -> subject -> tensor; the subject `limits` is no tensor but three numbers."""


def choose(names: Iterable[str], subjects: Iterable[str]) -> dict[str, Statistic]:
    """The named statistics of some subjects. ValueError that lists the valid names for an unknown one."""
    names, wanted = list(names), set(subjects)
    unknown = [name for name in names if name not in STATISTICS]
    if unknown:
        raise ValueError(f"unknown statistic {unknown[0]!r}; valid: {', '.join(STATISTICS)}")
    return {name: STATISTICS[name] for name in names if STATISTICS[name].subject in wanted}


def evaluate(chosen: Mapping[str, Statistic], subjects: Subjects) -> tuple[list[str], tf.Tensor]:
    """Every chosen statistic of everything whose subjects exist: tags `quantity/name` and float32 or float64 [tags]."""
    tags: list[str] = []
    values: list[tf.Tensor] = [tf.zeros([0])]
    groups = _alike(subjects)
    # All members of a group agree in shape, so that each statistic is one operation on [members, ...] -> [members].
    stacks = [{key: _stack(key, [subjects[n][key] for n in group]) for key in subjects[group[0]]} for group in groups]
    join_norms(_with_norms(chosen.values(), stacks))
    for members, stacked in zip(groups, stacks, strict=True):
        for quantity, statistic in chosen.items():
            if all(key in stacked for key in statistic.needed):
                values.append(statistic.function(*(stacked[key] for key in statistic.needed)))
                tags.extend(f"{quantity}/{name}" for name in members)
    widest = tf.float64 if any(value.dtype == tf.float64 for value in values) else tf.float32
    return tags, tf.concat([tf.cast(value, widest) for value in values], axis=0)


def _alike(subjects: Subjects) -> list[list[str]]:
    """Names whose subjects agree in kind, shape and precision."""
    groups: dict[Any, list[str]] = {}
    for name, of in subjects.items():
        groups.setdefault(tuple(_kind(name, key, value) for key, value in of.items()), []).append(name)
    return list(groups.values())


def _kind(name: str, key: str, value: Any) -> tuple[Any, ...]:
    if key == "limits":
        return (key,)
    # A shape that is unknown while tracing (a ragged batch) may differ from any other: a group of its own.
    shape = tuple(value.shape) if value.shape.is_fully_defined() else name
    return (key, shape, precision(value.dtype).name)


def _with_norms(chosen: Iterable[Statistic], stacks: Iterable[Mapping[str, Any]]) -> list[Arrays]:
    """The stacks whose norms are asked for."""
    keys = {key for statistic in chosen if statistic.function in (norm, ratio) for key in statistic.needed}
    return [stacked[key] for stacked in stacks for key in stacked if key in keys]


def _stack(key: str, values: Sequence[Any]) -> Any:
    return values if key == "limits" else Arrays(values)
