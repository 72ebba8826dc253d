"""The routes of the Depth tab, asked of a real TensorBoard that found the plugin by itself."""

from __future__ import annotations

import csv
import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from mnist_depth.board.server import Board, start_board
from mnist_depth.figures.arrangement import outline
from mnist_depth.figures.data import Bars
from mnist_depth.figures.traces import THEORY
from mnist_depth.records import RunRecord
from mnist_depth.summaries.events import replace_events, scalars
from mnist_depth.tensorboard_plugin.data import split_of
from tests.imports import imported

from ..board.boards import eventually
from ..summaries.fabricated import NOW, STEPS, make_run, steps_and_values
from .asking import ask, fetch
from .conftest import GAUGE_LAYERS, HOSTILE, write_as_keras

QUANTITY = "pre_activation_gradient_norm"


def test_tensorboard_lists_the_tab_first_on_a_board(board: Board) -> None:
    with urllib.request.urlopen(f"{board.url}data/plugins_listing", timeout=60) as answer:
        plugins = json.load(answer)
    assert plugins["depth"]["tab_name"] == "Depth"
    assert plugins["depth"]["enabled"]
    assert next(iter(plugins)) == "depth"


def test_every_training_is_one_run_in_the_list(board: Board, runs: list[RunRecord]) -> None:
    with urllib.request.urlopen(f"{board.url}data/runs", timeout=60) as answer:
        listed = set(json.load(answer))
    of_study = {run for run in listed if run.startswith("depth9")}
    assert of_study == {"depth9", *(f"depth9/{run.slug}/seed_{run.seed}" for run in runs)}


def test_the_state_names_what_there_is(board: Board) -> None:
    state = ask(board.url, "state", filter="study=depth9")
    assert (state["all"], state["shown"]) == (6, 4)
    assert state["fields"][0] == "activation"
    assert [name for name, _ in state["quantities"]][:2] == [QUANTITY, "probe_gradient_norm"]
    assert [name for name, _ in state["subjects"]] == ["weight"]
    cards = {card["label"]: card for card in state["cards"]}
    assert cards.keys() == {"relu", "sigmoid"}
    assert cards["sigmoid"]["seeds"] == 2
    assert "VANISHING" in cards["sigmoid"]["verdict"]
    assert "HEALTHY" in cards["relu"]["verdict"]


def test_a_profile_draws_the_numbers_of_the_file_of_measurements(board: Board, runs: list[RunRecord]) -> None:
    drawn = ask(board.url, "figure", view="profile", quantity=QUANTITY, filter="sigmoid seed=0")
    (place,) = [str(number) for number, trace in enumerate(drawn["data"]) if trace["name"] != THEORY]
    sigmoid = next(run for run in runs if run.config.activation == "sigmoid")
    steps, _ = steps_and_values(sigmoid, "train", f"{QUANTITY}/layer_01")
    assert [one["step"] for one in drawn["moments"]] == steps
    for number, one in enumerate(drawn["moments"]):
        measured = [steps_and_values(sigmoid, "train", f"{QUANTITY}/layer_{n:02d}")[1][number] for n in range(1, 10)]
        assert one["update"][place]["y"] == pytest.approx(measured, rel=1e-6)
    assert [trace["name"] for trace in drawn["data"]].count(THEORY) == 1


def test_a_gauges_layers_are_in_the_order_of_its_model(board: Board) -> None:
    drawn = ask(board.url, "figure", view="profile", quantity="probe_gradient_norm", filter="mine")
    assert drawn["layout"]["xaxis"]["ticktext"] == list(GAUGE_LAYERS)
    assert drawn["moments"][-1]["update"]["0"]["y"] == pytest.approx([1.0, 0.1, 0.01, 0.001])
    assert drawn["moments"][-1]["title"] == "step 2, epoch 1"
    (card,) = ask(board.url, "state", filter="mine")["cards"]
    assert "the first layer's gradient is 1e\\+03 times the last one's" in card["verdict"]
    curves = ask(board.url, "figure", view="curves", filter="mine")
    assert {trace["name"].rpartition(", ")[2]: trace["y"] for trace in curves["data"]} == {
        "train": [1.0, 1.0],
        "validation": [1.5],
    }


def test_folders_of_keras_own_callback_are_no_trainings(board: Board, tmp_path: Path) -> None:
    assert ask(board.url, "state", filter="keras")["cards"] == []
    write_as_keras(tmp_path / "alone")
    with start_board(tmp_path) as alone:
        assert eventually(lambda: "alone/train" in json.loads(urllib.request.urlopen(f"{alone.url}data/runs").read()))
        assert ask(alone.url, "state")["all"] == 0
        (tmp_path / "alone" / "gauge.json").write_text('{"format": 1, "layers": []}')
        assert ask(alone.url, "state")["all"] == 1, "a gauge that has measured no layer yet"
        assert ask(alone.url, "figure", view="curves")["data"] == [], "epochs are no steps"


def test_plain_event_files_are_shown_and_hostile_names_are_escaped(board: Board) -> None:
    drawn = ask(board.url, "figure", view="profile", quantity="gradient_norm", filter="onerror")
    assert drawn["moments"][0]["update"]["0"]["y"] == [1.0, 1.0, 1.0]
    assert HOSTILE not in json.dumps(drawn)
    assert ask(board.url, "state", filter="onerror")["cards"][0]["label"] == HOSTILE, "the page sets it as text"


def test_distributions_and_maps_hold_every_layer(board: Board, runs: list[RunRecord]) -> None:
    ridges = ask(board.url, "figure", view="distributions", quantity="weight", filter="relu seed=0")
    assert len(ridges["data"]) == 9
    drawn = ridges["moments"][-1]["update"]["3"]
    assert max(drawn["y"]) == pytest.approx(4.9)
    (stored,) = (one for one in runs[0].histograms() if one.step == STEPS[-1] and "layer_04" in one.tag)
    assert drawn["x"][1:-1] == outline(Bars(np.array(stored.edges), np.array(stored.counts)))[0].tolist()
    maps = ask(board.url, "figure", view="map", quantity=QUANTITY, filter="study=depth9")
    assert [len(trace["z"]) for trace in maps["data"]] == [9, 9]


def test_the_table_holds_every_point(board: Board, runs: list[RunRecord]) -> None:
    _, headers, content = fetch(board.url, "table.csv", quantity=QUANTITY, filter="study=depth9")
    assert headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(content.decode().splitlines()))
    run = runs[0]
    name = f"depth9/{run.slug}/seed_{run.seed}"
    steps, values = steps_and_values(run, "train", f"{QUANTITY}/layer_04")
    found = [row for row in rows if row["training"] == name and row["layer"] == "layer_04"]
    assert [int(row["step"]) for row in found] == steps
    assert [float(row["value"]) for row in found] == pytest.approx(values, rel=1e-6)


@pytest.mark.parametrize("view", ["profile", "map", "distributions", "curves", "<script>", ""])
@pytest.mark.parametrize("name", ["", "no_such_quantity", "loss", "weight", "<script>"])
def test_what_is_not_there_is_an_empty_figure(board: Board, view: str, name: str) -> None:
    drawn = ask(board.url, "figure", view=view, quantity=name, filter="no_such_run")
    assert not drawn.get("data")


def test_only_files_of_the_tab_are_served_and_plotly_comes_from_its_package(board: Board) -> None:
    status, headers, content = fetch(board.url, "plotly.min.js")
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "application/javascript")
    assert b"plotly.js" in content[:300]
    assert fetch(board.url, "index.js")[0] == fetch(board.url, "style.css")[0] == 200
    for path in ("plugin.py", "../plugin.py", "static/index.js", "%2e%2e/plugin.py"):
        assert fetch(board.url, path)[0] == 404


def test_points_that_arrive_while_the_board_runs_are_shown(tmp_path: Path) -> None:
    tags = [f"gradient_norm/{layer}/kernel" for layer in ("a", "b")]
    with start_board(tmp_path, reload_interval=1) as board:
        assert ask(board.url, "state")["all"] == 0
        replace_events(tmp_path / "live", "one", [scalars(1, dict.fromkeys(tags, 1.0), NOW)])
        assert eventually(lambda: ask(board.url, "state")["shown"] == 1)
        version = ask(board.url, "state")["version"]
        replace_events(tmp_path / "live", "two", [scalars(5, dict.fromkeys(tags, 2.0), NOW + 1)])
        assert eventually(lambda: ask(board.url, "state")["version"] != version)
        drawn = ask(board.url, "figure", view="profile", quantity="gradient_norm")
        assert [one["step"] for one in drawn["moments"]] == [1, 5]


def test_runs_of_version_0_1_are_one_training_each(tmp_path: Path) -> None:
    """Splits in folders of their own, and derived runs beside them."""
    record = make_run(tmp_path, activation="relu")
    for path in record.folder.glob("*tfevents*"):
        path.unlink()
    for run in ("train", "validation", "test", "depth/start", "../mean/train"):
        values = {f"{QUANTITY}/{layer}": 1.0 for layer in ("layer_01", "layer_02")} if run == "train" else {"loss": 2.0}
        replace_events(record.folder / run, "test", [scalars(1, values, NOW)])
    with start_board(tmp_path) as board:
        assert eventually(lambda: ask(board.url, "state")["all"] == 1)
        splits = {one["name"] for one in ask(board.url, "figure", view="curves")["data"]}
        assert {name.rpartition(", ")[2] for name in splits} == {"validation", "test"}
        assert ask(board.url, "figure", quantity=QUANTITY)["moments"][0]["update"]["0"]["y"] == [1.0, 1.0]


def test_the_tab_is_in_the_language_that_was_asked_for(runs: list[RunRecord]) -> None:
    with start_board(runs[0].folder.parents[2], language="ko") as board:
        assert eventually(lambda: ask(board.url, "state")["shown"] == 6)
        state = ask(board.url, "state", filter="study=depth9")
        cards = {card["label"]: card["verdict"] for card in state["cards"]}
        assert "소실" in cards["sigmoid"]
        assert "먼저 해 볼 것" in cards["sigmoid"]
        assert "정상" in cards["relu"]
        assert dict(state["quantities"])[QUANTITY] == "기울기의 크기 |dL/dz|"
        drawn = ask(board.url, "figure", view="profile", quantity=QUANTITY)
        assert drawn["layout"]["xaxis"]["title"]["text"] == "층 (1이 입력 쪽)"
        assert drawn["moments"][0]["title"] == "0스텝, 학습 전"


def test_the_split_of_a_tag() -> None:
    assert split_of("loss/test") == ("test", "loss")
    assert split_of("accuracy/validation") == ("validation", "accuracy")
    assert split_of("gradient_norm/test/kernel") == ("train", "gradient_norm/test/kernel")
    assert split_of("activation_std/test") == ("train", "activation_std/test"), "a layer of that name"


def test_the_start_of_tensorboard_imports_nothing_heavy() -> None:
    heavy = {"plotly", "tensorflow", "matplotlib", "scipy", "mnist_depth.figures", "mnist_depth.records"}
    assert imported("import mnist_depth.tensorboard_plugin.plugin", heavy) == set()
