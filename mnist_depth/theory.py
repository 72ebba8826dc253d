"""Mean-field theory of random fully connected networks: what initialization alone says about signals and gradients.

In a wide random network the pre-activations z_l = W_l h_{l-1} + b_l of one sample are Gaussian over the units, with
zero mean and variance q_l (the length). Everything below is an expectation over that Gaussian.

Sources: Poole et al. 2016 (length and correlation maps), Schoenholz et al. 2017 (chi_1, depth scales, 6 xi),
Glorot & Bengio 2010 and He et al. 2015 (the same recursion with real widths). NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnist_depth.config import RunConfig
from mnist_depth.datasets import DATASETS
from mnist_depth.errors import UserError
from mnist_depth.networks import activations, initializers
from mnist_depth.registry import lookup, split_name

Array = NDArray[np.float64]

TRAINABLE_SCALES = 6.0
"""Networks train up to about this many correlation depth scales (Schoenholz et al. 2017, section 5, figure 5)."""

SHORTEST, LONGEST = 1e-12, 1e12
"""Lengths beyond these count as 0 and infinity: a fixed point there means that the signal vanishes or explodes."""

INPUT_LENGTHS = {"mnist": 0.1120, "fashion_mnist": 0.2064, "kmnist": 0.1581, "digits": 0.1984}
"""Mean squared input |x|^2 / features of images scaled to 0..1 (mean^2 + std^2 of the pixels of the training split)."""

CRITICAL = 1e-9
"""Factors per layer this close to 1 count as 1."""

GATE_INPUT_LENGTH = 0.5
"""The same for all four inputs of a logic gate."""


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
        raise UserError(f"the theory does not know the activation {activation!r}; it knows {', '.join(TABLE)}, maxout")
    return TABLE["linear"]._replace(pieces=int(arguments[0]))


# Expectations over the Gaussian


_leggauss = cache(np.polynomial.legendre.leggauss)


def _gauss_legendre(edges: Array, order: int) -> tuple[Array, Array]:
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
    nodes, weights = _gauss_legendre(np.concatenate([-right[:0:-1], right]), 12)
    return nodes, weights * pieces * _normal_density(nodes) * _normal_cdf(nodes) ** (pieces - 1)


def _expect(f: Callable[[Array], Array], q: ArrayLike, pieces: int = 1) -> Array:
    """E[f(sqrt(q) u)] for every q; the shape of q is kept."""
    nodes, weights = _rule(pieces)
    return f(np.sqrt(np.asarray(q, float))[..., None] * nodes) @ weights


def mean_activation(activation: str | Activation, q: ArrayLike) -> Array:
    """E[phi(z)] for z ~ N(0, q)."""
    phi = resolve(activation)
    return _expect(phi.value, q, phi.pieces)


def squared_activation(activation: str | Activation, q: ArrayLike) -> Array:
    """E[phi(z)^2] for z ~ N(0, q)."""
    phi = resolve(activation)
    return _expect(lambda z: phi.value(z) ** 2, q, phi.pieces)


def squared_slope(activation: str | Activation, q: ArrayLike) -> Array:
    """E[phi'(z)^2] for z ~ N(0, q); for maxout, summed over the pieces of one unit."""
    phi = resolve(activation)
    return _expect(lambda z: phi.slope(z) ** 2, q, phi.pieces)


# Maps from layer to layer


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
    product = _expect(lambda z: phi.value(z) * phi.slope(z) * z, q, phi.pieces)
    return sigma_w**2 * float(product) / q


def fixed_point(activation: str | Activation, sigma_w: float, sigma_b: float = 0.0, start: float = 1.0) -> float:
    """The length q* that deep layers reach from `start`; 0 when the signal vanishes, inf when it explodes.

    The map grows with q, so lengths move one way only: walk that way in steps of a factor until the map turns back,
    then bisect.

    >>> [round(fixed_point("relu", sigma_w), 3) for sigma_w in (1.0, math.sqrt(2), 2.0)]
    [0.0, 1.0, inf]
    >>> round(fixed_point("tanh", sigma_w=1.5), 3)
    0.793
    """
    phi = resolve(activation)

    def excess(q: float) -> float:
        return float(length_map(phi, q, sigma_w, sigma_b)) / q - 1

    first = excess(start)
    if abs(first) < 1e-12:
        return start
    factor = 1.25 if first > 0 else 0.8
    near = start
    while (excess(near * factor) > 0) == (first > 0):
        near *= factor
        if not SHORTEST < near < LONGEST:
            return 0.0 if factor < 1 else math.inf
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
    sigma_w = 1 / math.sqrt(squared_slope(activation, q))
    bias_variance = q - sigma_w**2 * float(squared_activation(activation, q))
    if bias_variance < -1e-9 * q:
        raise UserError(f"no critical point of this activation has the length {q:g}; try another length")
    return sigma_w, math.sqrt(max(bias_variance, 0.0))


# Two inputs


def _pair_rule(c: float, q: float) -> tuple[Array, Array, Array]:
    """Nodes u1, u2 and weights for the expectation over two standard normal numbers of correlation c.

    Polar coordinates: u1 = r cos(t), u2 = r cos(t - arccos c). The kinks at u1 = 0 and u2 = 0 are rays, so the angle is
    cut there, and panels halve in width toward the cuts, the finer the longer the pre-activations.
    """
    angle = math.acos(min(max(c, -1.0), 1.0))
    halvings = math.ceil(math.log2(max(8 * math.sqrt(q), 8.0)))
    halves = np.concatenate([[0.0], 2.0 ** np.arange(-halvings - 3, 0)])
    unit = np.concatenate([halves, 1 - halves[-2::-1]])
    cuts = np.array([0, angle, math.pi, math.pi + angle, 2 * math.pi]) - math.pi / 2
    rules = [_gauss_legendre(a + (b - a) * unit, 8) for a, b in pairwise(cuts)]
    t, t_weights = (np.concatenate(parts) for parts in zip(*rules, strict=True))
    r, r_weights = _gauss_legendre(np.concatenate([[0.0], 2.0 ** np.arange(-halvings, 1), np.arange(2.0, 10.0)]), 8)
    weights = np.outer(r_weights * r * np.exp(-(r**2) / 2), t_weights) / (2 * math.pi)
    return np.outer(r, np.cos(t)), np.outer(r, np.cos(t - angle)), weights


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
    first, second, weights = _pair_rule(c, q)
    product = np.sum(weights * phi.value(math.sqrt(q) * first) * phi.value(math.sqrt(q) * second))
    return float((sigma_w**2 * product + sigma_b**2) / length_map(phi, q, sigma_w, sigma_b))


def chi_c(activation: str | Activation, c: float, q: float, sigma_w: float) -> float:
    """sigma_w^2 E[phi'(z_1) phi'(z_2)] at correlation c: the slope of the correlation map. Not for maxout."""
    phi = _pair(activation)
    first, second, weights = _pair_rule(c, q)
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
    q = min(max(q_star, SHORTEST), LONGEST)
    chi = float(chi_1(activation, q, sigma_w))
    xi_q, xi_gradient = _scale(length_slope(activation, q, sigma_w)), _scale(chi)
    ordered = chi <= 1 + CRITICAL
    if ordered or q != q_star:
        return DepthScales(q_star, 1.0 if ordered else math.nan, chi, xi_q, xi_gradient, xi_gradient)
    if resolve(activation).pieces > 1:
        return DepthScales(q_star, math.nan, chi, xi_q, math.nan, xi_gradient)
    c_star = fixed_correlation(activation, q, sigma_w, sigma_b)
    return DepthScales(q_star, c_star, chi, xi_q, _scale(chi_c(activation, c_star, q, sigma_w)), xi_gradient)


# Networks of finite width


def _fan_average(fan_in: int, fan_out: int) -> float:
    return (fan_in + fan_out) / 2


VARIANCES: dict[str, Callable[..., float]] = {
    "zeros": lambda fan_in, fan_out: 0.0,
    "normal": lambda fan_in, fan_out, std: std**2,
    "normal_1": lambda fan_in, fan_out: 1.0,
    "normal_0_01": lambda fan_in, fan_out: 1e-4,
    "uniform_1": lambda fan_in, fan_out: 1 / 3,
    "lecun_normal": lambda fan_in, fan_out: 1 / fan_in,
    "lecun_uniform": lambda fan_in, fan_out: 1 / fan_in,
    "glorot_normal": lambda fan_in, fan_out: 1 / _fan_average(fan_in, fan_out),
    "glorot_uniform": lambda fan_in, fan_out: 1 / _fan_average(fan_in, fan_out),
    "glorot_4": lambda fan_in, fan_out: 16 / _fan_average(fan_in, fan_out),
    "he_normal": lambda fan_in, fan_out: 2 / fan_in,
    "he_uniform": lambda fan_in, fan_out: 2 / fan_in,
    "xavier_fan_in": lambda fan_in, fan_out: 1 / fan_in,
    "he_fan_in": lambda fan_in, fan_out: 2 / fan_in,
    "mean_field": lambda fan_in, fan_out, sigma_w: sigma_w**2 / fan_in,
    "orthogonal": lambda fan_in, fan_out, gain: gain**2 / max(fan_in, fan_out),
}
"""Variance of one kernel entry, by initializer: (fan_in, fan_out, arguments after the colon)."""


def initializer_variance(name: str, fan_in: int, fan_out: int) -> float:
    """Variance of one entry of a kernel [fan_in, fan_out] drawn by an initializer of the registry.

    Raises UserError for a name that is not in the registry or that the theory does not know.
    """
    name = initializers.ALIASES.get(name, name)
    _, arguments = lookup(initializers.INITIALIZERS, name, "initializer")
    variance = VARIANCES.get(split_name(name)[0])
    if variance is None:
        raise UserError(f"the theory does not know the initializer {name!r}; it knows {', '.join(VARIANCES)}")
    return variance(fan_in, fan_out, *arguments)


class LayerPrediction(NamedTuple):
    """What theory says about one weight layer at initialization."""

    name: str
    fan_in: int
    units: int
    sigma_w: float
    """sqrt(fan_in * Var(kernel entry))."""
    length: float
    """q, the variance of the pre-activations."""
    activation_mean: float
    activation_std: float
    """Standard deviation of the layer's outputs over its units, one sample."""
    slope: float
    """E[phi'^2]."""
    gain: float
    """||dL/dz_l|| / ||dL/dz_{l+1}||; nan for the output layer."""
    gradient: float
    """||dL/dz_l|| relative to the output layer's; 1 there."""


def predict(
    activation: str | Activation,
    widths: Sequence[int],
    variances: Sequence[float],
    input_length: float,
    bias_std: float = 0.0,
) -> list[LayerPrediction]:
    """Per-layer signal and gradient of one plain network, input layer first.

    `widths` holds L + 1 numbers: input features, the units of every layer, the outputs; `variances` the L variances of
    kernel entries; `input_length` is the mean of |x|^2 / features. The output layer is linear.
    Signals: q_l = fan_in Var(W_l) E[h_{l-1}^2] + bias_std^2, with the input itself as h_0 and the length of each layer,
    not the fixed point, in every expectation, so that activations without zero mean (sigmoid) are exact too.
    Gradients: dz_l = phi'(z_l) W_{l+1}^T dz_{l+1}, so gain_l^2 = units_l Var(W_{l+1}) E[phi'(z_l)^2]
    (He et al. 2015, section 2.2). The norm adds up the squares over units and samples, so correlation between samples
    has no part in it.

    >>> for row in predict("sigmoid", [784, 256, 256, 10], [1 / 256] * 3, input_length=0.112):
    ...     print(f"{row.name} {row.gradient:.3f}")
    layer_01 0.055
    layer_02 0.236
    layer_03 1.000
    """
    phi, depth = resolve(activation), len(variances)
    rows: list[LayerPrediction] = []
    squared = input_length
    for layer, variance in enumerate(variances, start=1):
        here = TABLE["linear"] if layer == depth else phi
        length = widths[layer - 1] * variance * squared + bias_std**2
        mean, squared = float(mean_activation(here, length)), float(squared_activation(here, length))
        slope = float(squared_slope(here, length))
        gain = math.nan if layer == depth else math.sqrt(widths[layer] * variances[layer] * slope)
        sigma_w, std = math.sqrt(widths[layer - 1] * variance), math.sqrt(max(squared - mean**2, 0.0))
        name = f"layer_{layer:0{max(2, len(str(depth)))}d}"
        rows.append(
            LayerPrediction(name, widths[layer - 1], widths[layer], sigma_w, length, mean, std, slope, gain, 1.0)
        )
    return _accumulate(rows)


def _accumulate(rows: list[LayerPrediction]) -> list[LayerPrediction]:
    """Fill in the gradient of every layer: the product of the gains to its right."""
    gradient, result = 1.0, []
    for row in reversed(rows):
        gradient *= 1.0 if math.isnan(row.gain) else row.gain
        result.append(row._replace(gradient=gradient))
    return result[::-1]


def not_covered(config: RunConfig) -> str | None:
    """Why theory has nothing to say about this network's initialization, None where it does."""
    for name, plain in (("wiring", "plain"), ("batch_norm", "none"), ("pretraining", "none")):
        if (value := getattr(config, name)) != plain:
            return f"mean-field theory here covers plain networks; {name} is {value}"
    return None


def predict_config(config: RunConfig, input_length: float | None = None) -> list[LayerPrediction]:
    """`predict` for a RunConfig; `input_length` defaults to the dataset's (see INPUT_LENGTHS).

    Dropout is taken as off, as it is when a network is probed. Raises UserError for networks that are not covered.

    >>> for activation in ("sigmoid", "relu"):
    ...     print(f"{activation}: {predict_config(RunConfig(activation=activation))[0].gradient:.1g}")
    sigmoid: 1e-05
    relu: 0.09
    """
    if reason := not_covered(config):
        raise UserError(reason)
    widths, variances = _shape(config)
    length = INPUT_LENGTHS.get(config.dataset, GATE_INPUT_LENGTH) if input_length is None else input_length
    return predict(config.activation, widths, variances, length, config.bias_std)


def _shape(config: RunConfig) -> tuple[list[int], list[float]]:
    """The widths [depth + 1] and kernel variances [depth]; a maxout kernel feeds every piece of its units."""
    dataset, pieces = DATASETS[config.dataset], resolve(config.activation).pieces
    widths = [dataset.features, *[config.width] * (config.depth - 1), dataset.outputs]
    variances = [
        initializer_variance(config.initializer, fan_in, fan_out * (pieces if layer < config.depth else 1))
        for layer, (fan_in, fan_out) in enumerate(pairwise(widths), start=1)
    ]
    return widths, variances


def hidden_sigma_w(config: RunConfig) -> float:
    """sigma_w of a kernel between two hidden layers: what the depth scales of an infinitely deep network depend on."""
    fan_out = config.width * resolve(config.activation).pieces
    return math.sqrt(config.width * initializer_variance(config.initializer, config.width, fan_out))


def describe(config: RunConfig, input_length: float | None = None) -> str:
    """What theory predicts for a config before any training: a table with one line per layer, then the depth scales.

    Raises UserError for networks that theory does not cover.
    """
    rows = predict_config(config, input_length)
    numbers = f"{'units':>7}{'sigma_w':>10}{'q':>11}{'E[phi_p^2]':>12}"
    table = [f"{'layer':<10}{numbers}{'chi':>10}{'gain':>10}{'gradient':>12}"]
    table += [_table_line(row) for row in rows]
    notes = [
        "q: variance of the pre-activations; phi_p: slope of the activation; chi: factor of the squared gradient;",
        "gain: |dL/dz| here / |dL/dz| one layer to the right; gradient: |dL/dz| relative to the output layer.",
    ]
    return "\n".join([*table, *notes, *_scale_lines(config, rows)])


def _table_line(row: LayerPrediction) -> str:
    chi, gain = ("", "") if math.isnan(row.gain) else (f"{row.gain**2:.4g}", f"{row.gain:.4g}")
    numbers = f"{row.units:>7}{row.sigma_w:>10.4g}{row.length:>11.4g}{row.slope:>12.4g}"
    return f"{row.name:<10}{numbers}{chi:>10}{gain:>10}{row.gradient:>12.3g}"


def _scale_lines(config: RunConfig, rows: list[LayerPrediction]) -> list[str]:
    """The depth scales of the endless network with this one's hidden layers; nothing for networks without any."""
    if config.depth < 2:
        return []
    sigma_w = hidden_sigma_w(config)
    lines = [f"first / last gradient: {rows[0].gradient:.3g} over {config.depth} layers"]
    if sigma_w == 0:
        return lines
    scales = depth_scales(config.activation, sigma_w, config.bias_std, max(rows[0].length, SHORTEST))
    return [
        *lines,
        f"endlessly deep: q* = {scales.q_star:.4g}, c* = {scales.c_star:.4g}, chi_1 = {scales.chi_1:.4g}",
        f"depth scales in layers: xi_q = {scales.xi_q:.3g}, xi_c = {scales.xi_c:.3g}, "
        f"gradient = {scales.xi_gradient:.3g}; trainable up to about 6 xi_c = {scales.trainable_depth:.3g}",
    ]
