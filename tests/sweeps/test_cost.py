"""Estimates: quick to make, in the right order, and of the right size."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.cli.list_names import study_line
from mnist_depth.config import RunConfig
from mnist_depth.studies import STUDIES
from mnist_depth.sweeps import cost
from mnist_depth.sweeps.sweep import Options
from mnist_depth.training.options import INSTRUMENTS, RunOptions
from mnist_depth.training.run import train_run
from tests.imports import imported

pytestmark = pytest.mark.slow


def test_the_machine_is_measured_once_and_quickly() -> None:
    cost.measured_rate.cache_clear()
    start = time.perf_counter()
    rates = cost.measured_rate()
    assert time.perf_counter() - start < 0.3
    assert rates.operations > 1e7
    assert rates.turns > 1e5
    assert cost.measured_rate() is rates


def test_weights_count_every_kernel() -> None:
    assert cost.weights(RunConfig(depth=3, width=16)) == 784 * 16 + 16 * 16 + 16 * 10
    assert cost.weights(RunConfig(depth=2, width=16, activation="maxout:3")) == 784 * 48 + 16 * 10
    assert cost.weights(RunConfig(depth=2, width=16, wiring="recurrent")) == 28 * 16 + 16 * 16 + 16 * 10
    assert cost.weights(RunConfig(dataset="xor", depth=2, width=2)) == 2 * 2 + 2 * 1


@pytest.mark.parametrize(
    "longer",
    [
        {"epochs": 30},
        {"depth": 12},
        {"width": 512},
        {"activation": "sigmoid", "pretraining": "dbn"},
        {"wiring": "recurrent", "depth": 9},
    ],
)
def test_more_work_takes_longer(longer: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"activation": longer.get("activation", "relu")}
    assert cost.seconds(RunConfig(**{**fields, **longer})) > cost.seconds(RunConfig(**fields))


def test_workers_share_the_work_but_not_a_run() -> None:
    configs = [RunConfig(seed=seed) for seed in range(4)]
    one, many = cost.minutes(configs, workers=1), cost.minutes(configs)
    assert many <= one
    assert many >= cost.minutes(configs[:1])
    assert cost.minutes([]) == 0


def test_disk_grows_with_weights_and_epochs() -> None:
    small, keep = cost.megabytes([RunConfig(depth=3, width=16, epochs=2)]), RunOptions(save_weights=True)
    assert 0 < small < cost.megabytes([RunConfig(depth=3, width=16, epochs=2)], keep)
    assert small < cost.megabytes([RunConfig(depth=3, width=256, epochs=2)], keep)
    assert small < cost.megabytes([RunConfig(depth=3, width=16, epochs=15)]) < 5
    assert cost.megabytes([]) == 0


def test_the_list_of_studies_needs_no_tensorflow() -> None:
    code = (
        "from mnist_depth.cli.list_names import study_line\n"
        "from mnist_depth.studies import STUDIES\n"
        "assert all(study_line(study) for study in STUDIES.values())"
    )
    assert imported(code, {"tensorflow", "keras"}) == set()


def test_a_study_line_tells_runs_and_time_of_both_versions() -> None:
    line = study_line(STUDIES["search"])
    assert STUDIES["search"].question in line
    assert "200 runs" in line
    assert "--quick: 16 runs" in line


def test_a_plan_names_every_folder_time_and_disk() -> None:
    configs = STUDIES["depth9"].configs("digits", quick=True)
    options = Options(logdir=Path("logs"), study="depth9")
    text = cost.plan_text(configs, options)
    for config in configs:
        assert f"  {options.folder_of(config).relative_to('logs/depth9')}\n" in text
    assert text.startswith("logs/depth9:")
    assert "2 runs" in text
    assert "MB" in text


@pytest.mark.parametrize(("minutes", "text"), [(0.2, "less than a minute"), (3.4, "about 3 min"), (120, "about 2.0 h")])
def test_minutes_are_said_in_words(minutes: float, text: str) -> None:
    assert cost.minutes_text(minutes) == text


@pytest.mark.parametrize("options", [RunOptions(instruments=name, save_weights=name == "none") for name in INSTRUMENTS])
def test_disk_is_foreseen_within_a_third(tmp_path: Path, options: RunOptions) -> None:
    config = RunConfig(dataset="digits", depth=5, width=64, epochs=4, activation="sigmoid")
    assert train_run(config, tmp_path, options) == "finished"
    found = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) / 1e6
    assert cost.megabytes([config], options) == pytest.approx(found, rel=1 / 3)
