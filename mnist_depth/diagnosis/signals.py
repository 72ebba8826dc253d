"""Findings about layer outputs: dead, saturated or equal units, growing or collapsing signals, time steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mnist_depth.diagnosis.chains import in_chains
from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Layer, Measurements
from mnist_depth.diagnosis.message import Message

RECTIFIERS = ("relu", "relu6")
"""Activations that are exactly zero on a half line."""

GATED = ("LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
"""Recurrent layers whose gates learn to keep the gradient: at the start of training it may well vanish."""

LITTLE_THROUGH_TIME = 1e-3
"""Factor of the gradient over all time steps below which it is noted; it explains a loss that does not fall."""

MIN_SATURATED_LAYERS = 0.5
"""Share of the bounded layers that must be saturated before the network counts as saturated."""


def signal_findings(measured: Measurements) -> Iterator[Finding]:
    """Findings about the forward pass."""
    hidden = [layer for layer in measured.layers if not layer.is_output]
    yield from _dead(hidden)
    yield from _symmetric(hidden)
    yield from _saturated(hidden)
    yield from in_chains(hidden, _growth)
    yield from in_chains(hidden, _collapse)
    yield from _born_dead(hidden)
    yield from _frozen(measured.layers)
    for layer in measured.layers:
        yield from _through_time(layer)


def _dead(hidden: Sequence[Layer]) -> Iterator[Finding]:
    shares = [(layer.dead_share, layer) for layer in hidden if layer.dead_share is not None]
    share, layer = max(shares, key=lambda pair: pair[0], default=(0.0, None))
    if layer is None:
        return
    if share >= threshold("dead"):
        words = Message("{share:.0%} of the units of {layer} are zero for every sample", share=share, layer=layer.name)
        yield find("dead", words, layer=layer.name, figure=share)
    elif share >= threshold("dead units"):
        words = Message("{layer}: {share:.0%} of the units are zero for every sample", layer=layer.name, share=share)
        yield find("dead units", words, layer=layer.name, figure=share)


def _symmetric(hidden: Sequence[Layer]) -> Iterator[Finding]:
    for layer in hidden:
        share = layer.identical_share
        if share is not None and share >= threshold("symmetric") and (layer.units or 0) > 1:
            words = Message(
                "{share:.0%} of the {units} units of {layer} have the same incoming weights "
                "and cannot become different",
                share=share,
                units=layer.units,
                layer=layer.name,
            )
            yield find("symmetric", words, layer=layer.name, figure=share)
            return


def _saturated(hidden: Sequence[Layer]) -> Iterator[Finding]:
    shares = [(layer.saturated_share, layer.name) for layer in hidden if layer.saturated_share is not None]
    crowded = [(share, name) for share, name in shares if share >= threshold("saturated")]
    if not crowded:
        return
    share, name = max(crowded)
    most = len(crowded) > MIN_SATURATED_LAYERS * len(shares)
    where = Message(
        "{saturated} of {layers} layers are saturated, most of all {layer}: {share:.0%} "
        "of its outputs are on a flat part of the activation",
        saturated=len(crowded),
        layers=len(shares),
        layer=name,
        share=share,
    )
    yield find("saturated", where, layer=name, figure=share, severity="error" if most else "warning")


def _growth(hidden: Sequence[Layer]) -> Iterator[Finding]:
    spreads = [(layer.activation_std, layer.name) for layer in hidden if layer.activation_std]
    if len(spreads) < 2:
        return
    (first, _), (last, name) = spreads[0], spreads[-1]
    factor = last / first
    if math.isfinite(factor) and factor > threshold("signal grows"):
        words = Message(
            "the outputs of {layer} are {factor:.2g} times as large as the first layer's", layer=name, factor=factor
        )
        yield find("signal grows", words, layer=name, figure=factor)


def _collapse(hidden: Sequence[Layer]) -> Iterator[Finding]:
    for layer in hidden:
        across, overall = layer.across_samples_std, layer.activation_std
        if across is not None and overall and across < threshold("signal collapses") * overall:
            share = across / overall
            words = Message(
                "{share:.1e} of the spread of the outputs of {layer} is across samples: inputs look alike",
                layer=layer.name,
                share=share,
            )
            yield find("signal collapses", words, layer=layer.name, figure=share)
            return


def _born_dead(hidden: Sequence[Layer]) -> Iterator[Finding]:
    widths = [layer.units for layer in hidden if layer.activation in RECTIFIERS and layer.units]
    # At zero biases a ReLU layer of n units is zero for one given input with probability 2^-n.
    risk = 1 - math.prod(1 - 0.5**width for width in widths)
    if risk > threshold("may be born dead"):
        words = Message(
            "with ReLU layers of only {units} units, one network in {networks:.0f} starts with a dead layer",
            units=min(widths),
            networks=1 / risk,
        )
        yield find("may be born dead", words, figure=risk)


def _frozen(layers: Sequence[Layer]) -> Iterator[Finding]:
    frozen = [layer.name for layer in layers if not layer.trainable]
    if frozen:
        listed = ", ".join(frozen[:3]) + (", ..." if len(frozen) > 3 else "")
        words = Message(
            "{frozen} of {layers} weight layers are frozen: {names}",
            frozen=len(frozen),
            layers=len(layers),
            names=listed,
        )
        severity = "error" if len(frozen) == len(layers) else "note"
        yield find("frozen", words, layer=frozen[0], figure=float(len(frozen)), severity=severity)


def _through_time(layer: Layer) -> Iterator[Finding]:
    if layer.time_gain is None or not layer.time_steps or layer.time_steps < 2:
        return
    decades = (layer.time_steps - 1) * math.log10(layer.time_gain) if layer.time_gain > 0 else -math.inf
    # The gain belongs to one step, of which there is one less than states; bounded, as float64 ends at 1e308.
    total = 10.0 ** max(min(decades, 300.0), -300.0)
    words = Message(
        "{layer}: the gradient changes by x {gain:.3g} per time step toward the first, "
        "x {total:.1e} over {steps} steps",
        layer=layer.name,
        gain=layer.time_gain,
        total=total,
        steps=layer.time_steps,
    )
    if total > threshold("explodes through time"):
        yield find("explodes through time", words, layer=layer.name, figure=total)
    elif total < LITTLE_THROUGH_TIME:
        usual = layer.kind in GATED or total >= threshold("vanishes through time")
        severity = "note" if usual else "warning"
        found = find("vanishes through time", words, layer=layer.name, figure=total, severity=severity)
        yield found if total < threshold("vanishes through time") else replace(found, threshold=LITTLE_THROUGH_TIME)
