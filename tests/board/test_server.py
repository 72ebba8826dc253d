from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.board import server
from mnist_depth.board.server import Board, serve, start_board
from mnist_depth.errors import UserError

from .boards import RUN, eventually, processes_on, started

pytestmark = pytest.mark.slow


def get(board: Board, path: str) -> Any:
    with urllib.request.urlopen(board.url + path, timeout=30) as answer:
        return json.load(answer)


def listens_on(port: int) -> set[str]:
    """The addresses, in the kernel's hexadecimal, on which this machine listens at `port`."""
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    local = [words[1].split(":") for words in lines[1:] if words[3] == "0A"]
    return {address for address, number in local if int(number, 16) == port}


def test_two_boards_get_two_ports_and_each_shows_its_own_runs(logdir: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with start_board(logdir) as first, start_board(tmp_path / "other") as second:
        assert first.port != second.port
        assert eventually(lambda: get(first, "data/runs") == [RUN])
        assert get(second, "data/runs") == []
        assert listens_on(first.port) == {"0100007F"}  # 127.0.0.1 and nothing else
        environment = get(first, "data/environment")
        assert environment["data_location"] == str(logdir)
        assert environment["debug"]["flags"]["samples_per_plugin"]["histograms"] == 1000
    assert processes_on(tmp_path) == []


def test_a_taken_port_is_passed_over(logdir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with start_board(logdir, port) as board:
            assert port < board.port < port + 100


def test_the_board_does_not_load_tensorflow(logdir: Path) -> None:
    with start_board(logdir) as board:
        maps = Path(f"/proc/{board.child.process.pid}/maps").read_text()
    assert "tensorboard" in maps or "grpc" in maps
    assert "libtensorflow" not in maps


def test_the_file_server_is_not_asked_through_a_proxy(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with start_board(logdir) as board:
        assert board.port


@contextmanager
def command(logdir: Path, *, detached: bool = True) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`serve` in a process of its own, and the first three lines that it prints."""
    code = "import sys; from mnist_depth.board.server import serve; serve(sys.argv[1])"
    with started([sys.executable, "-c", code, str(logdir)], detached=detached) as process:
        assert process.stdout is not None
        yield process, [process.stdout.readline() for _ in range(3)]


def test_it_prints_the_address_and_the_ssh_line(logdir: Path) -> None:
    with command(logdir) as (_, lines):
        url, _, tab = lines[0].split()[-1].partition("#")
        assert tab == "depth"
        port = url.rstrip("/").rpartition(":")[2]
        assert url == f"http://127.0.0.1:{port}/"
        assert f"ssh -N -L {port}:127.0.0.1:{port} " in lines[1]
        with urllib.request.urlopen(url + "data/runs", timeout=30) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_nothing_is_left_behind(logdir: Path, number: signal.Signals, status: int) -> None:
    with command(logdir) as (process, _):
        assert len(processes_on(logdir)) == 3  # the command, TensorBoard, its data server
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == status
        assert errors == ""
    assert eventually(lambda: processes_on(logdir) == [])


def test_a_board_that_dies_ends_the_command_in_one_line(logdir: Path) -> None:
    with command(logdir) as (process, _):
        for pid in processes_on(logdir):
            if pid != process.pid:
                os.kill(pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert "UserError: TensorBoard ended by itself (exit status -9)" in errors


def test_bind_all_needs_the_acknowledgment(logdir: Path) -> None:
    with pytest.raises(UserError, match="--i_know_this_board_has_no_password"):
        serve(logdir, bind_all=True)


def test_bind_all_acknowledged(logdir: Path) -> None:
    with start_board(logdir, bind_all=True, acknowledged=True) as board:
        assert listens_on(board.port) & {"0" * 8, "0" * 32}


def test_a_missing_logdir_ends_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ChildProcess", None)
    with pytest.raises(UserError, match="there is no folder"):
        serve(tmp_path / "nowhere")


def test_an_empty_logdir_is_served_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with start_board(tmp_path):
        assert capsys.readouterr().err.startswith(f"Warning: no event files below {tmp_path} yet; ")


@pytest.mark.parametrize("port", [-1, 65536])
def test_impossible_ports_are_refused(logdir: Path, port: int) -> None:
    with pytest.raises(UserError, match="is not between 0 and 65535"):
        serve(logdir, port)


def test_a_board_that_cannot_start_gives_its_reason(logdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "launcher_input", lambda *_, **__: b"cmFpc2UgU3lzdGVtRXhpdCgibm8gbHVjayIp\n")
    with pytest.raises(UserError, match="TensorBoard did not start: no luck"), start_board(logdir):
        pass
