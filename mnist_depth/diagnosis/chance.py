"""Whether training has got past the best constant prediction."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.kinds import find
from mnist_depth.diagnosis.measurements import Measurements
from mnist_depth.diagnosis.message import Message

TRAINED = 0.2
"""Part of the constant prediction's loss that a training of MIN_UPDATES must have removed. Source: the benchmark."""

AT_CONSTANT = 0.05
"""Part below which, either way, the loss is at the level of the constant prediction's."""

MIN_UPDATES = 100

AT_CHANCE = 0.9
"""A loss above this part of the constant prediction's has learned next to nothing."""


def best_loss(measured: Measurements) -> float | None:
    """The lower of the training loss and that on the probe, which may be held-out data; None where neither is known.

    The training loss is the mean of an epoch, and includes dropout: the probe may know better.
    """
    losses = [loss for loss in (measured.loss, measured.probe_loss) if loss is not None]
    return min((loss for loss in losses if math.isfinite(loss)), default=math.inf) if losses else None


def trained_share(measured: Measurements) -> float | None:
    """Part that training has removed of what a constant prediction can lose; None before MIN_UPDATES."""
    loss, constant = best_loss(measured), measured.constant_loss
    if measured.updates < MIN_UPDATES or not constant or loss is None or constant <= measured.lowest_loss:
        return None
    return (constant - loss) / (constant - measured.lowest_loss)


def is_at_chance(measured: Measurements, loss: float) -> bool:
    """Whether neither this loss nor that on the probe is clearly below the constant prediction's; true if unknown."""
    if measured.constant_loss is None:
        return True
    lowest = measured.lowest_loss
    known = loss if measured.probe_loss is None else min(loss, measured.probe_loss)
    return known - lowest > AT_CHANCE * (measured.constant_loss - lowest)


def chance_findings(measured: Measurements) -> Iterator[Finding]:
    """A loss that is no better than that of a constant prediction, or hardly better."""
    share = trained_share(measured)
    if share is None or share >= TRAINED:
        return
    values = {"updates": measured.updates, "loss": best_loss(measured), "constant": measured.constant_loss}
    if share < -AT_CONSTANT:
        words = Message(
            "after {updates:,} updates the loss is {loss:.4g}, above that of a constant prediction ({constant:.4g})",
            **values,
        )
    elif share < AT_CONSTANT:
        words = Message(
            "after {updates:,} updates the loss is {loss:.4g}, at the level of a constant prediction ({constant:.4g})",
            **values,
        )
    else:
        words = Message(
            "after {updates:,} updates the loss is {loss:.4g}; a constant prediction has {constant:.4g}", **values
        )
    # Noisy labels leave little to learn: a training that was followed and has removed some of the loss is no failure.
    weak = share >= AT_CONSTANT and measured.history
    found = find("loss not falling", words, figure=share, severity="warning" if weak else "error")
    yield replace(found, threshold=TRAINED)
