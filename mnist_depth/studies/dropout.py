"""Does dropout close the gap between training and test?

Source: Srivastava et al. 2014; Sung Kim's lab 10-5 (784-4x512-10, keep 0.7, Adam 0.001: 0.9804 against 0.9742); and the
over-fit case of K. Saito, Deep Learning from Scratch, chapter 6: 300 training images, six hidden ReLU layers of 100
units, SGD 0.01, 300 epochs, keep 0.8. Command: `python -m mnist_depth study dropout`. Expected: a smaller gap between
training and test accuracy in both. Training accuracy is counted while training, with units dropped.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any, NamedTuple

from mnist_depth.results.comparison import Comparison
from mnist_depth.studies.checks import BEST, beats, one_learned
from mnist_depth.studies.expectation import Check, Expectation, Reason, all_but
from mnist_depth.studies.names import localized
from mnist_depth.studies.selection import NotComparable, NotTested, Runs
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
    Variant({**LAB}, "lab", "97.42 %"),
    Variant({**LAB, "dropout": 0.3}, "lab, keep 0.7", "98.04 %"),
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


class _Pair(NamedTuple):
    """(training accuracy, test accuracy) of one network without and with dropout."""

    plain: tuple[float, float]
    dropped: tuple[float, float]

    @property
    def gaps(self) -> tuple[float, float]:
        """Training minus test accuracy, without and with dropout."""
        return self.plain[0] - self.plain[1], self.dropped[0] - self.dropped[1]


def _pair(runs: Runs, depth: int) -> _Pair:
    """The runs of one network. Raises NotTested where those with or without dropout are missing."""
    network = one_learned(runs.where(depth=depth))
    plain = network.where(dropout=0.0)
    dropped = [group for rate, group in network.by("dropout").items() if rate]
    if not dropped:
        raise NotTested(_("no finished run with dropout"))
    return _Pair(*((group.mean("train_accuracy"), group.mean("test_accuracy")) for group in (plain, dropped[0])))


def _smaller_gap(depth: int) -> Check:
    def check(runs: Runs) -> tuple[bool, str]:
        plain, dropped = _pair(runs, depth).gaps
        detail = _(
            "training minus test accuracy: {dropped:.1f} points with dropout, {plain:.1f} without",
            dropped=100 * dropped,
            plain=100 * plain,
        )
        return dropped < plain, detail

    return check


def _found(runs: Runs) -> str:
    """The gaps of every network whose runs are there."""
    pairs: dict[str, _Pair] = {}
    for name, network in (("300 images", OVERFIT), ("lab", LAB)):
        with contextlib.suppress(NotTested):
            pairs[name] = _pair(runs, network["depth"])
    if not pairs:
        raise NotTested(_("no finished run with dropout"))
    closes = all(pair.gaps[1] < pair.gaps[0] for pair in pairs.values())
    parts = [
        _(
            "{name}: from {plain:.1f} to {dropped:.1f} points (training {train:.1%} to {train_dropped:.1%}, "
            "test {test:.1%} to {test_dropped:.1%})",
            name=localized(name),
            plain=100 * pair.gaps[0],
            dropped=100 * pair.gaps[1],
            train=pair.plain[0],
            train_dropped=pair.dropped[0],
            test=pair.plain[1],
            test_dropped=pair.dropped[1],
        )
        for name, pair in pairs.items()
    ]
    head = (
        _("Yes: dropout makes the gap smaller.") if closes else _("No: dropout does not always make the gap smaller.")
    )
    return " ".join([head, _("The gap is training minus test accuracy."), "; ".join(parts) + "."])


def _from_above(runs: Runs) -> tuple[bool, str]:
    pair = _pair(runs, OVERFIT["depth"])
    falls, rises = pair.plain[0] - pair.dropped[0], pair.dropped[1] - pair.plain[1]
    detail = _(
        "300 images: training accuracy {train:+.1f} points, test accuracy {test:+.1f}",
        train=-100 * falls,
        test=100 * rises,
    )
    return falls > max(0.0, rises), detail


def _below_zero(runs: Runs) -> tuple[bool, str]:
    gap = _pair(runs, LAB["depth"]).gaps[1]
    return gap < 0, _("lab, keep 0.7: {gap:.1f} points", gap=100 * gap)


STUDY = Study(
    question="Does dropout close the gap between training and test accuracy?",
    answer="Yes, from above: training accuracy falls while test accuracy hardly changes.",
    found=_found,
    why=(
        Reason(
            "Where any unit may be missing, none can rely on particular others, and images are harder to memorize: the "
            "gap closes from above, because training accuracy falls more than test accuracy rises",
            _from_above,
        ),
        Reason(
            "A gap below zero means that training accuracy is counted while units are dropped, and test accuracy with "
            "all of them",
            _below_zero,
        ),
    ),
    comparison=Comparison(("train_accuracy", "test_accuracy")),
    view={"color": "dropout"},
    folder="drop",
    source=f"{SRIVASTAVA_2014}; {LABS}; {SCRATCH}",
    variants=VARIANTS,
    columns=("train_accuracy", "test_accuracy", BEST, "test_loss", "seconds"),
    expectations=(
        Expectation(
            "300 images: dropout makes the gap between training and test accuracy smaller",
            SCRATCH,
            _smaller_gap(OVERFIT["depth"]),
            PREMISE,
            "training accuracy no longer 100 %",
        ),
        Expectation(
            "lab: dropout makes the gap between training and test accuracy smaller",
            SRIVASTAVA_2014,
            _smaller_gap(LAB["depth"]),
            PREMISE,
        ),
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
