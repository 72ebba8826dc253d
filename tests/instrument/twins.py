"""A training with the gauge beside one without it: helpers of the tests that compare the two."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_depth.instrument import DepthGauge, MemoryWriter, every_steps

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 6)).astype("float32")
Y = RANDOM.normal(size=(64, 1)).astype("float32")
STEPS = 4
"""Updates per epoch at the batch size of `train`."""

Make = Callable[[], Any]


def dense(units: int, activation: str = "linear", **options: Any) -> Any:
    return keras.layers.Dense(units, activation, **options)


def network(*layers: Any, compiled: bool = True, **options: Any) -> Any:
    """A Sequential network with one output that is trained on the mean squared error."""
    model = keras.Sequential([keras.Input((6,)), *layers, dense(1, name="out")])
    if compiled:
        defaults: dict[str, Any] = {"optimizer": keras.optimizers.SGD(0.05), "loss": "mse", "jit_compile": False}
        model.compile(**{**defaults, **options})
    return model


def train(make: Make, callbacks: Sequence[Any] = (), **options: Any) -> Any:
    """Train a new model, always from the same seeds."""
    keras.utils.set_random_seed(1)
    model = make()
    data = options.pop("data", (X, Y))
    model.fit(
        *data, **{"batch_size": 16, "epochs": 2, "shuffle": False, "verbose": 0, **options, "callbacks": callbacks}
    )
    return model


def state(model: Any) -> list[NDArray[Any]]:
    return [np.asarray(variable.value) for variable in model.variables]


def assert_same(left: Any, right: Any) -> None:
    for a, b in zip(state(left), state(right), strict=True):
        np.testing.assert_array_equal(a, b)


def gradient_norms(model: Any, x: Any, loss: Callable[[], Any]) -> dict[str, float]:
    """Variable path -> norm of the gradient, by a plain tape."""
    with tf.GradientTape() as tape:
        value = loss()
    variables = model.trainable_variables
    gradients: Any = tape.gradient(value, [variable.value for variable in variables])
    return {v.path: float(np.linalg.norm(np.asarray(g))) for v, g in zip(variables, gradients, strict=True)}


def messages_of(action: Callable[[], Any]) -> list[str]:
    """The warnings of the gauge while something runs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [str(w.message) for w in caught if "site-packages" not in w.filename]


def gauge(probe: Any = (X, Y), **options: Any) -> tuple[DepthGauge, MemoryWriter]:
    writer = MemoryWriter()
    given = {"schedule": every_steps(1), "gradients": "both" if probe is not None else None, "on_finding": "ignore"}
    return DepthGauge(writer, probe, **{**given, **options}), writer


def hidden(**options: Any) -> Any:
    return network(dense(5, "tanh", name="hidden"), **options)


def compare(make: Callable[[], Any], measuring: DepthGauge) -> None:
    assert_same(train(make), train(make, [measuring]))
