"""The remote board against a real OpenSSH server on loopback (see sshd.py)."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.board import remote as module
from mnist_depth.board.remote import open_remote, remote
from mnist_depth.board.server import Board, start_board
from mnist_depth.errors import UserError

from .boards import RUN, children, eventually, processes_on, started, write_run
from .sshd import run_sshd

pytestmark = [pytest.mark.ssh, pytest.mark.slow]

PYTHON = sys.executable
SCRIPT = Path(__file__).parents[2] / "scripts" / "remote_board"


def get(board: Board, path: str) -> Any:
    with urllib.request.urlopen(board.url + path, timeout=30) as answer:
        return json.load(answer)


@contextmanager
def script(*words: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`scripts/remote_board` in a process of its own, and the local address that it prints."""
    with started([PYTHON, SCRIPT, *map(str, words)]) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().split()[-1]


def ssh_clients(config: Path) -> list[int]:
    """The `ssh` processes that use `config`."""
    return [pid for pid in processes_on(config) if Path(f"/proc/{pid}/comm").read_text().strip() == "ssh"]


def ssh_sessions(config: Path) -> list[int]:
    """The server's processes that each hold one connection."""
    (server,) = processes_on(config.with_name("sshd_config"))
    return children(server)


def test_the_runs_of_the_other_side_are_listed_through_the_tunnel(logdir: Path, ssh_config: Path) -> None:
    with open_remote(f"there:{logdir}", python=PYTHON, ssh_config=ssh_config) as board:
        assert eventually(lambda: get(board, "data/runs") == [RUN])
        environment = get(board, "data/environment")
        assert environment["window_title"] == f"there:{logdir}"
        assert environment["debug"]["flags"]["host"] == "127.0.0.1"
    assert eventually(lambda: processes_on(logdir) == [])
    assert ssh_clients(ssh_config) == []


HOSTILE = "-a b'c\"d$(touch pwned)`touch pwned`;touch pwned;& |touch pwned #%h \\n ä"


def test_a_hostile_path_is_served_and_never_executed(
    tmp_path: Path, ssh_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logdir = write_run(tmp_path / HOSTILE)
    with open_remote(f"there:{logdir}", python=PYTHON, ssh_config=ssh_config) as board:
        assert eventually(lambda: get(board, "data/runs") == [RUN])
        assert get(board, "data/environment")["data_location"] == str(logdir)
    assert not [path for folder in (tmp_path, Path.home(), Path.cwd(), Path("/")) for path in folder.glob("*pwned")]


def test_a_hostile_path_that_is_not_there_is_never_executed(tmp_path: Path, ssh_config: Path) -> None:
    with (
        pytest.raises(UserError, match="there is no folder"),
        open_remote(f"there:$(touch {tmp_path}/pwned)", ssh_config=ssh_config),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_is_left_on_either_side(logdir: Path, ssh_config: Path, number: signal.Signals) -> None:
    words = (f"there:{logdir}", "--ssh_config", ssh_config, "--remote_python", PYTHON)
    with script(*words) as (process, url):
        with urllib.request.urlopen(url + "data/runs", timeout=30) as answer:
            assert answer.status == 200
        assert len(processes_on(logdir)) == 3  # the script, TensorBoard, its data server
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
    assert eventually(lambda: processes_on(logdir) == [] and ssh_clients(ssh_config) == [])


def test_kill_9_while_a_browser_holds_a_connection(logdir: Path, ssh_config: Path) -> None:
    with (
        start_board(logdir) as there,
        script("there", "--attach", there.port, "--ssh_config", ssh_config) as (run, url),
    ):
        host, port = url.removeprefix("http://").rstrip("/").split(":")
        with socket.create_connection((host, int(port))):
            run.kill()
            assert eventually(lambda: ssh_clients(ssh_config) == [])
        assert get(there, "data/runs") == [RUN]


def test_a_lost_connection_is_reported(logdir: Path, ssh_config: Path) -> None:
    words = (f"there:{logdir}", "--ssh_config", ssh_config, "--remote_python", PYTHON)
    with script(*words) as (process, _):
        for pid in ssh_sessions(ssh_config):
            os.kill(pid, signal.SIGKILL)
        assert process.wait(60) == 2
        assert process.stderr is not None
        assert "Error: the connection to there was lost" in process.stderr.read()
    assert eventually(lambda: processes_on(logdir) == [])


def test_silence_ends_the_board_over_there(logdir: Path, ssh_config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_OF_SILENCE", 1)
    with open_remote(f"there:{logdir}", python=PYTHON, ssh_config=ssh_config) as board:
        board.child.process.wait(60)
    assert eventually(lambda: processes_on(logdir) == [])


def test_attach_shows_a_board_that_runs_and_leaves_it_running(logdir: Path, ssh_config: Path) -> None:
    with start_board(logdir) as there:
        with open_remote("there", attach=there.port, ssh_config=ssh_config) as board:
            assert board.port != there.port
            assert board.shows == f"there:{logdir}"
            assert get(board, "data/environment")["data_location"] == str(logdir)
        assert get(there, "data/environment")["data_location"] == str(logdir)


def test_the_end_of_a_board_that_is_attached_to_is_noticed(
    logdir: Path, ssh_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_SIGNS", 0.2)
    with start_board(logdir) as there, open_remote("there", attach=there.port, ssh_config=ssh_config) as board:
        threading.Timer(1, there.child.process.kill).start()
        with pytest.raises(UserError, match=f"the board on port {there.port} of the remote host has ended"):
            module._keep_alive(board, there.port)
        assert board.child.process.poll() is None


def test_an_interrupted_board_over_there_leaves_no_traceback(
    logdir: Path, ssh_config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_remote(f"there:{logdir}", python=PYTHON, ssh_config=ssh_config) as board:
        for process in processes_on(logdir):
            os.kill(process, signal.SIGINT)
        board.child.process.wait(30)
    assert "Traceback" not in capfd.readouterr().err


def test_the_interpreter_is_found_in_a_venv_above_the_logs(logdir: Path, ssh_config: Path) -> None:
    (logdir.parent / ".venv").symlink_to(sys.prefix)
    with open_remote(f"there:{logdir}/depth9", ssh_config=ssh_config) as board:
        assert get(board, "data/environment")["version"]


def test_no_tensorboard_over_there_is_one_clear_line(logdir: Path, ssh_config: Path) -> None:
    with (
        pytest.raises(UserError, match="/nowhere/python on there cannot be run or has no TensorBoard"),
        open_remote(f"there:{logdir}", python="/nowhere/python", ssh_config=ssh_config),
    ):
        pass


def test_empty_folder_over_there_is_a_warning(
    tmp_path: Path, ssh_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_remote(f"there:{tmp_path}", python=PYTHON, ssh_config=ssh_config):
        assert f"no event files below {tmp_path} on there yet" in capsys.readouterr().err


def test_host_key_trouble_is_shown_and_explained(
    logdir: Path, ssh_config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config"
    config.write_text(ssh_config.read_text().replace("UserKnownHostsFile ", "UserKnownHostsFile /nowhere"))
    with (
        pytest.raises(UserError, match="ssh could not connect to there; its message is above"),
        open_remote(f"there:{logdir}", ssh_config=config),
    ):
        pass
    assert "Host key verification failed" in capfd.readouterr().err


def test_forbidden_forwarding_is_explained_once(
    logdir: Path, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        run_sshd(tmp_path_factory.mktemp("closed"), forwarding="no") as config,
        pytest.raises(UserError, match="AllowTcpForwarding"),
        open_remote(f"there:{logdir}", python=PYTHON, ssh_config=config),
    ):
        pass
    assert eventually(lambda: processes_on(logdir) == [])
    assert capfd.readouterr().err.count("administratively prohibited") == 1


def test_nothing_to_attach_to_is_explained(ssh_config: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with (
            pytest.raises(UserError, match="nothing runs on that port there"),
            open_remote("there", attach=closed.getsockname()[1], ssh_config=ssh_config),
        ):
            pass


class _Jupyter(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Jupyter</html>")

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


class _Greeting(socketserver.BaseRequestHandler):
    """As of an SSH or a mail server."""

    def handle(self) -> None:
        self.request.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.request.recv(1024)


class _Silent(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while self.request.recv(1024):
            pass


@pytest.mark.parametrize(
    ("handler", "cause"),
    [
        (_Jupyter, "belongs to another server"),
        (http.server.BaseHTTPRequestHandler, "belongs to another server"),
        (_Greeting, "belongs to another server"),
        (_Silent, "did not answer within 1 s"),
    ],
)
def test_another_server_on_the_port_is_named_as_such(
    handler: Any, cause: str, ssh_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_TO_ATTACH", 1.0)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        with (
            pytest.raises(UserError, match=f"port {port} of there {cause}"),
            open_remote("there", attach=port, ssh_config=ssh_config),
        ):
            pass
        server.shutdown()


def test_a_configuration_file_of_ssh_is_checked_and_part_of_the_advice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no file {tmp_path}/missing"):
        remote("there:/logs", ssh_config=tmp_path / "missing")
    config = tmp_path / "my config"
    config.write_text("Host there\n  HostName 127.0.0.1\n  Port 1\n")
    with pytest.raises(UserError, match=f"`ssh -F '{config}' there` must work by itself"):
        remote("there:/logs", ssh_config=config)


def test_an_address_without_folder_needs_attach() -> None:
    with pytest.raises(UserError, match="names no folder; give there:/path/to/logs, or --attach"):
        remote("there")
    with pytest.raises(UserError, match="names no host; give user@host:/path/to/logs"):
        remote("there/logs")


def test_no_ssh_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="install the OpenSSH client"):
        remote("there:/logs")


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "busybox", "zsh", "fish", "tcsh"])
def test_the_scripts_survive_login_shells(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    words = [shell, "sh"] if shell == "busybox" else [shell]
    order = subprocess.run(
        [*words, "-c", "exec sh -c '" + module._SERVE_REMOTELY + "'"],
        input=f"{tmp_path}/nowhere\n\n",
        text=True,
        capture_output=True,
        check=False,
    )
    assert (order.returncode, order.stderr) == (90, "")
