"""Does the way layers are connected decide whether depth works?

Source: Sung Kim, Deep Learning for Everyone, lecture 10, "NN LEGO": fast forward (skip connections, He et al. 2016),
split and merge, recurrent (the image's 28 rows as time steps). Command: `python -m mnist_depth study lego`. Expected:
skip connections let nine sigmoid layers learn, which splitting does not; plain and split networks learn with ReLU; the
recurrent networks learn. (Skips around ReLU layers without normalization let the variance grow by half per layer: at a
rate of 0.1 they learn on MNIST and can diverge on brighter images, so nothing is expected of them here.)
"""

from __future__ import annotations

from typing import Any

from mnist_depth.results.groups import field_axis
from mnist_depth.studies.checks import BEST, at_chance, learns
from mnist_depth.studies.expectation import Expectation, all_but
from mnist_depth.studies.sources import HE_2016, LECTURE_10
from mnist_depth.studies.study import Quick, Study, Variant

WIRINGS = {"plain": "plain", "residual": "fast forward", "split_merge": "split and merge"}
CELLS = {"recurrent": "simple recurrent", "recurrent:lstm": "LSTM", "recurrent:gru": "GRU"}
RECURRENT: dict[str, Any] = {"depth": 2, "width": 64, "activation": "tanh", "optimizer": "adam", "epochs": 5}
NETWORK = all_but("width", "batch_size")


def _deep(activation: str, wiring: str) -> Variant:
    return Variant({"depth": 9, "activation": activation, "wiring": wiring}, f"{activation}, {WIRINGS[wiring]}")


STUDY = Study(
    question="Which wirings let a deep network learn?",
    answer="Skip connections let deep sigmoid networks learn; splitting and merging does not.",
    picture="test_accuracy",
    axes=(field_axis("activation"), field_axis("wiring")),
    why=(
        "A skip hands the gradient of a later layer to an earlier one past the layers between. Splitting and "
        "merging leaves the way as long as it was."
    ),
    view={"color": "wiring"},
    source=f"{LECTURE_10}; {HE_2016}",
    variants=[
        *(_deep(activation, wiring) for activation in ("sigmoid", "relu") for wiring in WIRINGS),
        *(Variant({**RECURRENT, "wiring": wiring}, name) for wiring, name in CELLS.items()),
    ],
    columns=("test_loss", "best_test_accuracy", "dz_ratio", "seconds"),
    expectations=(
        Expectation(
            "9 plain sigmoid layers stay at chance",
            LECTURE_10,
            at_chance(activation="sigmoid", wiring="plain"),
            NETWORK - {"epochs"},
        ),
        Expectation(
            "fast forward lets them learn",
            HE_2016,
            learns(0.85, activation="sigmoid", wiring="residual"),
            NETWORK,
            "skip connections rescue depth",
        ),
        Expectation(
            "split and merge does not: each branch is as deep",
            LECTURE_10,
            at_chance(activation="sigmoid", wiring="split_merge"),
            NETWORK - {"epochs"},
        ),
        Expectation(
            "with ReLU plain and split networks learn",
            LECTURE_10,
            learns(0.9, activation="relu", wiring=["plain", "split_merge"]),
            NETWORK,
        ),
        Expectation(
            "recurrent networks read the image row by row",
            LECTURE_10,
            learns(0.85, wiring=list(CELLS)),
            NETWORK,
        ),
    ),
    rank_by=BEST,
    quick=Quick(
        {"width": 64, "epochs": 2},
        [
            *(_deep(activation, wiring) for activation in ("sigmoid", "relu") for wiring in WIRINGS),
            Variant({**RECURRENT, "wiring": "recurrent"}, CELLS["recurrent"]),
            Variant({**RECURRENT, "wiring": "recurrent:lstm"}, CELLS["recurrent:lstm"]),
        ],
    ),
)
