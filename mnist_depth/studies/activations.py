"""Which activation lets a deep network learn?

Source: Sung Kim, Deep Learning for Everyone, lecture 10, with the table of Mishkin & Matas 2015 (CIFAR-10, FitNet-4,
LSUV): maxout 93.94, very leaky ReLU 92.97, ReLU 92.11, tanh 89.28, sigmoid not converged. Here: 9 layers on MNIST,
Xavier, SGD 0.1. Command: `python -m mnist_depth study activations`. Expected: sigmoid does not converge, the ReLU
family does and ends ahead of tanh.
"""

from __future__ import annotations

from mnist_depth.studies.checks import BEST, at_chance, beats, known, learns
from mnist_depth.studies.expectation import Expectation, all_but
from mnist_depth.studies.names import cifar
from mnist_depth.studies.selection import Runs
from mnist_depth.studies.sources import LECTURE_10, MISHKIN_2015
from mnist_depth.studies.study import Quick, Study, Variant

PUBLISHED = {
    "sigmoid": "n/c",
    "tanh": "89.28",
    "relu": "92.11",
    "leaky_relu": "",
    "very_leaky_relu": "92.97",
    "elu": "",
    "maxout": "93.94",
    "softplus": "",
    "selu": "",
    "gelu": "",
    "swish": "",
}
"""Activation -> accuracy of Mishkin & Matas 2015 in percent: another network and dataset, so the order compares."""

RELU_FAMILY = ["relu", "leaky_relu", "very_leaky_relu", "elu", "maxout"]
NETWORK = all_but("width", "batch_size")


def _family_ahead_of_tanh(runs: Runs) -> tuple[bool, str]:
    return beats({"activation": RELU_FAMILY}, {"activation": "tanh"})(known(runs))


STUDY = Study(
    question="Which activation function lets a 9-layer network learn?",
    answer="ReLU and its relatives learn best, tanh follows, sigmoid does not learn.",
    why=(
        "The slope decides. Where it is near 1 for units at work, as for tanh and the ReLU family, the gradient "
        "arrives; sigmoid's is at most 1/4. SELU overflows at the rate of 0.1 from Xavier's weights; at 0.03, or from "
        "LeCun's, it learns."
    ),
    picture="test_accuracy",
    folder="acts",
    source=f"{LECTURE_10}; {MISHKIN_2015}, table 3",
    variants=[Variant({"depth": 9, "activation": name}, name, cifar(figure)) for name, figure in PUBLISHED.items()],
    columns=("test_loss", "best_test_accuracy", "dz_ratio", "seconds"),
    rank_by=BEST,
    expectations=(
        Expectation(
            "sigmoid does not converge", MISHKIN_2015, at_chance(activation="sigmoid"), NETWORK - {"epochs"}, "n/c"
        ),
        Expectation(
            "the ReLU family learns (ReLU, leaky, very leaky, ELU, maxout)",
            LECTURE_10,
            learns(0.9, activation=RELU_FAMILY),
            NETWORK,
            "92.11 to 93.94 on CIFAR-10",
        ),
        Expectation(
            "the ReLU family ends ahead of tanh", MISHKIN_2015, _family_ahead_of_tanh, NETWORK, "92-94 against 89.28"
        ),
    ),
    quick=Quick({"width": 64, "epochs": 3}),
)
