"""A really full disk under a study: one line reports it, and nothing is lost once space is free again."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from scripts import torture

pytestmark = pytest.mark.slow


def _cannot_mount(folder: Path) -> str:
    """Why a tmpfs cannot be mounted here; nothing where it can."""
    if os.geteuid():
        return "mounting a tmpfs needs root"
    folder.mkdir()
    tried = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True, text=True)
    if tried.returncode == 0:
        subprocess.run(["umount", str(folder)], check=True)
    return tried.stderr.strip()


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := _cannot_mount(tmp_path / "tried"):
        pytest.skip(f"a tmpfs cannot be mounted here: {reason}")
    monkeypatch.setitem(torture.FLAGS, "seeds", 1)
    expected, seconds = torture.undisturbed(tmp_path / "undisturbed")
    trial = torture.Trial(tmp_path / "disk", expected, seconds, "", random.Random(0))
    assert torture.full_disk(trial) == ""
