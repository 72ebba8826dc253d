"""Signals before and after training: stop on the first request, without a traceback for any further one.

While runs are trained, `sweeps` takes the same signals for a request to write and stop.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import types
from collections.abc import Iterator

from mnist_depth.runtime import streams

REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Ctrl-C, the end of a job, of a terminal, and the warnings that clusters send before they preempt a job."""


def wanted() -> list[signal.Signals]:
    """The signals that this process obeys: those not ignored (`nohup` ignores SIGHUP)."""
    return [number for number in REQUESTS if signal.getsignal(number) != signal.SIG_IGN]


def interrupt_once() -> None:
    """Make the first signal raise KeyboardInterrupt with its number; a second one ends the process."""

    def interrupt(number: int, _: types.FrameType | None) -> None:
        exit_at_next()
        raise KeyboardInterrupt(number)

    for number in wanted():
        signal.signal(number, interrupt)


def exit_at_next() -> None:
    """Make the next signal end the process immediately and silently, because nothing is left to write."""
    for number in wanted():
        signal.signal(number, lambda number, _: os._exit(128 + number))


def stopped(error: KeyboardInterrupt) -> int:
    """Report that a request to stop ended the command; the exit code that a shell reports for its signal."""
    streams.print_error("mnist_depth: stopped")
    return 128 + (error.args[0] if error.args else signal.SIGINT)


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
