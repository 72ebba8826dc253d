from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mnist_depth.runtime.malloc import SETTINGS

PAGE_FAULTS_OF_20_ALLOCATIONS = """
import ctypes, os
from pathlib import Path
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes, c.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def faults():
    return int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[7])
def use(size):
    block = c.malloc(size)
    ctypes.memset(block, 1, size)
    c.free(block)
use(30_000_000)
before = faults()
for _ in range(20):
    use(30_000_000)
print(os.getpid(), faults() - before)
"""

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is only set on Linux")

RESTART = "from mnist_depth.runtime.malloc import restart_keeping_freed_memory as restart; restart()"


def _page_faults(code: str, **variables: str) -> int:
    """Of a program that must still be the process that was started."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS} | variables
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    pid, faults = started.communicate()[0].split()
    assert int(pid) == started.pid
    return int(faults)


@only_linux
def test_freed_memory_is_used_again_without_page_faults() -> None:
    assert _page_faults(RESTART + PAGE_FAULTS_OF_20_ALLOCATIONS) < 1_000
    assert _page_faults(PAGE_FAULTS_OF_20_ALLOCATIONS) > 5_000


@only_linux
def test_what_the_user_has_set_stays() -> None:
    assert _page_faults(RESTART + PAGE_FAULTS_OF_20_ALLOCATIONS, MALLOC_TRIM_THRESHOLD_="4096") > 5_000
