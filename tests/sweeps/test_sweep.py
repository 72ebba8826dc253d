"""Sweeps: every run trained to its end exactly once, whatever is killed, here and on other engines."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.runtime import signals
from mnist_depth.sweeps import sweep, worker
from mnist_depth.sweeps.backends import backend
from tests.outcomes import outcome_of

pytestmark = pytest.mark.slow

GATES = [
    RunConfig(dataset="xor", depth=2, width=2, epochs=400, optimizer="sgd", seed=seed, activation=activation)
    for seed in (0, 1)
    for activation in ("sigmoid", "tanh")
]


def _options(logdir: Path, **changes: Any) -> sweep.Options:
    return sweep.Options(logdir=logdir, study="gates", instruments="light", **changes)


def _outcomes(logdir: Path, configs: list[RunConfig]) -> dict[str, Any]:
    folders = [records.run_folder(logdir, "gates", config) for config in configs]
    return {f"{folder.parent.name}/{folder.name}": outcome_of(folder) for folder in folders}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The four runs, trained in peace."""
    logdir = tmp_path_factory.mktemp("undisturbed")
    result = sweep.run(GATES, _options(logdir, workers=2))
    assert result.complete
    return _outcomes(logdir, GATES)


def test_longest_first_and_unknown_engine_is_one_line(tmp_path: Path) -> None:
    short, long = RunConfig(epochs=1), RunConfig(epochs=9)
    assert sweep._longest_first([short, long]) == [long, short]
    with pytest.raises(UserError, match="valid: local, ray, dask"):
        sweep.run(GATES, _options(tmp_path, engine="slurm"))


def test_a_finished_run_is_not_trained_again(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    assert sweep.run(GATES[:1], _options(tmp_path)).complete
    folder = records.run_folder(tmp_path, "gates", GATES[0])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert sweep.run(GATES[:1], _options(tmp_path)).complete
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert outcome_of(folder) == undisturbed[f"{folder.parent.name}/{folder.name}"]


def test_a_different_run_in_the_folder_is_refused_before_anything_starts(tmp_path: Path) -> None:
    folder = records.run_folder(tmp_path, "gates", GATES[0])
    folder.mkdir(parents=True)
    other = {"format": records.FORMAT, "config": replace(GATES[0], width=3).to_dict()}
    (folder / records.CONFIG).write_text(json.dumps(other))
    with pytest.raises(UserError, match="width 3 there, width 2 here"):
        sweep.run(GATES, _options(tmp_path))
    assert [path.name for path in (tmp_path / "gates").iterdir()] == [folder.parent.name]


def test_a_run_that_fails_is_listed_and_the_others_go_on(tmp_path: Path) -> None:
    broken = records.run_folder(tmp_path, "gates", GATES[0])
    (broken / "train").mkdir(parents=True)
    (broken / "checkpoint").mkdir()
    (broken / "checkpoint" / "state.npz").write_bytes(b"not a checkpoint")
    record = {"format": records.FORMAT, "config": GATES[0].to_dict()}
    from mnist_depth.datasets import load

    record["dataset"] = load("xor").describe()
    (broken / records.CONFIG).write_text(json.dumps(record))
    result = sweep.run(GATES[:2], _options(tmp_path))
    assert [outcome.status for outcome in result.outcomes] == ["failed", "finished"]
    assert "state.npz is damaged" in str(result.outcomes[0].error)
    assert not result.complete


def test_a_run_alone_and_in_a_sweep_of_four_is_the_same_bit_for_bit(tmp_path: Path, tiny: RunConfig) -> None:
    configs = [replace(tiny, seed=seed, width=64) for seed in range(4)]
    assert sweep.run(configs, _options(tmp_path / "four", workers=2)).complete
    for name in ("alone", "again"):
        assert sweep.run(configs[3:], _options(tmp_path / name, workers=2)).complete
    folders = [records.run_folder(tmp_path / name, "gates", configs[3]) for name in ("four", "alone", "again")]
    four, alone, again = (outcome_of(folder) for folder in folders)
    assert four == alone == again


def test_runs_for_which_the_disk_has_no_room_are_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(UserError, match=r"4 runs need about \d+ MB .* has 1 MB left"):
        sweep.run(GATES, _options(tmp_path))
    assert not any(tmp_path.iterdir())


COMMAND = """
import sys
from pathlib import Path
from mnist_depth.sweeps import sweep
sys.path.insert(0, sys.argv[2])
from tests.sweeps.test_sweep import GATES, _options
result = sweep.run(GATES, _options(Path(sys.argv[1]), workers=2))
print([outcome.status for outcome in result.outcomes])
sys.exit(not result.complete)
"""


def _start(logdir: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COMMAND, str(logdir), str(Path(__file__).parents[2])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def _children(process: int) -> list[int]:
    """Processes below `process`, read from /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found, frontier = [], [process]
    while frontier:
        below = [child for child, parent in parents.items() if parent in frontier]
        found += below
        frontier = below
    return found


def _training(logdir: Path) -> bool:
    return any(logdir.rglob(records.METRICS))


def _wait_for(condition: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with _start(tmp_path) as process:
        yield process
        if process.poll() is None:
            process.kill()


def test_a_killed_worker_costs_a_retry_and_nothing_else(
    tmp_path: Path, running: subprocess.Popen[str], undisturbed: dict[str, Any]
) -> None:
    _wait_for(lambda: _training(tmp_path))
    victims = [child for child in _children(running.pid) if "popen_loky" in Path(f"/proc/{child}/cmdline").read_text()]
    os.kill(random.Random(0).choice(victims), signal.SIGKILL)
    assert running.wait(240) == 0
    assert _outcomes(tmp_path, GATES) == undisturbed


def _anyone_in_group(group: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, text=True).stdout
    return any(state[0] != "Z" for state in listed.split())


def test_a_killed_parent_leaves_no_worker_and_runs_that_resume(
    tmp_path: Path, running: subprocess.Popen[str], undisturbed: dict[str, Any]
) -> None:
    _wait_for(lambda: _training(tmp_path))
    assert _anyone_in_group(running.pid)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    _wait_for(lambda: not _anyone_in_group(running.pid))
    with _start(tmp_path) as second:
        assert second.wait(240) == 0
    assert _outcomes(tmp_path, GATES) == undisturbed


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    tmp_path: Path, running: subprocess.Popen[str], undisturbed: dict[str, Any]
) -> None:
    _wait_for(lambda: _training(tmp_path))
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 1
    assert "stopped" in out
    text = "stopping; every run writes what it has, which takes some seconds (Ctrl-C again stops at once)"
    assert err == f"mnist_depth: {text}\n"
    with _start(tmp_path) as second:
        assert second.wait(240) == 0
    assert _outcomes(tmp_path, GATES) == undisturbed


def _blocked_signals(_: object) -> set[int]:
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_workers_never_see_a_request_to_stop() -> None:
    """Ctrl-C in a terminal reaches every process of the command, also one that is just starting."""
    with backend("local", 1) as call:
        (blocked,) = call(_blocked_signals, [None]).results
    assert blocked >= {*signals.REQUESTS}


def test_what_waits_when_a_stop_is_asked_for_never_begins(tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    stop.touch()
    folder = tmp_path / "run"
    task = worker.Task(GATES[0], folder, _options(tmp_path), 1, stop, os.getpid(), "")
    assert worker.work(task) == worker.Outcome(folder, "stopped")
    assert not folder.exists()


def test_two_sweeps_over_one_folder_train_no_run_twice(
    tmp_path: Path, running: subprocess.Popen[str], undisturbed: dict[str, Any]
) -> None:
    with _start(tmp_path) as second:
        assert running.wait(240) == 0
        assert second.wait(240) == 0
    assert _outcomes(tmp_path, GATES) == undisturbed


@pytest.mark.parametrize("engine", ["ray", "dask"])
def test_other_engines_leave_the_same_folders(engine: str, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    pytest.importorskip({"ray": "ray", "dask": "distributed"}[engine])
    assert sweep.run(GATES, _options(tmp_path, engine=engine, workers=2)).complete
    assert _outcomes(tmp_path, GATES) == undisturbed


def _die(task: worker.Task) -> worker.Outcome:
    """Replaces `work`: simulates a crash or lack of memory before the run begins."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_workers_that_die_before_they_begin_are_one_line_per_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "work", _die)
    result = sweep.run(GATES[:2], _options(tmp_path, workers=2))
    assert [outcome.status for outcome in result.outcomes] == ["failed", "failed"]
    assert {str(outcome.error) for outcome in result.outcomes} == {"its worker did not start: it was killed (SIGKILL)"}


def test_a_logdir_that_is_gone_is_named_and_not_made_again(tmp_path: Path) -> None:
    logdir = tmp_path / "gone"
    task = worker.Task(GATES[0], logdir / "run", _options(logdir), 1, logdir / "stop", os.getpid(), "")
    assert str(worker.work(task).error) == f"{logdir} was moved or removed while its runs were trained"
    assert not logdir.exists()


def test_a_stop_while_a_worker_imports_ends_the_run_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter([False, True])
    monkeypatch.setattr(worker, "_stopping", lambda task: next(said))
    task = worker.Task(GATES[0], tmp_path / "run", _options(tmp_path), 1, tmp_path / "stop", os.getpid(), "")
    assert worker.work(task) == worker.Outcome(tmp_path / "run", "stopped")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("moment", ["while it is compiled", "before its checkpoint"])
def test_a_run_folder_that_goes_is_named_and_not_made_again(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_depth.training import run
    from mnist_depth.training.checkpoint import Checkpoint

    logdir = tmp_path / "logs"
    owner, name = (run, "compiled_model") if moment == "while it is compiled" else (Checkpoint, "save")
    original = getattr(owner, name)

    def removing(*arguments: Any) -> Any:
        shutil.rmtree(logdir, ignore_errors=True)
        return original(*arguments)

    monkeypatch.setattr(owner, name, removing)
    task = worker.Task(GATES[0], logdir / "run", _options(logdir), 1, logdir / "stop", os.getpid(), "")
    logdir.mkdir()
    assert str(worker.work(task).error) == f"{logdir / 'run'} was moved or removed while it was trained"
    assert not logdir.exists()
