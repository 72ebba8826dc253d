"""Show a TensorBoard that runs on a remote host, through the user's own OpenSSH.

One `ssh` connection carries both: a remote command that runs until its standard input closes, and a port forwarding
that is added once the remote port is known (so no port is guessed on either side). Nothing that the user typed is part
of a command line that a shell parses: the folder's name is sent through standard input as data.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Sequence

from mnist_depth.board.address import Address, parse_address
from mnist_depth.board.child_process import BOOT, ChildProcess, launcher_input
from mnist_depth.board.launcher import MARK, PORTS_TRIED
from mnist_depth.board.server import (
    NO_ANSWER,
    PORT,
    SECONDS_TO_ANSWER,
    Board,
    ask,
    check_port,
    environment,
    exit_on_sigterm,
)
from mnist_depth.errors import UserError
from mnist_depth.runtime import shell
from mnist_depth.translation import translate as _

SECONDS_BETWEEN_SIGNS = 15
SECONDS_TO_ATTACH = 15.0
SECONDS_OF_SILENCE = 300  # longer than a short laptop sleep; after that the remote board ends itself

_NO_FOLDER, _NO_TENSORBOARD, _SSH_FAILED = 90, 91, 255

# Both scripts are one line without ', ! or \\, so that any remote login shell (sh, fish, csh) passes them on.
# Interpreters are tried in this order: the one asked for; a .venv in or above the folder, if it is the user's own (an
# interpreter that another user left beside shared logs is never run); the one behind the `tensorboard` command;
# python3; python.
_SERVE_REMOTELY = (
    "IFS= read -r dir && IFS= read -r given || exit 90; "
    'case $dir in "~") dir=$HOME;; "~/"*) dir=$HOME/${dir#"~/"};; /*) ;; *) dir=$HOME/$dir;; esac; '
    '[ -d "$dir" ] || exit 90; '
    "cd /; set --; "
    'for above in "$dir" "$dir/.." "$dir/../.."; do '
    'if [ -O "$above/.venv/pyvenv.cfg" ]; then set -- "$@" "$above/.venv/bin/python"; fi; done; '
    'tensorboard=$(command -v tensorboard || echo "$HOME/.local/bin/tensorboard"); '
    'set -- "$@" "$(sed -n "1s/^#.//p" "$tensorboard" 2>/dev/null)" python3 python; '
    'if [ -n "$given" ]; then set -- "$given"; fi; '
    "for python do "
    'if "$python" -c "import tensorboard.version" </dev/null >/dev/null 2>&1; then '
    f'exec "$python" -c "{BOOT}" "$dir"; fi; done; exit 91'
)
_HOLD_REMOTELY = f'echo "{MARK}{{}}"; exec cat >/dev/null'


def remote(
    address: str,
    *,
    attach: int | None = None,
    port: int = PORT,
    open_browser: bool = False,
    reload_interval: float = 5.0,
    python: str = "",
    ssh_config: str | os.PathLike[str] | None = None,
    language: str = "",
) -> None:
    """Show the board of `user@host:/path/to/logs` here until Ctrl-C, SIGTERM or the loss of the connection.

    Takes the first free local port from `port` on. `attach` forwards to the board that already runs on that remote
    port; `python` names the remote interpreter; `ssh_config` is what `ssh -F` takes; `language` is that of the Depth
    tab. Raises UserError.
    """
    with (
        contextlib.suppress(KeyboardInterrupt),
        exit_on_sigterm(),
        open_remote(address, attach, port, reload_interval, python, ssh_config, language) as board,
    ):
        print(_("TensorBoard of {folder}: {address}", folder=board.shows, address=board.url))
        print(_("Ctrl-C ends the forwarding.") if attach else _("Ctrl-C ends the board there."), flush=True)
        if open_browser:
            webbrowser.open(board.url)
        raise _why_ended(_keep_alive(board, attach), address, connected=True)
    print(_("The connection is closed."))


@contextlib.contextmanager
def open_remote(
    address: str,
    attach: int | None = None,
    port: int = PORT,
    reload_interval: float = 5.0,
    python: str = "",
    ssh_config: str | os.PathLike[str] | None = None,
    language: str = "",
) -> Iterator[Board]:
    """A remote board that answers on loopback here by the time the block is entered. Raises like `remote`."""
    there = parse_address(address)
    if attach is None and not there.path:
        if "/" in address:
            raise UserError(
                "the remote address {address!r} names no host; give user@host:/path/to/logs", address=address
            )
        raise UserError(
            "the remote address {address!r} names no folder; give {host}:/path/to/logs, or --attach",
            address=address,
            host=there.host,
        )
    check_port(port)
    if attach is not None:
        check_port(attach, first=1)
    if ssh_config and not os.path.isfile(ssh_config):
        raise UserError("there is no file {path}, which --ssh_config names", path=os.fspath(ssh_config))
    if "\n" in python:
        raise UserError("the remote interpreter {python!r} is refused: it holds a line break", python=python)
    with tempfile.TemporaryDirectory(prefix="board-") as folder:
        ssh = _Ssh(there.host, os.path.join(folder, "ssh"), ssh_config)
        with ssh.open(_SERVE_REMOTELY if attach is None else _HOLD_REMOTELY) as child:
            if attach is None:
                child.send(os.fsencode(f"{there.path}\n{python}\n"))
                order = launcher_input(
                    0, reload_interval, more=_options(there), patience=SECONDS_OF_SILENCE, language=language
                )
                child.send(order)
            report = child.report()
            if report is None:
                raise _why_ended(child.close(), address, connected=False, python=python, ssh=ssh.command)
            if not report.get("events", True):
                text = _("Warning: no event files below {path} on {host} yet", path=there.path, host=there.host)
                print(text, file=sys.stderr, flush=True)
            local = ssh.forward(attach or int(report["port"]), port or PORT)
            url = f"http://127.0.0.1:{local}/"
            shows = _folder_shown(url, there.host, attach)
            yield Board(url, local, child, f"{there.host}:{shows}")


class _Ssh:
    """One OpenSSH connection with a private control socket, through which forwardings are added."""

    def __init__(self, host: str, control: str, config: str | os.PathLike[str] | None) -> None:
        self._host = host
        program = ["ssh", *(["-F", os.path.abspath(config)] if config else [])]
        self._base = [*program, "-S", control]
        self.command = shell.join([*program, host])
        """What connects to the host in the same way, for a user who has to try it."""

    def open(self, script: str) -> ChildProcess:
        """Run `script` on the remote host with `sh`; `ssh` itself asks for password, passphrase and host key."""
        options = {
            "ControlPersist": "no",
            "ClearAllForwardings": "yes",
            "ExitOnForwardFailure": "yes",
            "RemoteCommand": "none",
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "3",
        }
        settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        command = [*self._base, "-M", "-T", *settings, "--", self._host, f"exec sh -c {shlex.quote(script)}"]
        try:
            return ChildProcess(command, die_with_us=True)
        except FileNotFoundError:
            raise UserError("there is no `ssh` on this machine; install the OpenSSH client") from None

    def forward(self, there: int, first: int) -> int:
        """Forward the first free loopback port, starting at `first`, to the remote port `there`; return it."""
        answer: UserError | str = UserError("no port is left")
        for port in filter(_looks_free, range(first, min(first + PORTS_TRIED, 65536))):
            request = ["-O", "forward", "-L", f"127.0.0.1:{port}:127.0.0.1:{there}", "--", self._host]
            done = subprocess.run([*self._base, *request], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode == 0:
                return port
            answer = done.stderr.strip().split("\n")[-1]
        raise UserError(
            "no local port from {first} on can be forwarded to {host}: {answer}",
            first=first,
            host=self._host,
            answer=answer,
        )


def _looks_free(port: int) -> bool:
    """Whether the port looks free. `ssh` decides, but it prints a complaint about every port that is taken."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False


def _options(there: Address) -> Sequence[str]:
    return ["--host=127.0.0.1", f"--window_title={there.host}:{there.path}"]


def _folder_shown(url: str, host: str, attach: int | None) -> str:
    """The folder that the remote board serves; asked once, because ssh complains each time that it cannot connect."""
    try:
        return str(ask(url, SECONDS_TO_ATTACH if attach else SECONDS_TO_ANSWER)["data_location"])
    except NO_ANSWER as error:
        raise _no_board(error, host, attach) from None


def _no_board(error: Exception, host: str, attach: int | None) -> UserError:
    """Why no board answers through the connection: by the way in which the request failed."""
    # A port without a server closes the connection, which is an HTTPException too.
    speaks = isinstance(error, (ValueError, RecursionError, http.client.HTTPException))
    if attach and speaks and not isinstance(error, ConnectionError):
        return UserError(
            "port {port} of {host} belongs to another server, not to a TensorBoard; give the port that the board "
            "printed when it started",
            port=attach,
            host=host,
        )
    if attach and isinstance(error, TimeoutError):
        return UserError(
            "port {port} of {host} did not answer within {seconds:.0f} s: it is not a board, or a busy one; give the "
            "port that the board printed when it started, or try again",
            port=attach,
            host=host,
            seconds=SECONDS_TO_ATTACH,
        )
    return UserError(
        "no board answers through the connection to {host}: nothing runs on that port there, or its SSH server "
        "forbids forwarding (AllowTcpForwarding)",
        host=host,
    )


def _keep_alive(board: Board, attached: int | None) -> int:
    """Send a sign of life until the connection ends; return the exit status of `ssh`.

    Raises UserError when a board that others started ends: its connection would not.
    """
    while True:
        try:
            return board.child.process.wait(SECONDS_BETWEEN_SIGNS)
        except subprocess.TimeoutExpired:
            board.child.send(b"\n")
        if attached is not None and not _answers(board):
            raise UserError(
                "the board on port {attached} of the remote host has ended; start it there again", attached=attached
            )


def _answers(board: Board) -> bool:
    with contextlib.suppress(UserError):
        return bool(environment(board.url, board.child, refusal=0))
    return False


def _why_ended(status: int, address: str, *, connected: bool, python: str = "", ssh: str = "") -> UserError:
    host, path = parse_address(address)
    if connected and (status == _SSH_FAILED or status < 0):
        return UserError(
            "the connection to {host} was lost, or the board there was killed; run the same command again when network "
            "and machine are back",
            host=host,
        )
    if status == _SSH_FAILED:
        return UserError(
            "ssh could not connect to {host}; its message is above, and `{ssh}` must work by itself first",
            host=host,
            ssh=ssh,
        )
    if status == _NO_FOLDER:
        shown = path if path.startswith(("/", "~")) else f"~/{path}"
        return UserError("there is no folder {folder} on {host}", folder=shown, host=host)
    if status == _NO_TENSORBOARD and python:
        return UserError(
            "{python} on {host} cannot be run or has no TensorBoard; name another interpreter with --remote_python",
            python=python,
            host=host,
        )
    if status == _NO_TENSORBOARD:
        return UserError(
            "no Python with TensorBoard was found on {host}; install it there (pip install tensorboard) or name the "
            "interpreter with --remote_python",
            host=host,
        )
    return UserError("the board on {host} ended (exit status {status}); its message is above", host=host, status=status)
