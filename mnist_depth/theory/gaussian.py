"""One random layer acting on Gaussian pre-activations: activations, their slopes, and expectations of both.

Gauss-Legendre rules on panels that double in width away from the kinks; NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnist_depth.errors import UserError
from mnist_depth.networks import activations
from mnist_depth.registry import lookup, split_name

Array = NDArray[np.float64]


class Activation(NamedTuple):
    """An activation phi and its derivative.

    With `pieces` k > 1 the argument is the largest of k independent pre-activations (maxout, Goodfellow et al. 2013):
    phi is then applied to that maximum, and the derivative belongs to the one piece that won.
    """

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    pieces: int = 1


_erf = np.vectorize(math.erf, otypes=[float])

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _sigmoid(z: Array) -> Array:
    return 0.5 * (1 + np.tanh(z / 2))


def _normal_cdf(z: Array) -> Array:
    return 0.5 * (1 + _erf(z / math.sqrt(2)))


def _normal_density(z: Array) -> Array:
    return np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)


def _leaky(slope: float) -> Activation:
    return Activation(lambda z: np.where(z > 0, z, slope * z), lambda z: np.where(z > 0, 1.0, slope))


def _exponential_linear(scale: float, alpha: float) -> Activation:
    return Activation(
        lambda z: scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0))),
        lambda z: scale * np.where(z > 0, 1.0, alpha * np.exp(np.minimum(z, 0))),
    )


def _swish_slope(z: Array) -> Array:
    share = _sigmoid(z)
    return share * (1 + z * _sigmoid(-z))


TABLE: dict[str, Activation] = {
    "linear": Activation(lambda z: z, np.ones_like),
    "sigmoid": Activation(_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "tanh": Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": _leaky(0.0),
    "leaky_relu": _leaky(0.01),
    "very_leaky_relu": _leaky(1 / 3),
    "elu": _exponential_linear(1.0, 1.0),
    "selu": _exponential_linear(SELU_SCALE, SELU_ALPHA),
    "softplus": Activation(lambda z: np.logaddexp(0, z), _sigmoid),
    "gelu": Activation(lambda z: z * _normal_cdf(z), lambda z: _normal_cdf(z) + z * _normal_density(z)),
    "swish": Activation(lambda z: z * _sigmoid(z), _swish_slope),
}
"""phi and phi' of the registry's activations in NumPy; a test compares them with Keras'. `resolve` builds maxout."""


def resolve(activation: str | Activation) -> Activation:
    """The phi and phi' of a registry name; `maxout:3` is a maximum of three. Raises UserError for any other name."""
    if isinstance(activation, Activation):
        return activation
    activation = activations.ALIASES.get(activation, activation)
    name = split_name(activation)[0]
    if name in TABLE:
        return TABLE[name]
    _, arguments = lookup(activations.ACTIVATIONS, activation, "activation")
    if name != "maxout":
        raise UserError(
            "the theory does not know the activation {activation!r}; it knows {valid}, maxout",
            activation=activation,
            valid=", ".join(TABLE),
        )
    return TABLE["linear"]._replace(pieces=int(arguments[0]))


# Expectations over the Gaussian


_leggauss = cache(np.polynomial.legendre.leggauss)


def gauss_legendre(edges: Array, order: int) -> tuple[Array, Array]:
    """Nodes and weights [panels * order] of a composite Gauss-Legendre rule."""
    nodes, weights = _leggauss(order)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    return (middle[:, None] + half[:, None] * nodes).ravel(), (half[:, None] * weights).ravel()


@cache
def _rule(pieces: int) -> tuple[Array, Array]:
    """Nodes and weights for the expectation over u, the largest of `pieces` standard normal numbers.

    Panels double in width away from zero. Kinks and, for large q, the whole transition of a saturating activation sit
    at zero, where Gauss-Hermite nodes are too far apart; here every q up to about 1e14 is integrated to ten digits.
    """
    right = np.concatenate([[0.0], 2.0 ** np.arange(-26, 1), np.arange(2.0, 13.0)])
    nodes, weights = gauss_legendre(np.concatenate([-right[:0:-1], right]), 12)
    return nodes, weights * pieces * _normal_density(nodes) * _normal_cdf(nodes) ** (pieces - 1)


def expect(f: Callable[[Array], Array], q: ArrayLike, pieces: int = 1) -> Array:
    """E[f(sqrt(q) u)] for every q; the shape of q is kept."""
    nodes, weights = _rule(pieces)
    return f(np.sqrt(np.asarray(q, float))[..., None] * nodes) @ weights


def mean_activation(activation: str | Activation, q: ArrayLike) -> Array:
    """E[phi(z)] for z ~ N(0, q)."""
    phi = resolve(activation)
    return expect(phi.value, q, phi.pieces)


def squared_activation(activation: str | Activation, q: ArrayLike) -> Array:
    """E[phi(z)^2] for z ~ N(0, q)."""
    phi = resolve(activation)
    return expect(lambda z: phi.value(z) ** 2, q, phi.pieces)


def squared_slope(activation: str | Activation, q: ArrayLike) -> Array:
    """E[phi'(z)^2] for z ~ N(0, q); for maxout, summed over the pieces of one unit."""
    phi = resolve(activation)
    return expect(lambda z: phi.slope(z) ** 2, q, phi.pieces)


def pair_rule(c: float, q: float) -> tuple[Array, Array, Array]:
    """Nodes u1, u2 and weights for the expectation over two standard normal numbers of correlation c.

    Polar coordinates: u1 = r cos(t), u2 = r cos(t - arccos c). The kinks at u1 = 0 and u2 = 0 are rays, so the angle is
    cut there, and panels halve in width toward the cuts, the finer the longer the pre-activations.
    """
    angle = math.acos(min(max(c, -1.0), 1.0))
    halvings = math.ceil(math.log2(max(8 * math.sqrt(q), 8.0)))
    halves = np.concatenate([[0.0], 2.0 ** np.arange(-halvings - 3, 0)])
    unit = np.concatenate([halves, 1 - halves[-2::-1]])
    cuts = np.array([0, angle, math.pi, math.pi + angle, 2 * math.pi]) - math.pi / 2
    rules = [gauss_legendre(a + (b - a) * unit, 8) for a, b in pairwise(cuts)]
    t, t_weights = (np.concatenate(parts) for parts in zip(*rules, strict=True))
    r, r_weights = gauss_legendre(np.concatenate([[0.0], 2.0 ** np.arange(-halvings, 1), np.arange(2.0, 10.0)]), 8)
    weights = np.outer(r_weights * r * np.exp(-(r**2) / 2), t_weights) / (2 * math.pi)
    return np.outer(r, np.cos(t)), np.outer(r, np.cos(t - angle)), weights
