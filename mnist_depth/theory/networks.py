"""Networks of finite width: predictions for every layer before any training.

Sources: Glorot & Bengio 2010 and He et al. 2015, the recursion of the lengths with real widths.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from mnist_depth.config import RunConfig
from mnist_depth.datasets import DATASETS
from mnist_depth.errors import UserError
from mnist_depth.networks import initializers
from mnist_depth.registry import lookup, split_name
from mnist_depth.theory import gaussian
from mnist_depth.theory.gaussian import TABLE, Activation

INPUT_LENGTHS = {
    "mnist": 0.1120,
    "fashion_mnist": 0.2064,
    "kmnist": 0.1581,
    "digits": 0.1984,
    "gaussian": 1.0003,
    "xor": 0.5,
    "and": 0.5,
    "or": 0.5,
}
"""Mean squared input |x|^2 / features of the training split, images scaled to 0..1; one for every dataset."""

MAX_FINITE_LENGTH = 1e300
"""Expectations over longer pre-activations overflow float64; the length of such a layer is infinite here."""


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
        raise UserError(
            "the theory does not know the initializer {name!r}; it knows {valid}", name=name, valid=", ".join(VARIANCES)
        )
    return variance(fan_in, fan_out, *arguments)


class LayerPrediction(NamedTuple):
    """Prediction for one weight layer at initialization."""

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
    phi, depth = gaussian.resolve(activation), len(variances)
    rows: list[LayerPrediction] = []
    squared = input_length
    for layer, variance in enumerate(variances, start=1):
        here = TABLE["linear"] if layer == depth else phi
        length = widths[layer - 1] * variance * squared + bias_std**2
        # Slopes do not change any more where the length overflows: the gradient of the layer is still predicted.
        known, length = min(length, MAX_FINITE_LENGTH), length if length < MAX_FINITE_LENGTH else math.inf
        mean, squared = float(gaussian.mean_activation(here, known)), float(gaussian.squared_activation(here, known))
        slope = float(gaussian.squared_slope(here, known))
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


def not_covered(config: RunConfig) -> UserError | None:
    """Why theory does not cover this network's initialization; None if it does."""
    for name, plain in (("wiring", "plain"), ("batch_norm", "none"), ("pretraining", "none")):
        if (value := getattr(config, name)) != plain:
            return UserError("mean-field theory here covers plain networks; {name} is {value}", name=name, value=value)
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
        raise reason
    widths, variances = _shape(config)
    length = input_length if input_length is not None else _input_length(config.dataset)
    return predict(config.activation, widths, variances, length, config.bias_std)


def _input_length(dataset: str) -> float:
    if dataset not in INPUT_LENGTHS:
        raise UserError(
            "the input length of {dataset!r} is not known; measure it, mean of |x|^2 / features, and give it",
            dataset=dataset,
        )
    return INPUT_LENGTHS[dataset]


def _shape(config: RunConfig) -> tuple[list[int], list[float]]:
    """The widths [depth + 1] and kernel variances [depth]; a maxout kernel feeds every piece of its units."""
    dataset, pieces = DATASETS[config.dataset], gaussian.resolve(config.activation).pieces
    widths = [dataset.features, *[config.width] * (config.depth - 1), dataset.outputs]
    variances = [
        initializer_variance(config.initializer, fan_in, fan_out * (pieces if layer < config.depth else 1))
        for layer, (fan_in, fan_out) in enumerate(pairwise(widths), start=1)
    ]
    return widths, variances


def hidden_sigma_w(config: RunConfig) -> float:
    """sigma_w of a kernel between two hidden layers: what the depth scales of an infinitely deep network depend on."""
    fan_out = config.width * gaussian.resolve(config.activation).pieces
    return math.sqrt(config.width * initializer_variance(config.initializer, config.width, fan_out))
