"""RAdam against the paper's algorithm; clipping, weight decay and usual rates of all optimizers."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from mnist_depth import models
from mnist_depth.config import RunConfig
from mnist_depth.networks.optimizers import OPTIMIZERS
from mnist_depth.networks.radam import RAdam

pytestmark = pytest.mark.slow


def _algorithm_2(start: np.ndarray, gradients: list[np.ndarray], rate: float, beta_2: float) -> list[np.ndarray]:
    """Liu et al. 2019, algorithm 2, line by line in float64."""
    beta_1, epsilon = 0.9, 1e-8
    theta, m, v = start.astype(np.float64), 0.0, 0.0
    rho_infinity = 2 / (1 - beta_2) - 1
    path = []
    for t, g in enumerate(gradients, 1):
        v = beta_2 * v + (1 - beta_2) * g**2
        m = beta_1 * m + (1 - beta_1) * g
        m_hat = m / (1 - beta_1**t)
        rho = rho_infinity - 2 * t * beta_2**t / (1 - beta_2**t)
        if rho > 4:
            adapted = np.sqrt(1 - beta_2**t) / (np.sqrt(v) + epsilon)
            numerator = (rho - 4) * (rho - 2) * rho_infinity
            r = np.sqrt(numerator / ((rho_infinity - 4) * (rho_infinity - 2) * rho))
            theta = theta - rate * r * m_hat * adapted
        else:
            theta = theta - rate * m_hat
        path.append(theta)
    return path


@pytest.mark.parametrize("beta_2", [0.999, 0.9])
@pytest.mark.parametrize("compiled", [False, True])
def test_radam_equals_the_algorithm_step_by_step(beta_2: float, compiled: bool) -> None:
    generator = np.random.default_rng(0)
    start = generator.normal(size=(3, 2))
    gradients = [generator.normal(scale=10.0**-k, size=(3, 2)) for k in range(4) for _ in range(5)]
    variable = keras.Variable(start, dtype="float64")
    optimizer = RAdam(learning_rate=0.01, beta_2=beta_2)
    optimizer.build([variable])
    rate = float(np.asarray(optimizer.learning_rate))
    update = tf.function(lambda gradient: optimizer.apply([gradient]), jit_compile=compiled)
    for gradient, expected in zip(gradients, _algorithm_2(start, gradients, rate, beta_2), strict=True):
        update(tf.constant(gradient))
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-10, atol=1e-12)


def test_radam_starts_as_momentum_without_adaptation() -> None:
    variable = keras.Variable([0.0], dtype="float64")
    optimizer = RAdam(learning_rate=1.0)
    optimizer.build([variable])
    for step in range(1, 7):
        before = float(variable.numpy()[0])
        optimizer.apply([tf.constant([1e-3], tf.float64)])
        moved = before - float(variable.numpy()[0])
        assert (abs(moved - 1e-3) < 1e-9) == (step <= 4), "rho_4 = 3.997, rho_5 = 4.996"


def test_radam_is_serializable() -> None:
    optimizer = RAdam(learning_rate=0.02, beta_1=0.8, beta_2=0.99, epsilon=1e-6, global_clipnorm=2.0)
    config = keras.saving.serialize_keras_object(optimizer)
    loaded = keras.saving.deserialize_keras_object(config)
    assert isinstance(loaded, RAdam)
    assert loaded.get_config() == optimizer.get_config()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_entry_is_true_of_its_optimizer(name: str) -> None:
    built, weight = models.build_optimizer(RunConfig(optimizer=name)), keras.Variable(np.zeros((3, 4)))
    built.build([weight])
    assert float(built.learning_rate) == pytest.approx(OPTIMIZERS[name].learning_rate)
    assert [tuple(kept.shape) for kept in built.variables].count((3, 4)) == OPTIMIZERS[name].slots
    assert RunConfig(optimizer=name, learning_rate=0.5).learning_rate == 0.5


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_clipping_is_by_global_norm_and_off_by_default(name: str) -> None:
    assert models.build_optimizer(RunConfig(optimizer=name)).global_clipnorm is None
    assert models.build_optimizer(RunConfig(optimizer=name, clip_norm=0.5)).global_clipnorm == 0.5


def test_nesterov_and_momentum_differ_only_in_the_flag() -> None:
    momentum, nag = (models.build_optimizer(RunConfig(optimizer=name)).get_config() for name in ("momentum", "nag"))
    assert {key for key in momentum if momentum[key] != nag[key]} - {"name"} == {"nesterov"}


@pytest.mark.parametrize("name", [name for name, entry in OPTIMIZERS.items() if entry.decays_weights])
def test_weight_decay_shrinks_kernels_only(name: str) -> None:
    config = RunConfig(dataset="xor", depth=2, width=3, optimizer=name, weight_decay=0.5, learning_rate=0.1, bias_std=1)
    model = models.build(config)
    optimizer = models.build_optimizer(config)
    optimizer.build(model.trainable_variables)
    before = [variable.numpy() for variable in model.trainable_variables]
    optimizer.apply([tf.zeros_like(variable) for variable in before])
    assert not model.losses
    for variable, old in zip(model.trainable_variables, before, strict=True):
        shrink = 1 - 0.5 * 0.1 if variable.name == "kernel" else 1
        np.testing.assert_allclose(variable.numpy(), old * shrink, rtol=1e-6)


def test_every_factory_takes_the_rate_by_name() -> None:
    for entry in OPTIMIZERS.values():
        assert "learning_rate" in inspect.signature(entry.build).parameters
