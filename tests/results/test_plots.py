"""Single charts: looks, and curves with too many points."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_depth.results import plots
from mnist_depth.results.groups import Curve, Group
from mnist_depth.results.plots import thin
from mnist_depth.results.style import styles_of


def test_all_lines_of_a_chart_are_distinguishable() -> None:
    curve = Curve(np.arange(3.0), np.arange(3.0), np.full(3, np.nan))
    groups = [Group(f"run {index}", ()) for index in range(plots.MAX_LINES)]
    lines = {group.label: curve for group in groups}
    picture = plots.curves("all", lines, styles_of(groups), ylabel="loss")
    looks = {(line.get_color(), line.get_marker()) for line in picture.figure.axes[0].get_lines()}
    assert len(looks) == plots.MAX_LINES


def test_time_is_in_epochs_with_steps_beside() -> None:
    group = Group("relu", ())
    lines = {"relu": Curve(np.array([0.0, 550.0, 1100.0]), np.arange(3.0), np.full(3, np.nan))}
    picture = plots.curves("loss", lines, styles_of([group]), ylabel="loss", epoch={"relu": 550})
    axes = picture.figure.axes[0]
    assert axes.get_lines()[0].get_xdata().tolist() == [0, 1, 2]  # pyright: ignore
    assert axes.get_xlabel() == "epochs"
    (above,) = axes.child_axes
    picture.figure.draw_without_rendering()
    assert above.get_xlabel() == "optimizer steps"
    assert above.get_xlim()[1] == pytest.approx(550 * axes.get_xlim()[1])


def test_without_the_length_of_an_epoch_time_is_in_steps() -> None:
    groups = [Group("relu", ()), Group("tanh", ())]
    curve = Curve(np.array([0.0, 900.0]), np.arange(2.0), np.full(2, np.nan))
    lines = {group.label: curve for group in groups}
    picture = plots.curves("loss", lines, styles_of(groups), ylabel="loss", epoch={"relu": 9, "tanh": None})
    axes = picture.figure.axes[0]
    assert axes.get_xlabel() == "optimizer steps"
    assert [line.get_xdata()[-1] for line in axes.get_lines()] == [900, 900]  # pyright: ignore
    assert not axes.child_axes


def test_thinning_keeps_the_ends_and_the_mean() -> None:
    steps = np.arange(10_000.0)
    curve = thin(Curve(steps, np.sin(steps / 900), np.full(10_000, np.nan)))
    assert len(curve.steps) <= 240
    assert curve.steps[[0, -1]].tolist() == [0, 9_999]
    assert (np.diff(curve.steps) > 0).all()
    np.testing.assert_allclose(curve.mean, np.sin(curve.steps / 900), atol=1e-3)
    assert np.isnan(curve.deviation).all()


def test_thinning_leaves_short_curves_alone() -> None:
    curve = Curve(np.arange(5.0), np.arange(5.0), np.arange(5.0))
    assert thin(curve) is curve
