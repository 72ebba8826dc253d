"""Checks that several studies share: what `learns`, `stays at chance` and `beats` mean, said once.

A run that learns is judged by its best epoch, because single epochs dip. A run that does not learn predicts one class
whatever the input, so its accuracy hops among the classes' shares: it must not exceed the largest of them, and its loss
stays at that of equal probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mnist_depth.datasets import DATASETS
from mnist_depth.studies.selection import NotTested, Runs
from mnist_depth.studies.study import Check

BEST = "best_test_accuracy"

KNOWN = ("mnist", "digits")
"""Datasets on which the lectures' bars were tried; on another one a bar has no source."""

LOSS_TOLERANCE = 0.05
"""The output biases of a constant predictor follow the last minibatches; on the 297 test digits that has cost 0.046."""

SHARE_TOLERANCE = 0.01
"""A network at chance may beat the largest class by a few lucky images."""


def known(runs: Runs) -> Runs:
    """The same runs. Raises NotTested on a dataset for which there is no published figure."""
    if runs.dataset not in KNOWN:
        raise NotTested(f"no published figure for {runs.dataset}")
    return runs


def learns(bar: float, **which: Any) -> Check:
    """Every chosen run reaches `bar` test accuracy in its best epoch."""

    def check(runs: Runs) -> tuple[bool, str]:
        worst = min(known(runs.where(**which)).values(BEST))
        return worst >= bar, f"best test accuracy {worst:.2%}, bar {bar:.0%}"

    return check


def stays_below(bar: float, **which: Any) -> Check:
    """No chosen run reaches `bar` test accuracy in any epoch."""

    def check(runs: Runs) -> tuple[bool, str]:
        best = max(known(runs.where(**which)).values(BEST))
        return best < bar, f"best test accuracy {best:.2%}, bar {bar:.0%}"

    return check


def at_chance(**which: Any) -> Check:
    """Every chosen run ends with the loss of equal probabilities and never predicts more than one class."""

    def check(runs: Runs) -> tuple[bool, str]:
        chosen = runs.where(**which)
        losses, best, share = chosen.values("test_loss"), max(chosen.values(BEST)), chosen.values("largest_class_share")
        equal = math.log(DATASETS[chosen.dataset].classes)
        worst = max(losses, key=lambda loss: abs(loss - equal) if math.isfinite(loss) else math.inf)
        flat = all(abs(loss - equal) < LOSS_TOLERANCE for loss in losses)
        detail = f"test loss {worst:.3f} (chance {equal:.3f}), best test accuracy {best:.2%}, largest class "
        return flat and best <= max(share) + SHARE_TOLERANCE, f"{detail}{max(share):.2%}"

    return check


def beats(better: dict[str, Any], worse: dict[str, Any], metric: str = BEST, by: float = 0.0) -> Check:
    """The first runs' mean of a metric is above the second runs' by more than `by`; losses count downward."""

    def check(runs: Runs) -> tuple[bool, str]:
        first, second = runs.where(**better).mean(metric), runs.where(**worse).mean(metric)
        gain = second - first if metric.endswith("loss") else first - second
        shown = _shower(metric)
        return gain > by, f"mean {metric.replace('_', ' ')} {shown(first)} against {shown(second)}"

    return check


def between(metric: str, low: float, high: float, **which: Any) -> Check:
    """The mean over the chosen runs of a metric lies in a range."""

    def check(runs: Runs) -> tuple[bool, str]:
        mean = runs.where(**which).mean(metric)
        shown = _shower(metric)
        return low <= mean <= high, f"mean {metric.replace('_', ' ')} {shown(mean)}, from {shown(low)} to {shown(high)}"

    return check


def _shower(metric: str) -> Callable[[float], str]:
    return "{:.2%}".format if metric.endswith("accuracy") else "{:.4g}".format
