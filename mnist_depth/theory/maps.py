"""From layer to layer in an infinitely wide network: lengths, correlations, their fixed points, and depth scales.

Sources: Poole et al. 2016 (length and correlation maps), Schoenholz et al. 2017 (chi_1, depth scales, 6 xi).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mnist_depth.errors import UserError
from mnist_depth.theory.gaussian import Activation, Array, expect, pair_rule, resolve, squared_activation, squared_slope

TRAINABLE_SCALES = 6.0
"""Networks train up to about this many correlation depth scales (Schoenholz et al. 2017, section 5, figure 5)."""

MIN_LENGTH, MAX_LENGTH = 1e-12, 1e12
"""Lengths beyond these count as 0 and infinity: a fixed point there means that the signal vanishes or explodes."""

CRITICAL = 1e-9
"""Factors per layer this close to 1 count as 1."""


def length_map(activation: str | Activation, q: ArrayLike, sigma_w: float, sigma_b: float = 0.0) -> Array:
    """The next layer's length: sigma_w^2 E[phi(z)^2] + sigma_b^2, z ~ N(0, q) (Poole et al. 2016, equation 3).

    >>> print(f"{length_map('relu', 0.7, sigma_w=math.sqrt(2)):.3f}")  # He initialization keeps it
    0.700
    """
    return sigma_w**2 * squared_activation(activation, q) + sigma_b**2


def chi_1(activation: str | Activation, q: ArrayLike, sigma_w: float) -> Array:
    """sigma_w^2 E[phi'(z)^2], z ~ N(0, q): the factor of squared gradients (Schoenholz et al. 2017, equation 7).

    >>> print(f"{chi_1('sigmoid', 1e-6, sigma_w=1.0):.4f}")  # (1/4)^2, the steepest slope
    0.0625
    """
    return sigma_w**2 * squared_slope(activation, q)


def length_slope(activation: str | Activation, q: float, sigma_w: float) -> float:
    """d length_map / dq = sigma_w^2 E[phi(z) phi'(z) u] / sqrt(q), z = sqrt(q) u: how fast lengths settle."""
    phi = resolve(activation)
    product = expect(lambda z: phi.value(z) * phi.slope(z) * z, q, phi.pieces)
    return sigma_w**2 * float(product) / q


def fixed_point(activation: str | Activation, sigma_w: float, sigma_b: float = 0.0, start: float = 1.0) -> float:
    """The length q* that deep layers reach from `start`; 0 when the signal vanishes, inf when it explodes.

    The map grows with q, so lengths move monotonically: step by a factor until the direction changes, then bisect.

    >>> [round(fixed_point("relu", sigma_w), 3) for sigma_w in (1.0, math.sqrt(2), 2.0)]
    [0.0, 1.0, inf]
    >>> round(fixed_point("tanh", sigma_w=1.5), 3)
    0.793
    """
    phi = resolve(activation)

    # Positive where one more layer lengthens the signal; relative, because lengths span many decades.
    def excess(q: float) -> float:
        return float(length_map(phi, q, sigma_w, sigma_b)) / q - 1

    first = excess(start)
    # ReLU at its critical scale keeps every length, so that every start is a fixed point.
    if abs(first) < 1e-12:
        return start
    factor = 1.25 if first > 0 else 0.8
    near = start
    while (excess(near * factor) > 0) == (first > 0):
        near *= factor
        if not MIN_LENGTH < near < MAX_LENGTH:
            return 0.0 if factor < 1 else math.inf
    # The fixed point lies between near and far. Geometric bisection halves the distance in log q; 60 halvings of a
    # factor of 1.25 are below float64's precision.
    far = near * factor
    for _ in range(60):
        middle = math.sqrt(near * far)
        near, far = (middle, far) if (excess(middle) > 0) == (first > 0) else (near, middle)
    return math.sqrt(near * far)


def critical_sigmas(activation: str | Activation, q: float) -> tuple[float, float]:
    """The (sigma_w, sigma_b) at which q is a fixed point and chi_1 = 1 there: one point of the line between
    vanishing and exploding gradients (Poole et al. 2016, figure 1).

    Raises UserError where no such point exists at this length.

    >>> sigma_w, sigma_b = critical_sigmas("tanh", q=0.5)
    >>> print(f"{sigma_w:.3f} {sigma_b:.3f}")
    1.299 0.195
    """
    # chi_1 = 1 determines sigma_w; the length map with q on both sides then determines sigma_b.
    sigma_w = 1 / math.sqrt(squared_slope(activation, q))
    bias_variance = q - sigma_w**2 * float(squared_activation(activation, q))
    if bias_variance < -1e-9 * q:  # a smaller negative value is rounding and counts as zero
        raise UserError("no critical point of this activation has the length {length:g}; try another length", length=q)
    return sigma_w, math.sqrt(max(bias_variance, 0.0))


# Two inputs


def _pair(activation: str | Activation) -> Activation:
    phi = resolve(activation)
    if phi.pieces > 1:
        raise UserError("the correlation map is not available for maxout; its length map and chi_1 are")
    return phi


def correlation_map(activation: str | Activation, c: float, q: float, sigma_w: float, sigma_b: float = 0.0) -> float:
    """The next layer's correlation of two inputs of length q and correlation c, at the fixed point of the length.

    (sigma_w^2 E[phi(z_1) phi(z_2)] + sigma_b^2) / length_map(q) (Poole et al. 2016, equation 5). Not for maxout.

    >>> round(correlation_map("relu", 0.0, q=1.0, sigma_w=1.0), 4)  # 1 / pi
    0.3183
    """
    phi = _pair(activation)
    first, second, weights = pair_rule(c, q)  # [radii, angles] each
    product = np.sum(weights * phi.value(math.sqrt(q) * first) * phi.value(math.sqrt(q) * second))
    return float((sigma_w**2 * product + sigma_b**2) / length_map(phi, q, sigma_w, sigma_b))


def chi_c(activation: str | Activation, c: float, q: float, sigma_w: float) -> float:
    """sigma_w^2 E[phi'(z_1) phi'(z_2)] at correlation c: the slope of the correlation map. Not for maxout."""
    phi = _pair(activation)
    first, second, weights = pair_rule(c, q)
    product = np.sum(weights * phi.slope(math.sqrt(q) * first) * phi.slope(math.sqrt(q) * second))
    return sigma_w**2 * float(product)


def fixed_correlation(activation: str | Activation, q: float, sigma_w: float, sigma_b: float = 0.0) -> float:
    """The correlation c* that any two inputs reach in deep layers; 1 where chi_1 <= 1. Not for maxout beyond that.

    The map is convex and lies above the diagonal left of c*, so Newton's method from c = 0 climbs to it without
    overshooting.
    """
    if chi_1(activation, q, sigma_w) <= 1 + CRITICAL:
        return 1.0
    c = 0.0
    for _ in range(60):
        gap = correlation_map(activation, c, q, sigma_w, sigma_b) - c
        slope = chi_c(activation, c, q, sigma_w) - 1
        # slope >= 0 happens only by rounding next to c*, where the map has a slope of almost 1.
        if gap < 1e-12 or slope >= 0:
            break
        c = min(c - gap / slope, 1.0)
    return c


# Depth scales


class DepthScales(NamedTuple):
    """How many layers signals and gradients survive; infinite at criticality."""

    q_star: float
    """Fixed point of the length; 0 vanishes, inf explodes."""
    c_star: float
    """Fixed point of the correlation."""
    chi_1: float
    xi_q: float
    """Layers over which the distance from q* shrinks (or, where there is no q*, the length changes) by e."""
    xi_c: float
    """Layers over which the distance from c* shrinks by e; nan where it is not available (chaotic maxout)."""
    xi_gradient: float
    """Layers over which squared gradients shrink or grow by e, 1 / |ln chi_1|."""

    @property
    def trainable_depth(self) -> float:
        """6 xi_c, the depth up to which such networks were found to train (Schoenholz et al. 2017, figure 5)."""
        return TRAINABLE_SCALES * (self.xi_gradient if math.isnan(self.xi_c) else self.xi_c)


def _scale(factor: float) -> float:
    factor = abs(factor)
    if factor == 0:
        return 0.0
    return math.inf if abs(factor - 1) < CRITICAL else 1 / abs(math.log(factor))


def depth_scales(activation: str | Activation, sigma_w: float, sigma_b: float = 0.0, start: float = 1.0) -> DepthScales:
    """Fixed points and depth scales of an infinitely deep and wide network (Schoenholz et al. 2017, equations 4-10).

    Where the length vanishes or explodes (ReLU away from sigma_w^2 = 2) the correlation has no fixed point of its own;
    the length then limits the depth, and xi_c is 1 / |ln chi_1| on both sides.

    >>> scales = depth_scales("sigmoid", sigma_w=1.0)  # Glorot's scale
    >>> round(scales.xi_c, 2), round(scales.trainable_depth, 1)
    (0.35, 2.1)
    """
    q_star = fixed_point(activation, sigma_w, sigma_b, start)
    q = min(max(q_star, MIN_LENGTH), MAX_LENGTH)  # expectations need a positive, finite length
    chi = float(chi_1(activation, q, sigma_w))
    xi_q, xi_gradient = _scale(length_slope(activation, q, sigma_w)), _scale(chi)
    # In the ordered phase c* = 1, where the slope of the correlation map is chi_1: both depth scales are equal.
    ordered = chi <= 1 + CRITICAL
    if ordered or q != q_star:
        return DepthScales(q_star, 1.0 if ordered else math.nan, chi, xi_q, xi_gradient, xi_gradient)
    if resolve(activation).pieces > 1:
        return DepthScales(q_star, math.nan, chi, xi_q, math.nan, xi_gradient)
    c_star = fixed_correlation(activation, q, sigma_w, sigma_b)
    return DepthScales(q_star, c_star, chi, xi_q, _scale(chi_c(activation, c_star, q, sigma_w)), xi_gradient)
