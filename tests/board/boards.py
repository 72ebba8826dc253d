"""Small logdirs, and the processes that a board may leave behind."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mnist_depth.summaries.events import replace_events, scalars

RUN = "depth9/relu/seed_0"


def write_run(logdir: Path) -> Path:
    """Leave one event file with one scalar below `logdir`."""
    replace_events(logdir / RUN, "test", [scalars(1, {"loss": 0.5}, 1.7e9)])
    return logdir


def _processes(file: str) -> Iterator[tuple[int, bytes]]:
    """The id of every process and what its file in /proc holds."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / file).read_bytes()


def processes_on(logdir: Path) -> list[int]:
    """The processes, other than `ssh` clients, whose command line names `logdir`: TensorBoard and its data server."""
    return [process for process, words in _processes("cmdline") if str(logdir).encode() in words]


def children(parent: int) -> list[int]:
    """The processes whose parent is `parent`."""
    return [process for process, words in _processes("stat") if int(words.rpartition(b")")[2].split()[1]) == parent]


@contextlib.contextmanager
def started(words: Sequence[str | Path], *, detached: bool = True) -> Iterator[subprocess.Popen[str]]:
    """A process with piped output that is gone afterwards; `detached` from this one's signals."""
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=detached
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether `condition` comes true within a generous limit."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return True
        time.sleep(0.05)
    return False
