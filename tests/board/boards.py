"""Small logdirs, and the processes that a board may leave behind."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from mnist_depth.summaries.events import replace_events, scalars

RUN = "depth9/relu/seed_0"


def write_run(logdir: Path) -> Path:
    """Leave one event file with one scalar below `logdir`."""
    replace_events(logdir / RUN, "test", [scalars(1, {"loss": 0.5}, 1.7e9)])
    return logdir


def processes_on(logdir: Path) -> list[int]:
    """The processes, other than `ssh` clients, whose command line names `logdir`: TensorBoard and its data server."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if str(logdir).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def children(parent: int) -> list[int]:
    """The processes whose parent is `parent`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(words[1]) == parent:
                    found.append(int(entry.name))
    return found


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether `condition` comes true within a generous limit."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return True
        time.sleep(0.05)
    return False
