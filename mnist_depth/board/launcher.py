"""Run TensorBoard in this process until standard input is closed.

This file imports only the standard library and TensorBoard (Python 3.8 or later): its source is sent to the interpreter
that serves the board, locally or on a machine without this package. When the parent ends for any reason, the kernel
closes the pipe and the board ends, so no process is left behind.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

MARK = "mnist_depth-board "
PORTS_TRIED = 100
FIRST_TAB = "depth"
"""The tab that a board opens with, where its plugin is installed; TensorBoard puts plugins of packages last."""


def scan_ports(server_class: Any, in_use: type[Exception], first_port: int) -> Callable[[Any, Any], Any]:
    """Return a server factory that binds the first free port from `first_port` on; 0 lets the system choose.

    Binding is the test, so two boards started at the same moment get two ports.
    """

    def make_server(wsgi_app: Any, flags: Any) -> Any:
        for port in range(first_port, min(first_port + PORTS_TRIED, 65536)):
            flags.port = port
            try:
                return server_class(wsgi_app, flags)
            except in_use:
                continue
        raise SystemExit(f"no free port from {first_port} on")

    return make_server


def start_tensorboard(arguments: list[str], first_port: int) -> str:
    """Start TensorBoard in a thread of this process; return its address."""
    from tensorboard import default, program

    server_class = scan_ports(program.WerkzeugServer, program.TensorBoardPortInUseError, first_port)
    plugins = sorted(default.get_plugins(), key=lambda plugin: getattr(plugin, "plugin_name", "") != FIRST_TAB)
    board = program.TensorBoard(plugins=plugins, server_class=server_class)
    board.configure(["tensorboard", *arguments])
    return board.launch()


def avoid_tensorflow() -> None:
    """Make TensorBoard use its own TensorFlow stub: saves seconds and 0.5 GB; local disks need no more.

    `tensorboard.compat.notf` is TensorBoard's own switch for this.
    """
    sys.modules["tensorboard.compat.notf"] = types.ModuleType("tensorboard.compat.notf")


@contextlib.contextmanager
def quiet_unless_it_fails() -> Iterator[None]:
    """Suppress TensorBoard's advice on options that the user never sees; print a failure in full."""
    held = io.StringIO()
    try:
        with contextlib.redirect_stderr(held):
            yield
    except BaseException:
        sys.stderr.write(held.getvalue())
        raise


def has_event_files(logdir: str) -> bool:
    """Whether there is any event file below `logdir`."""
    return any("tfevents" in name for _, _, names in os.walk(logdir) for name in names)


def wait_for_release(patience: float | None) -> None:
    """Return when standard input is closed, or has been silent for `patience` seconds (None: wait forever)."""
    while select.select([0], [], [], patience)[0] and os.read(0, 4096):
        pass


def main(logdir: str, port: int, arguments: list[str], patience: float | None, language: str = "") -> None:
    """Serve `logdir`, report the address in one line on standard output, and end when standard input is closed.

    `arguments` go to TensorBoard; `language` is that of the Depth tab, by default the locale's.
    """
    if language:
        os.environ["MNIST_DEPTH_LANGUAGE"] = language
    avoid_tensorflow()
    with quiet_unless_it_fails():
        url = start_tensorboard(["--logdir=" + logdir, *arguments], port)
    port = int(url.rstrip("/").rpartition(":")[2])
    print(MARK + json.dumps({"url": url, "port": port, "events": has_event_files(logdir)}), flush=True)
    os.dup2(2, 1)  # the reader of standard output is gone
    with contextlib.suppress(KeyboardInterrupt):
        wait_for_release(patience)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], **json.loads(sys.stdin.buffer.raw.readline()))  # type: ignore[attr-defined]
