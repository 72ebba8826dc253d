"""Checks that several studies share: the definitions of `learns`, `stays at chance` and `beats`.

A run that learns is judged by its best epoch, because single epochs dip. A run that does not learn predicts one class
whatever the input, so its accuracy hops among the classes' shares: it must not exceed the largest of them, and its loss
stays at that of equal probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mnist_depth.datasets import DATASETS
from mnist_depth.results.tables import heading
from mnist_depth.studies.expectation import Check
from mnist_depth.studies.selection import NotComparable, Runs
from mnist_depth.translation import translate as _

BEST = "best_test_accuracy"

KNOWN = ("mnist", "digits")
"""Datasets with published thresholds; on other datasets the thresholds have no source."""

LEARNED = 0.5
"""Accuracy from which on a network of ten classes has learned something: five times chance."""

LOSS_TOLERANCE = 0.05
"""The output biases of a constant predictor follow the last minibatches; on the 297 test digits that has cost 0.046."""

SHARE_TOLERANCE = 0.01
"""A network at chance may beat the largest class by a few lucky images."""


def known(runs: Runs) -> Runs:
    """The same runs. Raises NotComparable on a dataset for which there is no published figure."""
    if runs.dataset not in KNOWN:
        raise NotComparable(_("no published figure for {dataset}", dataset=runs.dataset))
    return runs


def one_learned(runs: Runs, metric: str = BEST) -> Runs:
    """The same runs. Raises NotComparable where none reached LEARNED: then no setting can be said to work better."""
    best = max((value for value in runs.values(metric) if math.isfinite(value)), default=0.0)
    if best < LEARNED:
        raise NotComparable(
            _(
                "no network reached {bar:.0%}: {metric} at most {best:.1%}",
                bar=LEARNED,
                metric=heading(metric),
                best=best,
            )
        )
    return runs


def accuracy_and_bar(accuracy: float, bar: float) -> str:
    """`best test accuracy 97.93%, bar 97%`."""
    return _("best test accuracy {best:.2%}, bar {bar:.0%}", best=accuracy, bar=bar)


def learns(bar: float, **which: Any) -> Check:
    """Every chosen run reaches `bar` test accuracy in its best epoch."""

    def check(runs: Runs) -> tuple[bool, str]:
        worst = min(known(runs.where(**which)).values(BEST))
        return worst >= bar, accuracy_and_bar(worst, bar)

    return check


def stays_below(bar: float, **which: Any) -> Check:
    """No chosen run reaches `bar` test accuracy in any epoch."""

    def check(runs: Runs) -> tuple[bool, str]:
        best = max(known(runs.where(**which)).values(BEST))
        return best < bar, accuracy_and_bar(best, bar)

    return check


def at_chance(**which: Any) -> Check:
    """Every chosen run ends with the loss of equal probabilities and never predicts more than one class."""

    def check(runs: Runs) -> tuple[bool, str]:
        chosen = runs.where(**which)
        losses, best, share = chosen.values("test_loss"), max(chosen.values(BEST)), chosen.values("largest_class_share")
        equal = math.log(DATASETS[chosen.dataset].classes)
        worst = max(losses, key=lambda loss: abs(loss - equal) if math.isfinite(loss) else math.inf)
        flat = all(abs(loss - equal) < LOSS_TOLERANCE for loss in losses)
        detail = _(
            "test loss {loss:.3f} (chance {chance:.3f} ± {limit:g}), best test accuracy {best:.2%}, "
            "largest class {share:.2%}",
            loss=worst,
            chance=equal,
            limit=LOSS_TOLERANCE,
            best=best,
            share=max(share),
        )
        return flat and best <= max(share) + SHARE_TOLERANCE, detail

    return check


def beats(better: dict[str, Any], worse: dict[str, Any], metric: str = BEST, by: float = 0.0) -> Check:
    """The first runs' mean of a metric is above the second runs' by more than `by`; losses count downward."""

    def check(runs: Runs) -> tuple[bool, str]:
        first, second, detail = _compared(runs, better, worse, metric)
        gain = second - first if metric.endswith("loss") else first - second
        return gain > by, detail

    return check


def near(first: dict[str, Any], second: dict[str, Any], within: float, metric: str = BEST) -> Check:
    """The means of a metric over the first and over the second runs differ by at most `within`."""

    def check(runs: Runs) -> tuple[bool, str]:
        one, other, detail = _compared(runs, first, second, metric)
        return abs(one - other) <= within, detail

    return check


def _compared(runs: Runs, first: dict[str, Any], second: dict[str, Any], metric: str) -> tuple[float, float, str]:
    """The means of a metric over two choices of runs, and the sentence that states them."""
    chosen = [runs.where(**first), runs.where(**second)]
    one_learned(runs.only([record for some in chosen for record in some.records]))
    means, shown = [some.mean(metric) for some in chosen], _shower(metric)
    detail = _(
        "mean {metric} {first} against {second}",
        metric=heading(metric),
        first=shown(means[0]),
        second=shown(means[1]),
    )
    return means[0], means[1], detail


def _shower(metric: str) -> Callable[[float], str]:
    return "{:.2%}".format if metric.endswith("accuracy") else "{:.4g}".format
