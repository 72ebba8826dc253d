"""Whether the network learns: trial steps before training, the loss curve while it trains, sizes of updates."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Measurements, Trial

LEARNED = 0.1
"""Part of the constant prediction's loss that a trial must get rid of to count as learning. Source: the benchmark."""

FALLEN = 0.7
"""A training loss below this part of what it started from shows that the network learns."""

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


def learns(trial: Trial, reference: float) -> bool:
    """Whether the trial ends clearly below the reference loss, judged by its last quarter."""
    tail = trial.losses[-max(1, len(trial.losses) // 4) :]
    end = math.fsum(tail) / len(tail) if all(map(math.isfinite, tail)) else math.inf
    return end < reference - LEARNED * abs(reference)


def learning_factors(measured: Measurements) -> list[float]:
    """The multiples of the learning rate at which the trial steps learn."""
    reference = reference_loss(measured)
    if reference is None:
        return []
    return sorted(trial.factor for trial in measured.trials if learns(trial, reference))


def trial_learns(measured: Measurements) -> bool | None:
    """Whether the network learns in its trial steps; None where there were none.

    A rate ten times larger counts as well: its few steps stand for ten times as many at the model's own rate.
    """
    if not measured.trials:
        return None
    return any(1 <= factor < threshold("learning rate too low") * 1.01 for factor in learning_factors(measured))


def next_factor(measured: Measurements) -> float | None:
    """The multiple of the learning rate to try next, None when the answer is known.

    First the own rate and ten times it. Where the own rate hardly moves the loss, only larger ones can help; otherwise
    smaller ones are tried, then one that is larger.
    """
    tried = {trial.factor: trial for trial in measured.trials}
    if 1.0 not in tried:
        return 1.0
    if trial_learns(measured) or any(factor != 1 for factor in learning_factors(measured)):
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
    if trial_learns(measured) is not False:
        return
    first = measured.trials[0]
    if len(measured.trials) == 1:
        if not _bounded(first):
            words = (
                f"the loss grows from {first.losses[0]:.3g} to {first.losses[-1]:.3g} "
                f"within {len(first.losses) - 1} steps"
            )
            yield find("learning rate too high", words, figure=1.0)
        return
    factors = learning_factors(measured)
    steps = len(first.losses) - 1
    lower, higher = [f for f in factors if f < 1], [f for f in factors if f > 1]
    if lower:
        words = (
            f"{steps} steps on the batch do not lower the loss; with a learning "
            f"rate of {max(lower):g} times this they do"
        )
        yield find("learning rate too high", words, figure=max(lower))
    elif higher:
        words = (
            f"{steps} steps on the batch do not lower the loss; with a learning "
            f"rate of {min(higher):g} times this they do"
        )
        yield find("learning rate too low", words, figure=min(higher))
    else:
        tried = sorted(trial.factor for trial in measured.trials)
        words = (
            f"no learning rate from {tried[0]:g} to {tried[-1]:g} times this one "
            f"lowers the loss in {steps} steps on the batch"
        )
        yield find("not learning", words, figure=0.0)


def _history(measured: Measurements) -> Iterator[Finding]:
    losses = measured.history
    if len(losses) < MIN_HISTORY or not all(map(math.isfinite, losses)):
        return
    first, last = losses[0], min(losses[-2:])
    fall = (first - last) / abs(first) if first else 0.0
    at_chance = measured.constant_loss is None or last > (1 - LEARNED) * measured.constant_loss
    if fall < threshold("loss not falling") and at_chance:
        yield find(
            "loss not falling", f"the training loss went from {first:.4g} to {last:.4g}: it has not fallen", figure=fall
        )
        return
    second = losses[len(losses) // 2 :]
    span = max(losses) - min(losses)
    jumps = [abs(b - a) for a, b in pairwise(second)]
    jump = math.fsum(jumps) / len(jumps) / span if span and jumps else 0.0
    if jump > threshold("oscillating"):
        yield find(
            "oscillating", f"the training loss jumps by {jump:.0%} of its whole range from point to point", figure=jump
        )


def _updates(measured: Measurements) -> Iterator[Finding]:
    ratios = [(layer.update_ratio, layer.name) for layer in measured.layers if layer.update_ratio is not None]
    ratios = [(ratio, name) for ratio, name in ratios if math.isfinite(ratio)]
    if not ratios:
        return
    (smallest, at_smallest), (largest, at_largest) = min(ratios), max(ratios)
    usual = threshold("update size")
    if 0 < largest < usual / 10:
        words = (
            f"no layer moves by more than {largest:.1e} of its weights a step, usual "
            f"is about {usual:g}: the learning rate is low"
        )
        yield find("update size", words, layer=at_largest, figure=largest)
    elif smallest < usual / UPDATE_BAND:
        words = f"{at_smallest} moves by {smallest:.1e} of its weights a step, usual is about {usual:g}"
        yield find("update size", words, layer=at_smallest, figure=smallest)
    if largest > usual * UPDATE_BAND:
        words = f"{at_largest} moves by {largest:.1e} of its weights a step: the learning rate is high for it"
        yield find("update size", words, layer=at_largest, figure=largest)


def _start_loss(measured: Measurements) -> Iterator[Finding]:
    if measured.updates or not measured.constant_loss or measured.loss is None:
        return
    factor = measured.loss / measured.constant_loss
    if math.isfinite(factor) and factor > threshold("start loss"):
        words = (
            f"the loss starts at {measured.loss:.3g}, {factor:.2g} times that of the best "
            f"constant prediction ({measured.constant_loss:.3g})"
        )
        yield find("start loss", words, figure=factor)
