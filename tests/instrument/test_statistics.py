"""Every statistic against a naive float64 oracle, also at the ends of float32 and with broken entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from mnist_depth.instrument import STATISTICS
from mnist_depth.instrument.arrays import Arrays
from mnist_depth.instrument.statistics import choose, evaluate

Array = NDArray[np.float64]
LIMITS = (-1.0, 1.0, 2.0)


def naive_std_across_samples(x: Array) -> float:
    variances = []
    for unit in x.reshape(len(x), -1).T:
        mean = sum(unit) / len(unit)
        variances.append(sum((value - mean) ** 2 for value in unit) / len(unit))
    return float(np.sqrt(sum(variances) / len(variances)))


def naive_dead_share(x: Array) -> float:
    units = x.reshape(-1, x.shape[-1]).T
    return sum(all(value == 0 for value in unit) for unit in units) / len(units)


ORACLES: dict[str, Callable[..., float]] = {
    "norm": lambda x: float(np.sqrt((x**2).sum())),
    "rms": lambda x: float(np.sqrt((x**2).mean())),
    "mean_abs": lambda x: float(np.abs(x).mean()),
    "maximum": lambda x: float(np.abs(x).max()),
    "mean": lambda x: float(x.mean()),
    "std": lambda x: float(np.sqrt(((x - x.mean()) ** 2).mean())),
    "std_across_samples": naive_std_across_samples,
    "zero_share": lambda x: float((x == 0).mean()),
    "nonfinite_share": lambda x: float((~np.isfinite(x)).mean()),
    "dead_share": naive_dead_share,
    "saturated_share": lambda x, _: float(((np.abs(x - 1) < 0.1) | (np.abs(x + 1) < 0.1)).mean()),
    "time_gain": lambda x: float(np.exp(x.ravel()[0] - x.ravel()[-1]) ** (1 / (x.size - 1))),
    "time_steps": lambda x: float(x.size),
    "ratio": lambda x, reference: float(np.sqrt((x**2).sum()) / np.sqrt((reference**2).sum())),
}


def _function(quantity: str) -> Callable[..., float]:
    name = STATISTICS[quantity].function.__name__
    assert name in ORACLES, f"{quantity} needs a naive {name} in ORACLES"
    return ORACLES[name]


def _example(seed: int = 0, scale: float = 1.0) -> Array:
    """[samples, positions, units] with zeros, a dead unit and, at scale 1, entries near both limits."""
    values = np.random.default_rng(seed).uniform(-1, 1, size=(6, 5, 4)) * scale
    values[:, :, 1] = 0
    values[0, 0] = 0
    return values.astype(np.float32).astype(np.float64)


def _evaluate(quantity: str, jit: bool, *arrays: Array, seed: int = 7) -> list[float]:
    """One quantity of several arrays at once, each with its own companion."""
    statistic = STATISTICS[quantity]
    companions = [_example(seed + i) for i in range(len(arrays))]

    def run() -> tf.Tensor:
        subjects = {
            f"layer_{i}": {
                statistic.subject: tf.constant(array, tf.float32),
                **{key: LIMITS if key == "limits" else tf.constant(other, tf.float32) for key in statistic.beside},
            }
            for i, (array, other) in enumerate(zip(arrays, companions, strict=True))
        }
        tags, values = evaluate(choose([quantity], [statistic.subject]), subjects)
        assert tags == [f"{quantity}/layer_{i}" for i in range(len(arrays))]
        return values

    return tf.function(run, jit_compile=jit)().numpy().tolist()


def _expected(quantity: str, *arrays: Array, seed: int = 7) -> list[float]:
    beside = bool(STATISTICS[quantity].beside)
    return [_function(quantity)(a, *[_example(seed + i)] * beside) for i, a in enumerate(arrays)]


@pytest.mark.parametrize("quantity", STATISTICS)
def test_oracle(quantity: str) -> None:
    arrays = [_example(0), _example(1), np.zeros((6, 5, 4))]
    np.testing.assert_allclose(_evaluate(quantity, False, *arrays), _expected(quantity, *arrays), rtol=1e-5, atol=1e-7)


SCALED = [
    quantity
    for quantity, statistic in STATISTICS.items()
    if "share" not in quantity and statistic.subject in ("gradient", "activation")
]


@pytest.mark.parametrize("scale", [1e-34, 1e-30, 1e25, 1e37])
def test_neither_underflow_nor_overflow(scale: float) -> None:
    """1e-34 squared is far below the smallest float32, 1e25 squared above the largest."""
    array = _example(0, scale)
    for quantity in SCALED:
        np.testing.assert_allclose(_evaluate(quantity, True, array), _expected(quantity, array), rtol=2e-5)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_broken_entries_show(broken: float, jit: bool) -> None:
    """One broken array gives NaN, or its share, and leaves the others in its group alone."""
    bad = _example(0)
    bad[2, 2, 2] = broken
    for quantity in ("gradient_norm", "gradient_max", "gradient_mean_abs", "activation_std", "activation_mean"):
        found = _evaluate(quantity, jit, bad, _example(1))
        assert np.isnan(found[0])
        np.testing.assert_allclose(found[1], _expected(quantity, _example(1))[0], rtol=1e-5)
    np.testing.assert_allclose(_evaluate("gradient_nonfinite_share", jit, bad), [1 / bad.size], rtol=1e-6)


def test_two_ways_to_look_at_a_collapse() -> None:
    """Units that differ among themselves but not between samples: one deviation stays, the other is zero."""
    collapsed = np.tile(np.linspace(0, 1, 8), (5, 1))
    assert _evaluate("activation_std", False, collapsed)[0] > 0.3
    assert _evaluate("activation_std_across_samples", False, collapsed)[0] == pytest.approx(0, abs=1e-7)


def test_shapes_do_not_mix() -> None:
    subjects = {
        "a": {"gradient": tf.ones([2, 3])},
        "b": {"gradient": tf.ones([3])},
        "c": {"gradient": tf.ones([])},
        "d": {"gradient": tf.ones([2, 3]) * 2},
        "nothing": {},
    }
    tags, values = evaluate(choose(["gradient_norm"], ["gradient"]), subjects)
    found = dict(zip(tags, values.numpy(), strict=True))
    expected = {"a": 6**0.5, "b": 3**0.5, "c": 1.0, "d": 24**0.5}
    assert found == pytest.approx({f"gradient_norm/{name}": value for name, value in expected.items()})


@pytest.mark.parametrize("jit", [False, True])
def test_norms_measured_together_are_those_of_each_alone(jit: bool) -> None:
    """Stacks of other sizes and types, one with a NaN."""
    drawn = np.random.default_rng(3)
    arrays = {"kernel": [4, 5], "second": [4, 5], "narrow": [3, 5], "bias": [5], "small": [1], "scalar": []}
    values = {name: drawn.normal(size=shape) * 10.0**place for place, (name, shape) in enumerate(arrays.items())}
    values["narrow"][0, 0] = np.nan
    factors = {"gradient": 1.0, "weight": 2.0}
    subjects = {
        name: {key: tf.constant(value * factor, tf.float32) for key, factor in factors.items()}
        for name, value in values.items()
    }
    subjects["double"] = {"gradient": tf.constant(values["kernel"], tf.float64)}
    tags: list[str] = []

    def run() -> tf.Tensor:
        tags[:], found = evaluate(choose(["gradient_norm", "weight_norm"], factors), subjects)
        return found

    found = tf.function(run, jit_compile=jit)().numpy()
    expected = {
        f"{key}_norm/{name}": factor * np.linalg.norm(value)
        for name, value in values.items()
        for key, factor in factors.items()
    }
    expected["gradient_norm/double"] = np.linalg.norm(values["kernel"])
    assert dict(zip(tags, found, strict=True)) == pytest.approx(expected, nan_ok=True)


def test_half_precision_is_measured_in_single() -> None:
    values = tf.constant(np.full([100, 100], 200.0), tf.float16)  # its sum of squares overflows float16
    _, found = evaluate(choose(["gradient_norm"], ["gradient"]), {"a": {"gradient": values}})
    assert float(found[0]) == pytest.approx(20_000)


def test_unknown_statistic_lists_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="unknown statistic 'gradient_nrom'; valid: gradient_norm, "):
        choose(["gradient_nrom"], ["gradient"])


def test_every_statistic_has_an_oracle() -> None:
    functions: set[Any] = {statistic.function.__name__ for statistic in STATISTICS.values()}
    assert functions == set(ORACLES)


def test_arrays_of_zeros_have_a_unit() -> None:
    assert Arrays([tf.zeros([3])]).unit.numpy().tolist() == [1.0]
