"""What a person sees: boards opened in a headless Chromium."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_depth.board.remote import open_remote
from mnist_depth.board.server import start_board
from mnist_depth.summaries.write import write_run, write_study
from scripts import screenshots

from ..browser import Browser, open_browser, reason_to_skip
from ..summaries.fabricated import make_run
from .boards import RUN

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(reason_to_skip() is not None, reason=reason_to_skip() or ""),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as window:
        yield window


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a board with two runs of nine layers."""
    logdir = tmp_path_factory.mktemp("browser")
    for activation in ("relu", "sigmoid"):
        write_run(make_run(logdir, activation=activation))
    write_study(logdir / "depth9")
    with start_board(logdir) as served:
        screenshots.training_run(served, "sigmoid")
        yield served.url


RUN_SHOWN = "depth9/sigmoid-digits-e20/seed_0"


@pytest.mark.ssh
def test_a_remote_board_opens_through_the_tunnel(logdir: Path, ssh_config: Path, browser: Browser) -> None:
    with open_remote(f"there:{logdir}", python=sys.executable, ssh_config=ssh_config) as board:
        browser.open(f"{board.url}#timeseries")
        browser.wait_for("runs-data-table", RUN)
        browser.wait_for("scalar-card", "loss")
        assert browser.driver.title == f"there:{logdir}"
    assert browser.console_errors() == []


def test_time_series_overlays_the_runs_with_one_tag_pinned(board: str, browser: Browser) -> None:
    screenshots.time_series(browser, board, RUN_SHOWN)
    (pinned,) = browser.wait_for("metrics-pinned-view scalar-card", "accuracy")
    table = browser.wait(lambda: [row for row in browser.inside(pinned, "tb-data-table-content-row") if row.text])
    assert {activation for row in table for activation in ("relu", "sigmoid") if activation in row.text} == {
        "relu",
        "sigmoid",
    }
    assert browser.console_errors() == []


def test_the_graph_has_a_box_per_layer_and_one_opens(board: str, browser: Browser) -> None:
    screenshots.graph(browser, board, RUN_SHOWN)
    layers = {f"layer_{number:02d}" for number in range(1, 10)}
    inside = {f"layer_03/{part}" for part in ("kernel", "bias", "MatMul", "BiasAdd", "Activation")}
    browser.wait(lambda: names(browser) >= inside, "layer_03 to open")
    assert names(browser) == layers | inside | {"pixels"}


def names(browser: Browser) -> set[str]:
    """The nodes that the graph tab has drawn, those outside the window included, without the ends of its edges."""
    found = {node.get_attribute("data-name") for node in browser.everything("g.node")}
    return {name for name in found if name and "~~" not in name}


def test_hparams_lists_both_configurations(board: str, browser: Browser) -> None:
    screenshots.hparams_parallel(browser, board, RUN_SHOWN)
    assert len(browser.find_all("svg g.axis")) >= 6
    assert browser.console_errors() == []
