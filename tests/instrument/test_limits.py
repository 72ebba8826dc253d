"""Which activations are bounded, and by what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mnist_depth.instrument.limits import limits

pytestmark = pytest.mark.slow

ACTIVATIONS: Any = keras.activations


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sigmoid", (0, 1, 1)),
        ("tanh", (-1, 1, 2)),
        ("hard_sigmoid", (0, 1, 1)),
        ("softsign", (-1, 1, 2)),
        ("relu6", (0, 6, 6)),
    ],
)
def test_bounded_activations(name: str, expected: tuple[float, float, float]) -> None:
    found = limits(ACTIVATIONS.get(name))
    assert found is not None
    assert found == pytest.approx(expected, abs=2e-3)


def test_a_bump_has_equal_limits_and_a_range_of_its_own() -> None:
    assert limits(lambda z: tf.exp(-(z**2))) == pytest.approx((0, 0, 1), abs=2e-3)


@pytest.mark.parametrize("name", ["linear", "relu", "elu", "selu", "softplus", "gelu", "swish", "leaky_relu"])
def test_activations_without_a_bound(name: str) -> None:
    assert limits(ACTIVATIONS.get(name)) is None


def fails(z: Any) -> Any:
    raise ValueError("needs two inputs")


@pytest.mark.parametrize(
    "function",
    [
        None,
        fails,
        tf.reduce_sum,  # of another shape
        tf.sqrt,  # not finite below 0
        tf.zeros_like,  # constant: nothing to saturate
        keras.layers.PReLU(),  # its variables may change
    ],
)
def test_what_is_no_bounded_elementwise_function(function: Callable[..., Any] | None) -> None:
    if isinstance(function, keras.layers.Layer):
        function.build((None, 405))
    assert limits(function) is None


def test_inside_a_traced_function_too() -> None:
    found: list[Any] = []

    @tf.function
    def traced(x: Any) -> Any:
        found.append(limits(tf.tanh))
        return x

    traced(np.float32(0))
    assert found[0] == pytest.approx((-1, 1, 2), abs=2e-3)
