"""What layers put out: dead and saturated units, equal units, signals that grow or collapse, time steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Layer, Measurements

RECTIFIERS = ("relu", "relu6")
"""Activations that are exactly zero on a half line."""

GATED = ("LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
"""Recurrent layers whose gates learn to keep the gradient: at the start of training it may well vanish."""

MIN_SATURATED_LAYERS = 0.5
"""Share of the bounded layers that must be saturated before the network counts as saturated."""


def signal_findings(measured: Measurements) -> Iterator[Finding]:
    """Findings about the forward pass."""
    hidden = [layer for layer in measured.layers if not layer.is_output]
    yield from _dead(hidden)
    yield from _symmetric(hidden)
    yield from _saturated(hidden)
    yield from _growth(hidden)
    yield from _collapse(hidden)
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
        yield find(
            "dead",
            f"{share:.0%} of the units of {layer.name} are zero for every sample",
            layer=layer.name,
            figure=share,
        )
    elif share >= threshold("dead units"):
        words = f"{layer.name}: {share:.0%} of the units are zero for every sample"
        yield find("dead units", words, layer=layer.name, figure=share)


def _symmetric(hidden: Sequence[Layer]) -> Iterator[Finding]:
    for layer in hidden:
        share = layer.identical_share
        if share is not None and share >= threshold("symmetric") and (layer.units or 0) > 1:
            yield find(
                "symmetric",
                f"all {layer.units} units of {layer.name} have the same incoming weights and cannot become different",
                layer=layer.name,
                figure=share,
            )
            return


def _saturated(hidden: Sequence[Layer]) -> Iterator[Finding]:
    shares = [(layer.saturated_share, layer.name) for layer in hidden if layer.saturated_share is not None]
    crowded = [(share, name) for share, name in shares if share >= threshold("saturated")]
    if not crowded:
        return
    share, name = max(crowded)
    most = len(crowded) > MIN_SATURATED_LAYERS * len(shares)
    where = (
        f"{len(crowded)} of {len(shares)} layers are saturated, most of all {name}: {share:.0%} "
        "of its outputs are on a flat part of the activation"
    )
    yield find("saturated", where, layer=name, figure=share, severity="error" if most else "warning")


def _growth(hidden: Sequence[Layer]) -> Iterator[Finding]:
    spreads = [(layer.activation_std, layer.name) for layer in hidden if layer.activation_std]
    if len(spreads) < 2:
        return
    (first, _), (last, name) = spreads[0], spreads[-1]
    factor = last / first
    if math.isfinite(factor) and factor > threshold("signal grows"):
        yield find(
            "signal grows",
            f"the outputs of {name} are {factor:.2g} times as large as the first layer's",
            layer=name,
            figure=factor,
        )


def _collapse(hidden: Sequence[Layer]) -> Iterator[Finding]:
    for layer in hidden:
        across, overall = layer.across_samples_std, layer.activation_std
        if across is not None and overall and across < threshold("signal collapses") * overall:
            share = across / overall
            yield find(
                "signal collapses",
                f"from {layer.name} on, {share:.1e} of the outputs' spread is across samples: inputs look alike",
                layer=layer.name,
                figure=share,
            )
            return


def _born_dead(hidden: Sequence[Layer]) -> Iterator[Finding]:
    widths = [layer.units for layer in hidden if layer.activation in RECTIFIERS and layer.units]
    risk = 1 - math.prod(1 - 0.5**width for width in widths)
    if risk > threshold("may be born dead"):
        words = (
            f"with {len(widths)} ReLU layers of {min(widths)} units or more, one "
            f"network in {1 / risk:.0f} starts with a dead layer"
        )
        yield find("may be born dead", words, figure=risk)


def _frozen(layers: Sequence[Layer]) -> Iterator[Finding]:
    frozen = [layer.name for layer in layers if not layer.trainable]
    if frozen:
        listed = ", ".join(frozen[:3]) + (", ..." if len(frozen) > 3 else "")
        yield find(
            "frozen",
            f"{len(frozen)} of {len(layers)} weight layers are frozen: {listed}",
            layer=frozen[0],
            figure=float(len(frozen)),
        )


def _through_time(layer: Layer) -> Iterator[Finding]:
    if layer.time_gain is None or not layer.time_steps or layer.time_steps < 2:
        return
    decades = (layer.time_steps - 1) * math.log10(layer.time_gain) if layer.time_gain > 0 else -math.inf
    total = 10.0 ** max(min(decades, 300.0), -300.0)
    words = (
        f"{layer.name}: the gradient changes by x {layer.time_gain:.3g} per time step toward "
        f"the first, x {total:.1e} over {layer.time_steps} steps"
    )
    if total > threshold("explodes through time"):
        yield find("explodes through time", words, layer=layer.name, figure=total)
    elif total < threshold("vanishes through time"):
        severity = "note" if layer.kind in GATED else "warning"
        yield find("vanishes through time", words, layer=layer.name, figure=total, severity=severity)
