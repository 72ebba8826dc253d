"""A child process that serves a board until its standard input is closed."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from mnist_depth.board.launcher import MARK

# Reads one line of standard input, the launcher's source, and runs it; unbuffered, so that the rest stays in the pipe.
BOOT = "import base64,sys;exec(base64.b64decode(sys.stdin.buffer.raw.readline()))"
# More than a run writes; above this limit TensorBoard drops points at random. (0, "all" in its help, hides images and
# texts.)
SAMPLES = "scalars=5000,histograms=1000,images=200,text=100"
SECONDS_TO_END = 10
MAX_LINE = 1 << 16
_PR_SET_PDEATHSIG = 1


def launcher_input(
    port: int,
    reload_interval: float,
    *,
    more: Sequence[str] = (),
    patience: float | None = None,
    language: str = "",
) -> bytes:
    """Return the two lines that the launcher process reads first: its own source and its arguments."""
    source = (Path(__file__).with_name("launcher.py")).read_bytes()
    arguments = [f"--reload_interval={reload_interval:g}", f"--samples_per_plugin={SAMPLES}", *more]
    order = {"port": port, "arguments": arguments, "patience": patience, "language": language}
    return base64.b64encode(source) + b"\n" + json.dumps(order).encode() + b"\n"


class ChildProcess:
    """A process that ends when its standard input closes; as a context manager it ends with the block.

    `detached` starts the child in a session of its own, so that Ctrl-C reaches only the parent. `die_with_us` asks
    Linux to end the child when the parent dies; `ssh` needs this because it outlives its input while a browser holds a
    connection open.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stderr: IO[bytes] | None = None,
        detached: bool = False,
        die_with_us: bool = False,
    ) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd="/",  # nothing is imported from the user's current folder
            start_new_session=detached,
            preexec_fn=_end_with_parent() if die_with_us and sys.platform == "linux" else None,
        )

    def send(self, data: bytes) -> None:
        """Write to the child; errors are ignored because the callers detect a dead child elsewhere."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def report(self) -> dict[str, Any] | None:
        """Wait for the child's one line of report, past what a login shell prints; None when it ended without one."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline(MAX_LINE):
            if line.startswith(MARK.encode()):
                with contextlib.suppress(ValueError):
                    return json.loads(line[len(MARK) :])
        return None

    def close(self) -> int:
        """Close its input, and end it by force if that is not enough. Return its exit status."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        for end in (self.process.terminate, self.process.kill):
            try:
                return self.process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                end()
        return self.process.wait()

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        assert self.process.stdout is not None
        _wait_for_end_of(self.process.stdout.fileno())
        self.process.stdout.close()


def _wait_for_end_of(pipe: int) -> None:
    """Wait for the last process that writes to `pipe`: TensorBoard's data server ends after TensorBoard, by itself."""
    limit = time.monotonic() + SECONDS_TO_END
    while select.select([pipe], [], [], max(0.0, limit - time.monotonic()))[0] and os.read(pipe, 1 << 12):
        pass


def _end_with_parent() -> Callable[[], None]:
    """Run first in a new child on Linux: request SIGTERM at the parent's death, unless the parent is already dead."""
    libc = ctypes.CDLL(None)  # loaded before the fork: a child of a threaded process must not load anything
    parent = os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return ask
