"""A request to stop a sweep: a signal becomes a file that workers on all machines with this logdir check for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

from mnist_depth.runtime import signals
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _

STOPPING = mark("stopping; every run writes what it has, which takes some seconds (Ctrl-C again stops at once)")


class StopRequest:
    """Whether a stop was requested. `file` exists from then on, unless the whole logdir was removed."""

    def __init__(self, logdir: Path) -> None:
        self.file = logdir / f".stop-{uuid.uuid4().hex}"
        self.asked = False

    def ask(self) -> None:
        """Ask every run to write what it has and stop."""
        self.asked = True
        with contextlib.suppress(OSError):
            self.file.touch()


@contextlib.contextmanager
def stop_requests(logdir: Path) -> Iterator[StopRequest]:
    """Turn the first signal of `signals.REQUESTS` into a request to stop, the second into KeyboardInterrupt.

    Signals that the process ignores stay ignored; outside of the main thread, where Python delivers none, all stay.
    """
    request = StopRequest(logdir)
    line = f"mnist_depth: {_(STOPPING)}\n".encode()

    def handle(number: int, _: object) -> None:
        if request.asked:
            signals.interrupt(number)
        request.ask()
        with contextlib.suppress(OSError):
            os.write(2, line)  # the signal may have interrupted a print

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handle) for number in signals.wanted() if in_main_thread}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        with contextlib.suppress(OSError):
            request.file.unlink(missing_ok=True)
