"""Final figures side by side: which networks, in which bars."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mnist_depth.cli import pictures
from mnist_depth.config import RunConfig
from mnist_depth.records import RunRecord
from mnist_depth.results.comparison import Bars, Comparison, bars_of
from mnist_depth.results.comparison_picture import picture_of
from mnist_depth.results.groups import Group


def _group(depth: int, activation: str, accuracy: float) -> Group:
    config = RunConfig(depth=depth, activation=activation)
    done = {"status": "finished", "metrics": {"test_accuracy": accuracy, "train_accuracy": accuracy + 0.1}}
    return Group(f"{activation} {depth}", (RunRecord(Path(config.slug), config, {}, done),))


GROUPS = [_group(2, "relu", 0.9), _group(2, "sigmoid", 0.8), _group(9, "relu", 0.7), _group(5, "tanh", 0.6)]


def _bars() -> Bars:
    chosen = Comparison(
        ("test_accuracy",),
        lambda config: "" if config.activation == "tanh" else f"depth {config.depth}",
        lambda config: config.activation,
    )
    bars = bars_of(GROUPS, chosen)
    assert bars is not None
    return bars


def test_like_networks_share_a_category_and_those_without_one_are_left_out() -> None:
    bars = _bars()
    assert (bars.categories, bars.series) == (["depth 2", "depth 9"], ["relu", "sigmoid"])
    assert bars.values[0] == [0.9, 0.8]
    assert bars.values[1][0] == 0.7
    assert math.isnan(bars.values[1][1])


def test_several_figures_of_one_network_stand_beside_each_other() -> None:
    bars = bars_of(GROUPS[:1], Comparison(("train_accuracy", "test_accuracy")))
    assert bars is not None
    assert (bars.categories, bars.series) == (["relu 2"], ["training accuracy", "test accuracy"])
    assert bars.values == [[pytest.approx(1.0), 0.9]]
    assert bars_of(GROUPS, Comparison(("no_such_figure",))) is None


def test_the_figure_draws_these_numbers() -> None:
    picture = picture_of(_bars())
    axes = picture.figure.axes[0]
    heights = [
        bar.get_height() for container in axes.containers for bar in container if math.isfinite(bar.get_height())
    ]
    assert sorted(heights) == [0.7, 0.8, 0.9]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["depth 2", "depth 9"]
    assert "depth 2: relu 90.0 %, sigmoid 80.0 %" in picture.alt


def test_the_terminal_draws_bars_of_these_lengths() -> None:
    lines = pictures.comparison_picture(_bars(), 80).splitlines()
    assert lines[0] == "test accuracy after training; bars from 0 to 100 %"
    assert lines[1].split() == ["relu", "sigmoid"]
    assert lines[2].startswith("depth 2")
    assert "90.0 %" in lines[2]
    assert "80.0 %" in lines[2]
    assert lines[3].rstrip().endswith("–")
    alone = Bars("accuracy", ["a", "b"], [""], [[0.9], [0.6]], is_share=True)
    long, short = (line.count("█") for line in pictures.comparison_picture(alone, 80).splitlines()[1:])
    assert long / short == pytest.approx(1.5, rel=0.05)
