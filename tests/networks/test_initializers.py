"""Initializers by their properties: variance, distribution, orthogonality, seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mnist_depth import models
from mnist_depth.config import RunConfig
from mnist_depth.networks.initializers import ALIASES, INITIALIZERS
from mnist_depth.networks.weight_layer import weight_layers
from mnist_depth.registry import lookup

FAN_IN, FAN_OUT = 512, 256
MEAN_FAN = (FAN_IN + FAN_OUT) / 2

VARIANCES = {
    "normal_1": 1.0,
    "normal_0_01": 0.01**2,
    "normal:0.3": 0.3**2,
    "uniform_1": 1 / 3,
    "lecun_normal": 1 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
    "glorot_normal": 1 / MEAN_FAN,
    "glorot_uniform": 1 / MEAN_FAN,
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "xavier_fan_in": 1 / FAN_IN,
    "he_fan_in": 2 / FAN_IN,
    "mean_field:1.5": 1.5**2 / FAN_IN,
    "glorot_4": 16 / MEAN_FAN,
}
UNIFORM = {name for name in VARIANCES if "uniform" in name}
EXACT = {"zeros", "orthogonal"}


def _draw(name: str, seed: int = 0) -> np.ndarray:
    entry, arguments = lookup(INITIALIZERS, name, "initializer")
    return np.asarray(entry.build(*arguments, seed=seed)((FAN_IN, FAN_OUT)), np.float64)


def test_every_initializer_is_tested() -> None:
    assert {name.split(":")[0] for name in VARIANCES} | EXACT == set(INITIALIZERS)


@pytest.mark.parametrize("name", VARIANCES)
def test_variance_is_within_three_standard_errors(name: str) -> None:
    squares = _draw(name) ** 2
    assert abs(squares.mean() - VARIANCES[name]) < 3 * squares.std() / np.sqrt(squares.size)


@pytest.mark.parametrize("name", VARIANCES)
def test_distribution_is_what_the_name_says(name: str) -> None:
    scaled = _draw(name).ravel() / np.sqrt(VARIANCES[name])
    distribution = stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)) if name in UNIFORM else stats.norm()
    assert stats.kstest(scaled, distribution.cdf).pvalue > 1e-3


@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal_columns(gain: float) -> None:
    kernel = _draw(f"orthogonal:{gain}")
    np.testing.assert_allclose(kernel.T @ kernel, gain**2 * np.eye(FAN_OUT), atol=1e-5)


def test_zeros_are_exactly_zero() -> None:
    assert not _draw("zeros").any()


@pytest.mark.parametrize("name", sorted(set(INITIALIZERS) - {"zeros"}))
def test_layers_differ_and_seeds_repeat(name: str) -> None:
    first, again, other = (
        [
            np.asarray(layer.kernel)
            for layer in weight_layers(models.build(RunConfig(width=10, initializer=name, seed=seed)))
        ]
        for seed in (0, 0, 1)
    )
    for kernel, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(kernel, same)
        assert not np.allclose(kernel, different)
    square = first[1:-1]
    assert all(not np.allclose(a, b) for index, a in enumerate(square) for b in square[:index])


def test_biases_are_zero_unless_asked() -> None:
    plain, spread = (weight_layers(models.build(RunConfig(width=300, bias_std=std))) for std in (0.0, 0.5))
    assert not any(np.asarray(layer.bias).any() for layer in plain)
    assert all(0.3 < np.std(np.asarray(layer.bias)) < 0.7 for layer in spread[:-1])
    assert not np.allclose(np.asarray(spread[0].bias), np.asarray(spread[1].bias))


def test_aliases_name_entries() -> None:
    assert set(ALIASES.values()) <= set(INITIALIZERS)
    assert not set(ALIASES) & set(INITIALIZERS)
    assert RunConfig(initializer="xavier") == RunConfig(initializer="glorot_uniform")
