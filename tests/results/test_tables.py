"""Numbers in tables and their order."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.results.groups import Spread, group_runs, read_runs
from mnist_depth.results.tables import ranked, show, summary

from .fabricated_runs import write_run


@pytest.mark.parametrize(
    ("spread", "metric", "text"),
    [
        (Spread(0.9761, 0.0012), "test_accuracy", "97.61 ± 0.12 %"),
        (Spread(0.9761, math.nan), "test_accuracy", "97.61 %"),
        (Spread(2.30259, 0.0004), "test_loss", "2.303 ± 0.0004"),
        (Spread(1.31e-5, math.nan), "gradient_ratio", "1.31e-05"),
        (Spread(math.nan, math.nan), "test_loss", "not finite"),
        (None, "test_loss", "–"),
    ],
)
def test_numbers_in_the_table(spread: Spread, metric: str, text: str) -> None:
    assert show(spread, metric) == text


def test_best_first_with_what_is_not_finite_last(tmp_path: Path) -> None:
    for depth, accuracy in ((2, 0.5), (3, 0.9), (4, math.nan), (5, 0.7)):
        write_run(tmp_path, RunConfig(depth=depth), accuracy=accuracy)
    groups = group_runs(read_runs(tmp_path)[0])
    assert [group.runs[0].fields["depth"] for group in ranked(groups, "test_accuracy")] == [3, 5, 2, 4]
    assert [group.runs[0].fields["depth"] for group in ranked(groups, "test_loss")][:3] == [3, 5, 2]
    assert [group.runs[0].fields["depth"] for group in ranked(groups, None)] == [2, 3, 4, 5]


def test_table_has_a_row_per_group_and_says_how_runs_ended(tmp_path: Path) -> None:
    write_run(tmp_path, RunConfig(seed=0))
    write_run(tmp_path, RunConfig(seed=1), status="diverged")
    write_run(tmp_path, RunConfig(seed=2), status=None)
    table = summary(group_runs(read_runs(tmp_path)[0]), columns=["test_accuracy"])
    assert table.header == ["", "seeds", "test accuracy", "status"]
    assert table.rows[0][1:] == ["3", "97.00 ± 0.00 %", "1 finished, 1 diverged, 1 unfinished"]
