"""Mean-field theory: closed forms, Monte-Carlo, published points, and gradients measured on wide random networks."""

from __future__ import annotations

import importlib
import math
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mnist_depth import theory
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.networks.activations import ACTIVATIONS
from mnist_depth.networks.initializers import ALIASES, INITIALIZERS
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
    ours = theory.resolve(name).value(z.astype(float))
    np.testing.assert_allclose(ours, np.asarray(entry.build(*arguments)(z)), atol=2e-6)


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


@pytest.mark.parametrize("name", theory.TABLE)
def test_length_slope_is_the_derivative_of_the_map(name):
    step = 1e-5
    difference = theory.length_map(name, 1 + step, 1.3) - theory.length_map(name, 1 - step, 1.3)
    assert theory.length_slope(name, 1.0, 1.3) == pytest.approx(float(difference) / (2 * step), rel=1e-8)


# Fixed points and phases


def test_relu_is_critical_at_sigma_w_squared_two():
    assert theory.chi_1("relu", 0.7, math.sqrt(2)) == pytest.approx(1.0, abs=1e-14)
    scales = theory.depth_scales("relu", math.sqrt(2), start=0.7)
    assert scales.q_star == pytest.approx(0.7)
    assert scales.xi_q == scales.xi_gradient == scales.trainable_depth == math.inf


@pytest.mark.parametrize(("sigma_w", "q_star"), [(1.0, 0.0), (2.0, math.inf)])
def test_relu_off_criticality_vanishes_or_explodes(sigma_w, q_star):
    scales = theory.depth_scales("relu", sigma_w)
    assert scales.q_star == q_star
    assert scales.xi_c == pytest.approx(1 / math.log(2))


@pytest.mark.parametrize(
    ("sigma_w_squared", "sigma_b_squared", "tolerance"),
    [
        (1.76, 0.05, 0.005),  # Schoenholz et al. 2017, the critical point of their MNIST experiments
        (1.05, 2.01e-5, 0.005),  # Xiao et al. 2018, the 10,000-layer networks
        (1.0, 0.0, 1e-6),  # Poole et al. 2016: the line ends here
    ],
)
def test_tanh_critical_line_passes_through_published_points(sigma_w_squared, sigma_b_squared, tolerance):
    """Walk the line by length until the published bias variance, then compare the weight variance."""
    low, high = 1e-8, 10.0
    for _ in range(200):
        middle = math.sqrt(low * high)
        below = theory.critical_sigmas("tanh", middle)[1] ** 2 < sigma_b_squared
        low, high = (middle, high) if below else (low, middle)
    assert theory.critical_sigmas("tanh", low)[0] ** 2 == pytest.approx(sigma_w_squared, abs=tolerance)


def test_selu_keeps_unit_length():
    """Klambauer et al. 2017: (mean 0, variance 1) is a stable fixed point at sigma_w = 1."""
    assert theory.fixed_point("selu", 1.0, start=0.3) == pytest.approx(1.0, abs=1e-9)
    assert theory.mean_activation("selu", 1.0) == pytest.approx(0.0, abs=1e-12)
    assert abs(theory.length_slope("selu", 1.0, 1.0)) < 1


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "gelu", "swish", "elu"])
@pytest.mark.parametrize("start", [0.01, 1.0, 50.0])
def test_fixed_point_is_where_iteration_ends(name, start):
    q = start
    for _ in range(2000):
        q = float(theory.length_map(name, q, 1.2, 0.3))
    assert theory.fixed_point(name, 1.2, 0.3, start) == pytest.approx(q, rel=1e-6)


def test_fixed_correlation_is_where_iteration_ends():
    sigma_w, sigma_b = 2.5, 0.3
    q = theory.fixed_point("tanh", sigma_w, sigma_b)
    c = 0.9
    for _ in range(150):
        c = theory.correlation_map("tanh", c, q, sigma_w, sigma_b)
    assert theory.fixed_correlation("tanh", q, sigma_w, sigma_b) == pytest.approx(c, abs=1e-6)
    assert 0 < c < 1


@pytest.mark.parametrize("sigma_w", [1.1, 2.0])
def test_depth_scale_is_the_decay_measured_on_the_map(sigma_w):
    """|c_l - c*| shrinks by exp(-1/xi_c) a layer, in the ordered and in the chaotic phase."""
    scales = theory.depth_scales("tanh", sigma_w, 0.3)
    c = scales.c_star - 1e-4
    step = theory.correlation_map("tanh", c, scales.q_star, sigma_w, 0.3)
    assert (scales.c_star - step) / 1e-4 == pytest.approx(math.exp(-1 / scales.xi_c), rel=2e-3)


def test_depth_scale_peaks_on_the_critical_line():
    around = [theory.depth_scales("tanh", math.sqrt(s), math.sqrt(0.05)).trainable_depth for s in (1.2, 1.7609, 3.5)]
    assert around[1] > 100 * max(around[0], around[2])


def test_sigmoid_is_ordered_until_sigma_w_about_ten():
    """Without biases the sigmoid network's gradients vanish for every usual initializer."""
    assert theory.depth_scales("sigmoid", 1.0).trainable_depth < 3
    assert theory.depth_scales("sigmoid", 10.0).chi_1 < 1 < theory.depth_scales("sigmoid", 10.3).chi_1


def test_critical_point_that_does_not_exist_is_a_user_error():
    with pytest.raises(UserError, match="no critical point"):
        theory.critical_sigmas("sigmoid", 1.0)


# Initializers and configs


@pytest.mark.parametrize("name", [*INITIALIZERS, "normal:0.3"])
@pytest.mark.parametrize(("fan_in", "fan_out"), [(300, 500), (500, 300)])
def test_variances_are_those_of_the_registry(name, fan_in, fan_out):
    entry, arguments = lookup(INITIALIZERS, name, "initializer")
    draw: Any = entry.build(*arguments, seed=1)
    kernel = np.asarray(draw((fan_in, fan_out)))
    variance = theory.initializer_variance(name, fan_in, fan_out)
    assert kernel.var() == pytest.approx(variance, rel=0.02, abs=1e-12)


def test_aliases_of_initializers_are_followed():
    for alias, name in ALIASES.items():
        assert theory.initializer_variance(alias, 30, 50) == theory.initializer_variance(name, 30, 50)


def test_unknown_initializer_is_a_user_error():
    with pytest.raises(UserError, match="unknown initializer"):
        theory.initializer_variance("magic", 3, 3)


def test_prediction_of_a_config_has_one_row_per_weight_layer():
    rows = theory.predict_config(RunConfig(depth=4, width=32, activation="relu", initializer="he_normal"))
    assert [row.name for row in rows] == ["layer_01", "layer_02", "layer_03", "layer_04"]
    assert [(row.fan_in, row.units) for row in rows] == [(784, 32), (32, 32), (32, 32), (32, 10)]
    assert [row.gain for row in rows[:-1]] == pytest.approx([1.0] * 3)
    assert math.isnan(rows[-1].gain)
    assert rows[-1].gradient == 1.0


def test_headline_networks_are_told_apart_before_training():
    sigmoid = theory.predict_config(RunConfig(activation="sigmoid"))
    relu = theory.predict_config(RunConfig(activation="relu", initializer="he_normal"))
    assert sigmoid[0].gradient < 1e-4
    assert relu[0].gradient == pytest.approx(1.0)


def test_description_names_every_layer_and_the_depth_scales():
    text = theory.describe(RunConfig(activation="sigmoid"))
    assert [line.split()[0] for line in text.splitlines()[1:10]] == [f"layer_{i:02d}" for i in range(1, 10)]
    assert "xi_c = 0.346" in text
    assert max(map(len, text.splitlines())) <= 110
    assert "depth scales" not in theory.describe(RunConfig(depth=1))


def test_description_of_a_gate_uses_its_two_inputs():
    assert theory.describe(RunConfig(dataset="xor", depth=2, width=2)).splitlines()[2].split()[1] == "1"


# Prediction against measurement


WIDTHS = (784, *[1024] * 8, 10)


@lru_cache(maxsize=5)
def _standard_kernels(seed, pieces):
    """Kernels of variance 1 / fan_in; every activation and sigma_w of one seed shares them."""
    rng, hidden = np.random.default_rng([seed, 1]), WIDTHS[:-1]
    shapes = [*((a, b * pieces) for a, b in pairwise(hidden)), WIDTHS[-2:]]
    return [rng.standard_normal(shape, dtype=np.float32) / np.float32(math.sqrt(shape[0])) for shape in shapes]


def _measured_norms(phi, sigma_w, images, labels, seed):
    """||dL/dz_l|| [depth] of softmax cross-entropy, summed over units and samples, by backpropagation in NumPy."""
    kernels = [np.float32(sigma_w) * kernel for kernel in _standard_kernels(seed, phi.pieces)]
    signal, slopes = images, []
    for kernel in kernels[:-1]:
        z = (signal @ kernel).reshape(len(images), phi.pieces, -1)
        best = z.max(axis=1, keepdims=True)
        signal = phi.value(best[:, 0])
        slopes.append((phi.slope(best) * (z == best)).reshape(len(images), -1).astype(np.float32))
    logits = signal @ kernels[-1]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    gradient = (shares / shares.sum(axis=1, keepdims=True) - np.eye(WIDTHS[-1])[labels]).astype(np.float32)
    norms = [np.linalg.norm(gradient.astype(float))]
    for kernel, slope in zip(kernels[:0:-1], slopes[::-1], strict=True):
        gradient = np.tile(gradient @ kernel.T, phi.pieces) * slope
        norms.append(np.linalg.norm(gradient.astype(float)))
    return np.array(norms[::-1])


def _images(count=32, features=784):
    """Sparse, non-negative images of differing brightness, and labels."""
    rng = np.random.default_rng(7)
    images = rng.random((count, features)) * (rng.random((count, features)) < 0.3) * rng.uniform(0.7, 1.3, (count, 1))
    return images.astype(np.float32), rng.integers(0, 10, count)


def _gain_errors(name, sigma_w, seeds=5, phi=None):
    """Measured / predicted gain - 1 per layer, mean over the seeds: 9 layers, 1,024 units."""
    phi = phi or theory.TABLE[name]
    images, labels = _images()
    norms = np.array([_measured_norms(phi, sigma_w, images, labels, seed) for seed in range(seeds)])
    variances = [sigma_w**2 / fan_in for fan_in in WIDTHS[:-1]]
    rows = theory.predict(phi, WIDTHS, variances, float((images**2).mean()))
    measured = (norms[:, :-1] / norms[:, 1:]).mean(axis=0)
    return measured / np.array([row.gain for row in rows[:-1]]) - 1


@pytest.mark.parametrize(
    ("name", "sigma_w"),
    [
        *[("sigmoid", sigma_w) for sigma_w in (1.0, 4.0, 10.0)],
        *[("tanh", sigma_w) for sigma_w in (0.7, 1.0, 1.6)],
        *[("relu", sigma_w) for sigma_w in (1.0, math.sqrt(2), 2.0)],
    ],
)
def test_predicted_gain_is_the_measured_one(name, sigma_w):
    """Show: geometric mean over the layers within 2 %, every layer within 6 %, mean of 5 seeds."""
    errors = _gain_errors(name, sigma_w)
    assert abs(math.expm1(np.log1p(errors).mean())) <= 0.02
    assert np.abs(errors).max() <= 0.06


def test_predicted_gain_of_maxout_is_the_measured_one():
    errors = _gain_errors("maxout", 0.9, seeds=2, phi=theory.TABLE["linear"]._replace(pieces=3))
    assert abs(math.expm1(np.log1p(errors).mean())) <= 0.02
    assert np.abs(errors).max() <= 0.06


def test_prediction_holds_in_a_keras_model():
    """Keras' own layers and gradients, its initializer, biases drawn too; sigmoid, whose mean is not zero."""
    keras: Any = importlib.import_module("keras")
    tf: Any = importlib.import_module("tensorflow")
    images, labels = _images(32)
    bias_std = 0.3
    layers = [
        keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.VarianceScaling(16.0, "fan_avg", "untruncated_normal", seed=index),
            bias_initializer=keras.initializers.RandomNormal(stddev=bias_std, seed=100 + index),
        )
        for index, units in enumerate(WIDTHS[1:])
    ]
    with tf.GradientTape() as tape:
        signal, pre_activations = tf.constant(images), []
        tape.watch(signal)
        for layer in layers:
            pre_activations.append(layer(signal))
            signal = keras.activations.sigmoid(pre_activations[-1])
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, pre_activations[-1], True))
    norms = np.array([np.linalg.norm(g) for g in tape.gradient(loss, pre_activations)])
    variances = [16 * theory.initializer_variance("glorot_normal", a, b) for a, b in pairwise(WIDTHS)]
    rows = theory.predict("sigmoid", WIDTHS, variances, float((images**2).mean()), bias_std)
    ratio = norms[:-1] / norms[1:] / np.array([row.gain for row in rows[:-1]])
    assert np.exp(np.log(ratio).mean()) == pytest.approx(1, abs=0.03)
    assert ratio == pytest.approx(np.ones(8), abs=0.08)
    spread = np.array([np.std(keras.activations.sigmoid(z), axis=1).mean() for z in pre_activations[:-1]])
    assert spread == pytest.approx(np.array([row.activation_std for row in rows[:-1]]), rel=0.05)
