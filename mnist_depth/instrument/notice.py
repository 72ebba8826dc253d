"""Say what is going on while something takes long."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

SECONDS = 5.0
"""Duration after which a notice is due."""


@contextlib.contextmanager
def notice_if_slow(text: str) -> Iterator[threading.Timer]:
    """Print one line to stderr if the block takes longer than `SECONDS`; gives the timer that does it."""
    timer = threading.Timer(SECONDS, lambda: print(f"DepthGauge: {text}", file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield timer
    finally:
        timer.cancel()
