"""Activations against NumPy, and the gradients of the custom layers against finite differences."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import erf

from mnist_depth.networks.activations import ACTIVATIONS
from mnist_depth.networks.functions import Maxout
from mnist_depth.networks.weight_layer import WeightLayer
from mnist_depth.registry import lookup

ORACLES: dict[str, Any] = {
    "linear": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.where(z > 0, z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "very_leaky_relu": lambda z: np.where(z > 0, z, z / 3),
    "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * (np.exp(z) - 1)),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "gelu": lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
    "swish": lambda z: z / (1 + np.exp(-z)),
    "maxout": lambda z: np.stack([z[:, j : j + 2].max(axis=1) for j in range(0, z.shape[1], 2)], axis=1),
}


def _build(name: str) -> Any:
    entry, arguments = lookup(ACTIVATIONS, name, "activation")
    return entry.build(*arguments)


def test_every_activation_has_an_oracle() -> None:
    assert set(ORACLES) == set(ACTIVATIONS), "every activation needs a naive one in ORACLES"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_equals_numpy(name: str) -> None:
    z = np.random.default_rng(0).normal(0, 2, (50, 6))
    np.testing.assert_allclose(np.asarray(_build(name)(tf.constant(z))), ORACLES[name](z), rtol=1e-6, atol=1e-12)


def test_maxout_takes_the_largest_of_neighboring_pieces() -> None:
    z = tf.constant([[1.0, 5.0, 2.0, -3.0, -1.0, -2.0]])
    np.testing.assert_array_equal(_build("maxout:3")(z), [[5, -1]])


@pytest.mark.parametrize(
    ("activation", "batch_norm", "dropout"),
    [
        ("very_leaky_relu", "none", 0.0),
        ("leaky_relu", "none", 0.0),
        ("maxout:3", "none", 0.0),
        ("sigmoid", "before", 0.0),
        ("maxout", "after", 0.3),
    ],
)
def test_gradients_of_a_block_equal_finite_differences(activation: str, batch_norm: str, dropout: float) -> None:
    layer = WeightLayer(
        4,
        activation=_build(activation),
        batch_norm=batch_norm,
        dropout=dropout,
        dropout_seed=3,
        kernel_initializer=keras.initializers.RandomNormal(seed=1, stddev=1.0),
        dtype="float64",
    )
    generator = np.random.default_rng(0)
    inputs = tf.constant(generator.normal(size=(7, 5)))
    layer.build((None, 5))
    weights = tf.constant(generator.normal(size=(7, 4)))
    state = [variable.numpy() for variable in layer.non_trainable_variables]

    def value() -> Any:
        for variable, start in zip(layer.non_trainable_variables, state, strict=True):
            variable.assign(start)
        return tf.reduce_sum(weights * layer(inputs, training=True))

    tape: Any = tf.GradientTape()
    with tape:
        result = value()
    for variable, gradient in zip(
        layer.trainable_variables, tape.gradient(result, layer.trainable_variables), strict=True
    ):
        np.testing.assert_allclose(gradient, _differences(value, variable), rtol=1e-5, atol=1e-7)


def _differences(value: Any, variable: Any, step: float = 1e-6) -> np.ndarray:
    start = variable.numpy()
    result = np.zeros_like(start)
    for index in np.ndindex(start.shape):
        ends = []
        for sign in (1, -1):
            moved = start.copy()
            moved[index] += sign * step
            variable.assign(moved)
            ends.append(float(value()))
        result[index] = (ends[0] - ends[1]) / (2 * step)
    variable.assign(start)
    return result


def test_maxout_width_counts_outputs() -> None:
    layer = WeightLayer(4, activation=Maxout(3))
    outputs = layer(np.zeros((2, 5), np.float32))
    assert outputs.shape == (2, 4)
    assert np.shape(layer.kernel) == (5, 12)
