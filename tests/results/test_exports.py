"""Points, runs, table and figures of a report for other programs."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest

from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.results.exports import TableOptions, latex, write_tables
from mnist_depth.results.frames import Runs, runs
from mnist_depth.results.groups import read_runs
from mnist_depth.results.points_frame import POINT_COLUMNS

from .fabricated_runs import count_points, write_run


def test_csv_and_parquet_hold_every_point_once(root: Path, written: Path) -> None:
    expected = sum(count_points(path.parent) for path in root.rglob("config.json"))
    for frame in (
        pandas.read_csv(written.parent / "metrics.csv"),
        pandas.read_parquet(written.parent / "metrics.parquet"),
    ):
        assert len(frame) == expected
        assert list(frame) == [*POINT_COLUMNS]
        assert not frame.duplicated(["run", "seed", "split", "quantity", "layer", "variable", "step"]).any()
        chosen = (frame.split == "test") & (frame.quantity == "accuracy") & (frame.step == 900) & (frame.seed == 2)
        assert sorted(frame[chosen].value) == pytest.approx([0.1135, 0.972])


def test_one_row_per_run_holds_config_and_final_figures(written: Path, root: Path) -> None:
    for frame in (pandas.read_csv(written.parent / "runs.csv"), pandas.read_parquet(written.parent / "runs.parquet")):
        assert len(frame) == len(read_runs(root)[0]) == 6
        assert {"activation", "depth", "seed", "learning_rate", "status", "test_accuracy"} <= set(frame)
        mean = frame.groupby("activation").test_accuracy.mean()
        assert mean["relu"] == pytest.approx(0.971)
        assert mean["sigmoid"] == pytest.approx(0.1135)


def test_the_table_holds_numbers_with_mean_and_deviation_apart(written: Path) -> None:
    frame = pandas.read_csv(written.parent / "table.csv").set_index("activation")
    assert set(frame.index) == {"relu", "sigmoid"}
    assert frame.loc["relu", "test_accuracy_mean"] == pytest.approx(0.971)
    assert frame.loc["relu", "test_accuracy_sd"] == pytest.approx(0.001)
    assert frame.loc["relu", "test_accuracy_n"] == 3
    assert all(dtype.kind in "if" for dtype in frame.dtypes)
    assert not [name for name in frame if name.startswith("seconds")]


def test_the_latex_table_has_a_row_per_configuration(written: Path) -> None:
    text = (written.parent / "table.tex").read_text(encoding="utf-8")
    assert r"relu & $97.10 \pm 0.10$" in text
    assert text.count(r"\\") == 1 + 2


def test_latex_takes_columns_caption_and_label(root: Path, tmp_path: Path) -> None:
    write_tables(runs(root), tmp_path, TableOptions(["seconds", "test_loss"], "Losses of 3 seeds.", "tab:losses"))
    lines = (tmp_path / "table.tex").read_text(encoding="utf-8").splitlines()
    assert lines[:5] == [
        r"\begin{table}",
        r"\centering",
        r"\caption{Losses of 3 seeds.}",
        r"\label{tab:losses}",
        r"\begin{tabular}{lrr}",
    ]
    assert lines[6] == r"activation & seconds & test loss \\"
    assert lines[-2:] == [r"\end{tabular}", r"\end{table}"]
    with pytest.raises(UserError, match="did you mean test_loss"):
        write_tables(runs(root), tmp_path, TableOptions(["test_los"]))


def test_names_with_special_characters_are_escaped_in_latex(tmp_path: Path) -> None:
    for name in ("he_normal", "glorot_normal"):
        write_run(tmp_path, RunConfig(initializer=name))
    text = latex(runs(tmp_path), columns="test_accuracy")
    assert r"he\_normal & $97.00$ \\" in text
    assert r"test accuracy (\%)" in text


def test_a_single_configuration_has_a_table_too(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", RunConfig())
    write_tables(Runs(runs(tmp_path / "logs")), tmp_path)
    (row,) = pandas.read_csv(tmp_path / "table.csv").to_dict("records")
    assert (row["runs"], row["test_accuracy_mean"]) == (1, 0.97)


def test_figures_leave_as_pdf_too(written: Path) -> None:
    names = {path.stem for path in (written.parent / "figures").glob("*.svg")}
    assert names == {path.stem for path in (written.parent / "figures").glob("*.pdf")}
    assert all(path.read_bytes().startswith(b"%PDF") for path in (written.parent / "figures").glob("*.pdf"))
