"""How much slower do early layers learn?

Source: Nielsen 2015, Neural Networks and Deep Learning, chapter 5: sigmoid networks 784-30x{2,3,4}-10, the first 1,000
training images as one batch, 500 epochs at 0.1, lambda 5 (weight decay 5/1000), kernels from N(0, 1/fan_in), biases
from N(0, 1); the speed of a layer is the norm of its bias gradient. Command: `python -m mnist_depth study
learning_speed`. Published at the start: 0.07 and 0.31; 0.012, 0.060 and 0.283; 0.003, 0.017, 0.070 and 0.285: a factor
of about 1/4 to 1/6 per layer. (Nielsen's outputs are sigmoids with a cross-entropy each; ours are a softmax, so the
factors compare, not the norms.)
"""

from __future__ import annotations

import math
from itertools import pairwise

from mnist_depth.studies.expectation import Check, Expectation, all_but
from mnist_depth.studies.selection import Runs
from mnist_depth.studies.sources import NIELSEN_2015
from mnist_depth.studies.study import Quick, Study, Variant
from mnist_depth.translation import translate as _

PUBLISHED = {3: "0.07, 0.31", 4: "0.012, 0.060, 0.283", 5: "0.003, 0.017, 0.070, 0.285"}
PREMISE = all_but()
SLOWEST, FASTEST = 0.1, 0.5
"""Factor per layer around the published 0.17 to 0.25."""


def _factors(depth: int) -> Check:
    """At the start every layer is slower than the next, by a factor in the published range on average."""

    def check(runs: Runs) -> tuple[bool, str]:
        rows = runs.where(depth=depth).at_start("probe_gradient_norm", "/bias")
        means = [(row[0] / row[-1]) ** (1 / (len(row) - 1)) if row[-1] else math.nan for row in rows]
        falling = all(early < late for row in rows for early, late in pairwise(row))
        shown = ", ".join(f"{value:.2g}" for value in rows[0])
        return falling and all(SLOWEST < mean < FASTEST for mean in means), _(
            "bias gradients {norms}: factor {factor:.2f} per layer", norms=shown, factor=means[0]
        )

    return check


def _stays_slower(runs: Runs) -> tuple[bool, str]:
    rows = runs.median("gradient_norm", "/bias")
    ratios = [row[0] / row[-1] if row[-1] else math.nan for row in rows]
    shown = ", ".join(f"{ratio:.2g}" for ratio in ratios)
    return all(ratio < FASTEST for ratio in ratios), _(
        "first over last hidden layer, median over training: {ratios}", ratios=shown
    )


STUDY = Study(
    question="How much slower do the early layers of a sigmoid network learn?",
    answer="Every layer is four to five times slower than the next one.",
    why=(
        "The gradient of a layer is that of the next times weights and slopes. Sigmoid's slopes make every "
        "layer four to five times slower than the one behind it."
    ),
    view={"color": "depth"},
    source=NIELSEN_2015,
    variants=[
        Variant(
            {
                "depth": depth,
                "width": 30,
                "activation": "sigmoid",
                "initializer": "lecun_normal",
                "bias_std": 1.0,
                "train_examples": 1_000,
                "batch_size": 1_000,
                "epochs": 500,
                "weight_decay": 5 / 1_000,
            },
            f"{depth - 1} hidden layers",
            figures,
        )
        for depth, figures in PUBLISHED.items()
    ],
    columns=("train_loss", "test_accuracy", "dz_ratio", "seconds"),
    expectations=(
        *(
            Expectation(
                f"{depth - 1} hidden layers: each is slower than the next",
                NIELSEN_2015,
                _factors(depth),
                PREMISE - {"epochs", "learning_rate", "optimizer", "weight_decay"},
                figures,
            )
            for depth, figures in PUBLISHED.items()
        ),
        Expectation("the first hidden layer stays slower all through training", NIELSEN_2015, _stays_slower, PREMISE),
    ),
    quick=Quick({"epochs": 200}),
)
