"""What picks figures out of finished runs."""

from __future__ import annotations

import dataclasses

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.studies.selection import NotTested, Runs

from .fabricate import finished, learned


def test_unfinished_runs_do_not_count() -> None:
    unfinished = finished(RunConfig())
    assert Runs([dataclasses.replace(unfinished, done={})]).records == []


def test_runs_are_chosen_by_value_list_or_range_and_grouped() -> None:
    runs = Runs(
        finished(RunConfig(depth=depth, seed=seed), **learned(depth / 10)) for depth in (3, 2, 5) for seed in (0, 1)
    )
    assert [record.config.depth for record in runs.where(depth=[2, 3]).records] == [3, 3, 2, 2]
    assert runs.where(depth=range(4, 9), seed=1).values("test_accuracy") == [0.5]
    assert list(runs.by("depth")) == [2, 3, 5]
    assert runs.by("depth")[3].mean("test_accuracy") == pytest.approx(0.3)
    with pytest.raises(NotTested, match="depth 9"):
        runs.where(depth=9)


def test_no_runs_and_missing_metrics_are_not_tested() -> None:
    for ask in (lambda runs: runs.values("x"), lambda runs: runs.dataset, lambda runs: runs.at_start("x")):
        with pytest.raises(NotTested):
            ask(Runs([]))
        with pytest.raises(NotTested):
            ask(Runs([finished(RunConfig()), finished(RunConfig(dataset="digits"))]))
    with pytest.raises(NotTested, match="ensemble accuracy"):
        Runs([]).figure("ensemble_accuracy")


def test_layers_are_read_from_the_series_of_each_hidden_layer() -> None:
    record = finished(RunConfig(depth=4), {"activation_std": [0.3, 0.2, 0.1], "gradient_norm/bias": [1.0, 2.0, 3.0]})
    runs = Runs([record])
    assert runs.at_start("activation_std") == [[0.3, 0.2, 0.1]]
    assert runs.median("gradient_norm", "/bias") == [[1.0, 2.0, 3.0]]
    with pytest.raises(NotTested, match="saturated_share"):
        runs.at_start("saturated_share")
