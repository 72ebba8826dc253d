"""What helps against each verdict, most effective first, and the study that shows it.

The order against vanishing is that of the `rescues` study; 9 sigmoid layers of 256 units on digits, Glorot
initialization, SGD 0.1, 840 steps, test accuracy from 0.08 (chance) to: batch normalization 0.99, ReLU with He 0.99,
residual wiring 0.97, Glorot with gain 4 0.97, orthogonal with gain 4 0.95, Adam 0.71.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

Traits = Mapping[str, str]


class Remedy(NamedTuple):
    """One thing to do, why it should work, and the study that shows how much."""

    action: str
    evidence: str
    study: str


class _Rule(NamedTuple):
    remedy: Remedy
    open_to: Callable[[Traits], bool]
    """Whether a network with these traits does not do this already; unknown traits count as not."""


SATURATING = ("sigmoid", "tanh", "softplus")
PLAIN_OPTIMIZERS = ("sgd", "momentum", "nag")
FIXED_SCALE = ("normal_1", "uniform_1", "normal")


def _base(traits: Traits, name: str) -> str:
    return traits.get(name, "").partition(":")[0]


def _saturating(traits: Traits) -> bool:
    return _base(traits, "activation") in ("", *SATURATING)


def _sigmoid(traits: Traits) -> bool:
    return _base(traits, "activation") == "sigmoid" and _base(traits, "initializer") not in ("glorot_4", "orthogonal")


def _rectifier_too_small(traits: Traits) -> bool:
    return not _saturating(traits) and _base(traits, "initializer") not in ("he_normal", "he_uniform", "he_fan_in")


def _without(name: str, plain: str) -> Callable[[Traits], bool]:
    return lambda traits: traits.get(name, plain) == plain


def _plain_optimizer(traits: Traits) -> bool:
    return _base(traits, "optimizer") in ("", *PLAIN_OPTIMIZERS)


def _fixed_scale(traits: Traits) -> bool:
    return _base(traits, "initializer") in ("", *FIXED_SCALE)


def _always(traits: Traits) -> bool:
    return True


BATCH_NORM = _Rule(
    Remedy(
        "batch normalization before every activation",
        "keeps the pre-activations where the slope is large, whatever the initial scale (Ioffe & Szegedy 2015)",
        "batch_norm",
    ),
    _without("batch_norm", "none"),
)
RESIDUAL = _Rule(
    Remedy("residual wiring", "the identity path passes the gradient on by a factor of one (He et al. 2016)", "lego"),
    _without("wiring", "plain"),
)
HE = Remedy(
    "He initialization (variance 2 / fan_in)",
    "makes the gain of a rectifier layer one, where fixed scales grow or shrink with the width (He et al. 2015)",
    "initializers",
)
LOWER_RATE = _Rule(
    Remedy("a smaller learning rate, searched on a log scale", "steps that overshoot make weights run away", "search"),
    _always,
)

RULES: dict[str, tuple[_Rule, ...]] = {
    "vanishing": (
        BATCH_NORM,
        _Rule(
            Remedy(
                "ReLU in the hidden layers, with He initialization",
                "slope one where it is active, and a gain of one per layer; sigmoid's slope is at most 1/4",
                "depth9",
            ),
            _saturating,
        ),
        _Rule(HE, _rectifier_too_small),
        RESIDUAL,
        _Rule(
            Remedy(
                "gain 4 for sigmoid: glorot_4 or orthogonal:4",
                "makes up for the slope of 1/4 at zero (Glorot & Bengio 2010); gain 1 does not help",
                "rescues",
            ),
            _sigmoid,
        ),
        _Rule(
            Remedy(
                "Adam",
                "divides every gradient by its own size, so small ones move the weights too (Kingma & Ba 2015)",
                "optimizers",
            ),
            _plain_optimizer,
        ),
        _Rule(
            Remedy(
                "RBM pre-training, layer by layer",
                "starts where every layer tells inputs apart (Hinton et al. 2006)",
                "dbn",
            ),
            lambda traits: _sigmoid(traits) and _without("pretraining", "none")(traits),
        ),
    ),
    "exploding": (
        _Rule(HE, lambda traits: _fixed_scale(traits) or _base(traits, "initializer") == "mean_field"),
        BATCH_NORM,
        _Rule(
            Remedy("a smaller initial scale", "the gain per layer is proportional to it", "phase_diagram"),
            lambda traits: not _fixed_scale(traits),
        ),
        LOWER_RATE,
    ),
    "not finite": (_Rule(HE, _fixed_scale), BATCH_NORM, LOWER_RATE),
    "dead": (
        _Rule(
            Remedy(
                "random initial weights, scaled by fan_in (Glorot, He)",
                "zeros pass nothing back, and equal units stay equal",
                "initializers",
            ),
            lambda traits: _base(traits, "initializer") in ("", "zeros", "normal_0_01"),
        ),
        _Rule(HE, lambda traits: _base(traits, "initializer") in FIXED_SCALE),
        _Rule(
            Remedy(
                "a leaky rectifier (leaky_relu, elu)",
                "its slope is nowhere zero, so units recover (Maas et al. 2013)",
                "activations",
            ),
            lambda traits: _base(traits, "activation") in ("", "relu") and _base(traits, "initializer") != "zeros",
        ),
        BATCH_NORM,
        LOWER_RATE,
    ),
    "healthy": (),
}


def remedies(verdict: str, traits: Traits) -> tuple[Remedy, ...]:
    """The remedies against a verdict that a network with these traits does not use already, most effective first."""
    return tuple(rule.remedy for rule in RULES[verdict] if rule.open_to(traits))
