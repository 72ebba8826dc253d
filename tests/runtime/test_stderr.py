"""The terminal is quiet for a while, and only for that while."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CODE = """
import os, sys
from mnist_depth.runtime.stderr import silenced
os.write(2, b"before ")
try:
    with silenced():
        os.write(2, b"noise of C++ ")
        print("noise of Python", file=sys.stderr)
        raise ValueError("what happened inside is not lost")
except ValueError as error:
    print(error, file=sys.stderr)
os.write(2, b"after")
open_files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
for _ in range(100):
    with silenced():
        pass
assert not open_files or len(os.listdir("/proc/self/fd")) == open_files
"""


def test_noise_goes_nowhere_and_the_rest_is_shown_in_order() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stderr == "before what happened inside is not lost\nafter"
