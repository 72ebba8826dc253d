"""Whether the network learns: trial steps, the loss at the start and while it trains, sizes of updates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from mnist_depth.diagnosis.chance import TRAINED, chance_findings, is_at_chance, trained_share
from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Measurements
from mnist_depth.diagnosis.message import Message
from mnist_depth.diagnosis.overshoot import first_loss, is_dead, overshoot_findings
from mnist_depth.diagnosis.trials import trial_findings, trial_learns

FALLEN = 0.7
"""A training loss below this part of what it started from shows that the network learns."""

UPDATE_BAND = 100.0
"""How far from the usual update is reported: the rule of thumb itself spans an order of magnitude either way."""

LOW_BAND = 10.0
"""The same for the layer that moves most: with it all layers are slow."""

MIN_HISTORY = 4
"""Points of a loss curve from which on it is judged."""


def is_learning(measured: Measurements) -> bool:
    """Whether the trial steps or the loss so far show that the network learns."""
    share = trained_share(measured)
    if share is not None:
        return share >= TRAINED
    if trial_learns(measured):
        return True
    losses = [loss for loss in measured.history if math.isfinite(loss)]
    if len(losses) < MIN_HISTORY or not math.isfinite(measured.history[-1]):
        return False
    reference = first_loss(measured) if measured.constant_loss is None else measured.constant_loss
    return reference is not None and losses[-1] < FALLEN * reference


def learning_findings(measured: Measurements) -> Iterator[Finding]:
    """Findings about the learning rate, the loss and the updates."""
    if (trained_share(measured) or 0.0) < TRAINED:
        yield from trial_findings(measured)
    overshoot = list(overshoot_findings(measured))
    yield from overshoot
    yield from _history(measured)
    if not overshoot and not is_dead(measured):  # else tiny updates are a consequence, and say nothing of the rate
        yield from _updates(measured)
    yield from _start_loss(measured)


def _history(measured: Measurements) -> Iterator[Finding]:
    stuck = list(chance_findings(measured))
    yield from stuck
    losses = measured.history
    if len(losses) < MIN_HISTORY or not all(map(math.isfinite, losses)):
        return
    first, last = first_loss(measured) or losses[0], min(losses[-2:])
    fall = (first - last) / abs(first) if first else 0.0
    if fall < threshold("loss not falling") and is_at_chance(measured, last):
        words = Message(
            "the training loss went from {first:.4g} to {last:.4g}: it has not fallen", first=first, last=last
        )
        yield from [] if stuck else [find("loss not falling", words, figure=fall)]
        return
    second = losses[len(losses) // 2 :]
    span = max(losses) - min(losses)
    jumps = [abs(b - a) for a, b in pairwise(second)]
    jump = math.fsum(jumps) / len(jumps) / span if span and jumps else 0.0
    rises = any(b > a for a, b in pairwise(second))  # a loss that only falls does not oscillate
    if rises and jump > threshold("oscillating"):
        words = Message("the training loss jumps by {jump:.0%} of its whole range from point to point", jump=jump)
        yield find("oscillating", words, figure=jump)


def _updates(measured: Measurements) -> Iterator[Finding]:
    # A value that is still that of the first update says nothing about the updates since.
    first = {(layer.name, layer.update_ratio) for layer in measured.start if measured.updates > 1}
    known = {(layer.name, layer.update_ratio) for layer in measured.layers} - first
    ratios = [(ratio, name) for name, ratio in known if ratio is not None and math.isfinite(ratio)]
    if not ratios:
        return
    (smallest, at_smallest), (largest, at_largest) = min(ratios), max(ratios)
    usual = threshold("update size")
    if 0 < largest < usual / LOW_BAND:
        words = Message(
            "no layer moves by more than {update:.1e} of its weights a step, usual is about {usual:g}: "
            "the learning rate is low",
            update=largest,
            usual=usual,
        )
        yield find("update size", words, layer=at_largest, figure=largest)
    elif smallest < usual / UPDATE_BAND:
        words = Message(
            "{layer} moves by {update:.1e} of its weights a step, usual is about {usual:g}",
            layer=at_smallest,
            update=smallest,
            usual=usual,
        )
        yield find("update size", words, layer=at_smallest, figure=smallest)
    if largest > usual * UPDATE_BAND:
        words = Message(
            "{layer} moves by {update:.1e} of its weights a step: the learning rate is high for it",
            layer=at_largest,
            update=largest,
        )
        yield find("update size", words, layer=at_largest, figure=largest)


def _start_loss(measured: Measurements) -> Iterator[Finding]:
    if measured.updates or not measured.constant_loss or measured.loss is None:
        return
    factor = measured.loss / measured.constant_loss
    if math.isfinite(factor) and factor > threshold("start loss"):
        words = Message(
            "the loss starts at {loss:.3g}, {factor:.2g} times that of the best constant prediction ({constant:.3g})",
            loss=measured.loss,
            factor=factor,
            constant=measured.constant_loss,
        )
        yield find("start loss", words, figure=factor)
