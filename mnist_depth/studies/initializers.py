"""Which initialization lets a 9-layer network learn?

Source: Sung Kim, Deep Learning for Everyone, lecture 10 (Hinton's "we initialized the weights in a stupid way"), and
Mishkin & Matas 2015, ReLU column (CIFAR-10). Here: 9 ReLU layers on MNIST, SGD 0.1; the RBM row is the deep belief
network, which needs sigmoid units. Command: `python -m mnist_depth study initializers`. Expected: zeros never learns;
N(0, 1) and U(-1, 1) overflow; N(0, 0.01^2) vanishes; LeCun, Xavier, He, orthogonal and LSUV all learn.
"""

from __future__ import annotations

from typing import Any

from mnist_depth.studies.checks import BEST, at_chance, learns, stays_below
from mnist_depth.studies.expectation import Expectation, all_but
from mnist_depth.studies.names import INITIALIZERS, cifar
from mnist_depth.studies.sources import GLOROT_2010, HE_2015, HINTON_2006, LECTURE_10, MISHKIN_2015
from mnist_depth.studies.study import Quick, Study, Variant

PUBLISHED = {
    "zeros": "never learns",
    "normal_1": "",
    "normal_0_01": "",
    "uniform_1": "",
    "lecun_normal": "",
    "lecun_uniform": "",
    "glorot_normal": cifar(90.63),
    "glorot_uniform": "",
    "he_normal": cifar(90.91),
    "he_uniform": "",
    "orthogonal": cifar(91.74),
    "orthogonal:1.4142": cifar(91.93),
}
"""Initializer -> what is published about it; the figures are those of Mishkin & Matas 2015 for ReLU, in percent."""

NETWORK = all_but("width", "batch_size")
SCALED = [name for name in PUBLISHED if name.split("_")[0] in ("lecun", "glorot", "he")]


def _variant(label: str, published: str, **fields: Any) -> Variant:
    return Variant({"depth": 9, "activation": "relu", **fields}, label, published)


STUDY = Study(
    question="Which initialization of the weights lets a 9-layer network learn?",
    answer="Those whose size fits the layer's width (LeCun, Xavier, He, orthogonal, LSUV); not N(0, 1) or N(0, 0.01²).",
    why=(
        "A good scale keeps the spread of signals and gradients the same from layer to layer. Below it they "
        "fade, above it they overflow, and zeros pass no gradient on at all."
    ),
    view={"color": "initializer"},
    folder="inits",
    source=f"{LECTURE_10}; {MISHKIN_2015}, table 3",
    variants=[
        *(_variant(INITIALIZERS[name], figure, initializer=name) for name, figure in PUBLISHED.items()),
        _variant("LSUV", cifar(92.11), pretraining="lsuv"),
        _variant("RBM (sigmoid, DBN)", "", activation="sigmoid", pretraining="dbn"),
    ],
    columns=("test_loss", "best_test_accuracy", "dz_ratio", "seconds"),
    rank_by=BEST,
    expectations=(
        Expectation(
            "all zeros never learns: every unit of a layer stays the same",
            LECTURE_10,
            at_chance(initializer="zeros"),
            NETWORK - {"epochs"},
            "never all zeros",
        ),
        Expectation(
            "N(0, 1) does not learn: 9 ReLU layers of it overflow",
            LECTURE_10,
            stays_below(0.5, initializer="normal_1"),
            NETWORK,
            "not N(0, 1)",
        ),
        Expectation(
            "N(0, 0.01²) does not learn: the signal vanishes",
            LECTURE_10,
            at_chance(initializer="normal_0_01"),
            NETWORK - {"epochs"},
        ),
        Expectation(
            "LeCun, Xavier and He learn, normal and uniform",
            f"{GLOROT_2010}; {HE_2015}",
            learns(0.9, initializer=SCALED, activation="relu", pretraining="none"),
            NETWORK,
            "90.63 and 90.91 on CIFAR-10",
        ),
        Expectation(
            "orthogonal learns",
            MISHKIN_2015,
            learns(0.9, initializer=["orthogonal", "orthogonal:1.4142"]),
            NETWORK,
            "91.74 and 91.93 on CIFAR-10",
        ),
        Expectation("LSUV learns", MISHKIN_2015, learns(0.9, pretraining="lsuv"), NETWORK, "92.11 on CIFAR-10"),
        Expectation(
            "RBM pre-training makes 9 sigmoid layers learn", HINTON_2006, learns(0.9, pretraining="dbn"), NETWORK
        ),
    ),
    quick=Quick({"width": 64, "epochs": 3}),
)
