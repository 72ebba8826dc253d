"""What plotly is given to draw: the measured numbers, at every moment, and nothing that JSON cannot hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mnist_depth.figures.data import Training
from mnist_depth.figures.interactive import curves_figure, distributions_figure, figure, map_figure, profile_figure
from mnist_depth.figures.style import lines
from mnist_depth.figures.traces import THEORY
from mnist_depth.figures.trainings import PREDICTED, from_record
from tests.imports import imported

from ..summaries.fabricated import STEPS, make_run, steps_and_values
from .test_data import series, training


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Training]:
    """Two seeds of ReLU and of sigmoid."""
    logdir = tmp_path_factory.mktemp("figures")
    return [
        from_record(make_run(logdir, activation=name, seed=seed)) for name in ("relu", "sigmoid") for seed in (0, 1)
    ]


def test_a_line_is_the_geometric_mean_over_seeds_and_the_band_its_range() -> None:
    seeds = [
        training(
            str(seed), {"a": series((1, value)), "b": series((1, 5.0))}, PREDICTED, fields={"depth": 2, "seed": seed}
        )
        for seed, value in enumerate((1.0, 100.0))
    ]
    drawn = profile_figure(seeds, PREDICTED)
    band, line = drawn["moments"][0]["update"]["0"], drawn["moments"][0]["update"]["1"]
    assert line["y"] == pytest.approx([10.0, 5.0])
    assert band["y"] == pytest.approx([100.0, 5.0, 5.0, 1.0]), "there along the upper edge, back along the lower"
    assert drawn["layout"]["yaxis"]["type"] == "log"


def test_moments_hold_the_measured_values_and_say_step_and_epoch(tmp_path: Path) -> None:
    record = make_run(tmp_path, activation="relu")
    drawn = profile_figure([from_record(record)], PREDICTED)
    (place,) = [str(n) for n, trace in enumerate(drawn["data"]) if trace["name"] != THEORY]
    assert [one["step"] for one in drawn["moments"]] == list(STEPS)
    assert drawn["moments"][3]["title"] == "step 30, epoch 3"
    for number, one in enumerate(drawn["moments"]):
        measured = [steps_and_values(record, "train", f"{PREDICTED}/layer_{n:02d}")[1][number] for n in range(1, 10)]
        assert one["update"][place]["y"] == pytest.approx(measured)
    assert drawn["moments"][0]["update"][place]["text"][2].startswith("layer_03: ")


def test_the_axis_does_not_move_from_moment_to_moment(runs: list[Training]) -> None:
    drawn = profile_figure(runs, PREDICTED)
    low, high = (10**end for end in drawn["layout"]["yaxis"]["range"])
    values = [y for one in drawn["moments"] for update in one["update"].values() for y in update["y"]]
    assert low <= min(values) <= max(values) <= high


def test_a_gradient_of_exactly_zero_lies_on_the_lower_end_and_says_zero() -> None:
    dead = training("a", {"one": series((1, 0.0)), "two": series((1, 1.0))}, "pre_activation_gradient_norm")
    update = profile_figure([dead], "pre_activation_gradient_norm")["moments"][0]["update"]["0"]
    assert update["y"][0] == pytest.approx(0.5)
    assert update["text"][0] == "one: 0"


def test_every_figure_is_plain_json_whatever_was_measured(runs: list[Training]) -> None:
    odd = training(
        "<b>odd</b>",
        {"<i>x</i>": series((1, np.nan), (2, np.inf)), "y": series((1, -np.inf), (2, 0.0))},
        "pre_activation_gradient_norm",
    )
    for chosen in ([], [odd], [*runs, odd]):
        for drawn in (
            profile_figure(chosen, PREDICTED),
            map_figure(chosen, PREDICTED),
            curves_figure(chosen),
            distributions_figure(chosen, "weight"),
        ):
            text = json.dumps(drawn, allow_nan=False)
            assert "<b>" not in text
            assert "<i>" not in text


def test_maps_share_one_color_scale(runs: list[Training]) -> None:
    drawn = map_figure(runs, PREDICTED)
    assert len(drawn["data"]) == 2, "the first seed of each configuration"
    assert len({(trace["zmin"], trace["zmax"]) for trace in drawn["data"]}) == 1
    values = [z for trace in drawn["data"] for row in trace["z"] for z in row]
    assert (min(values), max(values)) == (drawn["data"][0]["zmin"], drawn["data"][0]["zmax"])
    assert 10 ** drawn["data"][0]["z"][0][0] == pytest.approx(runs[0].of_layer(PREDICTED, "layer_01").values[0])


def test_curves_are_means_over_seeds_by_split(runs: list[Training]) -> None:
    drawn = curves_figure(runs)
    (trace,) = [one for one in drawn["data"] if one["name"] == "relu, test" and "yaxis" in one and one["yaxis"] == "y"]
    expected = np.mean([runs[place].series["test", "loss"].values for place in (0, 1)], axis=0)
    assert trace["y"] == pytest.approx(expected.tolist())


def models() -> list[Training]:
    """Three gauges of models with different layers; only the last two have gradients, only the last one a loss."""
    return [
        training("plain", {"a": series((1, 1.0)), "b": series((1, 1.0))}, "activation_std", fields={"name": "plain"}),
        training("deep", {f"d{n}": series((1, n)) for n in range(1, 5)}, PREDICTED, fields={"name": "deep"}),
        Training(
            "gan",
            {("train", f"{PREDICTED}/{layer}"): series((1, value)) for layer, value in (("g", 0.1), ("h", 0.2))}
            | {("train", tag): series((1, value), (2, value)) for tag, value in (("d_loss", 0.5), ("g_loss", 0.7))}
            | {("train", "probe_loss"): series((1, 9.0)), ("train", "epoch_loss"): series((0, 8.0))},
            {"name": "gan"},
        ),
    ]


def test_a_training_has_one_look_in_every_figure_whatever_others_have(runs: list[Training]) -> None:
    looks = {line.label: (line.color, line.marker) for line in lines(models())}
    profile = profile_figure(models(), PREDICTED)["data"]
    assert {one["name"]: (one["line"]["color"], one["marker"]["symbol"]) for one in profile} == {
        label: looks[label] for label in ("deep", "gan")
    }
    curves = curves_figure(models())["data"]
    assert {one["meta"]: one["line"]["color"] for one in curves} == {"gan": looks["gan"][0]}
    assert [note["text"] for note in map_figure(models(), PREDICTED)["layout"]["annotations"]] == ["deep", "gan"]
    ridges = distributions_figure([*models(), runs[0]], "weight")["data"]
    among_all = lines([*models(), runs[0]])[-1]
    assert {(one["meta"], one["line"]["color"]) for one in ridges} <= {(among_all.label, among_all.color)}


def test_hidden_lines_leave_the_looks_of_the_others_and_take_no_place() -> None:
    looks = {line.label: line.color for line in lines(models())}
    for figure_of in (profile_figure, map_figure):
        assert len(figure_of(models(), PREDICTED)["data"]) == 2
        (alone,) = figure_of(models(), PREDICTED, hidden=["deep"])["data"]
        assert alone.get("line", {}).get("color", looks["gan"]) == looks["gan"]
        assert len(alone.get("z", alone["x"])) == 2, "layers"
    assert curves_figure(models(), hidden=["gan"])["data"] == []


def test_models_of_other_layers_are_drawn_at_places_of_their_own() -> None:
    drawn = profile_figure(models(), PREDICTED)
    assert drawn["layout"]["xaxis"]["ticktext"] == ["1", "2", "3", "4"], "layers of `plain` take no place"
    deep, gan = (drawn["moments"][0]["update"][str(number)] for number in (0, 1))
    assert deep["y"] == pytest.approx([1.0, 2.0, 3.0, 4.0])
    assert gan["y"] == [pytest.approx(0.1), pytest.approx(0.2), None, None]
    assert [text for text in gan["text"] if "nan" not in text] == ["g: 0.1", "h: 0.2"]
    maps = map_figure(models(), PREDICTED)["layout"]
    assert (maps["yaxis"]["ticktext"], maps["yaxis2"]["ticktext"]) == (["1", "2", "3", "4"], ["1", "2"])
    assert profile_figure(models()[2:], PREDICTED)["layout"]["xaxis"]["ticktext"] == ["g", "h"]


def test_losses_without_a_sum_are_drawn_by_their_names() -> None:
    drawn = curves_figure(models())
    assert {one["name"]: one["y"] for one in drawn["data"]} == {
        "gan, d_loss, train": [0.5, 0.5],
        "gan, g_loss, train": [0.7, 0.7],
    }, "neither that of the fixed batch nor one over epochs"
    assert [one["text"][-1] for one in drawn["data"]] == ["d_loss", "g_loss"]
    assert "yaxis2" not in drawn["layout"], "no panel without a curve"
    with_sum = Training("sum", {("train", tag): series((1, 1.0)) for tag in ("a_loss", "loss", "b_loss")})
    assert [one["name"] for one in curves_figure([with_sum])["data"]] == ["sum, train"]


def test_plotly_accepts_every_figure(runs: list[Training]) -> None:
    for drawn in (profile_figure(runs, PREDICTED), map_figure(runs, PREDICTED), curves_figure(runs)):
        made = figure(drawn)
        assert len(made.data) == len(drawn["data"])
    shown = figure(profile_figure(runs[:1], PREDICTED)).data[0]
    assert shown.y[0] == pytest.approx(runs[0].of_layer(PREDICTED, "layer_01").values[-1])


def test_making_figures_imports_neither_plotly_nor_tensorflow() -> None:
    code = "import mnist_depth.figures.interactive, mnist_depth.figures.trainings"
    assert imported(code, {"plotly", "tensorflow", "matplotlib"}) == set()
