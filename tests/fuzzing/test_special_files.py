"""Pipes, devices, bombs and links in a logdir: named in one line, passed over, and never waited for."""

from __future__ import annotations

import io
import os
import re
import signal
import types
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnist_depth
from mnist_depth import files, records
from mnist_depth.board.server import serve
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.files import check_archive, open_regular
from mnist_depth.sweeps import sweep

from ..results.fabricated_runs import write_run
from .hostile import call

pytestmark = pytest.mark.slow

CONFIG = RunConfig(dataset="xor", depth=2, width=4, epochs=3)
LINE = ("train", "--dataset=xor", "--depth=2", "--width=4", "--epochs=3", "--quiet")
SECONDS = 60


@pytest.fixture(autouse=True)
def _limited() -> Iterator[None]:
    """Fail a test that waits for something that never comes."""

    def fail(number: int, frame: types.FrameType | None) -> None:
        raise TimeoutError("waits for ever")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def replace_by(kind: str, path: Path) -> None:
    """Put what is no regular file, or an endless one, in the place of a file."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 1 << 40)


@pytest.mark.parametrize("kind", ["pipe", "device", "endless"])
@pytest.mark.parametrize("name", [records.CONFIG, records.DONE, records.METRICS, records.HISTOGRAMS])
def test_a_file_that_cannot_be_read_whole_is_named(
    kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path, CONFIG, study="train")
    replace_by(kind, folder / name)
    monkeypatch.setattr(sweep, "_train_all", lambda *_: [])
    for line in (["report", str(tmp_path)], ["diagnose", str(folder)], [*LINE, f"--logdir={tmp_path}"]):
        ended = call(*line)
        assert ended.code in (0, 2)
        assert ended.err.count("\n") <= 1
    if name in (records.CONFIG, records.METRICS):
        assert str(folder / name) in call("diagnose", str(folder)).err


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_lock_that_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    replace_by(kind, tmp_path / records.LOCK)
    assert records.owner_of(tmp_path) == ""
    with pytest.raises(UserError, match=r"\.lock is (a link|not a regular file)"), records.claim(tmp_path):
        pass


def test_an_unfinished_run_with_a_pipe_among_its_files_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path, CONFIG, status=None)
    os.mkfifo(folder / "events.out.tfevents.1.x")
    with pytest.raises(UserError, match=r"tfevents\.1\.x is not a regular file"):
        records.state(folder, CONFIG)


def test_regular_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"four")
    with open_regular(tmp_path / "file", 4) as file:
        assert file.read() == b"four"
    with pytest.raises(UserError, match="more than the"):
        open_regular(tmp_path / "file", 3)
    with pytest.raises(UserError, match="not a regular file"):
        open_regular(tmp_path, 4)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "nowhere", 4)


@pytest.mark.parametrize("name", ["batch.npz", "model.keras"])
def test_a_bomb_is_refused_before_it_is_unpacked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = io.BytesIO()
    np.save(array, np.zeros(1 << 20, np.uint8))
    (tmp_path / "model.keras").touch()
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as bomb:
        for number in range(100):
            bomb.writestr(f"{number}.npy", array.getvalue())
    np.savez(tmp_path / "fine.npz", x=np.zeros((4, 2)), y=np.zeros(4))
    monkeypatch.setattr("mnist_depth.model_diagnosis.files.available_memory", lambda: 50e6)
    data = tmp_path / (name if name == "batch.npz" else "fine.npz")
    ended = call("diagnose", str(tmp_path / "model.keras"), f"--data={data}")
    assert ended.code == 2
    assert f"{tmp_path / name} unpacks to 0.1 GB" in ended.err
    check_archive(tmp_path / name, 200e6)


def test_a_report_folder_that_leads_out_is_not_written_through(tmp_path: Path) -> None:
    write_run(tmp_path / "logs", CONFIG)
    (tmp_path / "outside").mkdir()
    (tmp_path / "logs" / "report").symlink_to(tmp_path / "outside")
    ended = call("report", str(tmp_path / "logs"))
    assert ended.code == 2
    assert "leads elsewhere through a link" in ended.err
    assert [*(tmp_path / "outside").iterdir()] == []


LINES = {
    "train --dataset=xor --logdir=gs://bucket/logs": "--logdir",
    "train --dataset=xor --data_dir=gs://bucket/data": "--data_dir",
    "search --dataset=digits --logdir=hdfs://logs --trials=1": "--logdir",
    "study xor2 --logdir=foo://logs --dry_run": "--logdir",
    "board --logdir=s3://bucket/logs": "--logdir",
    "report gs://bucket/logs": "report",
    "report logs --out=gs://bucket/page.html": "--out",
    "diagnose s3://bucket/model.keras --data=batch.npz": "diagnose",
    "diagnose model.keras --data=gs://bucket/batch.npz": "--data",
    "diagnose model.keras --data=batch.npz --repair=gs://bucket/repaired.keras": "--repair",
}


@pytest.mark.parametrize("line", LINES)
def test_addresses_are_no_paths_of_the_command_line(line: str) -> None:
    ended = call(*line.split())
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch(
        rf"mnist_depth: {LINES[line]} takes a path of this machine, not the address \S+; mount it\n", ended.err
    )


def test_a_cloud_address_names_no_host() -> None:
    ended = call("board", "--remote=gs://bucket/logs")
    assert ended.code == 2
    assert "give user@host:/path/to/logs" in ended.err


@pytest.mark.parametrize("address", ["gs://bucket/logs", Path("gs://bucket/logs")])
def test_addresses_are_no_paths_of_functions(
    address: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    functions: list[Callable[[], Any]] = [
        lambda: mnist_depth.train(dataset="xor", logdir=address),
        lambda: mnist_depth.train_many([CONFIG], logdir=address),
        lambda: mnist_depth.runs(address),
        lambda: mnist_depth.write_report(address),
        lambda: mnist_depth.write_report(tmp_path, address),
        lambda: mnist_depth.figures.curves(address),
        lambda: serve(address),
    ]
    for function in functions:
        with pytest.raises(UserError, match="takes a path of this machine, not the address gs:/"):
            function()
    assert [*tmp_path.iterdir()] == []


def test_choices_are_counted_before_they_are_combined() -> None:
    many = ",".join(map(str, range(1, 1_001)))
    ended = call("train", "--dataset=xor", f"--choose=width={many};epochs={many};batch_size={many}", "--dry_run")
    assert ended.code == 2
    assert "1,000,000,000 combinations" in ended.err


def test_a_file_system_without_locks_lets_work_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(files.errno.ENOLCK, "No locks available")

    assert files.locks_missing(tmp_path) == ""
    monkeypatch.setattr(files.fcntl, "flock", flock)
    assert files.locks_missing(tmp_path) == "No locks available"
    with records.claim(tmp_path, "owner"):
        assert records.owner_of(tmp_path) == "owner"
    assert [path.name for path in tmp_path.iterdir()] == [records.LOCK]
