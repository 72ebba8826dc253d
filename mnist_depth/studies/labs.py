"""The ladder of the labs: what every tool of the lectures adds on MNIST.

Source: Sung Kim, Deep Learning for Everyone, labs 10-1 to 10-5 and the notes to them. Batch 100, 15 epochs, Adam at
0.001 (softmax also with SGD at 0.1), biases from N(0, 1) as in the labs' code. Command:
`python -m mnist_depth study labs`. Expected test accuracy at the end: softmax 0.90 to 0.919; 784-256-256-10 with ReLU
and N(0, 1) 0.9455; Xavier 0.9783; 784-4x512-10 0.9742; with dropout (keep 0.7) 0.9804; with batch normalization 0.9826.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from mnist_depth.results.comparison import Comparison
from mnist_depth.studies.checks import beats
from mnist_depth.studies.expectation import Check, Expectation, Reason, all_but
from mnist_depth.studies.selection import NotComparable, Runs
from mnist_depth.studies.sources import LABS
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.translation import translate as _

LAB: dict[str, Any] = {"activation": "relu", "bias_std": 1.0, "optimizer": "adam", "epochs": 15}
SOFTMAX: dict[str, Any] = {**LAB, "depth": 1, "initializer": "normal_1"}
NETWORK: dict[str, Any] = {**LAB, "depth": 3, "width": 256}
DEEP: dict[str, Any] = {**LAB, "depth": 5, "width": 512, "initializer": "glorot_uniform"}

EPOCHS = LAB["epochs"]
MARGIN = 0.01
"""How far a single published run may be from ours: labs do not repeat over seeds."""

PREMISE = all_but()


def _as_published(lowest: float, highest: float, **which: Any) -> Check:
    """The mean final test accuracy is within MARGIN of the lab's, or of the range that the notes to it report."""
    lab = f"{lowest:.2%}" if lowest == highest else f"{lowest:.2%}-{highest:.2%}"

    def check(runs: Runs) -> tuple[bool, str]:
        chosen = runs.where(**which)
        if chosen.dataset != "mnist" or chosen.config.epochs != EPOCHS:
            raise NotComparable(
                _(
                    "the lab's figure is for {wanted} epochs of mnist, these runs have {found} of {dataset}: mean test "
                    "accuracy {mean:.2%}, lab {lab}",
                    wanted=EPOCHS,
                    dataset=chosen.dataset,
                    found=chosen.config.epochs,
                    mean=chosen.mean("test_accuracy"),
                    lab=lab,
                )
            )
        mean = chosen.mean("test_accuracy")
        return lowest - MARGIN <= mean <= highest + MARGIN, _(
            "mean test accuracy {mean:.2%}, lab {lab}", mean=mean, lab=lab
        )

    return check


def _gains(runs: Runs) -> tuple[float, float, list[float]]:
    """What a hidden layer, Xavier, and each further tool add to the mean test accuracy."""
    steps = [runs.where(**which).mean("test_accuracy") for _name, _published, _config, which in RUNGS]
    gains = [after - before for before, after in pairwise(steps)]
    return gains[0], gains[1], gains[2:]


def _most_of_the_gain(runs: Runs) -> tuple[bool, str]:
    hidden, xavier, others = _gains(runs)
    return min(hidden, xavier) > max(others), _(
        "a hidden layer {hidden:+.1f} points, Xavier {xavier:+.1f}", hidden=100 * hidden, xavier=100 * xavier
    )


def _little_more(runs: Runs) -> tuple[bool, str]:
    *_most, others = _gains(runs)
    points = ", ".join(f"{100 * gain:+.1f}" for gain in others)
    return max(map(abs, others)) < MARGIN, _("points: {points}", points=points)


RUNGS: list[tuple[str, float, dict[str, Any], dict[str, Any]]] = [
    ("softmax, Adam", 0.9035, SOFTMAX, {"depth": 1, "optimizer": "adam"}),
    (
        "784-256-256-10, N(0, 1)",
        0.9455,
        {**NETWORK, "initializer": "normal_1"},
        {"depth": 3, "initializer": "normal_1"},
    ),
    (
        "784-256-256-10, Xavier",
        0.9783,
        {**NETWORK, "initializer": "glorot_uniform"},
        {"depth": 3, "initializer": "glorot_uniform"},
    ),
    ("784-4x512-10, Xavier", 0.9742, DEEP, {"depth": 5, "dropout": 0.0}),
    ("+ dropout, keep 0.7", 0.9804, {**DEEP, "dropout": 0.3}, {"depth": 5, "dropout": 0.3, "batch_norm": "none"}),
    (
        "+ batch normalization",
        0.9826,
        {**DEEP, "dropout": 0.3, "batch_norm": "before"},
        {"depth": 5, "batch_norm": "before"},
    ),
]
"""Each rung: name, published test accuracy, its config, and what tells its runs from the others'."""

SOFTMAX_SGD = Variant(
    {**SOFTMAX, "optimizer": "sgd", "learning_rate": 0.1, "initializer": "zeros", "bias_std": 0.0},
    "softmax, SGD 0.1",
    "90-91.9 %",
)


STUDY = Study(
    question="What does each tool of the lectures add on MNIST?",
    answer="A hidden layer and Xavier initialization add most; all others add tenths of a point.",
    why=(
        Reason("A hidden layer and a good initialization bring most of the gain", _most_of_the_gain),
        Reason(
            "More depth, dropout and batch normalization add tenths of a point, where most images are right already",
            _little_more,
        ),
    ),
    comparison=Comparison(("test_accuracy",)),
    view={"color": "initializer"},
    source=LABS,
    variants=[SOFTMAX_SGD, *(Variant(fields, name, f"{100 * accuracy:.2f} %") for name, accuracy, fields, _ in RUNGS)],
    columns=("test_accuracy", "best_test_accuracy", "test_loss", "seconds"),
    expectations=(
        Expectation(
            "softmax, SGD 0.1", LABS, _as_published(0.90, 0.919, depth=1, optimizer="sgd"), PREMISE, "0.90 to 0.919"
        ),
        *(
            Expectation(name, LABS, _as_published(accuracy, accuracy, **which), PREMISE, f"{accuracy:.4f}")
            for name, accuracy, _, which in RUNGS
        ),
        Expectation(
            "two hidden layers beat none",
            LABS,
            beats({"depth": 3, "initializer": "normal_1"}, {"depth": 1, "optimizer": "adam"}, "test_accuracy"),
            PREMISE,
            "0.9455 against 0.9035",
        ),
        Expectation(
            "Xavier beats N(0, 1)",
            LABS,
            beats(
                {"depth": 3, "initializer": "glorot_uniform"}, {"depth": 3, "initializer": "normal_1"}, "test_accuracy"
            ),
            PREMISE,
            "0.9783 against 0.9455",
        ),
    ),
    quick=Quick({"epochs": 2}),
)
