"""What is measured of a finished run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.records import read_run
from mnist_depth.results.measurements import from_training

from .fabricated_runs import write_run


def test_measurements_of_a_run_at_its_start_and_end(tmp_path: Path) -> None:
    record = read_run(write_run(tmp_path, RunConfig(activation="sigmoid", depth=3), gain=0.2))
    start, end = from_training(record, "start"), from_training(record, "end")
    assert [layer.name for layer in start.layers] == ["layer_01", "layer_02", "layer_03"]
    assert "step 0" in start.source
    assert "step 900" in end.source
    assert start.layers[0].predicted_gain == pytest.approx(0.232, abs=0.01)
    assert start.layers[2].predicted_gain is None
    assert end.layers[0].predicted_gain is None
    assert start.traits["activation"] == "sigmoid"
    first = record.series("train", "pre_activation_gradient_norm/layer_01")[1]
    assert (start.layers[0].pre_activation_gradient, end.layers[0].pre_activation_gradient) == (first[0], first[-1])


def test_the_probe_gradient_is_preferred_to_the_applied_one(tmp_path: Path) -> None:
    folder = write_run(tmp_path, RunConfig(depth=2))
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"run": "train", "step": 1, "wall_time": 1, "scalars": {"gradient_norm/layer_01/kernel": 77}}\n')
    layer = from_training(read_run(folder), "end").layers[0]
    assert layer.kernel_gradient is not None
    assert layer.kernel_gradient < 77


def test_the_loss_before_training_is_the_probes(tmp_path: Path) -> None:
    folder = write_run(tmp_path, RunConfig(depth=2), status="diverged")
    lines = [
        {"run": "train", "step": 0, "wall_time": 1, "scalars": {"probe_loss": 2.71}},
        {"run": "train", "step": 900, "wall_time": 1, "scalars": {"loss": "nan"}},
    ]
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    start, end = from_training(read_run(folder), "start"), from_training(read_run(folder), "end")
    assert start.loss == 2.71
    assert end.loss is not None
    assert math.isnan(end.loss)


def test_weights_that_overflow_later_are_finite_before_training(tmp_path: Path) -> None:
    folder = write_run(tmp_path, RunConfig(depth=3))
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        scalars = '{"weight_nonfinite_share/layer_02/kernel": 0.4}'
        file.write(f'{{"run": "train", "step": 2, "wall_time": 1, "scalars": {scalars}}}\n')
    start, end = (from_training(read_run(folder), moment) for moment in ("start", "end"))
    assert not start.layers[1].nonfinite_weights
    assert end.layers[1].nonfinite_weights
