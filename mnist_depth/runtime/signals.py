"""Signals before and after training: stop on the first request, without a traceback for any further one.

While runs are trained, `sweeps` takes the same signals for a request to write and stop.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from mnist_depth.runtime import streams

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Ctrl-C, the end of a job, of a terminal, and the warnings that clusters send before they preempt a job."""


def wanted() -> list[signal.Signals]:
    """The signals that this process obeys: those not ignored (`nohup` ignores SIGHUP)."""
    return [number for number in REQUESTS if signal.getsignal(number) != signal.SIG_IGN]


_received: list[int] = []
"""The signals that interrupted this command."""


def interrupt_once() -> None:
    """Make the first signal interrupt the command; a second one ends the process."""
    for number in wanted():
        signal.signal(number, interrupt)


def interrupt(number: int, _: object = None) -> None:
    """End what is under way by a KeyboardInterrupt with the signal's number; the next signal ends the process."""
    exit_at_next()
    _received.append(number)
    raise KeyboardInterrupt(number)


def behind(error: BaseException) -> int | None:
    """The signal that ended the command with this error, if any.

    A KeyboardInterrupt inside an import may arrive as another error: Python wraps what is raised in `__set_name__`.
    """
    if isinstance(error, KeyboardInterrupt):
        return error.args[0] if error.args else signal.SIGINT
    return _received[-1] if _received else None


def exit_at_next() -> None:
    """Make the next signal end the process immediately and silently, because nothing is left to write."""
    for number in wanted():
        signal.signal(number, lambda number, _: os._exit(128 + number))


def stopped(number: int, line: str = "stopped") -> int:
    """Report that a signal ended the command; the exit code that a shell reports for it."""
    streams.print_error(f"mnist_depth: {line}")
    return 128 + number


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block; where the program is started again in it, until the new one is ready.

    The interpreter could catch nothing while it starts.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    yield
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextlib.contextmanager
def kept_from_children() -> Iterator[None]:
    """Let processes that are started in the block never see a request: they inherit that it is blocked.

    A terminal and most clusters signal every process of a job, and a process that is just starting would die. This
    process still gets requests, through a thread that does not block them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    end = threading.Event()
    threading.Thread(target=end.wait, daemon=True).start()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        end.set()
