"""The table of a report and of the terminal: one row per configuration, mean and deviation over seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from mnist_depth.results.groups import Group, Labeler, Spread
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _

COLUMNS = (
    "best_test_accuracy",
    "test_accuracy",
    "test_loss",
    "validation_accuracy",
    "train_loss",
    "dz_ratio",
    "seconds",
)
"""Columns of the table when none are asked for, as far as the runs have them."""

HEADINGS = {
    "seeds": mark("seeds"),
    "status": mark("status"),
    "published": mark("published"),
    "best_test_accuracy": mark("best test accuracy"),
    "test_accuracy": mark("test accuracy"),
    "test_loss": mark("test loss"),
    "train_accuracy": mark("training accuracy"),
    "train_loss": mark("training loss"),
    "validation_accuracy": mark("validation accuracy"),
    "validation_loss": mark("validation loss"),
    "best_validation_accuracy": mark("best validation accuracy"),
    "gradient_norm_first": mark("kernel gradient norm, first layer"),
    "gradient_norm_last": mark("kernel gradient norm, last layer"),
    "gradient_ratio": mark("kernel gradient, first / last layer"),
    "dz_first": mark("gradient, first layer"),
    "dz_last": mark("gradient, last layer"),
    "dz_ratio": mark("gradient, first / last layer"),
    "seconds": mark("seconds"),
    "dataset": mark("dataset"),
    "activation": mark("activation"),
    "initializer": mark("initializer"),
    "initialization": mark("initialization"),
    "optimizer": mark("optimizer"),
    "depth": mark("depth"),
    "width": mark("width"),
    "wiring": mark("wiring"),
    "dropout": mark("dropout"),
    "learning_rate": mark("learning rate"),
    "batch_norm": mark("batch norm"),
    "pretraining": mark("pretraining"),
    "logits_activation": mark("logits activation"),
    "bias_std": mark("bias std"),
    "batch_size": mark("batch size"),
    "epochs": mark("epochs"),
    "train_examples": mark("train examples"),
    "weight_decay": mark("weight decay"),
    "clip_norm": mark("clip norm"),
    "seed": mark("seed"),
}
"""Names of columns and axes, as people read them."""

STATUSES = (mark("finished"), mark("diverged"), mark("unfinished"), mark("measured"))


def heading(name: str) -> str:
    """The heading of a column or an axis, in the active language."""
    return _(HEADINGS.get(name, name.replace("_", " ")))


class Table(NamedTuple):
    """Text, row by row; `header` names the columns, the first of which names the rows."""

    header: list[str]
    rows: list[list[str]]
    note: str = ""
    """A note on the whole table."""


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
    header = ["", heading("seeds"), *[heading(name) for name in chosen], heading("status")]
    rows = [
        [group.label, str(len(group.runs)), *[show(group.spread(name), name) for name in chosen], statuses(group)]
        for group in ranked(groups, rank_by)
    ]
    figures = [published(group.config) if published and group.config else "" for group in ranked(groups, rank_by)]
    if any(figures):
        header, rows = (
            [*header, heading("published")],
            [[*row, figure] for row, figure in zip(rows, figures, strict=True)],
        )
    return Table(header, rows, _note(groups, chosen))


def _note(groups: Sequence[Group], columns: Sequence[str]) -> str:
    """The note below the table on what the numbers are."""
    seeds = {len(group.runs) for group in groups}
    if seeds == {1}:
        notes = [_("One seed each.")]
    elif len(seeds) == 1:
        notes = [_("{count} seeds each: mean ± sample standard deviation.", count=seeds.pop())]
    else:
        notes = [_("Mean ± sample standard deviation over seeds.")]
    if any(name.startswith("dz_") for name in columns):
        notes.append(_("Gradient: norm of dL/dz on a fixed batch before training."))
    if any(name.startswith("gradient_") for name in columns):
        notes.append(_("Kernel gradient: norm of dL/dW as applied, median over training."))
    return " ".join(notes)


def compact(table: Table) -> Table:
    """The table without the columns of seeds and status where these say the same of every row."""
    usual = {heading("seeds"), heading("status")}
    keep = [
        place
        for place, name in enumerate(table.header)
        if name not in usual or len({row[place] for row in table.rows}) > 1 or table.rows[0][place] in _failures()
    ]
    return Table([table.header[k] for k in keep], [[row[k] for k in keep] for row in table.rows], table.note)


def _failures() -> set[str]:
    return {_("diverged"), _("unfinished")}


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
        return _("not finite")
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
    if len(counts) == 1:
        return _(next(iter(counts)))
    return ", ".join(f"{number} {_(status)}" for status, number in counts.items())
