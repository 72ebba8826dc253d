"""What initialization does to the activations before any training.

Source: K. Saito, Deep Learning from Scratch, chapter 6; CS231n, lecture 5; used in Sung Kim's lecture 10. Inputs of
N(0, 1), 1,000 x 100, through five hidden layers of 100 units; weights of standard deviation 1, 0.01, Xavier sqrt(1/n)
and He sqrt(2/n); sigmoid, tanh, ReLU. Only the probe at step 0 counts, so one epoch is trained. Command:
`python -m mnist_depth study activation_flow`. Expected: 1 saturates sigmoid at 0 and 1 and tanh at -1 and 1; 0.01
collapses them to 0.5 and 0; Xavier keeps tanh spread; ReLU loses half its variance per layer with Xavier, none with He.
"""

from __future__ import annotations

from collections.abc import Callable

from mnist_depth.config import RunConfig
from mnist_depth.results.groups import Axis, field_axis
from mnist_depth.studies.expectation import Check, Expectation, all_but
from mnist_depth.studies.selection import Runs
from mnist_depth.studies.sources import GLOROT_2010, HE_2015, SCRATCH
from mnist_depth.studies.study import Study, Variant, product
from mnist_depth.translation import translate as _

PREMISE = all_but("epochs", "batch_size", "optimizer", "learning_rate", "weight_decay", "clip_norm")
COLLAPSED = 0.05
SATURATED = 0.5
"""Share of a layer's values that must lie near a limit; from the second layer on theory has 0.67 for sigmoid."""


STARTS = {"normal_1": "std 1", "normal_0_01": "std 0.01", "xavier_fan_in": "Xavier", "he_fan_in": "He"}
"""Initializer -> its name in tables, legends and expectations."""


def _start(config: RunConfig) -> str:
    return STARTS.get(config.initializer, config.initializer)


def _std(test: Callable[[list[float]], bool], activation: str, initializer: str) -> Check:
    """In every seed the standard deviations of layers 1 to 5 pass `test`."""

    def check(runs: Runs) -> tuple[bool, str]:
        rows = runs.where(activation=activation, initializer=initializer).at_start("activation_std")
        worst = rows[0]
        shown = " ".join(f"{value:.2g}" for value in worst)
        return all(test(row) for row in rows), _(
            "standard deviation of layers 1 to {last}: {values}", last=len(worst), values=shown
        )

    return check


def _saturates(activation: str) -> Check:
    def check(runs: Runs) -> tuple[bool, str]:
        rows = runs.where(activation=activation, initializer="normal_1").at_start("saturated_share")
        least = min(min(row) for row in rows)
        return least >= SATURATED, _("at least {share:.0%} of every layer lies within 5 % of a limit", share=least)

    return check


def _centered(runs: Runs) -> tuple[bool, str]:
    chosen = runs.where(activation="sigmoid", initializer="normal_0_01")
    means, stds = chosen.at_start("activation_mean"), chosen.at_start("activation_std")
    off = max(abs(mean - 0.5) for row in means for mean in row[1:])
    wide = max(std for row in stds for std in row[1:])
    return off < COLLAPSED and wide < COLLAPSED, _(
        "layers 2 to 5 within {distance:.3f} of 0.5, standard deviation {deviation:.3f}", distance=off, deviation=wide
    )


STUDY = Study(
    question="How does the scale of the weights decide what reaches the last layer?",
    answer="A scale of 1 saturates the layers, 0.01 lets signals fade; Xavier suits tanh, He suits ReLU.",
    why=(
        "A layer multiplies the spread of its input by the weights' standard deviation times the square root "
        "of fan_in, and ReLU halves the square of what is left. Below 1 signals fade, above it they saturate."
    ),
    picture="activation_std",
    signals=("activation_std",),
    view={"quantity": "activation_std", "color": "initializer", "step": "0"},
    axes=(field_axis("activation"), Axis("initialization", _start)),
    folder="flow",
    source=f"{SCRATCH}; {GLOROT_2010}; {HE_2015}",
    variants=[
        Variant(
            {"dataset": "gaussian", "depth": 6, "width": 100, "epochs": 1, **variant.fields},
            f"{variant.fields['activation']}, {STARTS[variant.fields['initializer']]}",
        )
        for variant in product(activation=["sigmoid", "tanh", "relu"], initializer=list(STARTS))
    ],
    columns=("dz_ratio", "seconds"),
    expectations=(
        Expectation(
            "std 1 drives sigmoid to 0 and 1", SCRATCH, _saturates("sigmoid"), PREMISE, "most values at 0 or 1"
        ),
        Expectation("std 1 drives tanh to -1 and 1", SCRATCH, _saturates("tanh"), PREMISE, "most values at -1 or 1"),
        Expectation("std 0.01 collapses sigmoid to 0.5", SCRATCH, _centered, PREMISE, "all values at 0.5"),
        Expectation(
            "std 0.01 collapses tanh to 0",
            SCRATCH,
            _std(lambda row: row[-1] < 1e-3, "tanh", "normal_0_01"),
            PREMISE,
            "a factor of 0.1 per layer",
        ),
        Expectation(
            "std 0.01 collapses ReLU to 0",
            SCRATCH,
            _std(lambda row: row[-1] < 1e-3, "relu", "normal_0_01"),
            PREMISE,
            "a factor of 0.07 per layer",
        ),
        Expectation(
            "Xavier keeps tanh spread",
            GLOROT_2010,
            _std(lambda row: row[-1] >= row[0] / 3, "tanh", "xavier_fan_in"),
            PREMISE,
            "layer 5 still varies",
        ),
        Expectation(
            "Xavier lets ReLU shrink",
            HE_2015,
            _std(lambda row: row[-1] < row[0] / 2, "relu", "xavier_fan_in"),
            PREMISE,
            "variance halves per layer: 1/4 of layer 1's standard deviation",
        ),
        Expectation(
            "He keeps ReLU's spread",
            HE_2015,
            _std(lambda row: 0.5 <= row[-1] / row[0] <= 2, "relu", "he_fan_in"),
            PREMISE,
            "as wide in layer 5 as in layer 1",
        ),
    ),
)
