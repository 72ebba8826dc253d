"""Does ReLU alone repair a bad initialization? And what does a ReLU on the logits do?

Source: Sung Kim, Deep Learning for Everyone, labs 9 and 10 and their notes: 784-256-256-10 from N(0, 1), batch 100, 30
epochs, SGD, sigmoid at 0.1 against ReLU at 0.01. The notes also put a ReLU on the logits by mistake, as printed only on
the hypothesis that is scored; trained through, the mistake is worse, for a logit below zero gets no gradient. Both are
shown, and Xavier at 0.1 as the repair. Command: `python -m mnist_depth study shallow_relu`. Expected: ReLU from N(0, 1)
stays behind ReLU from Xavier, and units turn off; the mistake as printed changes little, trained through it costs most
of the accuracy.
"""

from __future__ import annotations

from typing import Any

from mnist_depth.results.comparison import Comparison
from mnist_depth.studies.checks import BEST, beats, near
from mnist_depth.studies.expectation import Expectation, all_but
from mnist_depth.studies.selection import Runs
from mnist_depth.studies.sources import LABS, LECTURE_10
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.translation import translate as _

NETWORK: dict[str, Any] = {"depth": 3, "initializer": "normal_1", "epochs": 30}
RELU: dict[str, Any] = {**NETWORK, "activation": "relu", "learning_rate": 0.01}
PLAIN: dict[str, Any] = {"activation": "relu", "initializer": "normal_1", "logits_activation": "linear"}
PREMISE = all_but()
OFF = 0.1
"""By how much the share of zeros in the second layer must grow; at the start half of all ReLU outputs are zero."""

LITTLE = 0.01
"""How much accuracy the mistake as printed may cost: only images whose logits are all negative are misjudged."""


def _units_turn_off(runs: Runs) -> tuple[bool, str]:
    chosen = runs.where(**PLAIN)
    first, last = chosen.at_start("zero_share"), chosen.at_end("zero_share")
    growth = min(late[-1] - early[-1] for early, late in zip(first, last, strict=True))
    return growth >= OFF, _(
        "zeros in layer 2: {start:.0%} at the start, {end:.0%} at the end", start=first[0][-1], end=last[0][-1]
    )


STUDY = Study(
    question="Does ReLU alone repair a bad initialization, and what does a ReLU on the logits do?",
    answer="No: ReLU alone does not repair N(0, 1), and trained through, a ReLU on the logits stops learning.",
    why=(
        "From N(0, 1) signals grow with the square root of fan_in at every layer, and ReLU does not fix a "
        "scale. A ReLU on the logits cuts off each class whose logit is negative, its gradient included."
    ),
    comparison=Comparison((BEST,)),
    view={"color": "logits_activation"},
    folder="shallow",
    source=LABS,
    variants=[
        Variant({**NETWORK, "activation": "sigmoid"}, "sigmoid"),
        Variant(RELU, "ReLU"),
        Variant({**RELU, "logits_activation": "relu_scored"}, "ReLU, and on the scored logits"),
        Variant({**RELU, "logits_activation": "relu"}, "ReLU, and trained through on the logits"),
        Variant(
            {**NETWORK, "activation": "relu", "initializer": "glorot_uniform", "learning_rate": 0.1}, "ReLU, Xavier"
        ),
    ],
    columns=("train_loss", "test_accuracy", BEST, "seconds"),
    expectations=(
        Expectation(
            "ReLU from N(0, 1) stays a point and more behind ReLU from Xavier",
            LABS,
            beats({"activation": "relu", "initializer": "glorot_uniform"}, PLAIN, by=0.01),
            PREMISE,
            "0.9455 against 0.9783 (with Adam)",
        ),
        Expectation("units turn off: zeros in layer 2 grow by a tenth and more", LECTURE_10, _units_turn_off, PREMISE),
        Expectation(
            "the mistake as printed changes little",
            LABS,
            near(PLAIN, {"logits_activation": "relu_scored"}, within=LITTLE),
            PREMISE,
        ),
        Expectation(
            "trained through, the mistake costs accuracy",
            LABS,
            beats(PLAIN, {"logits_activation": "relu"}, by=0.05),
            PREMISE,
        ),
    ),
    quick=Quick({"epochs": 3}),
)
