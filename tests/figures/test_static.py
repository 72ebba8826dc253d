"""Print figures: time axes, thinned curves, and a look that depends on no setting of the caller."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes

from mnist_depth.errors import UserError
from mnist_depth.figures.arrangement import mean_curve
from mnist_depth.figures.canvas import PrintFigure, canvas
from mnist_depth.figures.data import Series, Training
from mnist_depth.figures.static import MARKERS, MAX_POINTS, draw_curves, thin
from mnist_depth.figures.style import MARKERS as PLOTLY_MARKERS
from mnist_depth.figures.style import lines


def curve_of(steps: list[float], per_epoch: int, name: str = "relu") -> Training:
    series = {("train", "loss"): Series(np.array(steps), np.arange(len(steps), dtype=float))}
    return Training(name, series, {"activation": name}, steps_per_epoch=per_epoch)


def drawn(*trainings: Training) -> Axes:
    figure, (axes,) = canvas()
    draw_curves(axes, trainings, lines(trainings), "loss", ["train"])
    figure.draw_without_rendering()
    return axes


def test_time_is_in_epochs_with_steps_beside() -> None:
    axes = drawn(curve_of([0, 550, 1100], 550))
    assert np.asarray(axes.get_lines()[0].get_xdata()).tolist() == [0, 1, 2]
    assert axes.get_xlabel() == "epochs"
    (above,) = axes.child_axes
    assert above.get_xlabel() == "optimizer steps"
    assert above.get_xlim()[1] == pytest.approx(550 * axes.get_xlim()[1])


def test_without_the_length_of_an_epoch_time_is_in_steps() -> None:
    axes = drawn(curve_of([0, 900], 9), curve_of([0, 900], 0, "tanh"))
    assert axes.get_xlabel() == "optimizer steps"
    assert [line.get_xdata()[-1] for line in axes.get_lines()] == [900, 900]  # pyright: ignore
    assert not axes.child_axes


def test_epochs_of_different_lengths_share_an_axis_without_steps() -> None:
    axes = drawn(curve_of([0, 900], 9), curve_of([0, 900], 90, "tanh"))
    assert [line.get_xdata()[-1] for line in axes.get_lines()] == [100, 10]  # pyright: ignore
    assert not axes.child_axes


def test_thinning_keeps_the_ends_the_mean_and_the_extremes() -> None:
    steps = np.arange(10_000.0)
    values = np.sin(steps / 900)
    values[[4_321, 6_789]] = 5, -5
    at, mean, least, most = thin(steps, values, values, values)
    assert len(at) <= MAX_POINTS
    assert at[[0, -1]].tolist() == [0, 9_999]
    assert (np.diff(at) > 0).all()
    calm = most - least < 1
    np.testing.assert_allclose(mean[calm], np.sin(at[calm] / 900), atol=1e-3)
    assert (least.min(), most.max()) == (-5, 5)


def test_thinning_leaves_short_curves_alone() -> None:
    curve = (np.arange(5.0),) * 4
    assert thin(*curve) == curve


def test_values_that_axes_cannot_show_are_left_out_of_curves() -> None:
    values = np.array([1.0, np.nan, np.inf, 1e308, 3.0])
    steps, mean, _, _ = mean_curve([Series(np.arange(5.0), values)])
    assert (steps.tolist(), mean.tolist()) == ([0, 4], [1, 3])


def test_every_marker_has_a_counterpart_of_its_own() -> None:
    assert set(MARKERS) == set(PLOTLY_MARKERS)
    assert len(set(MARKERS.values())) == len(MARKERS)


def _svg(training: Training) -> str:
    stream = io.StringIO()
    figure: Any = drawn(training).figure
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def test_settings_of_the_caller_change_no_figure_and_stay_as_they_are() -> None:
    usual = _svg(curve_of([0, 1, 2], 0))
    hostile: Any = {
        "lines.linewidth": 9, "font.size": 30, "axes.facecolor": "black", "svg.fonttype": "path", "axes.grid": False,
        "text.color": "red", "axes.labelcolor": "red", "legend.frameon": True, "xtick.color": "red",
    }  # fmt: skip
    with mpl.rc_context(hostile):
        before = dict(mpl.rcParams)
        assert _svg(curve_of([0, 1, 2], 0)) == usual
        assert dict(mpl.rcParams) == before


def test_pgf_is_written_or_needs_latex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    figure = drawn(curve_of([0, 1, 2], 0)).figure
    assert isinstance(figure, PrintFigure)
    with pytest.raises(UserError, match=r"needs LaTeX .*save a \.pdf"):
        figure.savefig(tmp_path / "figure.pgf")
    assert not list(tmp_path.iterdir())
