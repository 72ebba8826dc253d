"""Progress of runs, read from the current content of their folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mnist_depth import records
from mnist_depth.cli import progress


def begin(folder: Path, epochs: int = 10) -> Path:
    """A run of ten updates per epoch that has just begun."""
    folder.mkdir(parents=True)
    config = {"batch_size": 100, "epochs": epochs}
    (folder / records.CONFIG).write_text(json.dumps({"config": config, "dataset": {"sizes": {"train": 1_000}}}))
    return folder


def go_on(folder: Path, run: str, step: int, **scalars: float) -> None:
    """One more line of measurements."""
    with (folder / records.METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"run": run, "step": step, "scalars": scalars}) + "\n")


def test_a_run_that_has_not_begun_is_nowhere(tmp_path: Path) -> None:
    assert progress.read(tmp_path) is None
    assert progress.read(begin(tmp_path / "run")) == progress.Progress(0, 10, {})


def test_the_epoch_follows_from_the_last_step_and_scores_are_the_last(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run")
    for step in (10, 25):
        go_on(folder, "train", step, loss=3.0 / step, accuracy=0.1)
        go_on(folder, "test", step, loss=1.0, accuracy=step / 100)
    found = progress.read(folder)
    assert found is not None
    assert found.epoch == 2.5
    assert progress.scores_text(found.scores) == "train loss 0.1200  test 25.00%"


def test_a_line_that_is_being_written_is_passed_over(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run")
    go_on(folder, "train", 10, loss=1.0, accuracy=0.1)
    with (folder / records.METRICS).open("a", encoding="utf-8") as file:
        file.write('{"run": "train", "step": 20, "sca')
    found = progress.read(folder)
    assert found is not None
    assert found.epoch == 1


def test_of_a_long_file_only_the_end_is_read(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run", epochs=1_000)
    for step in range(1, 3_001):
        go_on(folder, "train", step, minibatch_loss=1.0)
    found = progress.read(folder)
    assert found is not None
    assert found.epoch == 300


def test_an_epoch_that_is_scored_late_is_no_more_than_planned(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run", epochs=2)
    go_on(folder, "train", 99, loss=1.0, accuracy=0.1)
    found = progress.read(folder)
    assert found is not None
    assert found.epoch == 2


def test_names_are_what_tells_runs_apart() -> None:
    folders = [Path(f"mnist-d09-{name}-sgd0.1/seed_{seed}") for name in ("relu", "tanh") for seed in (0, 1)]
    assert [*progress.short_names(folders).values()] == ["relu-seed_0", "relu-seed_1", "tanh-seed_0", "tanh-seed_1"]
    assert progress.short_names(folders[:1]) == {folders[0]: "mnist-d09-relu-sgd0.1"}


@pytest.mark.parametrize("terminal", [True, False])
def test_every_run_prints_when_it_begins_and_ends(
    tmp_path: Path, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    folders = [tmp_path / f"digits-{name}" / "seed_0" for name in ("relu", "tanh")]
    with progress.watch(folders):
        for folder in folders:
            begin(folder)
            go_on(folder, "train", 100, loss=0.5, accuracy=0.9)
            go_on(folder, "test", 100, loss=0.5, accuracy=0.9)
        (folders[0] / records.DONE).write_text("{}")
    output = capsys.readouterr().out
    if terminal:
        assert "1/2 finished" in output
        assert "10/10  train loss 0.5000" in output
    else:
        lines = output.splitlines()
        assert {*lines} == {
            "started   digits-relu/seed_0",
            "started   digits-tanh/seed_0",
            "finished  digits-relu/seed_0  train loss 0.5000  test 90.00%  [1/2]",
        }
        assert len(lines) == 3


def test_a_run_that_resumes_says_from_which_epoch_and_one_that_waits_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    folders = [begin(tmp_path / f"digits-{name}" / "seed_0", epochs=50) for name in ("relu", "tanh")]
    for folder in folders:
        go_on(folder, "train", 70, loss=0.5, accuracy=0.9)
    epoch = progress.read(folders[0])
    assert epoch is not None
    with progress.watch(folders):
        go_on(folders[0], "train", 100, loss=0.4, accuracy=0.9)
    assert capsys.readouterr().out == f"resumed   digits-relu/seed_0  at epoch {int(epoch.epoch)} of 50\n"


def test_a_run_that_has_begun_and_has_no_step_yet_is_compiling(tmp_path: Path) -> None:
    bars = progress._Bars([begin(tmp_path / "digits-relu" / "seed_0")])
    bars.look()
    assert [task.fields["text"] for task in bars.rich.tasks] == ["compiling the networks", "compiling"]


def test_a_notebook_shows_the_bars_in_one_cell_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a kernel of its own, as a notebook runs: the last output is the finished bar, not one output per look."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    run = begin(tmp_path / "digits-relu" / "seed_0")
    go_on(run, "train", 100, loss=0.5, accuracy=0.9)
    go_on(run, "test", 100, loss=0.5, accuracy=0.9)
    (run / records.DONE).write_text("{}")
    imports = "from pathlib import Path\nfrom mnist_depth.cli import progress\n"
    code = f"{imports}with progress.watch([Path({str(run)!r})]): pass"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    (output,) = book.cells[0].outputs
    assert "1/1 finished" in output.data["text/html"]
    assert "10/10  train loss 0.5000" in output.data["text/html"]


def test_the_watch_ends_with_its_block_also_after_an_error(tmp_path: Path) -> None:
    import threading

    before: set[Any] = {*threading.enumerate()}
    with pytest.raises(RuntimeError), progress.watch([tmp_path]):
        raise RuntimeError
    assert {*threading.enumerate()} == before
