"""Points, runs, table and figures of a report for other programs."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from mnist_depth.results.groups import read_runs

from .fabricated_runs import count_points


def test_csv_and_parquet_hold_every_point_once(root: Path, written: Path) -> None:
    pandas = pytest.importorskip("pandas")
    expected = sum(count_points(path.parent) for path in root.rglob("config.json"))
    for frame in (
        pandas.read_csv(written.parent / "metrics.csv"),
        pandas.read_parquet(written.parent / "metrics.parquet"),
    ):
        assert len(frame) == expected
        assert list(frame) == ["study", "slug", "seed", "run", "tag", "step", "wall_time", "value"]
        assert not frame.duplicated(["slug", "seed", "run", "tag", "step"]).any()
        accuracy = frame[(frame.run == "test") & (frame.tag == "accuracy") & (frame.step == 900) & (frame.seed == 2)]
        assert sorted(accuracy.value) == pytest.approx([0.1135, 0.972])


def test_one_row_per_run_holds_config_and_final_figures(written: Path, root: Path) -> None:
    pandas = pytest.importorskip("pandas")
    for frame in (pandas.read_csv(written.parent / "runs.csv"), pandas.read_parquet(written.parent / "runs.parquet")):
        assert len(frame) == len(read_runs(root)[0]) == 6
        assert {"activation", "depth", "seed", "learning_rate", "status", "test_accuracy"} <= set(frame)
        mean = frame.groupby("activation").test_accuracy.mean()
        assert mean["relu"] == pytest.approx(0.971)
        assert mean["sigmoid"] == pytest.approx(0.1135)


def test_the_table_leaves_as_csv_and_latex(written: Path) -> None:
    with (written.parent / "table.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert "test accuracy" in header
    assert any("97.10 ± 0.10 %" in row for row in rows)
    latex = (written.parent / "table.tex").read_text(encoding="utf-8")
    assert r"97.10 $\pm$ 0.10 \%" in latex
    assert latex.count(r"\\") == 1 + len(rows)


def test_figures_leave_as_pdf_too(written: Path) -> None:
    names = {path.stem for path in (written.parent / "figures").glob("*.svg")}
    assert names == {path.stem for path in (written.parent / "figures").glob("*.pdf")}
    assert all(path.read_bytes().startswith(b"%PDF") for path in (written.parent / "figures").glob("*.pdf"))
