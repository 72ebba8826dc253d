"""Streams that are closed, full, or read by nobody: commands work on, or end in a line or quietly like shell tools."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_depth.runtime import streams

pytestmark = pytest.mark.slow

COMMAND = f"{sys.executable} -m mnist_depth"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("line", "code", "out", "err"),
    [
        ("list engines >&-", 0, "", ""),
        ("list engines 2>&-", 0, "engines:", ""),
        ("list engines <&- 2>&-", 0, "engines:", ""),
        ("blah >&- 2>&-", 2, "", ""),
        ("blah >&-", 2, "", "unknown command 'blah'"),
        ("--help | true", 141, "", ""),
        ("--help >/dev/full", 2, "", "mnist_depth: No space left on device: standard output\n"),
        ("--version >/dev/full", 2, "", "mnist_depth: No space left on device: standard output\n"),
        ("--help >/dev/full 2>&1", 2, "", ""),
        ("blah 2>/dev/full", 2, "", ""),
        ("--version 2>/dev/full", 0, "mnist_depth ", ""),
    ],
)
def test_a_command_ends_as_a_shell_tool_does(line: str, code: int, out: str, err: str) -> None:
    done = shell(f"{COMMAND} {line}")
    assert done.returncode == code
    assert out in done.stdout
    assert err in done.stderr
    assert (bool(done.stdout), bool(done.stderr)) == (bool(out), bool(err))
    assert done.stderr.count("\n") <= 1


CLOSED = """
import os, subprocess, sys
from mnist_depth.runtime import streams
streams.open_missing()
file = open(sys.argv[1], "w")
os.write(2, b"what C++ code prints")
subprocess.run([sys.executable, "-c", "import os; os.write(1, b'what a child prints')"], check=True)
print(file.fileno(), file=file)
"""


def test_a_file_never_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(CLOSED)
    done = shell(f"{sys.executable} {tmp_path}/program.py {tmp_path}/file <&- >&- 2>&-")
    assert done.returncode == 0
    assert int((tmp_path / "file").read_text()) > 2


def test_what_cannot_be_written_is_dropped_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        print("lost")
        error = streams.flush_output()
        assert error is not None
        assert error.strerror == "No space left on device"
        print("lost too")
        assert streams.flush_output() is None
        assert os.readlink(f"/proc/self/fd/{full.fileno()}") == os.devnull
