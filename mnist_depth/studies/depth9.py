"""The headline: a 9-layer sigmoid network does not learn, a 9-layer ReLU network does.

Source: Sung Kim, Deep Learning for Everyone, lectures 9 and 10. Command: `python -m mnist_depth`.
"""

from __future__ import annotations

import math

from mnist_depth.studies.study import Expectation, NotTested, Runs, Study, product

LECTURE = "Sung Kim, Deep Learning for Everyone, lectures 9-10"
NETWORK = frozenset({"depth", "width", "initializer", "optimizer", "learning_rate", "wiring", "batch_norm", "pretraining"})


def _stuck(runs: Runs) -> tuple[bool, str]:
    chosen = runs.where(activation="sigmoid")
    losses, accuracies = chosen.values("test_loss"), chosen.values("best_test_accuracy")
    limit = max(chosen.values("largest_class_share"))
    holds = all(abs(loss - math.log(10)) < 0.05 for loss in losses) and max(accuracies) <= limit + 1e-6
    return holds, f"loss {max(losses):.3f} (ln 10 = 2.303), best test accuracy {max(accuracies):.2%}, largest class {limit:.2%}"


def _learns(runs: Runs) -> tuple[bool, str]:
    accuracies = runs.where(activation="relu").values("best_test_accuracy")
    return min(accuracies) >= _bar(runs), f"best test accuracy {min(accuracies):.2%}, bar {_bar(runs):.0%}"


def _bar(runs: Runs) -> float:
    datasets = {record.config.dataset for record in runs.records}
    bars = {"mnist": 0.97, "digits": 0.95}
    if len(datasets) != 1 or not datasets <= bars.keys():
        raise NotTested(f"no published figure for {', '.join(sorted(datasets))}")
    return bars[datasets.pop()]


def _vanishes(runs: Runs) -> tuple[bool, str]:
    ratios = runs.where(activation="sigmoid").values("gradient_ratio")
    return max(ratios) < 1e-3, f"kernel gradient norm, layer 1 over layer 9: {max(ratios):.1e}"


def _flows(runs: Runs) -> tuple[bool, str]:
    ratios = runs.where(activation="relu").values("gradient_ratio")
    return all(0.1 <= ratio <= 10 for ratio in ratios), f"kernel gradient norm, layer 1 over layer 9: {min(ratios):.2g}"


STUDY = Study(
    question="Why does a 9-layer sigmoid network not learn, while the same network with ReLU does?",
    source=LECTURE,
    variants=product(depth=[9], activation=["sigmoid", "relu"]),
    columns=("train_loss", "test_accuracy", "best_test_accuracy", "gradient_norm_first", "gradient_norm_last", "seconds"),
    expectations=(
        Expectation("sigmoid stays at chance: loss ln 10, no class but one predicted", LECTURE, _stuck, NETWORK),
        Expectation("ReLU learns", LECTURE, _learns, NETWORK | {"epochs", "train_examples"}),
        Expectation("sigmoid's gradient vanishes on its way to layer 1: ratio below 1e-3", LECTURE, _vanishes, NETWORK),
        Expectation("ReLU's gradient reaches layer 1: ratio between 0.1 and 10", LECTURE, _flows, NETWORK),
    ),
    quick={"epochs": 3},
)
