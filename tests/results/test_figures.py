"""Which charts a report shows of which runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from matplotlib.colors import to_hex, to_rgba
from matplotlib.patches import StepPatch

from mnist_depth.config import RunConfig
from mnist_depth.results import figures
from mnist_depth.results.groups import group_runs, read_runs
from mnist_depth.results.report import write_report
from mnist_depth.results.style import styles_of
from mnist_depth.studies import STUDIES

from .fabricated_runs import write_run


def test_a_line_looks_the_same_on_every_chart_of_a_page(tmp_path: Path) -> None:
    for index, activation in enumerate(("relu", "tanh", "sigmoid")):
        folder = write_run(tmp_path, RunConfig(activation=activation, depth=4), accuracy=0.3 * index)
        if activation == "relu":
            (folder / "histograms.jsonl").unlink()
    groups = group_runs(read_runs(tmp_path)[0])
    (spread,) = figures.activation_distributions(groups, styles_of(groups))
    handles, labels = spread.figure.axes[0].get_legend_handles_labels()
    patches = [handle for handle in handles if isinstance(handle, StepPatch)]
    colors = {label: to_rgba(patch.get_edgecolor()) for label, patch in zip(labels, patches, strict=True)}
    assert colors.keys() == {"tanh", "sigmoid"}
    for curve in figures.training_curves(groups, styles_of(groups)):
        lines = {line.get_label(): to_rgba(line.get_color()) for line in curve.figure.axes[0].get_lines()}
        assert lines.keys() == {"relu", "tanh", "sigmoid"}
        assert {label: lines[label] for label in colors} == colors


def figure_names(report: Path) -> set[str]:
    return {path.stem for path in (report.parent / "figures").glob("*.svg")}


def test_two_varying_fields_give_a_heat_map(tmp_path: Path) -> None:
    for activation in ("relu", "sigmoid"):
        for initializer in ("zeros", "he_normal", "normal_1"):
            config = RunConfig(activation=activation, initializer=initializer, depth=3)
            write_run(tmp_path, config, study="grid", accuracy=0.9 if initializer == "he_normal" else 0.1)
    report = write_report(tmp_path / "grid")
    assert "grid" in figure_names(report)
    text = report.read_text(encoding="utf-8")
    assert "largest 90 (relu, he_normal)" in text
    assert "theory × 0;" not in text


def test_a_learning_rate_that_follows_the_optimizer_is_no_axis(tmp_path: Path) -> None:
    for optimizer in ("sgd", "adam"):
        for depth in (2, 3):
            write_run(tmp_path, RunConfig(optimizer=optimizer, depth=depth), study="grid")
    report = write_report(tmp_path / "grid")
    assert "grid" in figure_names(report)
    assert "Best test accuracy over depth and optimizer" in report.read_text(encoding="utf-8")


def test_initial_scale_against_depth_is_a_phase_diagram_for_each_activation(tmp_path: Path) -> None:
    for activation in ("tanh", "relu"):
        for depth in (3, 6):
            for sigma in (0.5, 1.0, 10.0):
                config = RunConfig(activation=activation, depth=depth, initializer=f"mean_field:{sigma}")
                write_run(tmp_path, config, study="phase", accuracy=0.9 if sigma == 1 else 0.1)
    report = write_report(tmp_path / "phase")
    assert {"phase_diagram_tanh", "phase_diagram_relu"} <= figure_names(report)
    text = report.read_text(encoding="utf-8")
    assert "largest 90 (depth 3, sigma_w 1), smallest 10 (depth 3, sigma_w 0.5)" in text
    assert text.count("6 xi, is largest at sigma_w 1") == 2


def test_trials_of_a_random_search_are_no_grid(tmp_path: Path) -> None:
    for trial in range(1, 6):
        config = RunConfig(depth=2, learning_rate=trial / 100, weight_decay=trial / 1e5)
        write_run(tmp_path, config, study="search", accuracy=trial / 10)
    assert not {name for name in figure_names(write_report(tmp_path / "search")) if name.startswith("grid")}


def test_more_configurations_than_a_chart_can_show_are_sampled_and_told(tmp_path: Path) -> None:
    for depth in range(1, 21):
        write_run(tmp_path, RunConfig(depth=depth), study="many", accuracy=depth / 40)
    text = write_report(tmp_path / "many").read_text(encoding="utf-8")
    assert "The charts show 12 of the 20 configurations" in text
    legend = re.search(r"Line chart of test accuracy[^:]*: ([^\"]*)", text)
    assert legend is not None
    assert "depth 1 ends at 2.5" in legend.group(1)
    assert "depth 20 ends at 50" in legend.group(1)


def test_one_color_scale_for_all_maps_of_a_study(tmp_path: Path) -> None:
    for activation, accuracy in (("sigmoid", 0.111), ("relu", 0.987)):
        for depth in (2, 3):
            for optimizer in ("sgd", "adam"):
                config = RunConfig(activation=activation, depth=depth, optimizer=optimizer)
                write_run(tmp_path, config, study="grid", accuracy=accuracy)
    maps = figures.grids(group_runs(read_runs(tmp_path)[0]))
    assert len(maps) == 2
    meshes = [picture.figure.axes[0].collections[0] for picture in maps]
    assert {mesh.get_clim() for mesh in meshes} == {(0.0, 100.0)}
    low, high = (mesh.to_rgba(np.array([value]))[0] for mesh, value in zip(meshes, (98.7, 11.1), strict=True))
    assert abs(low - high).max() > 0.3


def test_activation_by_initialization_is_one_map_with_lsuv_as_an_initialization(tmp_path: Path) -> None:
    study = STUDIES["activation_init_grid"]
    for config in study.configs("mnist", quick=True):
        write_run(tmp_path, config, study="activation_init_grid", accuracy=0.1 if config.activation == "sigmoid" else 1)
    (picture,) = figures.grids(group_runs(read_runs(tmp_path)[0], study.label, study.axes))
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
    styles = styles_of(groups)
    place = {group.label: (group.places["activation"], group.places["depth"]) for group in groups}
    for one, first in styles.looks.items():
        for other, second in styles.looks.items():
            assert (first.color == second.color) == (place[one][0] == place[other][0])
            assert (first.marker == second.marker) == (place[one][1] == place[other][1])
    assert [text for text, _look in styles.legend] == ["relu", "sigmoid", "depth 2", "depth 4"]
    starts = figures.diagnose_groups(groups, "start")
    charts = [*figures.training_curves(groups, styles), *figures.gradients_by_layer(groups, starts, "start", styles)]
    colors = {look.color for look in styles.looks.values()}
    for chart in charts:
        drawn = {to_hex(line.get_color()).upper() for line in chart.figure.axes[0].get_lines()}
        assert drawn == {color.upper() for color in colors}, chart.name
