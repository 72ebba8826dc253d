"""TensorBoard started from Python, without a board around it, answers with the same numbers."""

from __future__ import annotations

from typing import Any

import pytest
from tensorboard import default, program

from mnist_depth.board.server import Board
from mnist_depth.records import RunRecord

from ..board.boards import eventually
from .asking import ask, fetch
from .test_routes import QUANTITY


@pytest.fixture(scope="module")
def plain(runs: list[RunRecord]) -> str:
    """Address of a TensorBoard that a thread of this process serves, with the plugins that it finds by itself."""
    tensorboard: Any = program.TensorBoard(default.get_plugins())
    logdir = str(runs[0].folder.parents[2])
    tensorboard.configure(argv=["tensorboard", "--logdir", logdir, "--port", "0", "--load_fast", "false"])
    url = tensorboard.launch()
    assert eventually(lambda: ask(url, "state")["all"] == 6)
    return url


@pytest.mark.parametrize("words", ["study=depth9", "mine", "onerror", "-sigmoid", "no_such_run"])
def test_the_state_is_that_of_a_board(plain: str, board: Board, words: str) -> None:
    answers = [ask(url, "state", filter=words) for url in (plain, board.url)]
    for answer in answers:
        del answer["version"]  # counts the reloads of the server that answers
    assert answers[0] == answers[1]


@pytest.mark.parametrize("view", ["profile", "map", "distributions", "curves"])
def test_every_figure_is_that_of_a_board(plain: str, board: Board, view: str) -> None:
    quantity = "weight" if view == "distributions" else QUANTITY
    drawn, expected = (ask(url, "figure", view=view, quantity=quantity, filter="seed=0") for url in (plain, board.url))
    assert drawn["data"]
    assert drawn == expected


def test_the_table_is_that_of_a_board(plain: str, board: Board) -> None:
    content, expected = (fetch(url, "table.csv", quantity=QUANTITY)[2] for url in (plain, board.url))
    assert content.splitlines()[0] == expected.splitlines()[0]
    assert sorted(content.splitlines()) == sorted(expected.splitlines())


def test_files_of_the_page_are_served_and_no_others(plain: str) -> None:
    assert fetch(plain, "index.js")[0] == fetch(plain, "plotly.min.js")[0] == 200
    assert fetch(plain, "data.py")[0] == 404
