"""The headline: a 9-layer sigmoid network does not learn, a 9-layer ReLU network does.

Source: Sung Kim, Deep Learning for Everyone, lectures 9 and 10. Both networks share everything but the activation:
width 256, Xavier initialization, plain SGD at 0.1. (With the lecture's own N(0, 1) the result is reversed: ReLU
overflows.) Command: `python -m mnist_depth`. Expected: sigmoid's cost stays at ln 10 = 2.303 and its accuracy at the
share of one class (11.35 % where that is the digit 1); ReLU reaches 97 %; the gradient (dL/dz) of layer 1 is less than
a thousandth of layer 9's with sigmoid, and more than a hundredth with ReLU.
"""

from __future__ import annotations

from mnist_depth.studies.checks import accuracy_and_bar, at_chance, known
from mnist_depth.studies.expectation import Expectation, Reason, all_but
from mnist_depth.studies.reasons import VANISHING, images_look_alike, ratio_text, vanishes
from mnist_depth.studies.selection import Runs
from mnist_depth.studies.sources import GLOROT_2010, LECTURE_10
from mnist_depth.studies.study import Quick, Study, product
from mnist_depth.translation import translate as _

BAR, SHORT_BAR, SHORT = 0.97, 0.95, 10
"""Best test accuracy that ReLU reaches on MNIST; in fewer than SHORT epochs, and on the small digits, SHORT_BAR."""

FLOWING, EXPLODING = 1e-2, 1e3
"""||dL/dz|| of layer 1 over that of layer 9 before training: the diagnosis' limits of `slow` and of `exploding`. Theory
has 1.4e-5 for sigmoid and (1/2)^(8/2) = 0.06 for ReLU, half of whose units are off."""

NETWORK = all_but("width", "epochs", "batch_size", "train_examples")


def _learns(runs: Runs) -> tuple[bool, str]:
    chosen = known(runs.where(activation="relu"))
    full = chosen.dataset == "mnist" and chosen.config.epochs >= SHORT
    worst, bar = min(chosen.values("best_test_accuracy")), BAR if full else SHORT_BAR
    return worst >= bar, accuracy_and_bar(worst, bar)


def _vanishes(runs: Runs) -> tuple[bool, str]:
    worst = max(runs.where(activation="sigmoid").gradient_ratios())
    return worst < VANISHING, _("gradient norm, layer 1 over layer 9: {ratio:.1e}", ratio=worst)


def _flows(runs: Runs) -> tuple[bool, str]:
    worst = min(runs.where(activation="relu").gradient_ratios())
    return worst >= FLOWING, _("gradient norm, layer 1 over layer 9: {ratio:.1e}", ratio=worst)


def _turns_round(runs: Runs) -> tuple[bool, str]:
    ratios = [max(runs.where(activation=name).gradient_ratios()) for name in ("relu", "sigmoid")]
    detail = _(
        "gradient norm, layer 1 over layer 9: ReLU {relu:.1e}, sigmoid {sigmoid:.1e}", relu=ratios[0], sigmoid=ratios[1]
    )
    return ratios[0] > EXPLODING and ratios[1] > VANISHING, detail


def _relu_flows(runs: Runs) -> tuple[bool, str]:
    chosen = runs.where(activation="relu")
    ratios = chosen.gradient_ratios()
    flows = FLOWING <= min(ratios) <= max(ratios) <= EXPLODING
    return flows and _vanishes(runs)[0], ratio_text(min(ratios), chosen.config.depth)


STUDY = Study(
    question="Why does a 9-layer sigmoid network not learn, while the same network with ReLU does?",
    answer="ReLU lets the gradient reach layer 1; sigmoid leaves a hundred-thousandth of it.",
    why=(
        Reason(
            "On its way back the gradient is multiplied by each layer's weights and slopes. A sigmoid's slope is at "
            "most 1/4, so each layer passes on only a part of the gradient, and layer 1 hardly changes",
            vanishes(activation="sigmoid"),
        ),
        images_look_alike(activation="sigmoid"),
        Reason(
            "ReLU's slope is 1 wherever a unit is active, so most of the gradient reaches the next layer", _relu_flows
        ),
        Reason(
            "With these weights the story turns round: each layer multiplies the signal by about ten, ReLU overflows, "
            "and sigmoid, saturated, learns slowly",
            _turns_round,
        ),
    ),
    signals=("activation_std_across_samples",),
    source=LECTURE_10,
    variants=product(depth=[9], activation=["sigmoid", "relu"]),
    columns=(
        "train_loss",
        "test_accuracy",
        "best_test_accuracy",
        "dz_ratio",
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
            "sigmoid's gradient vanishes on its way to layer 1: less than a thousandth of layer 9's",
            f"{LECTURE_10}; slopes of at most 1/4: {GLOROT_2010}",
            _vanishes,
            NETWORK,
            "(1/4)^8 = 1.5e-5",
        ),
        Expectation(
            "ReLU's gradient reaches layer 1: more than a hundredth of layer 9's",
            LECTURE_10,
            _flows,
            NETWORK,
            "(1/2)^(8/2) = 0.06",
        ),
    ),
    quick=Quick({"epochs": 3}),
)
