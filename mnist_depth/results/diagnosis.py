"""Is the gradient vanishing, exploding, dead or healthy; how fast per layer; and what helps.

`diagnose(model, x, y)` asks any Keras model; `judge` is the pure function behind it. Every threshold is a named
constant with its reason and source. The network is judged by ||dL/dz|| (dz: pre-activations of a layer), the norm that
backpropagation multiplies by one factor per layer and that does not depend on the kernels' sizes; where only kernel
gradients were recorded, by those.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from mnist_depth.records import RunRecord
from mnist_depth.results.measurements import Layer, Measurements, Moment, from_model, from_run, layer_numbers
from mnist_depth.results.remedies import Remedy, remedies

VANISHING, EXPLODING, HEALTHY, DEAD, NOT_FINITE = "vanishing", "exploding", "healthy", "dead", "not finite"

VANISHING_RATIO = 1e-3
"""First over last layer's gradient below which the verdict is vanishing.

With one learning rate for all layers, updates of about 1e-3 of the weights are usual (CS231n, "ratio of
weights:updates"). A layer whose gradient is a thousand times smaller than the last one's then moves by 1e-6 a step:
10,000 steps change it by a hundredth. The 9-layer sigmoid network, which does not learn, has 1.3e-5; sigmoid networks
of up to four layers, which do, have more than 1e-2 (mnist_depth.theory).
"""

EXPLODING_RATIO = 1e3
"""The mirror image: a learning rate that suits the last layer is a thousand times too large for the first."""

SLOW_RATIO = 1e-2
"""Below this the first layers learn visibly slower, though the network may get there (Nielsen 2015, chapter 5)."""

LOST_AT_ONCE = 1e-25
"""A gradient that falls from above this (relative to the last layer) to exactly zero within one layer is cut off.

It did not shrink until it underflowed: float32 reaches down to 1e-38, and no usual layer takes more than ten digits.
"""

DEAD_SHARE = 0.99
"""Share of units of one layer that are flat for every sample from which on nothing gets through it in practice."""

MANY_DEAD = 0.4
"""Worth telling: "as much as 40 % of your network can be dead" if the learning rate is too high (CS231n, ReLU)."""

MANY_SATURATED = 0.5
"""Worth telling: half of a layer's outputs on the flat parts of the activation (Glorot & Bengio 2010, section 3)."""

USUAL_UPDATE = 1e-3
"""||update|| / ||weights|| per step of a network that trains well (CS231n, "ratio of weights:updates")."""

UPDATE_BAND = 100.0
"""How far from USUAL_UPDATE is told: the rule of thumb itself spans about one order of magnitude either way."""

COLLAPSED_SHARE = 0.02
"""Spread across samples over spread across everything below which a layer's outputs hardly depend on the input.

The square of it, 4e-4, is about 1 - c, with c the correlation of two inputs: c* = 1 is near (Schoenholz et al. 2017).
"""

T_QUANTILES = (
    12.71,
    4.30,
    3.18,
    2.78,
    2.57,
    2.45,
    2.36,
    2.31,
    2.26,
    2.23,
    2.20,
    2.18,
    2.16,
    2.14,
    2.13,
    2.12,
    2.11,
    2.10,
)
"""Student's t, 97.5 %, for 1 ... 18 degrees of freedom."""


TEXT_WIDTH = 100


class Gain(NamedTuple):
    """Fitted factor of the gradient per layer, toward the input, with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Diagnosis:
    """The verdict on one network, what it rests on, and what helps."""

    source: str
    verdict: str
    reason: str
    quantity: str
    """Which norm was judged: `pre-activation gradient` or `kernel gradient`."""
    layers: tuple[Layer, ...]
    gradients: tuple[float | None, ...]
    """The judged norm of every layer, first layer first."""
    gain: Gain | None
    """None where fewer than three layers have a gradient."""
    predicted_gain: float | None
    """Geometric mean of theory's gains over the same layers."""
    ratio: float | None
    """First over last layer's norm."""
    findings: tuple[str, ...]
    remedies: tuple[Remedy, ...]


def diagnose(model: Any, x: Any, y: Any) -> Diagnosis:
    """Diagnose any built Keras model on one batch: x as for `model.fit`, y the labels. The model is left unchanged.

    Raises UserError when the model has no weight layer or the batch does not fit it.
    """
    return judge(from_model(model, x, y))


def diagnose_run(record: RunRecord, moment: Moment = "start") -> Diagnosis:
    """Diagnose a run from what it recorded first (`start`) or last (`end`).

    Raises UserError when it recorded no gradients.
    """
    return judge(from_run(record, moment))


def judge(measured: Measurements) -> Diagnosis:
    """The verdict on measurements, by the thresholds of this file."""
    quantity, gradients = _judged_norm(measured.layers)
    ratio = _ratio(gradients)
    gain = fit_gain(measured.layers, gradients)
    verdict, reason = _verdict(measured, gradients, ratio, gain)
    return Diagnosis(
        source=measured.source,
        verdict=verdict,
        reason=reason,
        quantity=quantity,
        layers=measured.layers,
        gradients=gradients,
        gain=gain,
        predicted_gain=_mean_prediction(measured.layers),
        ratio=ratio,
        findings=tuple(_findings(measured, quantity, verdict, ratio, gain)),
        remedies=remedies(verdict, measured.traits),
    )


def _judged_norm(layers: Sequence[Layer]) -> tuple[str, tuple[float | None, ...]]:
    signals = tuple(layer.pre_activation_gradient for layer in layers)
    if sum(value is not None for value in signals) > sum(layer.kernel_gradient is not None for layer in layers) / 2:
        return "pre-activation gradient", signals
    return "kernel gradient", tuple(layer.kernel_gradient for layer in layers)


def _ratio(gradients: Sequence[float | None]) -> float | None:
    known = [value for value in gradients if value is not None]
    if len(known) < 2 or not all(map(math.isfinite, known)) or known[-1] == 0:
        return None
    return known[0] / known[-1]


def fit_gain(layers: Sequence[Layer], gradients: Sequence[float | None]) -> Gain | None:
    """Least squares of log10(norm) on the layer's number; None with fewer than three usable layers.

    The slope is the (negative) number of decades per layer; its standard error times Student's t gives the interval.

    >>> gain = fit_gain([Layer("layer_01"), Layer("layer_02"), Layer("layer_03")], [0.0625, 0.25, 1.0])
    >>> f"x {gain.value:.2f} per layer toward the input"
    'x 0.25 per layer toward the input'
    """
    points = [
        (number, math.log10(value))
        for number, value in zip(layer_numbers([layer.name for layer in layers]), gradients, strict=True)
        if value is not None and math.isfinite(value) and value > 0
    ]
    count = len(points)
    if count < 3 or len({x for x, _ in points}) < 2:
        return None
    mean_x, mean_y = (math.fsum(axis) / count for axis in zip(*points, strict=True))
    spread = math.fsum((x - mean_x) ** 2 for x, _ in points)
    slope = math.fsum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    residual = math.fsum((y - mean_y - slope * (x - mean_x)) ** 2 for x, y in points)
    freedom = count - 2
    quantile = T_QUANTILES[freedom - 1] if freedom <= len(T_QUANTILES) else 1.96 + 2.5 / freedom
    margin = quantile * math.sqrt(residual / freedom / spread)
    return Gain(*(10.0 ** min(max(-slope + shift, -300.0), 300.0) for shift in (0.0, -margin, margin)))


def _mean_prediction(layers: Sequence[Layer]) -> float | None:
    gains = [layer.predicted_gain for layer in layers if layer.predicted_gain is not None]
    if not gains:
        return None
    return math.exp(math.fsum(map(math.log, gains)) / len(gains)) if min(gains) > 0 else 0.0


# The verdict


def _verdict(
    measured: Measurements, gradients: Sequence[float | None], ratio: float | None, gain: Gain | None
) -> tuple[str, str]:
    for judgment in (
        _not_finite(measured, gradients),
        _dead(measured, gradients),
        _trend(ratio, gain, len(gradients)),
    ):
        if judgment:
            return judgment
    return HEALTHY, f"the first layer's gradient is {_times(ratio)} the last one's" if ratio else "one gradient only"


def _not_finite(measured: Measurements, gradients: Sequence[float | None]) -> tuple[str, str] | None:
    for layer, value in zip(measured.layers, gradients, strict=True):
        if value is not None and not math.isfinite(value):
            return NOT_FINITE, f"the gradient of {layer.name} is {value}"
    if measured.loss is not None and not math.isfinite(measured.loss):
        return NOT_FINITE, f"the loss is {measured.loss}"
    return (NOT_FINITE, "training ended because the loss was no longer finite") if measured.diverged else None


def _dead(measured: Measurements, gradients: Sequence[float | None]) -> tuple[str, str] | None:
    known = [(layer, value) for layer, value in zip(measured.layers, gradients, strict=True) if value is not None]
    if known and all(value == 0 for _, value in known):
        return DEAD, "no layer has any gradient"
    for (layer, value), (_, following) in zip(known[:-1][::-1], known[1:][::-1], strict=True):
        if value == 0 and following > LOST_AT_ONCE * known[-1][1]:
            return DEAD, f"no gradient reaches {layer.name}: it is exactly zero there and not one layer further on"
    for layer in measured.layers:
        if layer.dead_share is not None and layer.dead_share >= DEAD_SHARE:
            return DEAD, f"{layer.dead_share:.0%} of the units of {layer.name} are flat for every sample"
    return None


def _trend(ratio: float | None, gain: Gain | None, depth: int) -> tuple[str, str] | None:
    if ratio is None or VANISHING_RATIO <= ratio <= EXPLODING_RATIO:
        return None
    rate = f", a factor of {gain.value:.3g} per layer" if gain else ""
    verdict = VANISHING if ratio < VANISHING_RATIO else EXPLODING
    return verdict, f"the first layer's gradient is {_times(ratio)} the last one's over {depth} layers{rate}"


def _times(ratio: float | None) -> str:
    return "unknown times" if ratio is None else f"{ratio:.2g} times"


# Findings


def _findings(measured: Measurements, quantity: str, verdict: str, ratio: float | None, gain: Gain | None) -> list[str]:
    layers = measured.layers
    return [
        *_gain_findings(gain, _mean_prediction(layers), quantity),
        *_slow(verdict, ratio),
        *_crowded(layers, "dead_share", MANY_DEAD, "of the units are flat for every sample"),
        *_crowded(layers, "saturated_share", MANY_SATURATED, "of the outputs are on a flat part of the activation"),
        *_update_findings(layers),
        *_collapse(layers),
    ]


def _gain_findings(gain: Gain | None, predicted: float | None, quantity: str) -> list[str]:
    if gain is None:
        return []
    text = (
        f"{quantity} per layer toward the input: x {gain.value:.3g} (95 % interval {gain.low:.3g} to {gain.high:.3g})"
    )
    if predicted is None:
        return [text]
    return [f"{text}; theory predicts x {predicted:.3g} from the initialization and the activation alone"]


def _slow(verdict: str, ratio: float | None) -> list[str]:
    if verdict != HEALTHY or ratio is None or ratio >= SLOW_RATIO:
        return []
    return [
        f"the first layer's gradient is {1 / ratio:.0f} times smaller than the last one's: it learns that much slower"
    ]


def _crowded(layers: Sequence[Layer], name: str, limit: float, words: str) -> list[str]:
    shares = [(getattr(layer, name), layer.name) for layer in layers if getattr(layer, name) is not None]
    worst = max(shares, default=(0.0, ""))
    return [f"{worst[1]}: {worst[0]:.0%} {words}"] if worst[0] >= limit else []


def _update_findings(layers: Sequence[Layer]) -> list[str]:
    ratios = [(layer.update_ratio, layer.name) for layer in layers if layer.update_ratio is not None]
    if not ratios:
        return []
    (smallest, at_smallest), (largest, at_largest) = min(ratios), max(ratios)
    findings = []
    if smallest < USUAL_UPDATE / UPDATE_BAND:
        findings.append(f"{at_smallest} moves by {smallest:.1e} of its weights a step, usual is about {USUAL_UPDATE:g}")
    if largest > USUAL_UPDATE * UPDATE_BAND:
        findings.append(f"{at_largest} moves by {largest:.1e} of its weights a step: the learning rate is high for it")
    return findings


def _collapse(layers: Sequence[Layer]) -> list[str]:
    for layer in layers:
        across, overall = layer.across_samples_std, layer.activation_std
        if across is not None and overall and across < COLLAPSED_SHARE * overall:
            share = across / overall
            return [f"from {layer.name} on, {share:.1e} of the outputs' spread is across samples: inputs look alike"]
    return []


# For the terminal


def render_run(record: RunRecord) -> str:
    """A run before and after training, as plain text. Raises UserError when it recorded no gradients."""
    start, end = diagnose_run(record, "start"), diagnose_run(record, "end")
    if start.remedies == end.remedies:
        start = replace(start, remedies=())
    return f"BEFORE TRAINING\n{render(start)}\n\nAFTER TRAINING\n{render(end)}"


def render(diagnosis: Diagnosis) -> str:
    """The diagnosis as plain text: verdict, one line per layer, findings, remedies."""
    lines = _wrapped("", f"{diagnosis.verdict.upper()}: {diagnosis.reason}.")
    lines += [f"Measured: {diagnosis.source}.", "", _header()]
    lines += [_layer_line(layer, value) for layer, value in zip(diagnosis.layers, diagnosis.gradients, strict=True)]
    lines += ["", f"gradient: norm of the {diagnosis.quantity}"]
    lines += [line for finding in diagnosis.findings for line in _wrapped("- ", finding)]
    if diagnosis.remedies:
        lines += ["", "What helps, most effective first:"]
    for number, remedy in enumerate(diagnosis.remedies, start=1):
        lines += _wrapped(f"{number}. ", f"{remedy.action}: {remedy.evidence}. Study: {remedy.study}")
    return "\n".join(lines)


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(text, TEXT_WIDTH, initial_indent=head, subsequent_indent=" " * len(head))


def _header() -> str:
    return f"{'layer':<16}{'gradient':>11}{'saturated':>11}{'dead':>8}{'update/weight':>15}{'theory gain':>13}"


def _layer_line(layer: Layer, gradient: float | None) -> str:
    cells = (
        _cell(gradient, ".2e", 11),
        _cell(layer.saturated_share, ".0%", 11),
        _cell(layer.dead_share, ".0%", 8),
        _cell(layer.update_ratio, ".1e", 15),
        _cell(layer.predicted_gain, ".3g", 13),
    )
    return f"{layer.name:<16}{''.join(cells)}"


def _cell(value: float | None, form: str, width: int) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"
