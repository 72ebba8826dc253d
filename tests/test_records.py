"""The run folder: owned by one process at a time, never overwritten by another run, read back as written."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError


def write_run(folder: Path, config: RunConfig, done: dict[str, object] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / records.CONFIG).write_text(json.dumps({"format": records.FORMAT, "config": config.to_dict()}))
    if done is not None:
        (folder / records.DONE).write_text(json.dumps(done))


def test_a_folder_is_new_then_unfinished_then_complete(tmp_path: Path, tiny: RunConfig) -> None:
    assert records.state(tmp_path, tiny) == "new"
    write_run(tmp_path, tiny)
    assert records.state(tmp_path, tiny) == "unfinished"
    write_run(tmp_path, tiny, {"status": "finished"})
    assert records.state(tmp_path, tiny) == "complete"


def test_another_run_or_foreign_files_are_refused_by_name(tmp_path: Path, tiny: RunConfig) -> None:
    write_run(tmp_path / "a", replace(tiny, depth=4))
    with pytest.raises(UserError, match="depth 4 there, depth 3 here"):
        records.state(tmp_path / "a", tiny)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"thesis\.tex"):
        records.state(tmp_path / "b", tiny)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "config": {"depth": "x"}}', "\x00"])
def test_a_damaged_config_is_one_line_that_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / records.CONFIG).write_text(text)
    with pytest.raises(UserError, match=r"config\.json") as caught:
        records.read_run(tmp_path)
    assert "\n" not in str(caught.value)
    assert records.find_runs(tmp_path) == []


def test_two_owners_are_refused_and_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    hold = (
        "import sys, time; from pathlib import Path; from mnist_depth import records\n"
        "with records.claim(Path(sys.argv[1]), 'other'): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(records.Busy), records.claim(folder):
            pass
        os.kill(process.pid, signal.SIGKILL)
    assert records.owner_of(folder) == "other"
    with records.claim(folder, "mine"):
        assert records.owner_of(folder) == "mine"


def test_points_come_back_as_written_and_a_cut_last_line_is_left_out(tmp_path: Path, tiny: RunConfig) -> None:
    write_run(tmp_path, tiny)
    lines = [
        {"run": "train", "step": 1, "wall_time": 1.0, "scalars": {"loss": 2.5, "accuracy": "nan"}},
        {"run": "test", "step": 2, "wall_time": 2.0, "scalars": {"loss": "-inf"}},
    ]
    text = "\n".join(map(json.dumps, lines)) + '\n{"run": "test", "step": 3, "wall'
    (tmp_path / records.METRICS).write_text(text)
    run = records.read_run(tmp_path)
    assert [(p.split, p.tag, p.step) for p in run.points] == [
        ("train", "loss", 1),
        ("train", "accuracy", 1),
        ("test", "loss", 2),
    ]
    assert run.points[0].value == 2.5
    assert math.isnan(run.points[1].value)
    assert run.series("test", "loss") == ([2], [-math.inf])


def test_clear_follows_no_link_out_of_the_folder(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "run"
    outside.mkdir()
    (outside / "precious").touch()
    folder.mkdir()
    (folder / "train").symlink_to(outside)
    records.clear(folder)
    assert list(folder.iterdir()) == []
    assert (outside / "precious").exists()


def test_runs_are_found_while_folders_beside_them_come_and_go(tmp_path: Path, tiny: RunConfig) -> None:
    """A checkpoint's folder vanishes when its run ends; looking for runs must not fail at that."""
    folder = tmp_path / "run"
    write_run(folder, tiny)
    going = threading.Event()

    def churn() -> None:
        while not going.is_set():
            (folder / "checkpoint").mkdir()
            (folder / "checkpoint").rmdir()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        assert all(records.folders_with(records.CONFIG, tmp_path) == [folder] for _ in range(2_000))
    finally:
        going.set()
        thread.join()


GAUGE: dict[str, object] = {
    "format": records.FORMAT,
    "identity": "0f",
    "created": "2026-01-01T00:00:00",
    "model": "tiny",
    "layers": [{"name": "dense", "class": "Dense", "parameters": 10}, {"name": "logits", "class": "Dense"}],
    "optimizer": "Adam",
    "learning_rate": 0.001,
    "loss": "mse",
    "steps_per_epoch": 7,
    "environment": {},
}


def write_gauge(folder: Path, **changes: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / records.GAUGE).write_text(json.dumps({**GAUGE, **changes}))


def test_runs_and_gauges_are_found_and_read_alike(tmp_path: Path, tiny: RunConfig) -> None:
    write_run(tmp_path / "study" / "slug" / "seed_0", tiny, {"status": "finished"})
    write_gauge(tmp_path / "mine")
    (tmp_path / "study" / "slug" / "seed_0" / "below").mkdir()
    write_gauge(tmp_path / "damaged", layers=[{"class": "Dense"}])
    for folder in (tmp_path / "mine", tmp_path / "study" / "slug" / "seed_0"):
        line = {
            "run": "train",
            "step": 1,
            "wall_time": 0.0,
            "scalars": {"loss": 0.5, "gradient_norm/layer_01/kernel": 1},
        }
        (folder / records.METRICS).write_text(json.dumps(line))
    gauge, run = records.find_trainings(tmp_path)
    assert [record.name for record in (gauge, run)] == ["mine", "slug/seed_0"]
    assert [record.study for record in (gauge, run)] == ["", "study"]
    assert [record.seed for record in (gauge, run)] == [None, 0]
    assert [record.status for record in (gauge, run)] == ["measured", "finished"]
    assert [record.layers for record in (gauge, run)] == [["dense", "logits"], ["layer_01"]]
    assert gauge.steps_per_epoch == 7
    assert gauge.fields == {"depth": 2, "model": "tiny", "optimizer": "Adam", "learning_rate": 0.001, "loss": "mse"}
    assert run.fields == {name: value for name, value in tiny.to_dict().items() if name != "seed"}
    for record in (gauge, run):
        assert record.series("train", "loss") == ([1], [0.5])
        assert record.tags("train") == ["loss", "gradient_norm/layer_01/kernel"]
        assert record.tags("test") == []
        assert list(record.histograms()) == []
    assert records.find_runs(tmp_path) == [run]


@pytest.mark.parametrize("changes", [{"format": 2}, {"layers": None}, {"layers": ["dense"]}, {"layers": [{"name": 1}]}])
def test_a_damaged_gauge_is_one_line_that_names_the_file(tmp_path: Path, changes: dict[str, object]) -> None:
    write_gauge(tmp_path, **changes)
    with pytest.raises(UserError, match=r"gauge\.json"):
        records.read_gauge(tmp_path)


def test_a_gauge_of_a_loss_that_overflowed_is_called_diverged(tmp_path: Path) -> None:
    write_gauge(tmp_path)
    line = {"run": "train", "step": 1, "wall_time": 0.0, "scalars": {"loss": "inf"}}
    (tmp_path / records.METRICS).write_text(json.dumps(line))
    assert records.read_gauge(tmp_path).status == "diverged"
