"""Runs that differ in nothing but the seed: labels, means, deviations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.records import find_runs
from mnist_depth.results.groups import axes_of, group_runs, read_runs, varying_fields
from mnist_depth.results.tables import summary

from .fabricated_runs import headline, write_run


def test_groups_are_named_by_what_differs(tmp_path: Path) -> None:
    runs, notes = read_runs(headline(tmp_path))
    groups = group_runs(runs)
    assert notes == []
    assert [(group.label, [run.seed for run in group.runs]) for group in groups] == [
        ("relu", [0, 1, 2]),
        ("sigmoid", [0, 1, 2]),
    ]


def test_numbers_sort_as_numbers_and_carry_their_name(tmp_path: Path) -> None:
    for depth in (9, 2, 16):
        write_run(tmp_path, RunConfig(depth=depth))
    labels = [group.label for group in group_runs(read_runs(tmp_path)[0])]
    assert labels == ["depth 2", "depth 9", "depth 16"]


def test_where_many_fields_differ_labels_name_what_is_unusual(tmp_path: Path) -> None:
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


def test_given_names_and_published_figures_stand_in_the_table(tmp_path: Path) -> None:
    for depth in (2, 3, 4):
        write_run(tmp_path, RunConfig(depth=depth))
    names = {2: "shallow", 3: "deep", 4: "deep"}
    groups = group_runs(read_runs(tmp_path)[0], lambda config: names[config.depth])
    assert [group.label for group in groups] == ["shallow", "deep, depth 3", "deep, depth 4"]
    table = summary(groups, ["test_accuracy"], published=lambda config: "0.9783" if config.depth == 3 else "")
    assert [table.header[-1], *(row[-1] for row in table.rows)] == ["published", "", "0.9783", ""]


def test_a_field_that_follows_from_an_earlier_one_is_no_axis(tmp_path: Path) -> None:
    for activation, bias in (("tanh", 0.2236), ("relu", 0.0)):
        for depth in (2, 3):
            for sigma in (0.5, 1.5):
                config = RunConfig(activation=activation, depth=depth, initializer=f"mean_field:{sigma}", bias_std=bias)
                write_run(tmp_path, config)
    assert axes_of(find_runs(tmp_path)) == ["activation", "depth", "initializer"]


def test_the_same_config_in_two_studies_stays_apart(tmp_path: Path) -> None:
    for study in ("one", "two"):
        write_run(tmp_path, RunConfig(), study=study)
    labels = [group.label for group in group_runs(read_runs(tmp_path)[0])]
    assert [label.split(":")[0] for label in labels] == ["one", "two"]


def test_mean_and_sample_deviation_over_seeds(tmp_path: Path) -> None:
    group = group_runs(read_runs(headline(tmp_path))[0])[0]
    assert group.spread("test_accuracy") == pytest.approx((0.971, 0.001))
    assert group.spread("nothing") is None
    assert group.spread("test_note") is not None  # done.json holds it as the string "nan"


def test_one_seed_has_no_deviation(tmp_path: Path) -> None:
    group = group_runs(read_runs(headline(tmp_path, seeds=[4]))[0])[0]
    spread = group.spread("test_accuracy")
    assert spread is not None
    assert math.isnan(spread.deviation)


def test_passes_of_pretraining_that_follow_from_the_dataset_tell_no_runs_apart(tmp_path: Path) -> None:
    for dataset in ("mnist", "digits"):
        write_run(tmp_path, RunConfig(dataset=dataset))
    assert varying_fields(find_runs(tmp_path)) == ["dataset"]
