"""The headline: a 9-layer sigmoid network does not learn, a 9-layer ReLU network does.

Source: Sung Kim, Deep Learning for Everyone, lectures 9 and 10. Both networks share everything but the activation:
width 256, Xavier initialization, plain SGD at 0.1. (With the lecture's own N(0, 1) the story turns round: ReLU
overflows.) Command: `python -m mnist_depth`. Expected: sigmoid's cost stays at ln 10 = 2.303 and its accuracy at the
share of one class (11.35 % where that is the digit 1); ReLU reaches 97 %; the gradient of layer 1 is less than a
thousandth of layer 9's with sigmoid, and of the same order with ReLU.
"""

from __future__ import annotations

from mnist_depth.studies.checks import at_chance, known
from mnist_depth.studies.selection import Runs
from mnist_depth.studies.sources import GLOROT_2010, LECTURE_10
from mnist_depth.studies.study import Expectation, Quick, Study, all_but, product

BAR, SHORT_BAR, SHORT = 0.97, 0.95, 10
"""Best test accuracy that ReLU reaches on MNIST; in fewer than SHORT epochs, and on the small digits, SHORT_BAR."""

NETWORK = all_but("width", "epochs", "batch_size", "train_examples")


def _learns(runs: Runs) -> tuple[bool, str]:
    chosen = known(runs.where(activation="relu"))
    full = chosen.dataset == "mnist" and chosen.config.epochs >= SHORT
    worst, bar = min(chosen.values("best_test_accuracy")), BAR if full else SHORT_BAR
    return worst >= bar, f"best test accuracy {worst:.2%}, bar {bar:.0%}"


def _vanishes(runs: Runs) -> tuple[bool, str]:
    worst = max(runs.where(activation="sigmoid").values("gradient_ratio"))
    return worst < 1e-3, f"kernel gradient norm, layer 1 over layer 9: {worst:.1e}"


def _flows(runs: Runs) -> tuple[bool, str]:
    ratios = runs.where(activation="relu").values("gradient_ratio")
    figures = " to ".join(dict.fromkeys(f"{ratio:.2g}" for ratio in (min(ratios), max(ratios))))
    detail = f"kernel gradient norm, layer 1 over layer 9: {figures}"
    return all(0.1 <= ratio <= 10 for ratio in ratios), detail


STUDY = Study(
    question="Why does a 9-layer sigmoid network not learn, while the same network with ReLU does?",
    why=(
        "On its way back the gradient is multiplied by each layer's weights and slopes. A sigmoid's slope is "
        "at most 1/4, and with these weights a layer passes on about 0.24 of the gradient: after eight layers "
        "a hundred-thousandth is left, and layer 1 stands still. ReLU's slope is 1 wherever a unit is active."
    ),
    source=LECTURE_10,
    variants=product(depth=[9], activation=["sigmoid", "relu"]),
    look="Scalars: loss and accuracy of both runs; pre_activation_gradient_norm/layer_01 ... layer_09",
    columns=(
        "train_loss",
        "test_accuracy",
        "best_test_accuracy",
        "gradient_norm_first",
        "gradient_norm_last",
        "seconds",
    ),
    expectations=(
        Expectation(
            "sigmoid stays at chance: loss ln 10, no class but one predicted",
            LECTURE_10,
            at_chance(activation="sigmoid"),
            NETWORK,
            "cost 2.303, accuracy 11.35 %",
        ),
        Expectation("ReLU learns", LECTURE_10, _learns, NETWORK | {"epochs", "train_examples"}, "97 % or more"),
        Expectation(
            "sigmoid's gradient vanishes on its way to layer 1: ratio below 1e-3",
            f"{LECTURE_10}; slopes of at most 1/4: {GLOROT_2010}",
            _vanishes,
            NETWORK,
            "(1/4)^8 = 1.5e-5 times the growth of the kernels' shapes",
        ),
        Expectation("ReLU's gradient reaches layer 1: ratio between 0.1 and 10", LECTURE_10, _flows, NETWORK),
    ),
    quick=Quick({"epochs": 3}),
)
