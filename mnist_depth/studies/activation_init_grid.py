"""Every activation with every initialization: which cells of the table learn?

Source: Mishkin & Matas 2015, table 3 (CIFAR-10, FitNet-4), shown in Sung Kim's lecture 10: five initializations by five
activations, sigmoid not converged in any of them. Here: 9 layers on MNIST, SGD 0.1, 5 epochs, and every activation of
the lectures with every initialization. Command: `python -m mnist_depth study activation_init_grid`. Expected: the
published table's shape, the sigmoid column empty and every other published cell filled; zeros learns nowhere.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from mnist_depth.config import RunConfig
from mnist_depth.results.groups import Axis, field_axis
from mnist_depth.studies.checks import BEST, beats, known, learns, stays_below
from mnist_depth.studies.expectation import Check, Expectation, all_but
from mnist_depth.studies.names import cifar
from mnist_depth.studies.selection import Runs
from mnist_depth.studies.sources import LECTURE_10, MISHKIN_2015
from mnist_depth.studies.study import Quick, Study, Variant

TABLE = {
    "lsuv": {"maxout": 93.94, "relu": 92.11, "very_leaky_relu": 92.97, "tanh": 89.28, "sigmoid": "n/c"},
    "orthogonal": {"maxout": 93.78, "relu": 91.74, "very_leaky_relu": 92.40, "tanh": 89.48, "sigmoid": "n/c"},
    "orthogonal:1.4142": {"relu": 91.93, "very_leaky_relu": 93.09, "sigmoid": "n/c"},
    "glorot_normal": {"maxout": 91.75, "relu": 90.63, "very_leaky_relu": 92.27, "tanh": 89.82, "sigmoid": "n/c"},
    "he_normal": {"maxout": "n/c", "relu": 90.91, "very_leaky_relu": 92.43, "tanh": 89.54, "sigmoid": "n/c"},
}
"""Initialization -> activation -> published accuracy in percent."""

ACTIVATIONS = [
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "very_leaky_relu",
    "elu",
    "selu",
    "softplus",
    "gelu",
    "swish",
    "maxout",
]
INITIALIZERS = ["zeros", "normal_1", "normal_0_01", "uniform_1", "lecun_normal"]
PUBLISHED = [start for start in TABLE if start != "lsuv"]
"""The published initializers; LSUV's runs keep the default one, which is among them, as their starting point."""

NETWORK = all_but("width", "batch_size")


def _variant(activation: str, start: str, **fields: Any) -> Variant:
    chosen = {"pretraining": "lsuv"} if start == "lsuv" else {"initializer": start}
    published = TABLE.get(start, {}).get(activation, "")
    return Variant(
        {"depth": 9, "activation": activation, **chosen, **fields}, f"{activation} {start}", cifar(published)
    )


def _start(config: RunConfig) -> str:
    """The name of a run's initialization, LSUV included."""
    return config.pretraining if config.pretraining != "none" else config.initializer


def _lsuv_keeps_up(allowed: float) -> Check:
    """LSUV's mean over the activations that learn is at most `allowed` below Xavier's."""

    def check(runs: Runs) -> tuple[bool, str]:
        learning = known(runs).where(activation=["tanh", "relu", "very_leaky_relu", "maxout"])
        xavier = {"pretraining": "none", "initializer": "glorot_normal"}
        return beats({"pretraining": "lsuv"}, xavier, by=-allowed)(learning)

    return check


STUDY = Study(
    question="Which activation learns with which initialization?",
    answer="tanh and ReLU learn with every scaled initialization, sigmoid with none.",
    picture="grid",
    axes=(field_axis("activation"), Axis("initialization", _start)),
    why=(
        "The initialization sets the scale of the signal, the activation's slope that of its gradient. No "
        "usual initialization makes up for sigmoid's slope of at most 1/4."
    ),
    folder="grid",
    source=f"{MISHKIN_2015}, table 3; {LECTURE_10}",
    variants=[
        _variant(activation, start, epochs=5, width=128)
        for activation, start in product(ACTIVATIONS, [*INITIALIZERS, *TABLE])
    ],
    columns=("test_loss", "best_test_accuracy"),
    rank_by=BEST,
    expectations=(
        Expectation(
            "sigmoid converges with none of the published initializations",
            MISHKIN_2015,
            stays_below(0.5, activation="sigmoid", initializer=PUBLISHED),
            NETWORK,
            "n/c in all five rows",
        ),
        Expectation(
            "tanh and the ReLU family learn with all of them",
            MISHKIN_2015,
            learns(0.85, activation=["tanh", "relu", "very_leaky_relu"], initializer=PUBLISHED),
            NETWORK,
            "89.28 to 93.09",
        ),
        Expectation(
            "LSUV is as good as Xavier",
            f"{MISHKIN_2015}: better or equal to standard methods",
            _lsuv_keeps_up(0.005),
            NETWORK,
            "LSUV ahead by 0.7 to 2.2 points, behind by 0.5 for tanh",
        ),
    ),
    quick=Quick(
        {"width": 64, "epochs": 3},
        [
            _variant(activation, start)
            for activation, start in product(
                ["sigmoid", "tanh", "relu"], ["lsuv", "orthogonal", "glorot_normal", "he_normal"]
            )
        ],
    ),
)
