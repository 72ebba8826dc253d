"""What theory predicts for a network before any training, in a table and a plain sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from mnist_depth.config import RunConfig
from mnist_depth.theory.maps import MIN_LENGTH, DepthScales, depth_scales
from mnist_depth.theory.networks import LayerPrediction, hidden_sigma_w, predict_config
from mnist_depth.translation import mark, plural
from mnist_depth.translation import translate as _

MAX_NUMBER = 3.4e38
"""Of float32, in which networks are trained."""

MAX_TRAINABLE = 1000
"""Theory's number of trainable layers is called `any number` from here on; it is infinite at the critical scale."""


class Verdict(NamedTuple):
    """A verdict on the gradient of the first layer over that of the last one."""

    below: float
    """The ratios of this verdict are smaller, and not those of the verdict before."""
    sentence: str


MIN_FLOWING, MAX_FLOWING = 1e-2, 10.0

VERDICTS = (
    Verdict(1e-3, mark("Vanishes: the first of {depth} layers gets {ratio:.2g} of the last one's gradient")),
    Verdict(MIN_FLOWING, mark("Shrinks: the first of {depth} layers gets {ratio:.2g} of the last one's gradient")),
    Verdict(1.0, mark("Flows: the first of {depth} layers gets {ratio:.2g} of the last one's gradient")),
    Verdict(MAX_FLOWING, mark("Flows: the first of {depth} layers gets {ratio:.2g} times the last one's gradient")),
    Verdict(1e3, mark("Grows: the first of {depth} layers gets {ratio:.3g} times the last one's gradient")),
    Verdict(math.inf, mark("Explodes: the first of {depth} layers gets {ratio:.2g} times the last one's gradient")),
)
"""The limits are those of the diagnosis: `vanishing` and `exploding`, `slow first layers`, and the factor of ten that
separates learning rates in `learning rate too high`."""


def describe(config: RunConfig, input_length: float | None = None) -> str:
    """What theory predicts for a config before any training: a table with one line per layer, then the depth scales.

    Raises UserError for networks that theory does not cover.
    """
    rows = predict_config(config, input_length)
    numbers = f"{'units':>7}{'sigma_w':>10}{'q':>11}{'E[phi_p^2]':>12}"
    table = [f"{'layer':<10}{numbers}{'chi':>10}{'gain':>10}{'gradient':>12}"]
    table += [_table_line(row) for row in rows]
    notes = [
        _("q: variance of the pre-activations; phi_p: slope of the activation; chi: factor of the squared gradient;"),
        _("gain: |dL/dz| here / |dL/dz| one layer to the right; gradient: |dL/dz| relative to the output layer."),
    ]
    return "\n".join([*table, *notes, *_scale_lines(config, rows)])


def _table_line(row: LayerPrediction) -> str:
    chi, gain = ("", "") if math.isnan(row.gain) else (f"{row.gain**2:.4g}", f"{row.gain:.4g}")
    numbers = f"{row.units:>7}{row.sigma_w:>10.4g}{row.length:>11.4g}{row.slope:>12.4g}"
    return f"{row.name:<10}{numbers}{chi:>10}{gain:>10}{row.gradient:>12.3g}"


def _scale_lines(config: RunConfig, rows: Sequence[LayerPrediction]) -> list[str]:
    """The depth scales of the endless network with this one's hidden layers, and what they mean in a sentence."""
    ratio = rows[0].gradient
    if config.depth < 2:
        return [_("One layer: there is no other layer for the gradient to pass.")]
    sigma_w = hidden_sigma_w(config)
    lines = [_("first / last gradient: {ratio:.3g} over {depth} layers", ratio=ratio, depth=config.depth)]
    if sigma_w == 0:
        return [*lines, _("Vanishes: kernels of zeros pass no gradient on.")]
    scales = depth_scales(config.activation, sigma_w, config.bias_std, max(rows[0].length, MIN_LENGTH))
    return [
        *lines,
        _(
            "endlessly deep: q* = {q_star:.4g}, c* = {c_star:.4g}, chi_1 = {chi_1:.4g}",
            q_star=scales.q_star,
            c_star=scales.c_star,
            chi_1=scales.chi_1,
        ),
        _(
            "depth scales in layers: xi_q = {xi_q:.3g}, xi_c = {xi_c:.3g}, gradient = {gradient:.3g}; "
            "trainable up to about 6 xi_c = {trainable:.3g}",
            xi_q=scales.xi_q,
            xi_c=scales.xi_c,
            gradient=scales.xi_gradient,
            trainable=scales.trainable_depth,
        ),
        _last_sentence(rows, scales),
    ]


def _last_sentence(rows: Sequence[LayerPrediction], scales: DepthScales) -> str:
    if too_long := next((row.name for row in rows if row.length > MAX_NUMBER**2), None):
        text = _("Explodes: the signal exceeds the largest float32 number in {layer}", layer=too_long)
        return _("{text}; {trainable}.", text=text, trainable=_trainable(scales.trainable_depth))
    return verdict_sentence(rows[0].gradient, len(rows), scales.trainable_depth)


def verdict_sentence(ratio: float, depth: int, trainable_depth: float) -> str:
    """What theory predicts, in plain words; `ratio` is the first over the last layer's gradient.

    >>> verdict_sentence(1e-5, 9, 2.1)
    "Vanishes: the first of 9 layers gets 1e-05 of the last one's gradient; about 2 layers can be trained."
    >>> verdict_sentence(672, 7, 2.8)
    "Grows: the first of 7 layers gets 672 times the last one's gradient; about 3 layers can be trained."
    """
    verdict = next((one for one in VERDICTS if ratio < one.below), VERDICTS[-1])
    text, trainable = _(verdict.sentence, ratio=ratio, depth=depth), _trainable(trainable_depth)
    if MIN_FLOWING <= ratio <= MAX_FLOWING and trainable_depth < depth - 0.5:
        return _(
            "{text}, but only {trainable}: deeper, the signal does not tell images apart.",
            text=text,
            trainable=trainable,
        )
    if ratio > MAX_FLOWING and trainable_depth >= depth:
        return _("{text}; {trainable}, at a rate that is small enough for the first.", text=text, trainable=trainable)
    return _("{text}; {trainable}.", text=text, trainable=trainable)


def _trainable(layers: float) -> str:
    if layers > MAX_TRAINABLE:
        return _("any number of layers can be trained")
    count = max(1, round(layers))
    return plural("about {count} layer can be trained", "about {count} layers can be trained", count)
