"""The page about a folder of runs that a study writes at its end."""

from __future__ import annotations

from pathlib import Path

from mnist_depth.cli.pages import write_page
from mnist_depth.config import RunConfig
from tests.results.fabricated_runs import headline, write_run


def test_the_page_of_a_study_covers_runs_with_other_flags_and_keeps_its_answer(tmp_path: Path) -> None:
    folder = headline(tmp_path, seeds=(0,))
    write_run(tmp_path, RunConfig(depth=9, activation="relu", initializer="normal_1"), gain=10.0)
    page, count = write_page(folder)
    text = page.read_text(encoding="utf-8")
    answer = next(line for line in text.splitlines() if 'class="answer"' in line)
    assert count == 3
    assert "ReLU lets the gradient reach layer 1" in answer
    assert "normal_1" in text
