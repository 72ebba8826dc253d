"""Which charts a report shows of which runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.colors import to_hex

from mnist_depth.config import RunConfig
from mnist_depth.results import pictures
from mnist_depth.results.groups import Group, group_runs, read_runs
from mnist_depth.results.overview import Overview, Story
from mnist_depth.results.page import render
from mnist_depth.results.pictures import draw_figures
from mnist_depth.results.rendering import Picture
from mnist_depth.results.shown import MAX_LINES, shown_of
from mnist_depth.studies import STUDIES

from .fabricated_runs import write_run


def test_a_line_looks_the_same_on_every_chart_of_a_page(tmp_path: Path) -> None:
    for index, activation in enumerate(("relu", "tanh", "sigmoid")):
        folder = write_run(tmp_path, RunConfig(activation=activation, depth=4), accuracy=0.3 * index)
        if activation == "relu":
            (folder / "histograms.jsonl").unlink()
    groups = group_runs(read_runs(tmp_path)[0])
    shown = shown_of(groups)
    looks = {line.label: line.color for line in shown.lines}
    assert len(set(looks.values())) == 3
    spread = next(one for one in pictures.distributions(groups, shown) if one.name == "activations")
    assert _colors(spread) == {label: looks[label] for label in ("tanh", "sigmoid")}
    for curve in pictures.training_curves(shown):
        assert {label.split(",")[0]: color for label, color in _colors(curve).items()} == looks


def _colors(picture: Picture) -> dict[str, str]:
    """Label -> color of the lines that have a label."""
    lines = picture.figure.axes[0].get_lines()
    return {str(line.get_label()): str(line.get_color()) for line in lines if not str(line.get_label()).startswith("_")}


def test_all_lines_of_a_chart_are_distinguishable() -> None:
    for places in ([{}] * MAX_LINES, [{"activation": "relu", "depth": depth} for depth in range(MAX_LINES)]):
        shown = shown_of([Group(f"run {number}", (), place) for number, place in enumerate(places)])
        assert len({(line.color, line.marker) for line in shown.lines}) == MAX_LINES
        assert len({line.marker for line in shown.lines}) == MAX_LINES, "for print in black and white"


def pictures_of(folder: Path) -> dict[str, Picture]:
    """The charts of a report on the runs of a folder, by name, before they are written."""
    return {picture.name: picture for picture in draw_figures(Overview(read_runs(folder)[0], Story())).all}


def test_two_varying_fields_give_a_heat_map(tmp_path: Path) -> None:
    for activation in ("relu", "sigmoid"):
        for initializer in ("zeros", "he_normal", "normal_1"):
            config = RunConfig(activation=activation, initializer=initializer, depth=3)
            write_run(tmp_path, config, study="grid", accuracy=0.9 if initializer == "he_normal" else 0.1)
    drawn = pictures_of(tmp_path / "grid")
    assert "largest 90 (relu, he_normal)" in drawn["grid"].alt
    assert "theory × 0;" not in "".join(picture.alt for picture in drawn.values())


def test_a_learning_rate_that_follows_the_optimizer_is_no_axis(tmp_path: Path) -> None:
    for optimizer in ("sgd", "adam"):
        for depth in (2, 3):
            write_run(tmp_path, RunConfig(optimizer=optimizer, depth=depth), study="grid")
    assert pictures_of(tmp_path / "grid")["grid"].caption == "Best test accuracy over depth and optimizer"


def test_initial_scale_against_depth_is_a_phase_diagram_for_each_activation(tmp_path: Path) -> None:
    for activation in ("tanh", "relu"):
        for depth in (3, 6):
            for sigma in (0.5, 1.0, 10.0):
                config = RunConfig(activation=activation, depth=depth, initializer=f"mean_field:{sigma}")
                write_run(tmp_path, config, study="phase", accuracy=0.9 if sigma == 1 else 0.1)
    drawn = pictures_of(tmp_path / "phase")
    for activation in ("tanh", "relu"):
        alt = drawn[f"phase_diagram_{activation}"].alt
        assert "largest 90 (depth 3, sigma_w 1), smallest 10 (depth 3, sigma_w 0.5)" in alt
        assert "6 xi, is largest at sigma_w 1" in alt


def test_trials_of_a_random_search_are_no_grid(tmp_path: Path) -> None:
    for trial in range(1, 6):
        config = RunConfig(depth=2, learning_rate=trial / 100, weight_decay=trial / 1e5)
        write_run(tmp_path, config, study="search", accuracy=trial / 10)
    drawn = pictures_of(tmp_path / "search")
    assert drawn
    assert not [name for name in drawn if name.startswith("grid")]


def test_more_configurations_than_a_chart_can_show_are_sampled_and_told(tmp_path: Path) -> None:
    for depth in range(1, 21):
        write_run(tmp_path, RunConfig(depth=depth), study="many", accuracy=depth / 40)
    overview = Overview(read_runs(tmp_path / "many")[0], Story())
    drawn = draw_figures(overview)
    assert "The charts show 12 of the 20 configurations" in render(overview, drawn, [], 0, "")
    legend = next(picture.alt for picture in drawn.all if picture.name == "test_accuracy")
    assert "depth 1 ends at 2.5" in legend
    assert "depth 20 ends at 50" in legend


def test_one_color_scale_for_all_maps_of_a_study(tmp_path: Path) -> None:
    for activation, accuracy in (("sigmoid", 0.111), ("relu", 0.987)):
        for depth in (2, 3):
            for optimizer in ("sgd", "adam"):
                config = RunConfig(activation=activation, depth=depth, optimizer=optimizer)
                write_run(tmp_path, config, study="grid", accuracy=accuracy)
    maps = pictures.grids(group_runs(read_runs(tmp_path)[0]))
    assert len(maps) == 2
    meshes = [picture.figure.axes[0].collections[0] for picture in maps]
    assert {mesh.get_clim() for mesh in meshes} == {(0.0, 1.0)}
    low, high = (mesh.to_rgba(np.array([value]))[0] for mesh, value in zip(meshes, (0.987, 0.111), strict=True))
    assert abs(low - high).max() > 0.3


def test_activation_by_initialization_is_one_map_with_lsuv_as_an_initialization(tmp_path: Path) -> None:
    study = STUDIES["activation_init_grid"]
    for config in study.configs("mnist", quick=True):
        write_run(tmp_path, config, study="activation_init_grid", accuracy=0.1 if config.activation == "sigmoid" else 1)
    (picture,) = pictures.grids(group_runs(read_runs(tmp_path)[0], study.label, study.axes))
    axes = picture.figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["relu", "sigmoid", "tanh"]
    assert {label.get_text() for label in axes.get_xticklabels()} == {
        "lsuv",
        "orthogonal",
        "glorot_normal",
        "he_normal",
    }


def test_color_is_one_field_and_marker_another_on_every_chart(tmp_path: Path) -> None:
    for activation in ("relu", "sigmoid"):
        for depth in (2, 4):
            write_run(tmp_path, RunConfig(activation=activation, depth=depth), accuracy=0.9)
    groups = group_runs(read_runs(tmp_path)[0])
    shown = shown_of(groups)
    place = {group.label: (group.places["activation"], group.places["depth"]) for group in groups}
    for one in shown.lines:
        for other in shown.lines:
            assert (one.color == other.color) == (place[one.label][0] == place[other.label][0])
            assert (one.marker == other.marker) == (place[one.label][1] == place[other.label][1])
    assert [entry.text for entry in shown.legend] == ["relu", "sigmoid", "depth 2", "depth 4"]
    charts = [*pictures.training_curves(shown), *pictures.gradients_by_layer(shown)]
    assert len(charts) == 5
    for chart in charts:
        drawn = {to_hex(line.get_color()) for line in chart.figure.axes[0].get_lines()}
        assert drawn == {line.color for line in shown.lines}, chart.name


def test_a_signal_of_a_study_is_drawn_by_layer_before_training_and_untrained_networks_get_no_map(
    tmp_path: Path,
) -> None:
    for activation in ("relu", "tanh"):
        for width in (16, 32):
            folder = write_run(tmp_path, RunConfig(activation=activation, width=width, depth=3))
            with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
                scalars = {f"activation_std/layer_0{layer}": 0.5**layer * width for layer in (1, 2)}
                file.write(f'{{"run": "train", "step": 0, "wall_time": 1, "scalars": {json.dumps(scalars)}}}\n')
    story = Story(columns=("dz_ratio",), signals=("activation_std",), picture="activation_std")
    drawn = draw_figures(Overview(read_runs(tmp_path)[0], story))
    assert drawn.first is not None
    assert drawn.first.name == "activation_std"
    heights = {
        tuple(np.round(np.asarray(line.get_ydata(), float), 6)) for line in drawn.first.figure.axes[0].get_lines()
    }
    assert heights == {(8.0, 4.0), (16.0, 8.0)}
    assert drawn.sections["grids"] == []
