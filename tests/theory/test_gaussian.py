"""Activations and expectations: closed forms, Keras, Monte-Carlo."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mnist_depth import theory
from mnist_depth.errors import UserError
from mnist_depth.networks.activations import ACTIVATIONS
from mnist_depth.registry import lookup

LENGTHS = (0.05, 1.0, 30.0)
ERF = theory.Activation(
    np.vectorize(math.erf, otypes=[float]), lambda z: 2 / math.sqrt(math.pi) * np.exp(-(np.asarray(z) ** 2))
)


# Activations


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_of_the_registry_is_known(name):
    phi = theory.resolve(name)
    z = np.linspace(-6, 6, 49) + 0.01
    central = (phi.value(z + 1e-6) - phi.value(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(phi.slope(z), central, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name in theory.TABLE])
def test_activations_agree_with_keras(name):
    entry, arguments = lookup(ACTIVATIONS, name, "activation")
    z = np.linspace(-8, 8, 101).astype(np.float32)
    actual = theory.resolve(name).value(z.astype(float))
    np.testing.assert_allclose(actual, np.asarray(entry.build(*arguments)(z)), atol=2e-6)


def test_extreme_pre_activations_stay_finite():
    z = np.array([-1e8, -800.0, 0.0, 800.0, 1e8])
    with np.errstate(all="raise", under="ignore"):
        for phi in theory.TABLE.values():
            assert np.isfinite(phi.value(z)).all()
            assert np.isfinite(phi.slope(z)).all()


def test_unknown_activation_is_a_user_error():
    with pytest.raises(UserError, match="unknown activation 'step'; valid: linear"):
        theory.resolve("step")


# Quadrature


@pytest.mark.parametrize("q", [1e-6, 0.3, 1.0, 40.0, 1e6])
def test_erf_closed_forms(q):
    squared = 2 / math.pi * math.asin(2 * q / (1 + 2 * q))
    assert theory.squared_activation(ERF, q) == pytest.approx(squared, rel=1e-9)
    assert theory.squared_slope(ERF, q) == pytest.approx(4 / math.pi / math.sqrt(1 + 4 * q), rel=1e-9)


@pytest.mark.parametrize("c", [-1.0, -0.4, 0.0, 0.3, 0.999, 1.0])
@pytest.mark.parametrize("q", [0.3, 1.0, 40.0])
def test_erf_correlation_closed_form(q, c):
    product = 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))
    squared = 2 / math.pi * math.asin(2 * q / (1 + 2 * q))
    expected = (1.5**2 * product + 0.2**2) / (1.5**2 * squared + 0.2**2)
    assert theory.correlation_map(ERF, c, q, 1.5, 0.2) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("slope", [0.0, 0.01, 1 / 3, 1.0])
@pytest.mark.parametrize("q", LENGTHS)
def test_piecewise_linear_closed_forms(slope, q):
    name = {0.0: "relu", 0.01: "leaky_relu", 1 / 3: "very_leaky_relu", 1.0: "linear"}[slope]
    phi = theory.TABLE[name]
    assert theory.mean_activation(phi, q) == pytest.approx((1 - slope) * math.sqrt(q / (2 * math.pi)), abs=1e-12)
    assert theory.squared_activation(phi, q) == pytest.approx(q * (1 + slope**2) / 2, rel=1e-12)
    assert theory.squared_slope(phi, q) == pytest.approx((1 + slope**2) / 2, rel=1e-12)


@pytest.mark.parametrize("c", [-0.9, 0.0, 0.5, 0.99, 1.0])
def test_relu_correlation_is_the_arc_cosine_kernel(c):
    """Cho & Saul 2009, equation 6, first order."""
    expected = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
    assert theory.correlation_map("relu", c, 2.0, math.sqrt(2)) == pytest.approx(expected, abs=1e-10)
    assert theory.chi_c("relu", c, 2.0, math.sqrt(2)) == pytest.approx(1 - math.acos(c) / math.pi, abs=1e-10)


def _draws(seed, count=400_000):
    return np.random.default_rng(seed).standard_normal((2, count))


@pytest.mark.parametrize("name", theory.TABLE)
@pytest.mark.parametrize("q", LENGTHS)
def test_quadrature_agrees_with_monte_carlo(name, q):
    """Every expectation within three standard errors of 400,000 draws."""
    phi, c = theory.TABLE[name], 0.6
    first, other = _draws(2026)
    z1, z2 = math.sqrt(q) * first, math.sqrt(q) * (c * first + math.sqrt(1 - c * c) * other)
    h1, h2, s1, s2 = phi.value(z1), phi.value(z2), phi.slope(z1), phi.slope(z2)
    samples = [
        (theory.mean_activation(phi, q), h1),
        (theory.squared_activation(phi, q), h1**2),
        (theory.squared_slope(phi, q), s1**2),
        (theory.length_slope(phi, q, 1.0) * q, h1 * s1 * z1),
        (theory.correlation_map(phi, c, q, 1.0) * theory.squared_activation(phi, q), h1 * h2),
        (theory.chi_c(phi, c, q, 1.0), s1 * s2),
    ]
    for predicted, drawn in samples:
        assert abs(predicted - drawn.mean()) <= 3 * drawn.std() / math.sqrt(len(drawn)) + 1e-12


def test_maxout_of_two_has_a_closed_form():
    """E[max^2] = q and E[max] = sqrt(q / pi) for two pieces."""
    pair = theory.TABLE["linear"]._replace(pieces=2)
    assert theory.squared_activation(pair, 3.0) == pytest.approx(3.0, rel=1e-12)
    assert theory.mean_activation(pair, 3.0) == pytest.approx(math.sqrt(3 / math.pi), rel=1e-12)
    assert theory.squared_slope(pair, 3.0) == pytest.approx(1.0, rel=1e-12)
    assert theory.depth_scales(pair, 1.0).chi_1 == pytest.approx(1.0)
    with pytest.raises(UserError, match="not available for maxout"):
        theory.correlation_map(pair, 0.5, 1.0, 1.0)
