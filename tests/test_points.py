"""Points come back as written, indexed by split and tag; what is damaged is one line that names the file."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.errors import UserError
from mnist_depth.points import METRICS, Point, Points


def _line(split: str, step: int, **scalars: Any) -> str:
    return json.dumps({"run": split, "step": step, "epoch": None, "wall_time": 10.0 + step, "scalars": scalars})


def _written(folder: Path, *lines: str) -> Path:
    (folder / METRICS).write_text("\n".join(lines))
    return folder


def test_points_come_back_by_split_and_tag_in_the_order_of_steps(tmp_path: Path) -> None:
    steps = list(range(50))
    random.Random(0).shuffle(steps)
    lines = [_line(split, step, loss=step / 7, accuracy=1.0) for step in steps for split in ("train", "test")]
    found = Points.read(_written(tmp_path, *lines))
    assert set(found) == {(split, tag) for split in ("train", "test") for tag in ("loss", "accuracy")}
    for series in (found["train", "loss"], found["test", "loss"]):
        assert series.steps.tolist() == list(range(50))
        assert series.values.tolist() == [step / 7 for step in range(50)]
        assert series.wall_times.tolist() == [10.0 + step for step in range(50)]
    assert len(found.flat()) == 200
    assert found.last_wall_time == 59.0


def test_numbers_of_every_kind_are_read_and_others_are_nan(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "a": 1,
        "b": "-inf",
        "c": "nan",
        "d": None,
        "e": [],
        "f": 1e-300,
        "g": "word",
        "h": 10**400,
    }
    found = Points.read(_written(tmp_path, _line("train", 0, **given)))
    values = {tag: series.values[0] for (_, tag), series in found.items()}
    assert (values["a"], values["b"], values["f"]) == (1.0, -math.inf, 1e-300)
    assert all(math.isnan(values[tag]) for tag in "cdegh")


def test_a_line_that_a_killed_writer_cut_is_left_out(tmp_path: Path) -> None:
    whole = _line("train", 1, loss=2.0)
    found = Points.read(_written(tmp_path, whole, whole[:20]))
    assert found.flat() == [Point("train", "loss", 1, 11.0, 2.0)]
    assert Points.read(tmp_path / "nothing") == {}


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "1",
        "{}",
        _line("train", -1, loss=1.0),
        json.dumps({"run": "train", "step": 1.5, "wall_time": 0, "scalars": {}}),
        json.dumps({"run": "train", "step": 1, "wall_time": "now", "scalars": {}}),
        json.dumps({"run": "train", "step": 1, "wall_time": 0, "scalars": [1]}),
        json.dumps({"run": 3, "step": 1, "wall_time": 0, "scalars": {}}),
    ],
)
def test_what_is_no_measurement_is_one_line_that_names_the_file(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged") as caught:
        Points.read(_written(tmp_path, _line("train", 1, loss=1.0), line))
    assert "\n" not in str(caught.value)


def test_an_index_of_points_holds_these_points(tmp_path: Path) -> None:
    points = [
        Point("train", "loss", 2, 0.0, 1.0),
        Point("test", "loss", 1, 0.0, 3.0),
        Point("train", "loss", 1, 0.0, 2.0),
    ]
    assert sorted(Points.of(points).flat()) == sorted(points)
    assert Points.of(points)["train", "loss"].nearest(9) == 1
