"""What helps against each verdict, most effective first, and the study that shows it.

The order against vanishing is that of the benchmark (docs/diagnosis.md, single changes).
"""

from __future__ import annotations

from collections.abc import Iterable

from mnist_depth.diagnosis import remedy_rules as rules
from mnist_depth.diagnosis.finding import Remedy
from mnist_depth.diagnosis.message import Message

EXPLODING = (
    rules.HE_FOR_LARGE,
    rules.BATCH_NORM,
    rules.SMALLER_SCALE,
    rules.LOWER_RATE,
)
DEAD = (
    rules.RANDOM_WEIGHTS,
    rules.HE_FOR_DEAD,
    rules.LEAKY,
    rules.BATCH_NORM,
    rules.LOWER_RATE,
)

RULES: dict[str, tuple[rules.Rule, ...]] = {
    "vanishing": (
        rules.RELU,
        rules.BATCH_NORM,
        rules.HE_FOR_SMALL,
        rules.RESIDUAL,
        rules.GAIN_4,
        rules.ADAM,
        rules.PRETRAINING,
    ),
    "exploding": EXPLODING,
    "signal grows": EXPLODING,
    "not finite": (rules.HE_FOR_FIXED, rules.BATCH_NORM, rules.LOWER_RATE),
    "dead": DEAD,
    "cut": DEAD,
    "symmetric": (rules.RANDOM_WEIGHTS,),
    "saturated": (rules.HE_FOR_FIXED, rules.RELU, rules.BATCH_NORM, rules.SMALLER_SCALE),
    "learning rate too high": (rules.LOWER_RATE,),
    "learning rate too low": (rules.HIGHER_RATE,),
    "not learning": (rules.HIDDEN_LAYER, rules.RELU, rules.BATCH_NORM, rules.RESIDUAL, rules.ADAM),
    "vanishes through time": (rules.GATES, rules.OPEN_GATES, rules.ORTHOGONAL_CELL, rules.EVERY_STEP, rules.SHORTER),
    "explodes through time": (rules.CLIPPING, rules.ORTHOGONAL_CELL, rules.GATES, rules.SHORTER),
    "dead units": (rules.LEAKY, rules.LOWER_RATE),
    "signal collapses": (rules.BATCH_NORM, rules.RESIDUAL),
    "slow first layers": (rules.BATCH_NORM, rules.RESIDUAL),
    "loss not falling": (rules.OTHER_RATE, rules.HIDDEN_LAYER, rules.CHECK_DATA, rules.MORE_UPDATES),
}
"""Kind of finding -> its remedies, most effective first. Kinds without an entry carry their remedy in `KINDS`."""


STATED: dict[str, tuple[rules.Rule, ...]] = {
    "vanishing": (rules.RELU, rules.BATCH_NORM),
    "exploding": (rules.HE_FOR_LARGE, rules.BATCH_NORM),
    "signal collapses": (rules.BATCH_NORM,),
    "slow first layers": (rules.BATCH_NORM, rules.RESIDUAL),
}
"""Kind of finding -> the rules behind its remedy in `KINDS`."""

NOTHING_LEFT = Message("the network has what usually helps; look at this layer alone: its weights, its input")


def remedy_for(kind: str, stated: str, traits: rules.Traits) -> str:
    """The remedy that `KINDS` states; where the network uses a part of it, the first two remedies that it does not."""
    if all(rule.open_to(traits) for rule in STATED.get(kind, ())):
        return stated
    offered = [Message(rule.remedy.action) for rule in RULES[kind] if rule.open_to(traits)]
    if len(offered) < 2:
        return offered[0] if offered else NOTHING_LEFT
    return Message("{first}, or {second}", first=offered[0], second=offered[1])


def remedies(kinds: Iterable[str], traits: rules.Traits) -> tuple[Remedy, ...]:
    """The remedies against these findings that a network with these traits does not use yet, most effective first."""
    found = [rule.remedy for kind in kinds for rule in RULES.get(kind, ()) if rule.open_to(traits)]
    return tuple(dict.fromkeys(found))
