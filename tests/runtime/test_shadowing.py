"""Files in the current folder that have a module's name: named in one line, or harmless."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SHADOW = "raise SystemExit('imported from the current folder')"


def run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command that imports the command line and no TensorFlow, given in `folder`."""
    command, environment = [sys.executable, "-m", "mnist_depth", "list", "engines"], {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, env=environment)


@pytest.mark.parametrize(
    "name", ["random", "json", "logging", "typing", "signal", "numpy", "keras", "tensorflow", "absl", "joblib", "rich"]
)
def test_a_file_that_hides_a_module_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text(SHADOW)
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mnist_depth: Python would import {tmp_path}/{name}.py in place of the module {name}; "
        "rename it, or run from another folder\n"
    )


@pytest.mark.parametrize("entry", ["numpy/__init__.py", "random.abi3.so", "google/__init__.py"])
def test_packages_and_compiled_modules_hide_too(entry: str, tmp_path: Path) -> None:
    (tmp_path / entry).parent.mkdir(exist_ok=True)
    (tmp_path / entry).write_text(SHADOW)
    done = run(tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert str(tmp_path / entry.split("/")[0]) in done.stderr


def test_a_folder_of_pythonpath_may_hold_libraries_but_none_of_pythons_modules(tmp_path: Path) -> None:
    listed, current = tmp_path / "listed", tmp_path / "current"
    listed.mkdir()
    current.mkdir()
    (listed / "rich.py").write_text("")
    assert run(current, PYTHONPATH=str(listed)).returncode == 0
    (listed / "random.py").write_text(SHADOW)
    done = run(current, PYTHONPATH=str(listed))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mnist_depth: Python would import {listed}/random.py in place of the module random; "
        f"rename it, or take {listed} from PYTHONPATH\n"
    )


def test_files_that_hide_nothing_which_is_needed_are_left_alone(tmp_path: Path) -> None:
    for name in ("turtle.py", "homework.py", "time.py", "pytest.py", "json.txt", "random.pyx"):
        (tmp_path / name).write_text(SHADOW)
    (tmp_path / "numpy").mkdir()  # a folder of data
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_current_folder_on_the_path_nothing_is_hidden_from_workers_either(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text(SHADOW)
    code = "import sys; from mnist_depth.__main__ import main; sys.argv[1:] = ['list', 'engines']; sys.exit(main())"
    program = tmp_path / "elsewhere" / "program.py"
    program.parent.mkdir()
    program.write_text(
        f"import os, subprocess, sys\n{code.replace('sys.exit(main())', 'main()')}\n"
        "print(subprocess.run([sys.executable, '-m', 'random'], capture_output=True).stderr)"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, cwd=tmp_path, check=False)
    if sys.version_info >= (3, 11):
        assert (done.returncode, done.stderr) == (0, "")
        assert "imported from the current folder" not in done.stdout
    else:
        assert str(tmp_path / "random.py") in done.stderr
