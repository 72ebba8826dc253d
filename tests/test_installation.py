"""An editable installation, as scripts/bootstrap makes it, is found from every folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_a_script_beside_a_clone_imports_the_package_and_not_the_folder_of_the_clone(tmp_path: Path) -> None:
    (tmp_path / "mnist_depth").symlink_to(ROOT)
    script = tmp_path / "homework.py"
    script.write_text("import mnist_depth; print(mnist_depth.DepthGauge.__name__)", encoding="utf-8")
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ended.stdout == "DepthGauge\n", ended.stderr


def test_without_its_requirements_the_command_says_how_to_install_them() -> None:
    # -S: without site-packages, as the Python of the system finds the repository.
    command = [sys.executable, "-S", "-m", "mnist_depth"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "has no module absl" in ended.stderr
    assert "scripts/run" in ended.stderr


@pytest.mark.parametrize("home", [None, "", "/nowhere"])
def test_a_user_without_a_home_gets_one_for_the_installation(home: str | None, tmp_path: Path) -> None:
    """Builds of some packages ask for the home folder."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "bootstrap", tmp_path / "scripts")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho home: $HOME\n", encoding="utf-8")
    python.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    environment |= {"PYTHON": sys.executable} | ({} if home is None else {"HOME": home})
    words = ["sh", str(tmp_path / "scripts" / "bootstrap")]
    ended = subprocess.run(words, capture_output=True, text=True, env=environment, check=True)
    assert f"home: {tmp_path / '.venv' / 'home'}\n" in ended.stdout
    assert (tmp_path / ".venv" / "home").is_dir()
