from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mnist_depth.board.child_process import ChildProcess

from .boards import processes_on

HELPER = "import sys, time; sys.stdin.read(); time.sleep(0.5)"
HOLDER = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {HELPER!r}, sys.argv[1]]); sys.stdin.read()"


def test_what_the_child_started_is_gone_with_it(tmp_path: Path) -> None:
    """Like TensorBoard's data server: a helper that ends by itself a little after the process that started it."""
    with ChildProcess([sys.executable, "-c", HOLDER, str(tmp_path)]) as child:
        pass
    assert child.process.returncode == 0
    assert processes_on(tmp_path) == []


def test_a_child_that_ignores_its_input_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_depth.board.child_process.SECONDS_TO_END", 0.2)
    with ChildProcess([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        pass
    assert child.process.returncode == -15
