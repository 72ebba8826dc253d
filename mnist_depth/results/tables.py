"""Numbers for people and for data frames: the table over seeds, and every metric as CSV and Parquet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from mnist_depth.results.groups import Group, Labeler, Spread

COLUMNS = (
    "best_test_accuracy",
    "test_accuracy",
    "test_loss",
    "train_loss",
    "gradient_norm_first",
    "gradient_norm_last",
    "gradient_ratio",
    "seconds",
)
"""Columns of the table when none are asked for, as far as the runs have them."""


class Table(NamedTuple):
    """Text, row by row; `header` names the columns."""

    header: list[str]
    rows: list[list[str]]


def summary(
    groups: Sequence[Group],
    columns: Sequence[str] = (),
    rank_by: str | None = None,
    published: Labeler | None = None,
) -> Table:
    """Mean +- standard deviation over seeds of final figures, one row per group.

    `rank_by` puts the best row first: the largest for accuracies, the smallest for everything else. `published` names
    the figure to compare with.
    """
    chosen = [name for name in columns or COLUMNS if any(group.spread(name) for group in groups)]
    header = ["", "seeds", *[name.replace("_", " ") for name in chosen], "status"]
    rows = [
        [group.label, str(len(group.runs)), *[show(group.spread(name), name) for name in chosen], statuses(group)]
        for group in ranked(groups, rank_by)
    ]
    figures = [published(group.config) if published else "" for group in ranked(groups, rank_by)]
    if any(figures):
        header, rows = [*header, "published"], [[*row, figure] for row, figure in zip(rows, figures, strict=True)]
    return Table(header, rows)


def ranked(groups: Sequence[Group], metric: str | None) -> list[Group]:
    """The groups, best first by a final figure; groups without it, or whose figure is not finite, last."""
    if metric is None:
        return list(groups)
    sign = -1.0 if "accuracy" in metric else 1.0

    def key(group: Group) -> float:
        spread = group.spread(metric)
        return sign * spread.mean if spread and math.isfinite(spread.mean) else math.inf

    return sorted(groups, key=key)


def show(spread: Spread | None, metric: str) -> str:
    """`97.61 ± 0.12 %` for accuracies and shares, four significant digits otherwise; a dash where there is nothing."""
    if spread is None:
        return "–"
    if not math.isfinite(spread.mean):
        return "not finite"
    if metric.endswith(("accuracy", "share")):
        return f"{_with_deviation(100 * spread.mean, 100 * spread.deviation, '.2f')} %"
    return _with_deviation(spread.mean, spread.deviation, ".4g" if abs(spread.mean) >= 0.01 else ".2e")


def _with_deviation(mean: float, deviation: float, form: str) -> str:
    if math.isnan(deviation):
        return format(mean, form)
    return f"{format(mean, form)} ± {format(deviation, form if form == '.2f' else '.2g')}"


def statuses(group: Group) -> str:
    """`finished`, or how many of the runs ended how."""
    counts = Counter(run.status for run in group.runs)
    return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{n} {status}" for status, n in counts.items())
