"""Gradients over the layers: which norm is judged, the fitted factor per layer, and findings about both.

A network is judged by ||dL/dz|| (dz: pre-activations of a layer), the norm that backpropagation multiplies by one
factor per layer and that does not depend on the kernels' sizes; where only kernel gradients were recorded, by those.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from scipy.special import stdtrit

from mnist_depth.diagnosis.chains import in_chains
from mnist_depth.diagnosis.finding import Finding, Gain
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Layer, Measurements
from mnist_depth.diagnosis.message import Message

SIGNAL, KERNEL = Message("pre-activation gradient"), Message("kernel gradient")


def judged_norm(layers: Sequence[Layer]) -> tuple[str, tuple[float | None, ...]]:
    """Which norm is judged, and its value per layer."""
    signals = norms(layers, SIGNAL)
    if sum(value is not None for value in signals) > sum(layer.kernel_gradient is not None for layer in layers) / 2:
        return SIGNAL, signals
    return KERNEL, norms(layers, KERNEL)


def norms(layers: Sequence[Layer], quantity: str) -> tuple[float | None, ...]:
    """One norm per layer."""
    if quantity == SIGNAL:
        return tuple(layer.pre_activation_gradient for layer in layers)
    return tuple(layer.kernel_gradient for layer in layers)


def trained(layers: Sequence[Layer], gradients: Sequence[float | None]) -> list[tuple[Layer, float]]:
    """The layers that training changes and whose gradient is known, with it."""
    return [
        (layer, value) for layer, value in zip(layers, gradients, strict=True) if value is not None and layer.trainable
    ]


def first_to_last(layers: Sequence[Layer], gradients: Sequence[float | None]) -> float | None:
    """Gradient of the first over that of the last layer; None where one of them is missing, zero or not finite."""
    known = [value for _, value in trained(layers, gradients)]
    if len(known) < 2 or not all(map(math.isfinite, known)) or known[-1] == 0:
        return None
    return known[0] / known[-1]


def layer_numbers(names: Sequence[str]) -> list[int]:
    """3 for `layer_03` and `layer_03_b`, a parallel branch; positions where any layer has a name of another kind."""
    matches = [re.fullmatch(r"layer_(\d{1,9})(?:_.*)?", name) for name in names]
    if not all(matches):
        return list(range(1, len(names) + 1))
    return [int(match.group(1)) for match in matches if match]


def fit_gain(layers: Sequence[Layer], gradients: Sequence[float | None]) -> Gain | None:
    """Least squares of log10(norm) on the layer's number; None with fewer than three usable layers.

    The slope is the (negative) number of decades per layer; its standard error times Student's t gives the interval.

    >>> gain = fit_gain([Layer("layer_01"), Layer("layer_02"), Layer("layer_03")], [0.0625, 0.25, 1.0])
    >>> f"x {gain.value:.2f} per layer toward the input"
    'x 0.25 per layer toward the input'
    """
    numbers = layer_numbers([layer.name for layer in layers])
    points = [
        (number, math.log10(value))
        for number, layer, value in zip(numbers, layers, gradients, strict=True)
        if layer.trainable and value is not None and math.isfinite(value) and value > 0
    ]
    if len(points) < 3 or len({x for x, _ in points}) < 2:
        return None
    (slope, _), covariance = np.polyfit(*zip(*points, strict=True), deg=1, cov=True)
    margin = stdtrit(len(points) - 2, 0.975) * math.sqrt(max(covariance[0, 0], 0.0))
    return Gain(*(10.0 ** min(max(-float(slope) + shift, -300.0), 300.0) for shift in (0.0, -margin, margin)))


def mean_prediction(layers: Sequence[Layer]) -> float | None:
    """Geometric mean of theory's gains; None where theory predicts none."""
    gains = [layer.predicted_gain for layer in layers if layer.predicted_gain is not None]
    if not gains:
        return None
    return math.exp(math.fsum(map(math.log, gains)) / len(gains)) if min(gains) > 0 else 0.0


def gradient_findings(measured: Measurements) -> Iterator[Finding]:
    """Vanishing, exploding, cut, and slow first layers."""
    quantity, _ = judged_norm(measured.layers)
    yield from in_chains(measured.layers, lambda chain: _chain_findings(chain, norms(chain, quantity)))


def _chain_findings(layers: Sequence[Layer], gradients: Sequence[float | None]) -> Iterator[Finding]:
    known = trained(layers, gradients)
    if any(not math.isfinite(value) for _, value in known):
        return
    yield from _cut(known)
    yield from _trend(layers, gradients)


def _cut(known: Sequence[tuple[Layer, float]]) -> Iterator[Finding]:
    """The last layer without a gradient although the next layer has one, also during the trial steps."""
    if known and all(_gets_nothing(layer, value) for layer, value in known):
        yield find("cut", Message("no layer gets any gradient"), figure=0.0)
        return
    pairs = list(pairwise(known))
    # From the output back: of all layers without a gradient the last one is where it stops.
    for (layer, value), (_, following) in reversed(pairs):
        if _gets_nothing(layer, value) and following > threshold("cut") * known[-1][1]:
            yield find(
                "cut",
                Message(
                    "no gradient reaches {layer}: it is exactly zero there and not one layer further on",
                    layer=layer.name,
                ),
                layer=layer.name,
                figure=0.0,
            )
            return


def _gets_nothing(layer: Layer, gradient: float) -> bool:
    return gradient == 0 and not layer.moved


def _trend(layers: Sequence[Layer], gradients: Sequence[float | None]) -> Iterator[Finding]:
    ratio = first_to_last(layers, gradients)
    if ratio is None:
        return
    known = trained(layers, gradients)
    gain = fit_gain(layers, gradients)
    where = _where(ratio, len(known), gain)
    if 0 < ratio < threshold("vanishing") or (ratio == 0 and not known[0][0].moved):
        yield find("vanishing", where, layer=known[0][0].name, figure=ratio)
    elif ratio > threshold("exploding"):
        yield find("exploding", where, layer=known[0][0].name, figure=ratio)
    elif 0 < ratio < threshold("slow first layers"):
        yield find(
            "slow first layers",
            Message(
                "the first layer's gradient is {factor:.0f} times smaller than the last one's: "
                "it learns that much slower",
                factor=1 / ratio,
            ),
            layer=known[0][0].name,
            figure=ratio,
        )


def _where(ratio: float, layers: int, gain: Gain | None) -> Message:
    if gain is None:
        return Message(
            "the first layer's gradient is {ratio:.2g} times the last one's after {steps} steps from layer to layer",
            ratio=ratio,
            steps=layers - 1,
        )
    return Message(
        "the first layer's gradient is {ratio:.2g} times the last one's after {steps} steps from layer to layer, "
        "a factor of {gain:.3g} per step",
        ratio=ratio,
        steps=layers - 1,
        gain=gain.value,
    )
