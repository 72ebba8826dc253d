"""One report of the headline study for all tests that read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_depth.results.overview import Story
from mnist_depth.results.report import write_report

from .fabricated_runs import headline

STORY = Story(
    name="depth9",
    question="Why does <it> not learn?",
    answer="Because of slopes.",
    why="Slopes multiply.",
    answers=[("sigmoid stays at chance", "reproduced", "loss 2.30"), ("a & b", "not tested", "no run")],
)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return headline(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def written(root: Path) -> Path:
    return write_report(root, story=STORY)


@pytest.fixture(scope="session")
def text(written: Path) -> str:
    return written.read_text(encoding="utf-8")
