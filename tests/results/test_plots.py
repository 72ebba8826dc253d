"""Single charts: looks, and curves with too many points."""

from __future__ import annotations

import numpy as np

from mnist_depth.results import plots
from mnist_depth.results.groups import Curve
from mnist_depth.results.plots import thin


def test_as_many_lines_as_a_chart_shows_can_be_told_apart() -> None:
    curve = Curve(np.arange(3.0), np.arange(3.0), np.full(3, np.nan))
    picture = plots.curves("all", {f"run {index}": curve for index in range(plots.MOST_LINES)}, ylabel="loss")
    looks = {(line.get_color(), line.get_marker()) for line in picture.figure.axes[0].get_lines()}
    assert len(looks) == plots.MOST_LINES


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
