"""Grouping over seeds, labels, means and deviations, ranking, thinning."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from fabricated_runs import headline, write_run

from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.records import read_run
from mnist_depth.results.diagnosis import render_run
from mnist_depth.results.groups import Curve, Spread, axes_of, group_runs, read_runs, telling_fields
from mnist_depth.results.measurements import from_run
from mnist_depth.results.plots import thin
from mnist_depth.results.tables import ranked, show, summary


def test_groups_are_named_by_what_differs(tmp_path):
    runs, notes = read_runs(headline(tmp_path))
    groups = group_runs(runs)
    assert notes == []
    assert [(group.label, [run.seed for run in group.runs]) for group in groups] == [
        ("relu", [0, 1, 2]),
        ("sigmoid", [0, 1, 2]),
    ]


def test_numbers_sort_as_numbers_and_carry_their_name(tmp_path):
    for depth in (9, 2, 16):
        write_run(tmp_path, RunConfig(depth=depth))
    labels = [group.label for group in group_runs(read_runs(tmp_path)[0])]
    assert labels == ["depth 2", "depth 9", "depth 16"]


def test_where_many_fields_differ_labels_name_what_is_unusual(tmp_path):
    usual: dict[str, Any] = {"activation": "sigmoid", "depth": 3}
    for own in (
        {},
        {"activation": "relu"},
        {"optimizer": "adam"},
        {"batch_norm": "before"},
        {"initializer": "glorot_4"},
        {"wiring": "residual"},
    ):
        write_run(tmp_path, RunConfig.from_dict(usual | own))
    labels = {group.label for group in group_runs(read_runs(tmp_path)[0])}
    assert labels == {"baseline", "relu", "adam", "batch norm before", "glorot_4", "wiring residual"}


def test_given_names_and_published_figures_stand_in_the_table(tmp_path):
    for depth in (2, 3, 4):
        write_run(tmp_path, RunConfig(depth=depth))
    names = {2: "shallow", 3: "deep", 4: "deep"}
    groups = group_runs(read_runs(tmp_path)[0], lambda config: names[config.depth])
    assert [group.label for group in groups] == ["shallow", "deep, depth 3", "deep, depth 4"]
    table = summary(groups, ["test_accuracy"], published=lambda config: "0.9783" if config.depth == 3 else "")
    assert [table.header[-1], *(row[-1] for row in table.rows)] == ["published", "", "0.9783", ""]


def test_a_field_that_follows_from_an_earlier_one_is_no_axis(tmp_path):
    for activation, bias in (("tanh", 0.2236), ("relu", 0.0)):
        for depth in (2, 3):
            for sigma in (0.5, 1.5):
                config = RunConfig(activation=activation, depth=depth, initializer=f"mean_field:{sigma}", bias_std=bias)
                write_run(tmp_path, config)
    assert axes_of(read_runs(tmp_path)[0]) == ["depth", "activation", "initializer"]


def test_the_same_config_in_two_studies_stays_apart(tmp_path):
    for study in ("one", "two"):
        write_run(tmp_path, RunConfig(), study=study)
    labels = [group.label for group in group_runs(read_runs(tmp_path)[0])]
    assert [label.split(":")[0] for label in labels] == ["one", "two"]


def test_mean_and_sample_deviation_over_seeds(tmp_path):
    group = group_runs(read_runs(headline(tmp_path))[0])[0]
    assert group.spread("test_accuracy") == pytest.approx((0.971, 0.001))
    assert group.spread("nothing") is None
    assert group.spread("test_note") is not None  # done.json holds it as the string "nan"


def test_curves_are_the_mean_over_seeds_at_every_step(tmp_path):
    group = group_runs(read_runs(headline(tmp_path))[0])[0]
    curve = group.curve("test", "accuracy")
    assert curve is not None
    assert list(curve.steps) == list(range(0, 901, 100))
    assert curve.mean[-1] == pytest.approx(0.971)
    assert curve.deviation[-1] == pytest.approx(0.001)
    assert group.curve("test", "nothing") is None


def test_one_seed_has_no_deviation(tmp_path):
    group = group_runs(read_runs(headline(tmp_path, seeds=[4]))[0])[0]
    curve = group.curve("test", "accuracy")
    assert curve is not None
    assert np.isnan(curve.deviation).all()
    spread = group.spread("test_accuracy")
    assert spread is not None
    assert math.isnan(spread.deviation)


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
def test_numbers_in_the_table(spread, metric, text):
    assert show(spread, metric) == text


def test_best_first_with_what_is_not_finite_last(tmp_path):
    for depth, accuracy in ((2, 0.5), (3, 0.9), (4, math.nan), (5, 0.7)):
        write_run(tmp_path, RunConfig(depth=depth), accuracy=accuracy)
    groups = group_runs(read_runs(tmp_path)[0])
    assert [group.config.depth for group in ranked(groups, "test_accuracy")] == [3, 5, 2, 4]
    assert [group.config.depth for group in ranked(groups, "test_loss")][:3] == [3, 5, 2]
    assert [group.config.depth for group in ranked(groups, None)] == [2, 3, 4, 5]


def test_table_has_a_row_per_group_and_says_how_runs_ended(tmp_path):
    write_run(tmp_path, RunConfig(seed=0))
    write_run(tmp_path, RunConfig(seed=1), status="diverged")
    write_run(tmp_path, RunConfig(seed=2), status=None)
    table = summary(group_runs(read_runs(tmp_path)[0]), columns=["test_accuracy"])
    assert table.header == ["", "seeds", "test accuracy", "status"]
    assert table.rows[0][1:] == ["3", "97.00 ± 0.00 %", "1 finished, 1 diverged, 1 unfinished"]


def test_thinning_keeps_the_ends_and_the_mean():
    steps = np.arange(10_000.0)
    curve = thin(Curve(steps, np.sin(steps / 900), np.full(10_000, np.nan)))
    assert len(curve.steps) <= 240
    assert curve.steps[[0, -1]].tolist() == [0, 9_999]
    assert (np.diff(curve.steps) > 0).all()
    np.testing.assert_allclose(curve.mean, np.sin(curve.steps / 900), atol=1e-3)
    assert np.isnan(curve.deviation).all()


def test_thinning_leaves_short_curves_alone():
    curve = Curve(np.arange(5.0), np.arange(5.0), np.arange(5.0))
    assert thin(curve) is curve


def test_measurements_of_a_run_at_its_start_and_end(tmp_path):
    record = read_run(write_run(tmp_path, RunConfig(activation="sigmoid", depth=3), gain=0.2))
    start, end = from_run(record, "start"), from_run(record, "end")
    assert [layer.name for layer in start.layers] == ["layer_01", "layer_02", "layer_03"]
    assert "step 0" in start.source
    assert "step 900" in end.source
    assert start.layers[0].predicted_gain == pytest.approx(0.232, abs=0.01)
    assert start.layers[2].predicted_gain is None
    assert end.layers[0].predicted_gain is None
    assert start.traits["activation"] == "sigmoid"
    first = record.series("train", "pre_activation_gradient_norm/layer_01")[1]
    assert (start.layers[0].pre_activation_gradient, end.layers[0].pre_activation_gradient) == (first[0], first[-1])


def test_a_run_is_rendered_before_and_after_training(tmp_path):
    record = read_run(write_run(tmp_path, RunConfig(initializer="normal_1"), gain=11.0, status="diverged"))
    before, after = render_run(record).split("AFTER TRAINING")
    assert before.startswith("BEFORE TRAINING\nEXPLODING: ")
    assert after.startswith("\nNOT FINITE: training ended")


def test_a_run_without_instruments_is_a_user_error(tmp_path):
    folder = write_run(tmp_path, RunConfig())
    (folder / "metrics.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="holds no gradient of any layer; train it with --instruments"):
        render_run(read_run(folder))


def test_the_probe_gradient_is_preferred_to_the_applied_one(tmp_path):
    folder = write_run(tmp_path, RunConfig(depth=2))
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"run": "train", "step": 1, "wall_time": 1, "scalars": {"gradient_norm/layer_01/kernel": 77}}\n')
    layer = from_run(read_run(folder), "end").layers[0]
    assert layer.kernel_gradient is not None
    assert layer.kernel_gradient < 77


def test_the_loss_before_training_is_the_probes(tmp_path):
    folder = write_run(tmp_path, RunConfig(depth=2), status="diverged")
    lines = [
        {"run": "train", "step": 0, "wall_time": 1, "scalars": {"probe_loss": 2.71}},
        {"run": "train", "step": 900, "wall_time": 1, "scalars": {"loss": "nan"}},
    ]
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    start, end = from_run(read_run(folder), "start"), from_run(read_run(folder), "end")
    assert start.loss == 2.71
    assert end.loss is not None
    assert math.isnan(end.loss)


def test_what_helps_is_told_once(tmp_path):
    record = read_run(write_run(tmp_path, RunConfig(activation="sigmoid"), gain=0.2))
    assert render_run(record).count("What helps") == 1


def test_passes_of_pretraining_that_follow_from_the_dataset_tell_no_runs_apart(tmp_path):
    for dataset in ("mnist", "digits"):
        write_run(tmp_path, RunConfig(dataset=dataset))
    assert telling_fields(read_runs(tmp_path)[0]) == ["dataset"]
