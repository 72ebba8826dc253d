"""Every remedy: what to do, why it works, and which networks do not use it yet, by their traits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mnist_depth.diagnosis.finding import Remedy

Traits = Mapping[str, str]


class Rule(NamedTuple):
    """A remedy, and the networks that it is offered to."""

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
    return _base(traits, "activation") == "sigmoid"


def _gain_4(traits: Traits) -> bool:
    return traits.get("initializer") in ("glorot_4", "orthogonal:4")


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


BATCH_NORM = Rule(
    Remedy(
        "batch normalization before every activation",
        "gives the pre-activations of every layer a spread of one over the batch (Ioffe & Szegedy 2015)",
        "batch_norm",
    ),
    lambda traits: _has_hidden(traits) and _without("batch_norm", "none")(traits),
)
RESIDUAL = Rule(
    Remedy("residual wiring", "the identity path passes the gradient on by a factor of one (He et al. 2016)", "lego"),
    lambda traits: _has_hidden(traits) and _without("wiring", "plain")(traits),
)
HE = Remedy(
    "He initialization (variance 2 / fan_in)",
    "makes the gain of a rectifier layer one, where fixed scales grow or shrink with the width (He et al. 2015)",
    "initializers",
)
LOWER_RATE = Rule(
    Remedy("a smaller learning rate, searched on a log scale", "steps that overshoot make weights run away", "search"),
    _always,
)

RELU = Rule(
    Remedy(
        "ReLU in the hidden layers, with He initialization",
        "slope one where it is active, and a gain of one per layer; sigmoid's slope is at most 1/4",
        "initializers",
    ),
    lambda traits: _has_hidden(traits) and _saturating(traits),
)
LEAKY = Rule(
    Remedy(
        "a leaky rectifier (leaky_relu, elu)",
        "its slope is nowhere zero, so units recover (Maas et al. 2013)",
        "activations",
    ),
    lambda traits: (
        _has_hidden(traits) and _base(traits, "activation") in ("", "relu") and _base(traits, "initializer") != "zeros"
    ),
)
RANDOM_WEIGHTS = Rule(
    Remedy(
        "random initial weights, scaled by fan_in (Glorot, He)",
        "zeros pass nothing back, and equal units stay equal",
        "initializers",
    ),
    lambda traits: _base(traits, "initializer") in ("", "zeros", "normal_0_01"),
)
HIDDEN_LAYER = Rule(
    Remedy(
        "a hidden layer with ReLU before the output",
        "a single weight layer separates classes by hyperplanes only (Minsky & Papert 1969)",
        "",
    ),
    lambda traits: not _has_hidden(traits) and "recurrent" not in traits,
)
SMALLER_SCALE = Rule(
    Remedy("a smaller initial scale", "the gain per layer is proportional to it", "phase_diagram"),
    lambda traits: not _fixed_scale(traits),
)
ADAM = Rule(
    Remedy(
        "Adam",
        "divides every gradient by its own size, so small ones move the weights too (Kingma & Ba 2015)",
        "optimizers",
    ),
    _plain_optimizer,
)
HIGHER_RATE = Rule(
    Remedy("a larger learning rate, searched on a log scale", "the trial steps learn with it", "search"), _always
)
GAIN_4 = Rule(
    Remedy(
        "gain 4 for sigmoid: glorot_4 or orthogonal:4",
        "makes up for the slope of 1/4 at zero (Glorot & Bengio 2010); gain 1 does not help",
        "rescues",
    ),
    lambda traits: _has_hidden(traits) and _sigmoid(traits) and not _gain_4(traits),
)
PRETRAINING = Rule(
    Remedy(
        "RBM pre-training, layer by layer",
        "starts where every layer tells inputs apart (Hinton et al. 2006)",
        "dbn",
    ),
    lambda traits: _has_hidden(traits) and _sigmoid(traits) and _without("pretraining", "none")(traits),
)

GATES = Rule(
    Remedy(
        "LSTM or GRU in place of the simple recurrent layer",
        "a gate that stays open passes the gradient on by a factor near one (Hochreiter & Schmidhuber 1997)",
        "lego",
    ),
    _simple_cell,
)
OPEN_GATES = Rule(
    Remedy(
        "a bias of the forget gate (LSTM) or update gate (GRU) near the logarithm of the sequence's length",
        "the gate starts open for that many steps (chrono initialization, Tallec & Ollivier 2018)",
        "",
    ),
    lambda traits: traits.get("recurrent") == "gated",
)
ORTHOGONAL_CELL = Rule(
    Remedy(
        "an orthogonal recurrent kernel, or the identity with ReLU",
        "its eigenvalues have size one, so that no power of it grows or shrinks (Le et al. 2015)",
        "",
    ),
    _without("recurrent_initializer", ""),
)
CLIPPING = Rule(
    Remedy(
        "clipping by norm: the optimizer's global_clipnorm=1",
        "bounds the step where the gradient explodes (Pascanu et al. 2013)",
        "",
    ),
    _without("clipping", ""),
)
SHORTER = Rule(
    Remedy(
        "shorter sequences: cut, subsample or pool them before the recurrent layer",
        "the factor per step is applied once for each step that is left",
        "",
    ),
    _always,
)
EVERY_STEP = Rule(
    Remedy(
        "attention, or pooling over the outputs of all steps (return_sequences=True)",
        "gives every step a direct path to the output (Bahdanau et al. 2015)",
        "",
    ),
    _without("attention", ""),
)
OTHER_RATE = Rule(
    Remedy("a learning rate ten times larger, then ten times smaller", "it is the most frequent cause", "search"),
    _always,
)
CHECK_DATA = Rule(
    Remedy(
        "train on 32 examples alone: their loss must go to zero",
        "if it does not, inputs and labels do not belong together, or output and loss do not",
        "",
    ),
    _always,
)
MORE_UPDATES = Rule(
    Remedy("more updates", "some networks rest on a plateau before they learn", "learning_speed"), _always
)

HE_FOR_FIXED = Rule(HE, _fixed_scale)
HE_FOR_SMALL = Rule(HE, _rectifier_too_small)
HE_FOR_LARGE = Rule(HE, lambda traits: _fixed_scale(traits) or _base(traits, "initializer") == "mean_field")
HE_FOR_DEAD = Rule(HE, lambda traits: _base(traits, "initializer") in FIXED_SCALE)
