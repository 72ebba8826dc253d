"""Where theory draws the border of trainability, do networks stop training?

Source: Schoenholz et al. 2017, figure 5: networks train up to about 6 xi_c layers, xi_c the correlation's depth scale,
which is endless on the critical line (chi_1 = 1) and shrinks on both sides of it. Here: kernels of variance sigma_w^2 /
fan_in, width 100, 10,000 images, a fixed budget; tanh with sigma_b^2 = 0.05 as in the paper, sigmoid and ReLU with zero
biases (critical at sigma_w = 10.1 and sqrt 2). Command: `python -m mnist_depth study phase_diagram`. Expected: networks
within 6 xi_c train, networks beyond twice that do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from mnist_depth import theory
from mnist_depth.config import RunConfig
from mnist_depth.networks.initializers import INITIALIZERS
from mnist_depth.registry import lookup
from mnist_depth.studies.checks import BEST, known
from mnist_depth.studies.expectation import Check, Expectation, all_but
from mnist_depth.studies.selection import NotTested, Runs
from mnist_depth.studies.sources import HE_2015, SCHOENHOLZ_2017
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.translation import translate as _

DEPTHS = [4, 8, 12, 16, 24, 32, 48, 64]
SCALES: dict[str, Sequence[float]] = {
    "tanh": [0.5, 0.75, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0],
    "sigmoid": [1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0],
    "relu": [0.5, 0.75, 1.0, 1.2, 1.4142, 1.6, 1.75, 2.0, 2.5],
}
"""Activation -> sigma_w, the critical value in the middle."""

BIAS_STD = {"tanh": round(math.sqrt(0.05), 4)}
BUDGET: dict[str, Any] = {"width": 100, "train_examples": 10_000, "epochs": 5, "learning_rate": 0.05}
PREMISE = all_but()
TRAINED = 0.5
"""Best test accuracy that counts as trained after the fixed, short budget: five times chance."""

INPUT_LENGTH = theory.INPUT_LENGTHS["mnist"]

BEYOND = 2.0
"""Networks deeper than this many times the theory's limit must not train; in between either is right."""


def _variants(scales: dict[str, Sequence[float]], depths: Sequence[int]) -> list[Variant]:
    return [
        Variant(
            {
                **BUDGET,
                "activation": activation,
                "initializer": f"mean_field:{scale:g}",
                "depth": depth,
                "bias_std": BIAS_STD.get(activation, 0.0),
            }
        )
        for activation in scales
        for scale in scales[activation]
        for depth in depths
    ]


def limit(config: RunConfig) -> float:
    """6 xi_c: how many layers theory lets a network of this config have."""
    _, (scale,) = lookup(INITIALIZERS, config.initializer, "initializer")
    return _limit(config.activation, float(scale), config.bias_std)


@cache
def _limit(activation: str, scale: float, bias_std: float) -> float:
    return theory.depth_scales(activation, scale, bias_std, scale**2 * INPUT_LENGTH).trainable_depth


def _border(activation: str) -> Check:
    """Of the runs inside the border most train, of those well beyond it hardly any."""

    def check(runs: Runs) -> tuple[bool, str]:
        inside, beyond = [], []
        for group in known(runs).where(activation=activation).by("initializer").values():
            most = limit(group.config)
            for depth, members in group.by("depth").items():
                trained = [value >= TRAINED for value in members.values(BEST)]
                inside += trained * (depth <= most)
                beyond += trained * (depth > BEYOND * most)
        if not inside or not beyond:
            raise NotTested(_("the runs lie on one side of the border only"))
        shares = sum(inside) / len(inside), sum(beyond) / len(beyond)
        return shares[0] >= 0.8 and shares[1] <= 0.2, _(
            "{within:.0%} of {runs_within} runs within 6 xi train, {beyond:.0%} of {runs_beyond} beyond 12 xi",
            within=shares[0],
            runs_within=len(inside),
            beyond=shares[1],
            runs_beyond=len(beyond),
        )

    return check


STUDY = Study(
    question="Do networks stop training where mean-field theory draws the border?",
    answer="Yes: networks train up to about 6 xi layers, as theory predicts.",
    why=(
        "Theory gives a depth scale xi within which signals still tell their inputs apart. A network trains "
        "only where the signal gets through all its layers, which is up to about 6 xi."
    ),
    picture="phase_diagram",
    folder="phase",
    source=SCHOENHOLZ_2017,
    variants=_variants(SCALES, DEPTHS),
    columns=("train_loss", BEST, "dz_ratio"),
    expectations=tuple(
        Expectation(f"{activation}: trainable within 6 xi, not beyond twice that", source, _border(activation), PREMISE)
        for activation, source in (("tanh", SCHOENHOLZ_2017), ("sigmoid", SCHOENHOLZ_2017), ("relu", HE_2015))
    ),
    quick=Quick(
        variants=[
            *_variants({"tanh": [0.5, 1.0, 1.3, 1.75, 2.5]}, [4, 8, 16, 32]),
            *_variants({"sigmoid": [1.0, 4.0, 10.0]}, [4, 8, 12]),
            *_variants({"relu": [0.5, 1.0, 1.4142, 1.75, 2.5]}, [4, 8, 16, 32]),
        ],
    ),
)
