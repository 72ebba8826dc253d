"""Does batch normalization make learning independent of the initial scale?

Source: Ioffe & Szegedy 2015; K. Saito, Deep Learning from Scratch, chapter 6, whose figure has 4 x 4 panels: 16 initial
scales from 10^0 to 10^-4, five hidden ReLU layers of 100 units, the first 1,000 training images, 20 epochs, batch 100,
SGD 0.01, with and without. And the 9-layer sigmoid network of the headline. Command:
`python -m mnist_depth study batch_norm`. Expected: with it the network learns at every scale, and nearly always faster;
the sigmoid network learns.
"""

from __future__ import annotations

from typing import Any

from mnist_depth.studies.checks import BEST, at_chance, known, learns, one_learned
from mnist_depth.studies.expectation import Expectation, all_but
from mnist_depth.studies.selection import Runs
from mnist_depth.studies.sources import IOFFE_2015, LECTURE_10, SCRATCH
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.translation import translate as _

SCALES = [round(10 ** (-4 * place / 15), 6) for place in range(16)]
PANEL: dict[str, Any] = {
    "depth": 6,
    "width": 100,
    "activation": "relu",
    "train_examples": 1_000,
    "epochs": 20,
    "learning_rate": 0.01,
}
PREMISE = all_but()
LEARNED = 0.5
"""Training accuracy after 200 steps that counts as learning: chance is 0.1."""

MAX_LOST = 0.2
"""Share of the scales at which the plain network may be ahead: those that happen to suit it."""


def _panel(scale: float, batch_norm: str) -> Variant:
    name = f"std {scale:g}" + (", batch norm" if batch_norm != "none" else "")
    return Variant({**PANEL, "initializer": f"normal:{scale}", "batch_norm": batch_norm}, name)


def _nine(batch_norm: str) -> Variant:
    name = "9-layer sigmoid" + (", batch norm" if batch_norm != "none" else "")
    return Variant({"depth": 9, "activation": "sigmoid", "batch_norm": batch_norm}, name)


def _learns_everywhere(runs: Runs) -> tuple[bool, str]:
    groups = known(runs).where(activation="relu", batch_norm="before").by("initializer")
    worst = min(groups, key=lambda name: groups[name].mean("train_accuracy"))
    least = groups[worst].mean("train_accuracy")
    return least >= LEARNED, _(
        "worst of {count} scales: {scale} with training accuracy {accuracy:.1%}",
        count=len(groups),
        scale=worst,
        accuracy=least,
    )


def _mostly_faster(runs: Runs) -> tuple[bool, str]:
    panels = one_learned(known(runs).where(activation="relu"), "train_accuracy").by("initializer")
    behind = [name for name, group in panels.items() if _gain(group) <= 0]
    return len(behind) <= MAX_LOST * len(panels), _(
        "ahead at {ahead} of {count} scales", ahead=len(panels) - len(behind), count=len(panels)
    )


def _gain(panel: Runs) -> float:
    """How much further the normalized network of one scale has come on its training images."""
    return panel.where(batch_norm="before").mean("train_accuracy") - panel.where(batch_norm="none").mean(
        "train_accuracy"
    )


def _plain_fails_somewhere(runs: Runs) -> tuple[bool, str]:
    groups = known(runs).where(activation="relu", batch_norm="none").by("initializer")
    failed = [name for name, group in groups.items() if group.mean("train_accuracy") < LEARNED]
    return len(failed) >= len(groups) / 2, _(
        "{failed} of {count} scales stay below {bar:.0%}", failed=len(failed), count=len(groups), bar=LEARNED
    )


STUDY = Study(
    question="Does batch normalization make a network learn at every initial scale?",
    answer="Yes, and nearly always faster than without.",
    why=(
        "Normalization sets the spread of every pre-activation to 1 whatever the scale of the weights, so "
        "forward and backward signals survive. It does not rescale the step: beside large weights it is "
        "small, and a short training shows that."
    ),
    picture="training_loss",
    view={"color": "batch_norm"},
    folder="norm",
    source=f"{IOFFE_2015}; {SCRATCH}",
    variants=[
        *(_panel(scale, batch_norm) for scale in SCALES for batch_norm in ("none", "before")),
        _nine("none"),
        _nine("before"),
    ],
    columns=("train_accuracy", "test_accuracy", BEST, "seconds"),
    expectations=(
        Expectation(
            "with batch normalization the network learns at every scale",
            SCRATCH,
            _learns_everywhere,
            PREMISE,
            "learns in all 16 panels",
        ),
        Expectation(
            "without it, most scales do not learn", SCRATCH, _plain_fails_somewhere, PREMISE, "most panels stay flat"
        ),
        Expectation(
            "with it, learning is faster at nearly every scale",
            IOFFE_2015,
            _mostly_faster,
            PREMISE,
            "nearly all panels",
        ),
        Expectation(
            "9 sigmoid layers stay at chance without it",
            LECTURE_10,
            at_chance(activation="sigmoid", batch_norm="none"),
            PREMISE - {"epochs", "width"},
        ),
        Expectation(
            "9 sigmoid layers learn with it",
            IOFFE_2015,
            learns(0.9, activation="sigmoid", batch_norm="before"),
            PREMISE - {"width"},
        ),
    ),
    quick=Quick(
        variants=[
            *(_panel(scale, batch_norm) for scale in SCALES[::5] for batch_norm in ("none", "before")),
            *(
                Variant({**_nine(batch_norm).fields, "epochs": 2, "width": 64}, _nine(batch_norm).label)
                for batch_norm in ("none", "before")
            ),
        ]
    ),
)
