"""What helps against each verdict, most effective first, and the study that shows it.

The order against vanishing is that of the `rescues` study; 9 sigmoid layers of 256 units on digits, Glorot
initialization, SGD 0.1, 840 steps, test accuracy from 0.08 (chance) to: batch normalization 0.99, ReLU with He 0.99,
residual wiring 0.97, Glorot with gain 4 0.97, orthogonal with gain 4 0.95, Adam 0.71.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mnist_depth.diagnosis.finding import Remedy

Traits = Mapping[str, str]


class _Rule(NamedTuple):
    remedy: Remedy
    open_to: Callable[[Traits], bool]
    """True if the network does not use this remedy yet; unknown traits count as unused."""


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


def _has_hidden(traits: Traits) -> bool:
    """Whether layers other than recurrent ones lie before the output."""
    return traits.get("hidden") != "none"


def _simple_cell(traits: Traits) -> bool:
    return traits.get("recurrent") == "simple"


BATCH_NORM = _Rule(
    Remedy(
        "batch normalization before every activation",
        "keeps the pre-activations where the slope is large, whatever the initial scale (Ioffe & Szegedy 2015)",
        "batch_norm",
    ),
    lambda traits: _has_hidden(traits) and _without("batch_norm", "none")(traits),
)
RESIDUAL = _Rule(
    Remedy("residual wiring", "the identity path passes the gradient on by a factor of one (He et al. 2016)", "lego"),
    lambda traits: _has_hidden(traits) and _without("wiring", "plain")(traits),
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

RELU = _Rule(
    Remedy(
        "ReLU in the hidden layers, with He initialization",
        "slope one where it is active, and a gain of one per layer; sigmoid's slope is at most 1/4",
        "depth9",
    ),
    lambda traits: _has_hidden(traits) and _saturating(traits),
)
LEAKY = _Rule(
    Remedy(
        "a leaky rectifier (leaky_relu, elu)",
        "its slope is nowhere zero, so units recover (Maas et al. 2013)",
        "activations",
    ),
    lambda traits: (
        _has_hidden(traits) and _base(traits, "activation") in ("", "relu") and _base(traits, "initializer") != "zeros"
    ),
)
RANDOM_WEIGHTS = _Rule(
    Remedy(
        "random initial weights, scaled by fan_in (Glorot, He)",
        "zeros pass nothing back, and equal units stay equal",
        "initializers",
    ),
    lambda traits: _base(traits, "initializer") in ("", "zeros", "normal_0_01"),
)
HIDDEN_LAYER = _Rule(
    Remedy(
        "a hidden layer with ReLU before the output",
        "a single weight layer separates classes by hyperplanes only (Minsky & Papert 1969)",
        "",
    ),
    lambda traits: not _has_hidden(traits) and "recurrent" not in traits,
)
SMALLER_SCALE = _Rule(
    Remedy("a smaller initial scale", "the gain per layer is proportional to it", "phase_diagram"),
    lambda traits: not _fixed_scale(traits),
)
ADAM = _Rule(
    Remedy(
        "Adam",
        "divides every gradient by its own size, so small ones move the weights too (Kingma & Ba 2015)",
        "optimizers",
    ),
    _plain_optimizer,
)
HIGHER_RATE = _Rule(
    Remedy("a larger learning rate, searched on a log scale", "the trial steps learn with it", "search"), _always
)
GAIN_4 = _Rule(
    Remedy(
        "gain 4 for sigmoid: glorot_4 or orthogonal:4",
        "makes up for the slope of 1/4 at zero (Glorot & Bengio 2010); gain 1 does not help",
        "rescues",
    ),
    lambda traits: _has_hidden(traits) and _sigmoid(traits),
)
PRETRAINING = _Rule(
    Remedy(
        "RBM pre-training, layer by layer",
        "starts where every layer tells inputs apart (Hinton et al. 2006)",
        "dbn",
    ),
    lambda traits: _has_hidden(traits) and _sigmoid(traits) and _without("pretraining", "none")(traits),
)

GATES = _Rule(
    Remedy(
        "LSTM or GRU in place of the simple recurrent layer",
        "a gate that stays open passes the gradient on by a factor near one (Hochreiter & Schmidhuber 1997)",
        "lego",
    ),
    _simple_cell,
)
OPEN_GATES = _Rule(
    Remedy(
        "a bias of the forget gate (LSTM) or update gate (GRU) near the logarithm of the sequence's length",
        "the gate starts open for that many steps (chrono initialization, Tallec & Ollivier 2018)",
        "",
    ),
    lambda traits: traits.get("recurrent") == "gated",
)
ORTHOGONAL_CELL = _Rule(
    Remedy(
        "an orthogonal recurrent kernel, or the identity with ReLU",
        "its eigenvalues have size one, so that no power of it grows or shrinks (Le et al. 2015)",
        "",
    ),
    _without("recurrent_initializer", ""),
)
CLIPPING = _Rule(
    Remedy(
        "clipping by norm: the optimizer's global_clipnorm=1",
        "bounds the step where the gradient explodes (Pascanu et al. 2013)",
        "",
    ),
    _without("clipping", ""),
)
SHORTER = _Rule(
    Remedy(
        "shorter sequences: cut, subsample or pool them before the recurrent layer",
        "the factor per step is applied once for each step that is left",
        "",
    ),
    _always,
)
EVERY_STEP = _Rule(
    Remedy(
        "attention, or pooling over the outputs of all steps (return_sequences=True)",
        "gives every step a direct path to the output (Bahdanau et al. 2015)",
        "",
    ),
    _without("attention", ""),
)
OTHER_RATE = _Rule(
    Remedy("a learning rate ten times larger, then ten times smaller", "it is the most frequent cause", "search"),
    _always,
)
CHECK_DATA = _Rule(
    Remedy(
        "train on 32 examples alone: their loss must go to zero",
        "if it does not, inputs and labels do not belong together, or output and loss do not",
        "",
    ),
    _always,
)
MORE_UPDATES = _Rule(
    Remedy("more updates", "some networks rest on a plateau before they learn", "learning_speed"), _always
)

EXPLODING = (
    _Rule(HE, lambda traits: _fixed_scale(traits) or _base(traits, "initializer") == "mean_field"),
    BATCH_NORM,
    SMALLER_SCALE,
    LOWER_RATE,
)
DEAD = (
    RANDOM_WEIGHTS,
    _Rule(HE, lambda traits: _base(traits, "initializer") in FIXED_SCALE),
    LEAKY,
    BATCH_NORM,
    LOWER_RATE,
)

RULES: dict[str, tuple[_Rule, ...]] = {
    "vanishing": (RELU, BATCH_NORM, _Rule(HE, _rectifier_too_small), RESIDUAL, GAIN_4, ADAM, PRETRAINING),
    "exploding": EXPLODING,
    "signal grows": EXPLODING,
    "not finite": (_Rule(HE, _fixed_scale), BATCH_NORM, LOWER_RATE),
    "dead": DEAD,
    "cut": DEAD,
    "symmetric": (RANDOM_WEIGHTS,),
    "saturated": (_Rule(HE, _fixed_scale), RELU, BATCH_NORM, SMALLER_SCALE),
    "learning rate too high": (LOWER_RATE,),
    "learning rate too low": (HIGHER_RATE,),
    "not learning": (HIDDEN_LAYER, RELU, BATCH_NORM, RESIDUAL, ADAM),
    "vanishes through time": (GATES, OPEN_GATES, ORTHOGONAL_CELL, EVERY_STEP, SHORTER),
    "explodes through time": (CLIPPING, ORTHOGONAL_CELL, GATES, SHORTER),
    "dead units": (LEAKY, LOWER_RATE),
    "signal collapses": (BATCH_NORM, RESIDUAL),
    "loss not falling": (OTHER_RATE, HIDDEN_LAYER, CHECK_DATA, MORE_UPDATES),
}
"""Kind of finding -> its remedies, most effective first. Kinds without an entry carry their remedy in `KINDS`."""


def remedies(kinds: Iterable[str], traits: Traits) -> tuple[Remedy, ...]:
    """The remedies against these findings that a network with these traits does not use yet, most effective first."""
    found = [rule.remedy for kind in kinds for rule in RULES.get(kind, ()) if rule.open_to(traits)]
    return tuple(dict.fromkeys(found))
