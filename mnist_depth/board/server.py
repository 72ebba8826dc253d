"""A local TensorBoard on loopback that runs exactly as long as the command that started it."""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import types
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from mnist_depth.board.child_process import BOOT, ChildProcess, launcher_input
from mnist_depth.board.links import PORT, depth_tab
from mnist_depth.board.logdir import check_logdir, empty_warning
from mnist_depth.errors import UserError
from mnist_depth.translation import translate as _

SECONDS_TO_ANSWER = 60
SECONDS_OF_REFUSAL = 5
MAX_DESCRIPTION = 1 << 20
"""Bytes that are read of a board's description of itself, which has some hundred."""

NO_ANSWER = (OSError, ValueError, RecursionError, http.client.HTTPException)
"""How a port fails to answer as a board."""


@dataclass(frozen=True)
class Board:
    """A running board: where it answers, and the process that serves it."""

    url: str
    port: int
    child: ChildProcess
    shows: str = ""
    """The folder, as the board itself names it."""


def serve(
    logdir: str | os.PathLike[str],
    port: int = PORT,
    *,
    open_browser: bool = False,
    bind_all: bool = False,
    acknowledged: bool = False,
    reload_interval: float = 5.0,
    words: str = "",
    language: str = "",
) -> None:
    """Serve `logdir` until Ctrl-C or SIGTERM; print the address and the SSH line for another machine.

    Takes the first free port from `port` on (0: any). `reload_interval` is in seconds, `words` filter the trainings of
    the Depth tab, whose language is `language`, by default that of the locale. Raises UserError for a missing logdir,
    for `bind_all` without `acknowledged`, and when the board cannot start or ends by itself.
    """
    with (
        contextlib.suppress(KeyboardInterrupt),
        exit_on_sigterm(),
        start_board(logdir, port, bind_all, acknowledged, reload_interval, language) as board,
    ):
        address = depth_tab(words, board.url)
        print(_("TensorBoard: {address}", address=address))
        text = _(
            "From another machine: {ssh}  and open http://127.0.0.1:{port}/ there",
            ssh=ssh_line(board.port),
            port=board.port,
        )
        print(text)
        print(_("Ctrl-C ends the board."), flush=True)
        if open_browser:
            webbrowser.open(address)
        status = board.child.process.wait()
        raise UserError("TensorBoard ended by itself (exit status {status}); start it again", status=status)
    print(_("The board is closed."))


@contextlib.contextmanager
def start_board(
    logdir: str | os.PathLike[str],
    port: int = PORT,
    bind_all: bool = False,
    acknowledged: bool = False,
    reload_interval: float = 5.0,
    language: str = "",
) -> Iterator[Board]:
    """A board that answers by the time the block is entered and is gone when it is left.

    The address is the one that the child process bound, never another process's board on that port. Raises like
    `serve`.
    """
    check_port(port)
    _check_access(bind_all, acknowledged)
    path = check_logdir(logdir)
    warning = empty_warning(path)
    if warning:
        print(_("Warning: {problem}", problem=warning.text(_)), file=sys.stderr, flush=True)
    host = "--bind_all" if bind_all else "--host=127.0.0.1"
    start = launcher_input(
        port,
        reload_interval,
        more=[host, f"--window_title={os.path.basename(path)}"],
        language=language,
    )
    with (
        tempfile.TemporaryFile() as log,
        ChildProcess([sys.executable, "-c", BOOT, path], stderr=log, detached=True) as child,
    ):
        child.send(start)
        report = child.report()
        if report is None:
            raise UserError("TensorBoard did not start: {reason}", reason=_last_line(log))
        environment(f"http://127.0.0.1:{report['port']}/", child)
        yield Board(report["url"], report["port"], child)


def environment(url: str, child: ChildProcess, refusal: float = SECONDS_OF_REFUSAL) -> dict[str, Any]:
    """Wait until the board at `url` answers; return its description of itself.

    Its port is already bound, so it may be slow (SECONDS_TO_ANSWER) but has no reason to refuse connections for long
    (`refusal` in seconds; 0 asks once). Raises UserError then, and when the process behind it ends.
    """
    limit = time.monotonic() + refusal
    while child.process.poll() is None:
        try:
            return ask(url, SECONDS_TO_ANSWER)
        except NO_ANSWER:
            if time.monotonic() >= limit:
                break
            time.sleep(0.1)
    raise UserError("no board answers at {url}", url=url)


def ask(url: str, seconds: float) -> dict[str, Any]:
    """Ask the board at `url` once for its description. Raises NO_ANSWER; ValueError where another server answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach our loopback
    try:
        with direct.open(f"{url}data/environment", timeout=seconds) as answer:
            described = json.loads(answer.read(MAX_DESCRIPTION))
    except urllib.error.HTTPError as error:
        error.close()  # an open connection would keep `ssh` alive
        raise ValueError(f"status {error.code}") from None
    if not isinstance(described, dict) or "data_location" not in described:
        raise ValueError("not the description of a TensorBoard")
    return described


def ssh_line(port: int) -> str:
    """The command that forwards this host's port `port` to another machine."""
    return f"ssh -N -L {port}:127.0.0.1:{port} {_user()}@{socket.gethostname()}"


def _user() -> str:
    """The user's name; a container may run under a user id without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "user"


def check_port(port: int, first: int = 0) -> None:
    """Raise UserError for an invalid port number."""
    if not first <= port <= 65535:
        raise UserError("port {port} is not between {first} and 65535", port=port, first=first)


def _check_access(bind_all: bool, acknowledged: bool) -> None:
    if bind_all and not acknowledged:
        raise UserError(
            "--bind_all shows the board to everyone who can reach this machine; forward the port over SSH instead, "
            "or add --i_know_this_board_has_no_password"
        )


def _last_line(log: IO[bytes]) -> UserError | str:
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), UserError("it gave no reason"))


@contextlib.contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Exit cleanly on SIGTERM and, unless nohup ignores it, SIGHUP, with the status that a shell expects.

    Only the main thread can set signal handlers.
    """

    def leave(number: int, _: types.FrameType | None) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, leave) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
