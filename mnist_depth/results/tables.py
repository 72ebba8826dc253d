"""Numbers for people and for data frames: the table over seeds, and every metric as CSV and Parquet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mnist_depth.errors import UserError
from mnist_depth.records import RunRecord
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


def write_metrics(runs: Sequence[RunRecord], folder: Path) -> int:
    """Write metrics.csv and metrics.parquet, one row per (run, step, tag), and return the number of rows.

    Columns: study, slug, seed, run, tag, step, wall_time, value.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    schema = pa.schema(
        [(name, pa.string()) for name in ("study", "slug")]
        + [("seed", pa.int64()), ("run", pa.string()), ("tag", pa.string()), ("step", pa.int64())]
        + [("wall_time", pa.float64()), ("value", pa.float64())]
    )
    table = pa.concat_tables([schema.empty_table(), *[pa.table(_columns(run), schema) for run in runs]])
    try:
        pyarrow.csv.write_csv(table, folder / "metrics.csv")
        pyarrow.parquet.write_table(table, folder / "metrics.parquet")
    except OSError as error:
        raise UserError(f"cannot write the metrics to {folder}: {error}") from None
    return table.num_rows


def _columns(record: RunRecord) -> dict[str, list[object]]:
    points = record.points
    return {
        "study": [record.study] * len(points),
        "slug": [record.slug] * len(points),
        "seed": [record.seed] * len(points),
        "run": [point.run for point in points],
        "tag": [point.tag for point in points],
        "step": [point.step for point in points],
        "wall_time": [point.wall_time for point in points],
        "value": [point.value for point in points],
    }
