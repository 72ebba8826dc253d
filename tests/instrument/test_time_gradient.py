"""The gradient through the time steps of recurrent layers, as the gauge and `measure` report it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mnist_depth.instrument import DepthGauge, MemoryWriter, every_steps, measure
from tests.instrument.twins import assert_same

layers = keras.layers
RANDOM = np.random.default_rng(0)
STEPS = 12
X = RANDOM.normal(size=(16, STEPS, 3)).astype("float32")
Y = (X[:, -1, :1] > 0).astype("float32")
GAIN = 0.5


def linear(kind: Any = layers.SimpleRNN, **options: Any) -> Any:
    """A cell that multiplies the gradient by GAIN in every step, exactly: its recurrent kernel is orthogonal."""
    return kind(4, activation="linear", recurrent_initializer=keras.initializers.Orthogonal(GAIN, seed=1), **options)


def network(*parts: Any, **options: Any) -> Any:
    inputs: dict[str, Any] = options or {"shape": (STEPS, 3)}
    model: Any = keras.Sequential([keras.Input(**inputs), *parts, layers.Flatten(), layers.Dense(1, "sigmoid")])
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", jit_compile=False)
    return model


def gains(model: Any, x: Any = X) -> dict[str, float]:
    found = measure(model, x, Y, statistics=("time_gain", "time_steps"))
    assert found.quantity("time_gain").keys() == found.quantity("time_steps").keys()
    return found.quantity("time_gain")


@pytest.mark.parametrize(
    "parts",
    [
        lambda: [linear()],
        lambda: [linear(go_backwards=True)],
        lambda: [linear(return_sequences=True), linear()],
        lambda: [layers.Bidirectional(linear())],
        lambda: [layers.RNN(linear(layers.SimpleRNNCell))],
        lambda: [layers.Reshape((2, 6, 3)), layers.TimeDistributed(linear())],
    ],
    ids=["simple", "backwards", "stacked", "bidirectional", "cell", "inside a layer"],
)
def test_the_factor_of_a_linear_cell_is_known(parts: Callable[[], list[Any]]) -> None:
    found = gains(network(*parts()))
    assert found
    for gain in found.values():
        assert gain == pytest.approx(GAIN, rel=1e-4)


def test_masked_steps_pass_the_gradient_unchanged() -> None:
    x = X.copy()
    x[:, STEPS // 2 :] = 0
    (gain,) = gains(network(layers.Masking(0.0), linear()), x).values()
    assert gain ** (STEPS - 1) == pytest.approx(GAIN ** (STEPS // 2 - 1) * GAIN, rel=1e-3)


def test_a_cell_with_slopes_against_the_product_of_its_jacobians() -> None:
    model = network(layers.SimpleRNN(4))
    kernel, recurrent, bias = (np.float64(v) for v in model.layers[0].get_weights())
    state, jacobians = np.zeros((16, 4)), []
    for step in range(STEPS):
        state = np.tanh(X[:, step] @ kernel + state @ recurrent + bias)
        jacobians.append((1 - state**2)[:, :, None] * recurrent.T[None])
    gradient = np.float64(tf.random.stateless_normal((16, 4), seed=(0, 0)))
    sizes = []
    for jacobian in reversed(jacobians):
        gradient = np.einsum("nij,ni->nj", jacobian, gradient)
        sizes.append(np.linalg.norm(gradient))
    expected = (sizes[-1] / sizes[0]) ** (1 / (STEPS - 1))
    (gain,) = gains(model).values()
    assert gain == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        lambda: network(layers.LSTM(4, stateful=True), batch_shape=(16, STEPS, 3)),
        lambda: network(layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)])),
    ],
    ids=["stateful", "stacked cells"],
)
def test_training_is_the_same_with_the_gauge(model: Callable[[], Any]) -> None:
    trained = []
    writer = MemoryWriter()
    for callbacks in ([], [DepthGauge(writer, (X, Y), schedule=every_steps(1), graph=False)]):
        keras.utils.set_random_seed(3)
        network_ = model()
        network_.fit(X, Y, batch_size=16, epochs=1, verbose=0, callbacks=callbacks)
        trained.append(network_)
    assert_same(*trained)
    assert any(tag.startswith("time_gain/") for tag in writer.scalars)


def test_long_sequences_of_a_small_gain_do_not_underflow() -> None:
    x = RANDOM.normal(size=(16, 300, 3)).astype("float32")
    (gain,) = gains(network(linear(), shape=(300, 3)), x).values()
    assert gain == pytest.approx(GAIN, rel=1e-4)


@pytest.mark.slow
def test_the_verdict_on_a_long_memory_is_that_it_vanishes_through_time() -> None:
    """The label is in the first of 60 steps: the loss stays at that of a constant prediction."""
    keras.utils.set_random_seed(0)
    x = RANDOM.normal(size=(64, 60, 1)).astype("float32")
    y = RANDOM.integers(0, 2, size=(64, 1))
    x[:, 0, 0] = 3 * (2 * y[:, 0] - 1)
    gauge = DepthGauge(MemoryWriter(), (x, y), graph=False, preset="light")
    network(layers.GRU(4), shape=(60, 1)).fit(x, y, batch_size=16, epochs=26, verbose=0, callbacks=[gauge])
    assert gauge.diagnosis is not None
    assert gauge.diagnosis.verdict == "vanishes through time"
    assert {finding.kind for finding in gauge.diagnosis.findings} >= {"loss not falling"}
