"""Maps from layer to layer: derivatives, iteration, published points, the critical line."""

from __future__ import annotations

import math

import pytest

from mnist_depth import theory
from mnist_depth.errors import UserError


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
