"""XOR: the gates that one perceptron learns, the one that it does not, and what depth does to it.

Source: Sung Kim, Deep Learning for Everyone, lecture 9 and lab 9; Minsky & Papert 1969. All four inputs are one batch,
plain SGD at 0.1.

`python -m mnist_depth study gates`: one perceptron, 10,001 steps. Expected: AND and OR 100 %; XOR is not linearly
separable, so at most 3 of 4 inputs are right and the loss ends at ln 2 = 0.693.

`python -m mnist_depth study xor2`: a 2-2-1 sigmoid network. Expected: 100 %. About a third of all starts end in a local
minimum, so the best of the seeds is judged.

`python -m mnist_depth study xor9`: 9 hidden layers of 5 units from U(-1, 1), 20,000 steps. Expected: sigmoid stays at
ln 2 (its accuracy is rounding noise: .25, .5 or .75), ReLU reaches 100 %. The lecture shows one run; many starts die,
so again the best of the seeds is judged and all are counted.
"""

from __future__ import annotations

import math

from mnist_depth.results.comparison import Comparison
from mnist_depth.studies.expectation import Check, Expectation, Reason, all_but
from mnist_depth.studies.reasons import looks_alike, vanishes
from mnist_depth.studies.selection import Runs
from mnist_depth.studies.sources import LECTURE_9, MINSKY_PAPERT_1969
from mnist_depth.studies.study import Quick, Study, Variant, product
from mnist_depth.translation import translate as _

LN_2 = math.log(2)
TOLERANCE = 1e-3
PREMISE = all_but()
COLUMNS = ("test_loss", "test_accuracy", "seconds")


def _solves(**which: str) -> Check:
    """The best seed gets all four inputs right at the end."""

    def check(runs: Runs) -> tuple[bool, str]:
        accuracies = runs.where(**which).values("test_accuracy")
        solved = sum(accuracy == 1 for accuracy in accuracies)
        return solved > 0, _(
            "{solved} of {count} seeds end with all four inputs right", solved=solved, count=len(accuracies)
        )

    return check


def _every_seed_solves(**which: str) -> Check:
    def check(runs: Runs) -> tuple[bool, str]:
        worst = min(runs.where(**which).values("test_accuracy"))
        return worst == 1, _("test accuracy {accuracy:.0%}", accuracy=worst)

    return check


def _stuck_at_ln_2(**which: str) -> Check:
    """The loss of every seed ends at ln 2 and no seed gets all four inputs right."""

    def check(runs: Runs) -> tuple[bool, str]:
        chosen = runs.where(**which)
        losses, best = chosen.values("test_loss"), max(chosen.values("test_accuracy"))
        detail = _(
            "loss {low:.4f} to {high:.4f}, at most {share:.0%} right", low=min(losses), high=max(losses), share=best
        )
        return all(abs(loss - LN_2) < TOLERANCE for loss in losses) and best < 1, detail

    return check


GATES = Study(
    question="Which logic gates can a single perceptron learn?",
    answer="AND and OR, but not XOR: no straight line separates its ones from its zeros.",
    why=(
        "A perceptron draws one straight line through the plane of its inputs. XOR's ones lie across from "
        "each other, and no line parts them from its zeros."
    ),
    comparison=Comparison(("test_accuracy",)),
    source=LECTURE_9,
    variants=[
        Variant({"dataset": gate, "depth": 1, "epochs": 10_001}, gate.upper(), published)
        for gate, published in (("and", "100 %"), ("or", "100 %"), ("xor", "not separable"))
    ],
    columns=COLUMNS,
    expectations=(
        Expectation("one perceptron learns AND", LECTURE_9, _every_seed_solves(dataset="and"), PREMISE, "100 %"),
        Expectation("one perceptron learns OR", LECTURE_9, _every_seed_solves(dataset="or"), PREMISE, "100 %"),
        Expectation(
            "one perceptron cannot learn XOR: loss ln 2, at most 3 of 4 right",
            MINSKY_PAPERT_1969,
            _stuck_at_ln_2(dataset="xor"),
            PREMISE,
            "0.693; at most 75 %",
        ),
    ),
)

XOR_2 = Study(
    question="Does one hidden layer of two units solve XOR?",
    answer="Yes, from most starts: two hidden units solve XOR.",
    why="Two hidden units draw two lines and the output combines them. Some starts end in a local minimum.",
    picture="training_loss",
    source=LECTURE_9,
    variants=[
        Variant(
            {
                "dataset": "xor",
                "depth": 2,
                "width": 2,
                "activation": "sigmoid",
                "initializer": "normal_1",
                "bias_std": 1.0,
                "epochs": 10_001,
            },
            "2-2-1 sigmoid",
            "100 %",
        )
    ],
    columns=COLUMNS,
    expectations=(Expectation("two layers solve XOR, best seed", LECTURE_9, _solves(), PREMISE, "100 %"),),
    seeds=5,
)

XOR_9 = Study(
    question="Why does XOR get worse, not better, with nine hidden sigmoid layers, and does ReLU repair it?",
    answer="Nine sigmoid layers do not move from ln 2; ReLU solves XOR from some starts.",
    why=(
        Reason(
            "Nine sigmoid layers pass on so little of the gradient that nothing moves", vanishes(activation="sigmoid")
        ),
        Reason(
            "On the way forward the differences between the four inputs shrink in the same way, so that the output "
            "cannot depend on them",
            looks_alike(activation="sigmoid"),
        ),
        Reason(
            "ReLU passes the gradient on, but layers of five units die easily: about half of all starts do not make it",
            _solves(activation="relu"),
        ),
    ),
    source=LECTURE_9,
    variants=[
        Variant({**variant.fields, "width": 5, "initializer": "uniform_1", "epochs": 20_000})
        for variant in product(dataset=["xor"], depth=[10], activation=["sigmoid", "relu"])
    ],
    columns=COLUMNS,
    expectations=(
        Expectation(
            "sigmoid does not move: loss ln 2 in every seed",
            LECTURE_9,
            _stuck_at_ln_2(activation="sigmoid"),
            PREMISE,
            "cost 0.693, accuracy 0.5",
        ),
        Expectation("ReLU solves XOR, best seed", LECTURE_9, _solves(activation="relu"), PREMISE, "1.0"),
    ),
    seeds=5,
    quick=Quick({"epochs": 10_000}, seeds=3),
)
