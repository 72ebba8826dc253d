"""One call per figure: it draws the numbers of the run folders, in the colors of the interactive figure."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plotly.colors import get_colorscale, sample_colorscale

from mnist_depth import figures
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.figures.canvas import PrintFigure
from mnist_depth.figures.static import MARKERS
from mnist_depth.results.frames import Runs, runs
from tests.imports import imported
from tests.results.fabricated_runs import headline, write_run

SIGNAL = "pre_activation_gradient_norm"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Sigmoid and ReLU, three seeds each."""
    return runs(headline(tmp_path_factory.mktemp("logs")))


@pytest.fixture(scope="module")
def phases(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """tanh networks over depth and initial scale; the accuracy says which is which."""
    logdir = tmp_path_factory.mktemp("logs")
    for depth in (2, 4, 12):
        for sigma in (0.5, 1.0, 2.0):
            config = RunConfig(activation="tanh", depth=depth, initializer=f"mean_field:{sigma}")
            write_run(logdir, config, study="phases", accuracy=depth / 100 + sigma / 10)
    return runs(logdir)


def _lines(axes: Axes) -> dict[str, Any]:
    return {str(line.get_label()): line for line in axes.get_lines()}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Three activations at nine depths."""
    logdir = tmp_path_factory.mktemp("logs")
    for activation in ("relu", "sigmoid", "tanh"):
        for depth in range(2, 11):
            write_run(logdir, RunConfig(activation=activation, depth=depth), study="many")
    return runs(logdir)


def _of_layers(record: Any, step: int) -> list[float]:
    """The signal of layers 1 to 9 at a step, from the record."""
    values = []
    for layer in record.layers:
        steps, found = record.series("train", f"{SIGNAL}/{layer}")
        values.append(found[steps.index(step)])
    return values


@pytest.mark.parametrize("step", [0, 900])
def test_by_layer_draws_the_geometric_mean_over_seeds(found: Runs, step: int) -> None:
    figure = figures.by_layer(found, step=step, interactive=False)
    lines = _lines(figure.axes[0])
    for activation in ("relu", "sigmoid"):
        seeds = [_of_layers(record, step) for record in found.where(activation=activation)]
        assert lines[activation].get_ydata() == pytest.approx(np.exp(np.mean(np.log(seeds), axis=0)))
        assert list(lines[activation].get_xdata()) == [*range(1, 10)]
    assert "sigmoid, theory" in lines
    assert figure.axes[0].get_yscale() == "log"


def test_both_kinds_of_figures_have_the_same_colors_markers_and_numbers(found: Runs) -> None:
    drawn = _lines(figures.by_layer(found, interactive=False).axes[0])
    plotly = {trace.name: trace for trace in figures.by_layer(found, interactive=True).data if trace.mode != "lines"}
    assert set(plotly) == {"relu", "sigmoid"}
    for name, trace in plotly.items():
        assert drawn[name].get_color() == trace.line.color
        assert drawn[name].get_marker() == MARKERS[trace.marker.symbol]
        assert drawn[name].get_ydata() == pytest.approx(trace.y)


def test_given_axes_are_drawn_on_and_no_global_state_is_touched(found: Runs) -> None:
    axes = Figure().subplots(1, 2)
    assert figures.by_layer(found, ax=axes[0]) is axes[0].figure
    assert figures.curves(found, "loss", ["test"], ax=axes[1]) is axes[0].figure
    assert {"relu", "sigmoid"} <= set(_lines(axes[0]))
    assert set(_lines(axes[1])) == {"relu, test", "sigmoid, test"}
    code = "from mnist_depth import figures; from mnist_depth.results.frames import runs\n"
    code += f"figures.curves(runs({str(found[0].folder)!r}))"
    assert imported(code, {"matplotlib.pyplot", "tensorflow", "plotly"}) == set()


def _legend(figure: Any) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.filterwarnings("error::UserWarning")
def test_the_legend_lies_below_the_axes_and_inside_the_page(many: Runs) -> None:
    depths = [f"depth {depth}" for depth in range(2, 11)]
    for figure, rest in (
        (figures.by_layer(many, step=0, interactive=False), ["theory"]),
        (figures.curves(many, interactive=False), ["train", "test"]),
        (figures.curves(many.where(depth=3), "loss", ["test"], interactive=False), None),
    ):
        figure.draw_without_rendering()
        (legend,), (axes, *_) = figure.legends, figure.axes
        box = legend.get_window_extent()
        assert box.y1 <= axes.get_tightbbox().y0
        assert box.x0 >= figure.bbox.x0
        assert box.x1 <= figure.bbox.x1
        expected = ["relu", "sigmoid", "tanh"] if rest else ["relu, test", "sigmoid, test", "tanh, test"]
        assert sorted(_legend(figure)) == sorted([*expected, *(depths + rest if rest else [])])


def test_a_figure_has_as_many_lines_as_look_different_and_says_so(many: Runs, tmp_path: Path) -> None:
    axes = figures.distributions(many, interactive=False).axes[0]
    assert axes.get_title() == "3 of 27 configurations"
    for depth in range(2, 22):
        write_run(tmp_path, RunConfig(depth=depth), study="deep")
    axes = figures.curves(runs(tmp_path), "loss", ["train"], interactive=False).axes[0]
    lines = axes.get_lines()
    assert axes.get_title() == "12 of 20 configurations"
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == len(lines) == 12


def test_given_axes_get_a_legend_only_if_it_fits(many: Runs) -> None:
    few, full = Figure(figsize=(9, 4)).subplots(1, 2)
    figures.curves(many.where(depth=3), "loss", ["test"], ax=few)
    figures.by_layer(many, step=0, ax=full)
    assert [text.get_text() for text in few.get_legend().get_texts()] == ["relu, test", "sigmoid, test", "tanh, test"]
    assert full.get_legend() is None
    assert full.figure.legends == []


def test_curves_are_the_mean_over_seeds(found: Runs) -> None:
    lines = _lines(figures.curves(found, "accuracy", ["train"], interactive=False).axes[0])
    series = [record.series("train", "accuracy") for record in found.where(activation="relu")]
    assert lines["relu, train"].get_xdata() == pytest.approx(np.array(series[0][0]) / 300)  # 30,000 images, batch 100
    assert lines["relu, train"].get_ydata() == pytest.approx(np.mean([values for _, values in series], axis=0))


@pytest.mark.parametrize("draw", [figures.by_layer, figures.by_step, figures.curves, figures.distributions])
def test_every_interactive_figure_is_one_that_plotly_accepts(draw: Any, found: Runs) -> None:
    figure = draw(found, interactive=True)
    assert type(figure).__module__.startswith("plotly")
    assert len(figure.data) >= 2


def test_the_map_colors_log10_of_layer_by_step(found: Runs) -> None:
    figure = figures.by_step(found, interactive=False)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["relu", "sigmoid"]
    first = found.where(activation="sigmoid", seed=0)[0]
    drawn = np.asarray(panels[1].collections[0].get_array()).reshape(9, -1)
    assert drawn[:, 0] == pytest.approx(np.log10(_of_layers(first, 0)))
    assert drawn[:, -1] == pytest.approx(np.log10(_of_layers(first, 900)))


def test_distributions_draw_a_ridge_per_layer_where_the_histogram_is(found: Runs) -> None:
    axes = figures.distributions(found, "gradient_log10", interactive=False).axes[0]
    assert len(axes.get_lines()) == 2 * 9
    first = next(found.where(activation="relu", seed=0)[0].histograms())
    ridge = axes.get_lines()[0]
    assert (min(ridge.get_xdata()), max(ridge.get_xdata())) == (first.edges[0], first.edges[-1])
    assert max(ridge.get_ydata()) == pytest.approx(1.9)


def test_a_grid_has_every_mean_in_its_cell(phases: Runs) -> None:
    figure = figures.grid(phases, "depth", "initializer", "test_accuracy", interactive=False)
    table = np.asarray(figure.axes[0].collections[0].get_array()).reshape(3, 3)
    names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    place = names.index("mean_field:2")
    assert table[:, place] == pytest.approx([0.22, 0.24, 0.32])
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["2", "4", "12"]
    assert "24.0" in {text.get_text() for text in figure.axes[0].texts}
    assert figure.axes[0].collections[0].get_clim() == (0.0, 1.0)


def test_a_grid_says_what_it_averages_besides_seeds(phases: Runs, many: Runs, found: Runs) -> None:
    records = [*many, *found]
    drawn = figures.grid(records, "activation", "dataset", "test_accuracy", interactive=False).axes[0]
    plotly = figures.grid(records, "activation", "dataset", "test_accuracy", interactive=True)
    assert drawn.get_title() == plotly.layout.title.text == "mean over depth"
    assert figures.grid(phases, "depth", "initializer", interactive=False).axes[0].get_title() == ""
    assert figures.grid(found, "activation", "depth", interactive=False).axes[0].get_title() == ""


def test_both_kinds_of_grids_have_the_same_numbers_colors_and_order(phases: Runs) -> None:
    axes = figures.grid(phases, "depth", "initializer", "test_accuracy", interactive=False).axes[0]
    plotly = figures.grid(phases, "depth", "initializer", "test_accuracy", interactive=True)
    (cells,) = plotly.data
    mesh = axes.collections[0]
    assert np.array(cells.z) == pytest.approx(np.asarray(mesh.get_array()).reshape(3, 3))
    assert (cells.zmin, cells.zmax) == mesh.get_clim()
    assert list(cells.x) == [text.get_text() for text in axes.get_xticklabels()]
    assert list(cells.y) == [text.get_text() for text in axes.get_yticklabels()]
    written = {(note.x, note.y): (note.text, note.font.color) for note in plotly.layout.annotations}
    assert sorted(written.values()) == sorted((text.get_text(), text.get_color()) for text in axes.texts)
    assert written["mean_field:2", "4"][0] == "24.0"
    assert [color for _, color in cells.colorscale] == [color for _, color in get_colorscale("Cividis")]
    for value in (0.0, 0.32, 0.99):
        (color,) = sample_colorscale("Cividis", [value], colortype="tuple")
        assert color == pytest.approx(mesh.to_rgba(np.array([value]))[0][:3], abs=0.03)


def test_a_phase_diagram_has_sigma_across_and_the_border_of_theory(phases: Runs) -> None:
    from mnist_depth import theory

    axes = figures.phase_diagram(phases, "test_accuracy", interactive=False).axes[0]
    table = np.asarray(axes.collections[0].get_array()).reshape(3, 3)
    assert table[2] == pytest.approx([0.17, 0.22, 0.32])
    (border,) = [line for line in axes.get_lines() if line.get_label() == "theory: 6 ξ"]
    start = theory.predict_config(phases[0].config)[0].length  # pyright: ignore[reportAttributeAccessIssue]
    sigma, depth = border.get_xydata()[10]
    assert depth == pytest.approx(theory.depth_scales("tanh", sigma, 0.0, start).trainable_depth)


def test_both_kinds_of_phase_diagrams_have_the_same_numbers_and_border(phases: Runs) -> None:
    axes = figures.phase_diagram(phases, "test_accuracy", interactive=False).axes[0]
    cells, border = figures.phase_diagram(phases, "test_accuracy", interactive=True).data
    assert np.array(cells.z) == pytest.approx(np.asarray(axes.collections[0].get_array()).reshape(3, 3))
    assert [*cells.x] == pytest.approx([0.25, 0.75, 1.5, 2.5])
    assert [*cells.y] == pytest.approx([1, 3, 8, 16])
    (line,) = axes.get_lines()
    assert [border.x, border.y] == pytest.approx(np.transpose(line.get_xydata()))
    assert border.name == line.get_label()


def test_a_measurement_and_a_diagnosis_are_drawn_too() -> None:
    scalars = {f"{SIGNAL}/{name}": value for name, value in (("a", 1e-3), ("b", 1e-2), ("c", 1e-1))}
    measurement = SimpleNamespace(scalars=scalars, layers=("a", "b", "c"))
    (line,) = figures.by_layer(measurement, interactive=False).axes[0].get_lines()
    assert line.get_ydata() == pytest.approx([1e-3, 1e-2, 1e-1])
    layers = [SimpleNamespace(name=name) for name in "abc"]
    diagnosis = SimpleNamespace(layers=layers, gradients=(0.5, None, 0.125), source="mine")
    lines = _lines(figures.by_layer({"before": measurement, "after": diagnosis}, interactive=False).axes[0])
    assert set(lines) == {"before", "after"}
    assert lines["after"].get_xydata() == pytest.approx(np.array([[1, 0.5], [3, 0.125]]))


def test_layers_without_the_quantity_take_no_place() -> None:
    """Activations and additions of a residual network have no pre-activation."""
    scalars = {f"{SIGNAL}/conv": 1e-3, "activation_std/add": 1.0, f"{SIGNAL}/dense": 1e-1, "activation_std/conv": 2.0}
    axes = figures.by_layer(SimpleNamespace(scalars=scalars, layers=("conv", "add", "dense")), interactive=False).axes[
        0
    ]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["conv", "dense"]
    assert axes.get_lines()[0].get_ydata() == pytest.approx([1e-3, 1e-1])


def test_figures_are_written_for_print_and_shown_in_a_notebook(found: Runs, tmp_path: Path) -> None:
    figure = figures.by_layer(found, interactive=False)
    assert isinstance(figure, PrintFigure)
    for kind, start in (("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")):
        figure.savefig(tmp_path / f"figure.{kind}")
        assert (tmp_path / f"figure.{kind}").read_bytes().startswith(start)
    assert "sigmoid" in (tmp_path / "figure.svg").read_text(encoding="utf-8")  # text stays text
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_what_was_not_measured_is_a_user_error(found: Runs, tmp_path: Path) -> None:
    for call, message in (
        (lambda: figures.by_layer(found, "gradient_nrom"), "did you mean gradient_norm"),
        (lambda: figures.by_layer(found, "dead_share"), "dead_share was not measured; measured: pre_activation"),
        (lambda: figures.distributions(found, "weight"), "no histogram of weight"),
        (lambda: figures.curves(found, "los"), "unknown curve"),
        (lambda: figures.curves(found, splits=["tset"]), "did you mean test"),
        (lambda: figures.grid(found, "depth", "color"), "unknown field or figure"),
        (lambda: figures.phase_diagram(found), "one activation"),
        (lambda: figures.by_layer(tmp_path), "no readable run"),
    ):
        with pytest.raises(UserError, match=message):
            call()
