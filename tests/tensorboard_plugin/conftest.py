"""A logdir with runs of a study, a gauge's folder and hostile names, and a real TensorBoard on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_depth.board.server import Board, start_board
from mnist_depth.records import RunRecord
from mnist_depth.summaries.events import replace_events, scalars
from mnist_depth.summaries.write import write_run, write_study

from ..board.boards import eventually
from ..summaries.fabricated import NOW, make_run
from .asking import ask

HOSTILE = "<img src=x onerror=document.title='owned'>"
GAUGE_LAYERS = ("stem", "block/conv", "a_norm", "head")
"""Not in the order of the alphabet."""


def make_gauge(
    folder: Path, layers: tuple[str, ...] = GAUGE_LAYERS, *, factor: float = 0.1, created: str = "2026-01-01"
) -> None:
    """What a `DepthGauge` leaves: event files, the same points as JSON lines, and `gauge.json`.

    The gradient changes by `factor` from layer to layer.
    """
    points = {f"probe_gradient_norm/{layer}/kernel": factor**place for place, layer in enumerate(layers)}
    replace_events(folder / "train", "test", [scalars(step, {**points, "loss": 1.0}, NOW) for step in (1, 2)])
    replace_events(folder / "validation", "test", [scalars(2, {"loss": 1.5}, NOW)])
    about = {"format": 1, "identity": "00", "created": created, "model": "net", "optimizer": "Adam"}
    about |= {"learning_rate": 0.001, "loss": "mse", "steps_per_epoch": 2, "environment": {}}
    about["layers"] = [{"name": layer, "class": "Conv2D", "parameters": 1} for layer in layers]
    (folder / "gauge.json").write_text(json.dumps(about))
    line = {"run": "train", "step": 1, "wall_time": NOW, "scalars": points}
    (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")


def write_as_keras(folder: Path) -> None:
    """What Keras' own TensorBoard callback leaves: its steps are epochs."""
    for split in ("train", "validation"):
        points = [scalars(epoch, {"epoch_loss": 1.0, "epoch_accuracy": 0.5}, NOW) for epoch in (0, 1)]
        replace_events(folder / split, "v2", points)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunRecord]:
    """Two seeds of ReLU and of sigmoid; beside them a gauge, Keras' own callback, a hostile name."""
    logdir = tmp_path_factory.mktemp("depth_tab")
    found = [make_run(logdir, activation=name, seed=seed) for name in ("relu", "sigmoid") for seed in (0, 1)]
    for record in found:
        write_run(record)
    write_study(logdir / "depth9")
    make_gauge(logdir / "mine")
    write_as_keras(logdir / "keras")
    plain = {f"gradient_norm/{layer}/kernel": 1.0 for layer in ("one", "two", HOSTILE)}
    replace_events(logdir / HOSTILE, "test", [scalars(1, plain, NOW)])
    return found


@pytest.fixture(scope="session")
def board(runs: list[RunRecord]) -> Iterator[Board]:
    with start_board(runs[0].folder.parents[2]) as served:
        assert eventually(lambda: ask(served.url, "state")["all"] == 6)
        yield served
