"""Whether the network learns: trial steps before training, the loss curve while it trains, sizes of updates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from mnist_depth.diagnosis.chance import TRAINED, chance_findings, is_at_chance, trained_share
from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Measurements, Trial
from mnist_depth.diagnosis.message import Message

LEARNED, LEARNED_AT_TEN = 0.15, 0.4
"""Part of the constant prediction's loss that trial steps must remove at the own rate, or at ten times it.

A few steps at ten times the rate approximate ten times as many steps at the model's own rate. Source: the benchmark.
"""

HELPS = 0.1
"""The same for any other multiple of the rate."""

HALF = 0.5
"""Part of a loss that starts far above the constant prediction's which another rate must remove to count as better."""

STEEP = 0.9
"""Part of a loss that starts far above the constant prediction's which counts as learning when it is removed."""

ON_ITS_WAY = 0.2
"""Part of the start loss removed at the own rate from which a rate that could be ten times larger is only slow."""

FALLEN = 0.7
"""A training loss below this part of what it started from shows that the network learns."""

TINY_UPDATE = 1e-4
"""||update|| / ||weights|| below which, in every layer, a learning rate is too low if the loss does not fall."""

UPDATE_BAND = 100.0
"""How far from the usual update is reported: the rule of thumb itself spans an order of magnitude either way."""

SMALLER = (10.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e2)
LARGER = (10.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7)
"""Multiples of the learning rate in the order in which they are tried."""

MIN_HISTORY = 4
"""Points of a loss curve from which on it is judged."""


def reference_loss(measured: Measurements) -> float | None:
    """The loss that learning must beat: that of the best constant prediction, else that at the start."""
    if measured.constant_loss is not None:
        return measured.constant_loss
    first = next(iter(measured.trials), None)
    return first.losses[0] if first and first.losses else None


def removed(trial: Trial, reference: float) -> float:
    """Part of the reference loss that is gone in the last quarter of a trial; -inf where that is not finite."""
    tail = trial.losses[-max(1, len(trial.losses) // 4) :]
    if not reference or not all(map(math.isfinite, tail)):
        return -math.inf
    return (reference - math.fsum(tail) / len(tail)) / abs(reference)


def learning_factors(measured: Measurements) -> list[float]:
    """The multiples of the learning rate, other than one, at which the trial steps lower the loss."""
    reference = reference_loss(measured)
    if reference is None:
        return []
    return sorted(trial.factor for trial in measured.trials if trial.factor != 1 and _helps(trial, measured, reference))


def _helps(trial: Trial, measured: Measurements, reference: float) -> bool:
    """Whether the loss falls below the reference, or most of the way to it from far above where the own rate fails."""
    own = measured.trials[0]
    if removed(trial, reference) >= HELPS:
        return True
    far = own.losses[0] > threshold("start loss") * abs(reference)
    return far and removed(trial, own.losses[0]) >= HALF and removed(own, own.losses[0]) < HALF


def trial_learns(measured: Measurements) -> bool | None:
    """Whether the network learns in its trial steps; None where there were none."""
    reference = reference_loss(measured)
    if not measured.trials or reference is None:
        return None
    shares = {trial.factor: removed(trial, reference) for trial in measured.trials}
    own = measured.trials[0]
    far = threshold("start loss") * abs(reference)  # where the trial starts, and still is at its end
    steep = own.losses[0] > far and own.losses[-1] > far and removed(own, own.losses[0]) >= STEEP
    return steep or shares.get(1.0, -math.inf) >= LEARNED or shares.get(10.0, -math.inf) >= LEARNED_AT_TEN


def next_factor(measured: Measurements) -> float | None:
    """The multiple of the learning rate to try next, None when the answer is known.

    First the own rate and ten times it. Where the own rate hardly moves the loss, only larger ones can help; otherwise
    smaller ones are tried, then one that is larger.
    """
    tried = {trial.factor: trial for trial in measured.trials}
    if 1.0 not in tried:
        return 1.0
    if trial_learns(measured) or learning_factors(measured):
        return None
    order = SMALLER if _moves(tried[1.0]) else LARGER
    if any(factor > 1 and not _bounded(trial) for factor, trial in tried.items()):
        order = tuple(factor for factor in order if factor < max(tried))
    return next((factor for factor in order if factor not in tried), None)


def _moves(trial: Trial) -> bool:
    """Whether the steps change the loss by more than a hundredth."""
    start = trial.losses[0]
    return not all(abs(loss - start) <= 0.01 * abs(start) for loss in trial.losses)


def _bounded(trial: Trial) -> bool:
    return all(abs(loss) <= 10 * abs(trial.losses[0]) for loss in trial.losses)


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
    reference = losses[0] if measured.constant_loss is None else measured.constant_loss
    return losses[-1] < FALLEN * reference


def learning_findings(measured: Measurements) -> Iterator[Finding]:
    """Findings about the learning rate, the loss and the updates."""
    yield from _trials(measured)
    yield from _history(measured)
    yield from _updates(measured)
    yield from _start_loss(measured)


def _trials(measured: Measurements) -> Iterator[Finding]:
    if trial_learns(measured) is not False or (trained_share(measured) or 0.0) >= TRAINED:
        return
    first = measured.trials[0]
    if len(measured.trials) == 1:
        if not _bounded(first):
            words = Message(
                "the loss grows from {first:.3g} to {last:.3g} within {steps} steps",
                first=first.losses[0],
                last=first.losses[-1],
                steps=len(first.losses) - 1,
            )
            yield find("learning rate too high", words, figure=1.0)
        return
    factors = learning_factors(measured)
    steps = len(first.losses) - 1
    lower, higher = [f for f in factors if f < 1], [f for f in factors if f > 1]
    if not lower and not _bounded(first):
        lower = [t.factor for t in measured.trials if t.factor < 1 and removed(t, t.losses[0]) >= HELPS]
    if lower:
        yield find("learning rate too high", _other_rate(steps, max(lower)), figure=max(lower))
    elif higher and min(higher) <= LARGER[0] and removed(first, first.losses[0]) >= ON_ITS_WAY:
        words = Message(
            "{steps} steps on the batch lower the loss by {fall:.0%}; with a learning rate of {factor:g} times this "
            "it falls further",
            steps=steps,
            fall=removed(first, first.losses[0]),
            factor=min(higher),
        )
        yield find("learning rate too low", words, figure=min(higher), severity="warning")
    elif higher:
        yield find("learning rate too low", _other_rate(steps, min(higher)), figure=min(higher))
    elif _stands_still(measured):
        words = Message(
            "no layer moves by more than {update:.1e} of its weights a step, "
            "and even {factor:g} times the learning rate does not make the loss leave its range",
            update=_largest_update(measured),
            factor=LARGER[-1],
        )
        yield find("learning rate too low", words, figure=LARGER[-1])
    else:
        tried = sorted(trial.factor for trial in measured.trials)
        words = Message(
            "no learning rate from {low:g} to {high:g} times this one lowers the loss in {steps} steps on the batch",
            low=tried[0],
            high=tried[-1],
            steps=steps,
        )
        yield find("not learning", words, figure=0.0)


def _other_rate(steps: int, factor: float) -> Message:
    return Message(
        "{steps} steps on the batch do not lower the loss; with a learning rate of {factor:g} times this they do",
        steps=steps,
        factor=factor,
    )


def _stands_still(measured: Measurements) -> bool:
    """Whether the rate is so small that even its largest multiple leaves the loss unchanged."""
    tried = {trial.factor: trial for trial in measured.trials}
    still = 0 < _largest_update(measured) < TINY_UPDATE and not _moves(tried[1.0])
    return still and LARGER[-1] in tried and all(map(_bounded, tried.values()))


def _largest_update(measured: Measurements) -> float:
    ratios = [layer.update_ratio for layer in measured.layers if layer.update_ratio is not None]
    return max((ratio for ratio in ratios if math.isfinite(ratio)), default=0.0)


def _history(measured: Measurements) -> Iterator[Finding]:
    stuck = list(chance_findings(measured))
    yield from stuck
    losses = measured.history
    if len(losses) < MIN_HISTORY or not all(map(math.isfinite, losses)):
        return
    first, last = losses[0], min(losses[-2:])
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
    if jump > threshold("oscillating"):
        words = Message("the training loss jumps by {jump:.0%} of its whole range from point to point", jump=jump)
        yield find("oscillating", words, figure=jump)


def _updates(measured: Measurements) -> Iterator[Finding]:
    ratios = [(layer.update_ratio, layer.name) for layer in measured.layers if layer.update_ratio is not None]
    ratios = [(ratio, name) for ratio, name in ratios if math.isfinite(ratio)]
    if not ratios:
        return
    (smallest, at_smallest), (largest, at_largest) = min(ratios), max(ratios)
    usual = threshold("update size")
    if 0 < largest < usual / 10:
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
