"""Judge trial steps: does the loss fall at the model's own learning rate, and if not, at which other one?

A trial takes steps on minibatches as training does, so its loss is a short forecast of the training loss.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Measurements, Trial
from mnist_depth.diagnosis.message import Message

EXAMPLES = 512
"""Examples that trial steps choose from at most. Source: the benchmark, whose thresholds hold up to this number."""

LEARNED, LEARNED_OF_ALL = 0.15, 0.08
"""Part of the reference loss that trial steps at the own rate must remove, on 128 examples or fewer and on EXAMPLES.

Less on more examples: each is seen less often, and is not learned by heart. Source: the benchmark.
"""

HELPS = 0.2
"""The same for another learning rate, more because it is recommended. Source: the benchmark."""

LUCKY = 0.5
"""Part of the constant prediction's loss: a start between it and the whole is the reference, as with lucky weights."""

HALF = 0.5
"""Part of an exploded loss that a smaller rate must remove to count as better."""

SLOW, ON_ITS_WAY = 10.0, 0.2
"""A network that removes this part of its start loss, and more at a rate of up to SLOW times its own, is only slow."""

FAR = 2.0
"""A loss above this multiple of the reference after the trial steps is not on its way. Source: the benchmark."""

STEADY = 3.0
"""Standard errors by which a loss must fall from the first to the last quarter of a trial to fall steadily."""

LARGE_UPDATE, SMALLER = 0.1, 0.1
"""Where a layer moves by LARGE_UPDATE of its weights in a step, SMALLER times the learning rate is tried, too."""

TINY_UPDATE = 1e-4
"""||update|| / ||weights|| below which, in every layer, a learning rate is too low if the loss does not fall."""

FACTORS = (1.0, 10.0, 0.1, 1e2, 1e-2, 1e3, 1e-3, 1e4, 1e-4, 1e5, 1e6, 1e7)
"""Multiples of the learning rate in the order in which they are tried: the nearest first."""

FADED = 0.01
"""A schedule that leaves less than this part of the learning rate within a trial ends the training before it learns."""

MANY = 16
"""Steps from which on a trial that does not learn is a finding; after fewer only a loss that explodes is."""


def reference_loss(measured: Measurements) -> float | None:
    """The loss that learning must beat: that of the best constant prediction, or of the start where that is lower."""
    constant, start = measured.constant_loss, _start(measured)
    if constant is None or start is None:
        return constant if start is None else start
    if constant <= measured.lowest_loss:  # equal labels: a constant prediction is perfect
        return start
    return start if LUCKY * constant < start < constant else constant


def _start(measured: Measurements) -> float | None:
    """Mean over the first minibatches; the first steps change the loss little."""
    first = next(iter(measured.trials), None)
    losses = [loss for loss in first.losses[:4] if math.isfinite(loss)] if first else []
    return _mean(losses) if losses else None


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def removed(trial: Trial, reference: float, lowest: float = 0.0) -> float:
    """Part of the way from the reference down to the lowest loss that the last quarter of a trial has covered.

    `lowest` is above zero for soft labels; a reference below it is measured by its own size. -inf where not finite.
    """
    last = _mean(trial.losses[-max(1, len(trial.losses) // 4) :])
    way = reference - lowest if reference > lowest else abs(reference)
    return (reference - last) / way if way and math.isfinite(last) else -math.inf


def learning_factors(measured: Measurements) -> list[float]:
    """The multiples of the learning rate, other than one, at which the trial steps lower the loss."""
    reference = reference_loss(measured)
    if reference is None:
        return []
    return sorted(t.factor for t in measured.trials if t.factor != 1 and _share(measured, t, reference) >= HELPS)


def trial_learns(measured: Measurements) -> bool | None:
    """Whether the network learns in its trial steps; None where there were none."""
    reference = reference_loss(measured)
    if not measured.trials or reference is None:
        return None
    return _share(measured, measured.trials[0], reference) >= _to_learn(measured)


def _to_learn(measured: Measurements) -> float:
    """Between the two thresholds by the square root of the number of examples."""
    used = max(1, min(measured.data.examples if measured.data else 1, EXAMPLES))
    return min(LEARNED, LEARNED_OF_ALL * math.sqrt(EXAMPLES / used))


def _share(measured: Measurements, trial: Trial, reference: float) -> float:
    return removed(trial, reference, measured.lowest_loss)


def next_factor(measured: Measurements) -> float | None:
    """The multiple of the learning rate to try next, None when the answer is known or nothing is left to try.

    After a loss that explodes larger rates are left out, and smaller ones where the weights hardly move as it is.
    """
    if not measured.trials:
        return FACTORS[0]
    tried = {trial.factor for trial in measured.trials}
    if trial_learns(measured):
        return SMALLER if _largest_update(measured) >= LARGE_UPDATE and SMALLER not in tried else None
    if learning_factors(measured) or _is_frozen(measured):
        return None
    highest = min((trial.factor for trial in measured.trials if not _bounded(trial)), default=math.inf)
    lowest = 1.0 if 0 < _largest_update(measured) < TINY_UPDATE else 0.0
    return next((factor for factor in FACTORS if factor not in tried and lowest <= factor < highest), None)


def _is_frozen(measured: Measurements) -> bool:
    return bool(measured.layers) and not any(layer.trainable for layer in measured.layers)


def _bounded(trial: Trial) -> bool:
    return all(abs(loss) <= 10 * abs(trial.losses[0]) for loss in trial.losses)


def _largest_update(measured: Measurements) -> float:
    ratios = [layer.update_ratio for layer in measured.layers if layer.update_ratio is not None]
    return max((ratio for ratio in ratios if math.isfinite(ratio)), default=0.0)


def trial_findings(measured: Measurements) -> Iterator[Finding]:
    """A learning rate that is too high or too low, or no rate that helps."""
    learns = trial_learns(measured)
    if learns:
        yield from _learns_better(measured)
    if learns is not False or _is_frozen(measured):
        return
    first = measured.trials[0]
    if len(first.losses) >= MANY:
        yield next(found for rule in WHY_NOT if (found := rule(measured)) is not None)
    elif not _bounded(first):
        yield find("learning rate too high", _explodes(first), figure=1.0)


def _too_high(measured: Measurements) -> Finding | None:
    """A smaller rate helps, or at least tames a loss that explodes."""
    first, factors = measured.trials[0], learning_factors(measured)
    lower = [factor for factor in factors if factor < 1]
    if not factors and not _bounded(first):
        lower = [t.factor for t in measured.trials if t.factor < 1 and removed(t, t.losses[0]) >= HALF]
    if not lower:
        return None
    return find("learning rate too high", _other_rate(len(first.losses), max(lower)), figure=max(lower))


def _schedule_ends(measured: Measurements) -> Finding | None:
    if measured.rate_kept is None or measured.rate_kept >= FADED:
        return None
    words = Message(
        "within {steps} steps the schedule lowers the learning rate to {kept:.1e} times its value, "
        "before the loss has fallen",
        steps=len(measured.trials[0].losses),
        kept=measured.rate_kept,
    )
    longer = Message("a schedule that lowers the learning rate over the whole training")
    return replace(find("learning rate too low", words, figure=measured.rate_kept), threshold=FADED, remedy=longer)


def _too_low(measured: Measurements) -> Finding | None:
    """A larger rate helps; a warning where the network learns slowly as it is."""
    first, higher = measured.trials[0], [factor for factor in learning_factors(measured) if factor > 1]
    if not higher:
        return None
    steps, factor = len(first.losses), min(higher)
    if not _is_on_its_way(measured, first, factor):
        return find("learning rate too low", _other_rate(steps, factor), figure=factor)
    words = Message(
        "{steps} steps on the batch lower the loss by {fall:.0%}; with a learning rate of {factor:g} times this "
        "it falls further",
        steps=steps,
        fall=removed(first, _start(measured) or 0.0),
        factor=factor,
    )
    return find("learning rate too low", words, figure=factor, severity="warning")


def _hardly_moves(measured: Measurements) -> Finding | None:
    """The updates are tiny, and no larger rate that was tried is too large."""
    if not 0 < _largest_update(measured) < TINY_UPDATE or not all(map(_bounded, measured.trials)):
        return None
    words = Message(
        "no layer moves by more than {update:.1e} of its weights a step, "
        "and even {factor:g} times the learning rate does not make the loss leave its range",
        update=_largest_update(measured),
        factor=FACTORS[-1],
    )
    return find("learning rate too low", words, figure=FACTORS[-1])


def _no_rate_helps(measured: Measurements) -> Finding:
    tried = sorted(trial.factor for trial in measured.trials)
    words = Message(
        "no learning rate from {low:g} to {high:g} times this one lowers the loss in {steps} steps on the batch",
        low=tried[0],
        high=tried[-1],
        steps=len(measured.trials[0].losses),
    )
    return find("not learning", words, figure=0.0)


WHY_NOT: tuple[Callable[[Measurements], Finding | None], ...] = (
    _too_high,
    _schedule_ends,
    _too_low,
    _hardly_moves,
    _no_rate_helps,
)
"""Why the trial steps do not learn; the first that is found is reported."""


def _learns_better(measured: Measurements) -> Iterator[Finding]:
    """A warning where the network learns at its own rate, and far better at a smaller one."""
    reference = reference_loss(measured) or 0.0
    own = removed(measured.trials[0], reference, measured.lowest_loss)
    for trial in measured.trials[1:]:
        other = removed(trial, reference, measured.lowest_loss)
        if trial.factor < 1 and other - own >= HELPS:
            words = Message(
                "{steps} steps on the batch remove {own:.0%} of the loss, and {other:.0%} with a learning rate of "
                "{factor:g} times this",
                steps=len(trial.losses),
                own=own,
                other=other,
                factor=trial.factor,
            )
            yield find("learning rate too high", words, figure=trial.factor, severity="warning")


def _is_on_its_way(measured: Measurements, first: Trial, factor: float) -> bool:
    """Whether the network learns at its own rate, only not within the trial steps; `factor` times that is enough."""
    if removed(first, reference_loss(measured) or 0.0) < 1 - FAR:
        return False
    if factor <= SLOW and removed(first, _start(measured) or 0.0) >= ON_ITS_WAY:
        return True
    # A new head on frozen features is usually trained in many small steps: what counts is that they lead down.
    is_head = any(not layer.trainable for layer in measured.layers)
    return is_head and _largest_update(measured) >= threshold("update size") and _falls_steadily(first)


def _falls_steadily(trial: Trial) -> bool:
    """Whether the loss falls from the first to the last quarter by more than the noise of the minibatches."""
    count = len(trial.losses) // 4
    first, last = trial.losses[:count], trial.losses[-count:]
    if not all(map(math.isfinite, (*first, *last))):
        return False
    noise = math.sqrt((statistics.pvariance(first) + statistics.pvariance(last)) / count)
    return _mean(first) - _mean(last) > STEADY * noise


def _explodes(trial: Trial) -> Message:
    return Message(
        "the loss grows from {first:.3g} to {last:.3g} within {steps} steps",
        first=trial.losses[0],
        last=trial.losses[-1],
        steps=len(trial.losses),
    )


def _other_rate(steps: int, factor: float) -> Message:
    return Message(
        "{steps} steps on the batch do not lower the loss; with a learning rate of {factor:g} times this they do",
        steps=steps,
        factor=factor,
    )
