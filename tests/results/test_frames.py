"""Frames hold what the run folders hold, as numbers; statistics and tests over seeds agree with NumPy and scipy."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.results.frames import Runs, runs
from mnist_depth.results.points_frame import split_tag

from .fabricated_runs import write_run

ACCURACIES = {"glorot_normal": [0.91, 0.93, 0.92, 0.95, 0.90], "he_normal": [0.94, 0.95, 0.93, 0.99, 0.93]}


@pytest.fixture(scope="module")
def found(root: Path) -> Runs:
    """Sigmoid and ReLU, three seeds each."""
    return runs(root)


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Two initializers, five seeds each, at two depths."""
    logdir = tmp_path_factory.mktemp("logs")
    for depth in (3, 5):
        for name, accuracies in ACCURACIES.items():
            for seed, accuracy in enumerate(accuracies):
                write_run(logdir, RunConfig(initializer=name, depth=depth, seed=seed), study="mine", accuracy=accuracy)
    return runs(logdir)


def test_a_row_per_run_holds_config_and_figures_as_numbers(found: Runs) -> None:
    frame = found.to_frame()
    assert len(frame) == len(found) == 6
    row = frame[(frame.activation == "relu") & (frame.seed == 2)].iloc[0]
    assert row.study == "depth9"
    assert row.test_accuracy == pytest.approx(0.972)
    assert row.learning_rate == 0.1
    assert set(RunConfig().to_dict()) <= set(frame)
    assert all(
        frame[name].dtype.kind in "if" for name in ("seed", "depth", "learning_rate", "test_accuracy", "seconds")
    )


def test_a_row_per_measurement_hides_no_layer_in_a_tag(found: Runs) -> None:
    points = found.points()
    assert list(points) == [
        *("study", "run", "seed", "split", "step", "epoch", "quantity", "layer", "variable", "value"),
    ]
    written = sum(
        len(json.loads(line)["scalars"])
        for record in found
        for line in (record.folder / "metrics.jsonl").read_text().splitlines()
    )
    assert len(points) == written
    assert not points.quantity.str.contains("/").any()
    chosen = points[(points.quantity == "probe_gradient_norm") & (points.layer == "layer_03") & (points.seed == 1)]
    assert set(chosen.variable) == {"kernel"}
    (record,) = found.where(activation="relu", seed=1)
    steps, values = record.series("train", "probe_gradient_norm/layer_03/kernel")
    one = chosen[chosen["run"] == record.name]
    assert list(zip(one["step"], one["value"], strict=True)) == list(zip(steps, values, strict=True))


def test_points_can_be_chosen_by_quantity_and_split(found: Runs) -> None:
    losses = found.points("loss", split=["train", "test"])
    assert set(losses.quantity) == {"loss"}
    assert set(losses.split) == {"train", "test"}
    assert set(found.points(["loss", "accuracy"], split="test").quantity) == {"loss", "accuracy"}
    with pytest.raises(UserError, match=r"unknown quantity 'los'; .* did you mean loss"):
        found.points("los", "test")
    with pytest.raises(UserError, match="unknown split 'tset'; valid: test, train"):
        found.points("loss", ["train", "tset"])


def test_layers_whose_names_hold_slashes_are_split_off_whole() -> None:
    layers = ["block", "block/dense", "block/dense_1"]
    assert split_tag("gradient_norm/block/dense_1/kernel", layers) == ("gradient_norm", "block/dense_1", "kernel")
    assert split_tag("gradient_norm/block/dense/gate/kernel", layers) == ("gradient_norm", "block/dense", "gate/kernel")
    assert split_tag("dead_share/block", layers) == ("dead_share", "block", None)


def test_the_summary_is_that_of_numpy_and_scipy(paired: Runs) -> None:
    table = paired.summary(by=["depth", "initializer"], columns="test_accuracy", confidence=0.9)
    assert list(table) == ["runs", *(f"test_accuracy_{word}" for word in ("mean", "sd", "n", "low", "high"))]
    assert len(table) == 4
    for name, values in ACCURACIES.items():
        row = table.loc[(5, name)]
        assert row.test_accuracy_mean == pytest.approx(np.mean(values))
        assert row.test_accuracy_sd == pytest.approx(np.std(values, ddof=1))
        assert row.test_accuracy_n == row.runs == 5
        interval = stats.t.interval(0.9, 4, np.mean(values), stats.sem(values))
        assert (row.test_accuracy_low, row.test_accuracy_high) == pytest.approx(interval)


def test_the_summary_is_by_what_varies_and_without_seconds_unless_asked(paired: Runs) -> None:
    assert paired.varying == ["depth", "initializer"]
    assert paired.summary().index.names == ["depth", "initializer"]
    assert not [name for name in paired.summary() if name.startswith("seconds")]
    assert "seconds_mean" in paired.summary(columns=["seconds"])


def test_runs_that_differ_in_more_than_the_seed_are_not_pooled(paired: Runs, found: Runs) -> None:
    expected = "initializer glorot_normal has 10 runs that differ in depth, not only in the seed: add depth to by="
    with pytest.raises(UserError, match=expected):
        paired.summary(by="initializer")
    with pytest.raises(UserError, match="20 runs that differ in depth, initializer"):
        paired.to_latex(by=[])
    with pytest.raises(UserError, match="differ in activation"):
        Runs([*found, *paired]).summary(by=["study", "depth", "initializer"])
    assert paired.where(depth=3).summary(by="initializer", columns="test_accuracy").test_accuracy_n.tolist() == [5, 5]


def test_rows_are_in_the_order_of_the_values_and_numbers_in_that_of_their_size(tmp_path: Path) -> None:
    for depth in (10, 3):
        for name in ("mean_field:10", "normal:0.1", "mean_field:2"):
            write_run(tmp_path, RunConfig(initializer=name, depth=depth))
    found = runs(tmp_path)
    assert found.summary(by=["initializer", "depth"]).index.tolist() == [
        (name, depth) for name in ("mean_field:2", "mean_field:10", "normal:0.1") for depth in (3, 10)
    ]
    assert found.summary(by=["depth", "initializer"]).index.get_level_values("depth").tolist() == [3, 3, 3, 10, 10, 10]
    firsts = [line.split(" & ")[0] for line in found.to_latex(by=["depth", "initializer"]).splitlines()[4:-2]]
    assert firsts == ["3"] * 3 + ["10"] * 3


@pytest.mark.parametrize("confidence", [95, 0, 1, -0.5, math.nan, "0.95"])
def test_a_confidence_that_is_not_a_share_is_a_user_error(paired: Runs, confidence: float) -> None:
    with pytest.raises(UserError, match="confidence must be between 0 and 1"):
        paired.summary(confidence=confidence)
    pair = ({"initializer": "he_normal", "depth": 5}, {"initializer": "glorot_normal", "depth": 5})
    with pytest.raises(UserError, match="confidence must be between 0 and 1"):
        paired.compare(*pair, confidence=confidence)


def test_without_a_finished_run_there_are_no_figures(tmp_path: Path) -> None:
    write_run(tmp_path, RunConfig(), status=None)
    with pytest.raises(UserError, match="no run is finished"):
        runs(tmp_path).summary(columns="test_loss")


def test_what_is_not_finite_or_missing_is_counted_out(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.9, 0.8, math.nan)):
        write_run(tmp_path, RunConfig(seed=seed), accuracy=accuracy, status="finished" if seed < 2 else "diverged")
    write_run(tmp_path, RunConfig(seed=3), status=None)
    (row,) = runs(tmp_path).summary(columns="test_accuracy").to_dict("records")
    assert (row["runs"], row["test_accuracy_n"]) == (4, 2)
    assert row["test_accuracy_mean"] == pytest.approx(0.85)


def test_a_comparison_is_the_paired_test_of_scipy(paired: Runs) -> None:
    found = paired.compare(
        {"initializer": "he_normal", "depth": 5}, {"initializer": "glorot_normal", "depth": 5}, "test_accuracy"
    )
    he, glorot = (np.array(ACCURACIES[name]) for name in ("he_normal", "glorot_normal"))
    expected = stats.ttest_rel(he, glorot)
    assert found.difference == pytest.approx(np.mean(he - glorot))
    assert found.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.seeds == (0, 1, 2, 3, 4)
    assert found.significant
    assert f"p = {expected.pvalue:.2g}, significant" in repr(found)
    tie = paired.compare(
        {"initializer": "he_normal", "depth": 5}, {"initializer": "he_normal", "depth": 3}, "test_accuracy"
    )
    assert (tie.difference, tie.p_value, tie.significant) == (0, 1, False)


def test_a_comparison_that_is_not_of_pairs_is_a_user_error(paired: Runs, found: Runs) -> None:
    with pytest.raises(UserError, match="differ in depth; name the values"):
        paired.compare({"initializer": "he_normal"}, {"initializer": "glorot_normal"}, "test_accuracy")
    one = Runs(record for record in found if record.seed == 0)
    with pytest.raises(UserError, match="no run has activation tanh; in these runs activation is relu, sigmoid"):
        found.compare({"activation": "relu"}, {"activation": "tanh"}, "test_accuracy")
    with pytest.raises(UserError, match="at least two seeds"):
        one.compare({"activation": "relu"}, {"activation": "sigmoid"}, "test_accuracy")
    with pytest.raises(UserError, match="did you mean test_accuracy"):
        found.compare({"activation": "relu"}, {"activation": "sigmoid"}, "test_acuracy")


def test_names_that_do_not_exist_are_user_errors(found: Runs, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean activation"):
        found.where(activaton="relu")
    with pytest.raises(UserError, match="unknown field"):
        found.summary(by="colour")
    with pytest.raises(UserError, match="does not exist"):
        runs(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no readable run"):
        runs(tmp_path)


def test_a_selection_of_runs_is_runs(found: Runs) -> None:
    relu = found.where(activation="relu", seed=[0, 2])
    assert isinstance(relu, Runs)
    assert [record.seed for record in relu] == [0, 2]
    assert [record.seed for record in found.where(activation="relu", seed=range(1, 3))] == [1, 2]
    assert not found.where(activation="tanh")
    assert isinstance(found[:2], Runs)
    assert found[0] == next(iter(found))


def test_aliases_select_what_they_name(paired: Runs) -> None:
    assert len(paired.where(initializer="he")) == len(paired.where(initializer=["he", "relu"])) == 10
    assert len(paired.where(initializer={"he", "xavier_normal"})) == 20
    found = paired.compare({"initializer": "he", "depth": 3}, {"initializer": "xavier_normal", "depth": 3})
    assert found.seeds == (0, 1, 2, 3, 4)


def test_runs_of_several_studies_say_which(found: Runs, paired: Runs) -> None:
    both = Runs([*found, *paired])
    assert "study depth9, mine" in repr(both)
    assert {study for study, *_ in both.summary(columns="test_accuracy").index} == {"depth9", "mine"}


def test_it_shows_itself_in_three_lines_and_as_a_table(found: Runs) -> None:
    lines = repr(found).splitlines()
    assert len(lines) == 3
    assert lines[0] == "Runs: 6 (6 finished)"
    assert "activation relu, sigmoid; 3 seeds" in lines[1]
    page = found._repr_html_()
    assert page.count("<tr") == 7
    assert page.count("0.1135") >= 3
    assert repr(Runs([])) == "Runs: none\n  .to_frame()  .points()  .summary()  .compare()  .where()"
