"""Whether the first updates were so large that the network has not recovered: its gradients and updates are tiny now.

A network in that state looks like one that learns too slowly. What tells them apart is how training began: the loss
before it, the first update, the units that were alive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from mnist_depth.diagnosis.chance import AT_CONSTANT, MIN_UPDATES, best_loss, trained_share
from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.kinds import find, threshold
from mnist_depth.diagnosis.measurements import Measurements
from mnist_depth.diagnosis.message import Message
from mnist_depth.diagnosis.trials import LARGE_UPDATE

ROSE = 10.0
"""Factor from the loss before training, or a constant prediction's if that is higher, above which the loss exploded."""

HIGHER = 1.25
"""Factor from the same loss to that of the end: more than minibatches differ by."""

NOTABLE_UPDATE = 0.02
"""A first update of this part of the weights, twenty times the usual one, explains that units have died since."""

ALIVE, DEAD = 0.5, 0.9
"""Shares of zero units below which a layer was alive, and from which on it is as good as dead."""

POWERS = {"mean_squared_error": 2, "mean_absolute_error": 1}
"""Loss -> the power of an error that it averages."""

SOURCE = Message("a loss ten times that before training, or a first update of a tenth of the weights")
REMEDY = Message("a smaller learning rate, from new weights: these do not recover")


def loss_before(*losses: float | None) -> float | None:
    """The loss before the first update, of several that were measured: the highest finite one."""
    return max((loss for loss in losses if loss is not None and math.isfinite(loss)), default=None)


def first_loss(measured: Measurements) -> float | None:
    """The loss that training began with: the first point, or the loss before it where the first updates raised that."""
    first = next(iter(measured.history), None)
    start = measured.start_loss
    return start if start is not None and first is not None and not first < ROSE * start else first


def overshoot_findings(measured: Measurements) -> Iterator[Finding]:
    """A learning rate that is too high by what the first updates did to the network; at most one finding."""
    words = _overshoot(measured)
    if words is not None:
        _, layer = _first_update(measured)
        found = find("learning rate too high", words, layer=layer)
        yield replace(found, threshold=None, source=SOURCE, remedy=REMEDY)


def is_dead(measured: Measurements) -> bool:
    """Whether a hidden layer, and with it all before it, gets no gradient because its units are zero."""
    return any((layer.dead_share or 0.0) >= threshold("dead") for layer in measured.layers if not layer.is_output)


def _overshoot(measured: Measurements) -> Message | None:
    if not measured.updates or measured.trials or not _starts_well(measured):
        return None
    update, layer = _first_update(measured)
    moved = {"layer": layer, "update": update}
    if update >= LARGE_UPDATE and _is_not_finite(measured) and measured.start_loss is not None:
        return Message(
            "the loss was {start:.4g} before the first update, which changed the weights of {layer} by {update:.0%}; "
            "now values are not finite",
            start=measured.start_loss,
            **moved,
        )
    if _has_recovered(measured):
        return None
    return _explosion(measured, update) or _higher_loss(measured, moved) or _death(measured, moved)


def _explosion(measured: Measurements, update: float) -> Message | None:
    """A loss that left its range, even if it has come down to that of a constant prediction since."""
    start, highest = measured.start_loss, max(filter(math.isfinite, measured.history), default=-math.inf)
    has_evidence = measured.constant_loss is not None or update >= LARGE_UPDATE
    if not start or not has_evidence or highest < ROSE * max(start, measured.constant_loss or 0.0):
        return None
    return Message(
        "the loss was {start:.4g} before training, rose to {highest:.3g} and is {last:.4g} now",
        start=start,
        highest=highest,
        last=best_loss(measured),
    )


def _higher_loss(measured: Measurements, moved: Mapping[str, Any]) -> Message | None:
    """A loss that is higher than before the first update, which was large."""
    start, last = measured.start_loss, best_loss(measured)
    if start is None or last is None or measured.updates < MIN_UPDATES or moved["update"] < LARGE_UPDATE:
        return None
    if last < HIGHER * max(start, measured.constant_loss or 0.0):
        return None
    return Message(
        "the loss was {start:.4g} before the first update, which changed the weights of {layer} by {update:.0%}, "
        "and is {last:.4g} now",
        start=start,
        last=last,
        **moved,
    )


def _death(measured: Measurements, moved: Mapping[str, Any]) -> Message | None:
    """Units that the first updates have killed."""
    before = {layer.name: layer for layer in measured.start}
    for now in reversed(measured.layers):
        start = before.get(now.name)
        if start is None or now.is_output:
            continue
        if moved["update"] >= NOTABLE_UPDATE and _has_died(start.dead_share, now.dead_share):
            return Message(
                "the first update changed the weights of {layer} by {update:.0%}; {share:.0%} of the units of {dead} "
                "have become zero for every sample",
                dead=now.name,
                share=now.dead_share,
                **moved,
            )
        if moved["update"] >= LARGE_UPDATE and now.kernel_gradient == 0.0 < (start.kernel_gradient or 0.0):
            return Message(
                "the first update changed the weights of {layer} by {update:.0%}; {dead} gets no gradient any more",
                dead=now.name,
                **moved,
            )
    return None


def _has_died(before: float | None, now: float | None) -> bool:
    return before is not None and now is not None and before < ALIVE and now >= DEAD


def _starts_well(measured: Measurements) -> bool:
    """Whether nothing but the rate was wrong before the first update, or scales that make a usual rate too high."""
    data, start = measured.data, measured.start_loss
    if data is not None and (data.input_nonfinite or data.label_nonfinite):
        return False
    if start is None or not measured.constant_loss or start <= threshold("start loss") * _usual_start(measured):
        return True
    return data is not None and not data.input_is_scaled and (data.input_rms or 0.0) > threshold("input scale")


def _usual_start(measured: Measurements) -> float:
    """The loss of a network without knowledge: a constant prediction's, or of targets that of predicting zero."""
    data, output, constant = measured.data, measured.output, measured.constant_loss or 0.0
    if data is None or output is None or data.label_rms is None or output.loss not in POWERS:
        return constant
    return max(constant, data.label_rms ** POWERS[output.loss])


def _first_update(measured: Measurements) -> tuple[float, str | None]:
    """The largest ||update|| / ||weights|| of the first update, and its layer; 0 where it was not measured.

    Infinite for weights that started at zero: left out.
    """
    known = [(layer.update_ratio, layer.name) for layer in measured.start if layer.update_ratio is not None]
    return max(((ratio, name) for ratio, name in known if math.isfinite(ratio)), default=(0.0, None))


def _is_not_finite(measured: Measurements) -> bool:
    losses = [*measured.history, *([] if measured.loss is None else [measured.loss])]
    gradients = [layer.kernel_gradient for layer in measured.layers if layer.kernel_gradient is not None]
    broken = any(layer.nonfinite_weights for layer in measured.layers)
    return measured.diverged or broken or not all(map(math.isfinite, (*losses, *gradients)))


def _has_recovered(measured: Measurements) -> bool:
    """Whether training has removed a part of the loss; also where too little is known of the loss."""
    share = trained_share(measured)
    if share is not None:
        return share >= AT_CONSTANT
    last, start = best_loss(measured), measured.start_loss or first_loss(measured)
    return last is None or start is None or last < (1 - AT_CONSTANT) * start
