"""Keep freed memory in the process, so that each training step does not fetch it anew from the kernel.

A compiled step allocates and frees a few hundred kilobytes many times. By default it depends on chance whether glibc
gives them back to the kernel each time: of equal processes one in three trained a third slower, with a quarter of its
time in page faults (`docs/performance.md`). The variables work only where they are set before the process starts;
`mallopt` in a running one helped now and then.
"""

from __future__ import annotations

import os
import sys

SETTINGS = {"MALLOC_TRIM_THRESHOLD_": 1 << 30, "MALLOC_TOP_PAD_": 1 << 24, "MALLOC_MMAP_THRESHOLD_": 1 << 25}
"""Bytes, see mallopt(3); the last is the largest that glibc takes."""


def restart_keeping_freed_memory() -> None:
    """Start this Python program again, in the same process, with the allocator set so; its workers inherit it.

    Does nothing on other systems than Linux, and where the user has set any of these variables.
    """
    if sys.platform == "linux" and not any(name in os.environ for name in SETTINGS):
        settings = {name: str(size) for name, size in SETTINGS.items()}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **settings})
