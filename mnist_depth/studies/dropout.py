"""Does dropout close the gap between training and test?

Source: Srivastava et al. 2014; Sung Kim's lab 10-5 (784-4x512-10, keep 0.7, Adam 0.001: 0.9804 against 0.9742); and the
over-fit case of K. Saito, Deep Learning from Scratch, chapter 6: 300 training images, six hidden ReLU layers of 100
units, SGD 0.01, 300 epochs, keep 0.8. Command: `python -m mnist_depth study dropout`. Expected: a smaller gap between
training and test accuracy in both. Training accuracy is counted while training, with units dropped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mnist_depth.studies.checks import BEST, beats, one_learned
from mnist_depth.studies.expectation import Check, Expectation, all_but
from mnist_depth.studies.selection import NotComparable, Runs
from mnist_depth.studies.sources import LABS, SCRATCH, SRIVASTAVA_2014
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.translation import translate as _

LAB: dict[str, Any] = {
    "depth": 5,
    "width": 512,
    "activation": "relu",
    "initializer": "glorot_uniform",
    "bias_std": 1.0,
    "optimizer": "adam",
}
OVERFIT: dict[str, Any] = {
    "depth": 7,
    "width": 100,
    "activation": "relu",
    "initializer": "he_normal",
    "learning_rate": 0.01,
    "train_examples": 300,
    "epochs": 300,
}
SHORT = {"epochs": 4, "width": 256}
"""The quick version of variants that train on all images."""

MIN_EPOCHS = 10
PREMISE = all_but()
VARIANTS = [
    Variant({**LAB}, "lab", "0.9742"),
    Variant({**LAB, "dropout": 0.3}, "lab, keep 0.7", "0.9804"),
    Variant({**OVERFIT}, "300 images"),
    Variant({**OVERFIT, "dropout": 0.2}, "300 images, keep 0.8"),
]


def _smaller_loss(runs: Runs) -> tuple[bool, str]:
    lab = runs.where(depth=LAB["depth"])
    if lab.config.epochs < MIN_EPOCHS:
        raise NotComparable(
            _(
                "asks for {wanted} epochs, after which the network overfits; these runs have {found}",
                wanted=MIN_EPOCHS,
                found=lab.config.epochs,
            )
        )
    return beats({"dropout": 0.3}, {"dropout": 0.0}, "test_loss")(lab)


def _smaller_gap(depth: int) -> Check:
    def check(runs: Runs) -> tuple[bool, str]:
        groups = one_learned(runs.where(depth=depth)).by("dropout")
        gaps = {rate: group.mean("train_accuracy") - group.mean("test_accuracy") for rate, group in groups.items()}
        plain, dropped = gaps.pop(0.0), list(gaps.values())
        detail = _("gap {dropped:.2%} with dropout, {plain:.2%} without", dropped=dropped[0], plain=plain)
        return dropped[0] < plain, detail

    return check


STUDY = Study(
    question="Does dropout close the gap between training and test accuracy?",
    answer="Yes, from above: training accuracy falls while test accuracy hardly changes.",
    why=(
        "Where any unit may be missing, none can rely on particular others, and 300 images are harder to "
        "memorize. Training accuracy falls, test accuracy hardly rises: the gap closes from above."
    ),
    picture="test_accuracy",
    view={"color": "dropout"},
    folder="drop",
    source=f"{SRIVASTAVA_2014}; {LABS}; {SCRATCH}",
    variants=VARIANTS,
    columns=("train_accuracy", "test_accuracy", BEST, "test_loss", "seconds"),
    expectations=(
        Expectation(
            "300 images: dropout makes the gap smaller",
            SCRATCH,
            _smaller_gap(OVERFIT["depth"]),
            PREMISE,
            "training accuracy no longer 100 %",
        ),
        Expectation("lab: dropout makes the gap smaller", SRIVASTAVA_2014, _smaller_gap(LAB["depth"]), PREMISE),
        Expectation(
            "lab: dropout makes the test loss smaller",
            SRIVASTAVA_2014,
            _smaller_loss,
            PREMISE,
        ),
    ),
    quick=Quick(
        variants=[
            replace(variant, fields=variant.fields if "epochs" in variant.fields else {**variant.fields, **SHORT})
            for variant in VARIANTS
        ]
    ),
)
