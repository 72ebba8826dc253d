"""What a person meets in a terminal is at most three lines; a notebook shows a table."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.diagnosis import Layer, Measurements, judge
from mnist_depth.errors import UserError
from mnist_depth.instrument import DepthGauge, Measurement
from mnist_depth.records import read_run
from mnist_depth.results.frames import Runs
from mnist_depth.sweeps.sweep import Outcome, Result
from tests.results.fabricated_runs import write_run

LAYERS = tuple(f"block_{number}/dense" for number in range(40))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = write_run(tmp_path_factory.mktemp("logs"), RunConfig(activation="tanh", depth=5))
    return {
        "config": RunConfig(activation="maxout:3", initializer="normal:0.1", optimizer="adam", dropout=0.5, depth=12),
        "run": read_run(folder),
        "runs": Runs([read_run(folder)]),
        "measurement": Measurement({f"{q}/{layer}": 1e-3 for q in "abcdef" for layer in LAYERS}, LAYERS),
        "gauge": DepthGauge("logs/mine"),
        "diagnosis": judge(Measurements("mine", tuple(Layer(name, 10.0**-n) for n, name in enumerate(LAYERS[::-1])))),
        "sweep": Result([Outcome(folder, "finished"), Outcome(folder, "failed", UserError("out of <memory>"))]),
    }


@pytest.mark.parametrize("name", ["config", "run", "runs", "sweep", "measurement", "gauge", "diagnosis"])
def test_at_most_three_lines_in_a_terminal_and_a_table_in_a_notebook(name: str, shown: dict[str, Any]) -> None:
    lines = repr(shown[name]).splitlines()
    assert 1 <= len(lines) <= 3
    assert max(map(len, lines)) <= 200
    assert "<table" in shown[name]._repr_html_()


def test_a_config_is_shown_as_the_call_that_makes_it() -> None:
    for config in (RunConfig(), RunConfig(dataset="digits", optimizer="adam", learning_rate=0.001, epochs=3, seed=4)):
        assert eval(repr(config)) == config
    assert repr(RunConfig(seed=1)) == "RunConfig(seed=1)"
    assert "units per hidden layer" in RunConfig()._repr_html_()


def test_a_run_names_its_status_and_figures(shown: dict[str, Any]) -> None:
    assert "finished, test accuracy 0.97" in repr(shown["run"])
    assert "<th>activation</th><td>tanh</td>" in shown["run"]._repr_html_()


def test_a_sweep_names_what_failed_and_escapes_it(shown: dict[str, Any]) -> None:
    assert repr(shown["sweep"]).startswith("Sweep of 2 runs: 1 finished, 1 failed\n")
    assert "out of <memory>" in repr(shown["sweep"])
    assert "out of &lt;memory&gt;" in shown["sweep"]._repr_html_()


def test_a_gauge_names_its_folder_before_training(shown: dict[str, Any]) -> None:
    assert repr(shown["gauge"]) == "DepthGauge: target logs/mine, preset standard, state no training yet"


def test_a_measurement_has_a_row_per_layer(shown: dict[str, Any]) -> None:
    assert shown["measurement"]._repr_html_().count("<tr>") == 1 + len(LAYERS)
    assert "6 quantities of 40 layers" in repr(shown["measurement"])


def test_a_diagnosis_says_its_sentence_and_its_findings(shown: dict[str, Any]) -> None:
    assert shown["diagnosis"].sentence in repr(shown["diagnosis"])
    for finding in shown["diagnosis"].findings:
        assert finding.kind in repr(shown["diagnosis"])
        assert escape(finding.sentence) in shown["diagnosis"]._repr_html_()


def test_a_long_path_is_all_that_makes_a_run_long(shown: dict[str, Any]) -> None:
    assert repr(shown["run"]).splitlines()[-1].strip() == str(Path(shown["run"].folder))
