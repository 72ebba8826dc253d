"""What a command prints about the runs that it trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnist_depth.cli import flags
from mnist_depth.cli.session import Session
from mnist_depth.config import RunConfig
from mnist_depth.records import find_runs
from tests.results.fabricated_runs import write_run


@pytest.mark.parametrize(("count", "last"), [(5, ""), (6, "and 1 more run in"), (8, "and 3 more runs in")])
def test_a_list_of_some_runs_counts_the_others(
    count: int, last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(count):
        write_run(tmp_path, RunConfig(seed=seed), study="train")
    monkeypatch.setattr(Session, "_write_board_pages", lambda _: None)
    values, _words = flags.parse(["mnist_depth", "train", f"--logdir={tmp_path}", "--language=en"])
    Session("train", values).list_runs(find_runs(tmp_path), 5)
    lines = capsys.readouterr().out.splitlines()
    assert sum(": finished, " in line for line in lines) == 5
    assert [line for line in lines if "more run" in line] == ([f"{last} {tmp_path / 'train'}"] if last else [])
