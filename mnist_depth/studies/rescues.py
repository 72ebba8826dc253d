"""What makes the 9-layer sigmoid network learn after all, and by how much?

Source: everything that the lectures and the literature offer: batch normalization (Ioffe & Szegedy 2015), RBM
pre-training (Hinton et al. 2006), LSUV (Mishkin & Matas 2015), orthogonal kernels (Saxe et al. 2013) with and without
sigmoid's gain of 4, Xavier times 4 (Glorot & Bengio 2010), skip connections (He et al. 2016), momentum and adaptive
optimizers (Kingma & Ba 2015). ReLU is the bar. Command: `python -m mnist_depth study rescues`. Expected: what raises
the gain per layer to about one (gain 4, batch normalization, skips, pre-training) works; what keeps it at 1/4 (Xavier,
orthogonal with gain 1, LSUV over all entries) does not; adaptive optimizers work by dividing small gradients by their
own size.
"""

from __future__ import annotations

from typing import Any

from mnist_depth.plan import plan_of
from mnist_depth.studies.checks import BEST, LEARNED, at_chance, beats, learns
from mnist_depth.studies.expectation import Expectation, all_but
from mnist_depth.studies.names import OPTIMIZERS
from mnist_depth.studies.selection import NotComparable, Runs
from mnist_depth.studies.sources import (
    GLOROT_2010,
    HE_2016,
    HINTON_2006,
    IOFFE_2015,
    KINGMA_2015,
    LECTURE_10,
    MISHKIN_2015,
    SAXE_2013,
)
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.translation import translate as _

SIGMOID: dict[str, Any] = {"depth": 9, "activation": "sigmoid"}
ADAPTIVE = ["adam", "nadam", "radam", "rmsprop", "adagrad", "adadelta"]
NETWORK = all_but("width", "batch_size")
PATIENCE = 1_500
"""Steps that narrow networks need before Adam gets anywhere: after 780 they are at 28 % on digits, after 1,650 at 70 %
on MNIST (width 64)."""

BAR = 0.9
CLOSE = 0.03
"""How far from ReLU's accuracy batch normalization may stay."""

PLAIN: dict[str, Any] = {
    "activation": "sigmoid",
    "initializer": "glorot_normal",
    "optimizer": "sgd",
    "wiring": "plain",
    "batch_norm": "none",
    "pretraining": "none",
}


def _adam_rescues(runs: Runs) -> tuple[bool, str]:
    steps = plan_of(runs.where(optimizer="adam").config).steps
    if steps < PATIENCE:
        raise NotComparable(
            _(
                "asks for {wanted} steps, in which Adam leaves the plateau; these runs have {found}",
                wanted=PATIENCE,
                found=steps,
            )
        )
    return learns(0.8, optimizer="adam")(runs)


def _rescue(label: str, **fields: Any) -> Variant:
    return Variant({**SIGMOID, **fields}, label)


STUDY = Study(
    question="What makes a 9-layer sigmoid network learn, and how close to ReLU does it come?",
    answer="Whatever lets a layer pass on about all of the gradient: normalization, larger weights, skips.",
    why=(
        "What raises the share of the gradient that a layer passes on from about 1/4 to about 1 works, "
        "whatever its name: normalization, larger weights, skips, pre-training. Adaptive optimizers divide a "
        "gradient by its own size, though not below their epsilon, and need time. RMSprop and AdaGrad depend on their "
        "definition: Keras' epsilon of 1e-7 under the root and AdaGrad's sum that begins at 0.1 are larger than a "
        "vanished gradient's square, the tiny epsilon and the sum from 0 of other definitions are not."
    ),
    view={"color": "optimizer"},
    source=f"{LECTURE_10}; {GLOROT_2010}; {IOFFE_2015}; {HINTON_2006}; {MISHKIN_2015}; {SAXE_2013}; {HE_2016}",
    variants=[
        Variant({"depth": 9, "activation": "relu"}, "ReLU (the bar)"),
        _rescue("no remedy"),
        _rescue("batch normalization", batch_norm="before"),
        _rescue("residual wiring", wiring="residual"),
        _rescue("DBN pre-training", pretraining="dbn"),
        _rescue("LSUV over all entries", pretraining="lsuv"),
        _rescue("LSUV across samples", pretraining="lsuv:samples"),
        _rescue("orthogonal, gain 1", initializer="orthogonal"),
        _rescue("orthogonal, gain 4", initializer="orthogonal:4"),
        _rescue("Xavier x 4", initializer="glorot_4"),
        _rescue("momentum", optimizer="momentum"),
        _rescue("NAG", optimizer="nag"),
        *(_rescue(OPTIMIZERS[name], optimizer=name) for name in ADAPTIVE),
        _rescue("RMSprop, tiny epsilon", optimizer="rmsprop_tiny_epsilon"),
        _rescue("AdaGrad, sum from 0", optimizer="adagrad_from_zero"),
    ],
    columns=("test_loss", BEST, "dz_ratio", "seconds"),
    rank_by=BEST,
    expectations=(
        Expectation("the bar: ReLU learns", LECTURE_10, learns(BAR, activation="relu"), NETWORK),
        Expectation("no remedy: chance", LECTURE_10, at_chance(**PLAIN), NETWORK - {"epochs"}, "cost 2.303"),
        Expectation("batch normalization rescues", IOFFE_2015, learns(0.9, batch_norm="before"), NETWORK),
        Expectation(
            "batch normalization comes close to ReLU",
            IOFFE_2015,
            beats({"batch_norm": "before"}, {"activation": "relu"}, by=-CLOSE),
            NETWORK,
        ),
        Expectation("residual wiring rescues", HE_2016, learns(0.85, wiring="residual"), NETWORK),
        Expectation("DBN pre-training rescues", HINTON_2006, learns(0.9, pretraining="dbn"), NETWORK),
        Expectation(
            "Xavier x 4 rescues", f"{GLOROT_2010}: gain 4 for sigmoid", learns(0.85, initializer="glorot_4"), NETWORK
        ),
        Expectation("orthogonal, gain 4, rescues", SAXE_2013, learns(0.85, initializer="orthogonal:4"), NETWORK),
        Expectation(
            "orthogonal, gain 1, does not: slopes of 1/4 remain",
            f"{SAXE_2013} is about linear networks",
            at_chance(initializer="orthogonal"),
            NETWORK - {"epochs"},
        ),
        Expectation(
            "LSUV over all entries does not: sigmoid is n/c",
            MISHKIN_2015,
            at_chance(pretraining="lsuv"),
            NETWORK - {"epochs"},
            "n/c",
        ),
        Expectation("Adam rescues", KINGMA_2015, _adam_rescues, NETWORK),
        Expectation(
            "RMSprop and AdaGrad as Keras defines them do not: epsilon 1e-7 under the root, a sum that begins at 0.1",
            "measured: 11.35 % in three seeds of 15 epochs",
            at_chance(optimizer=["rmsprop", "adagrad"]),
            NETWORK - {"epochs"},
        ),
        Expectation(
            "RMSprop with a tiny epsilon and AdaGrad with a sum from 0 do",
            "measured: 96.8 % and 94.1 % in three seeds of 15 epochs, 76.5 % and 62.3 % after 6 epochs of width 64",
            learns(LEARNED, optimizer=["rmsprop_tiny_epsilon", "adagrad_from_zero"]),
            NETWORK,
        ),
        Expectation(
            "momentum does not: it multiplies a vanished gradient by 10",
            LECTURE_10,
            at_chance(optimizer=["momentum", "nag"]),
            NETWORK - {"epochs"},
        ),
    ),
    quick=Quick({"width": 64, "epochs": 6}),
)
