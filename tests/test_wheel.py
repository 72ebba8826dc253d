"""The wheel: what is in it, and that the package works from it, far from the checkout."""

from __future__ import annotations

import email
import importlib.metadata
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from mnist_depth.version import __version__

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("mnist_depth", "tests", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")
OWN = f"python{sys.version_info.major}.{sys.version_info.minor}"

FAR = "import sys, mnist_depth; print(sys.prefix, mnist_depth.__file__, mnist_depth.__version__)"
BARE = "from mnist_depth import errors, registry; print(registry.split_name('maxout:3'))"
"""What needs no dependency, so that it runs where only the wheel is installed."""


def _interpreters() -> list[str]:
    """The Pythons from 3.10 to 3.13 that answer on this machine, and the one that runs the tests.

    A name on the PATH may be only a version manager's shim for an interpreter that is not installed.
    """
    found = []
    for name in ("python3.10", "python3.11", "python3.12", "python3.13"):
        path = shutil.which(name)
        if name != OWN and path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            found.append(path)
    return [sys.executable, *found]


def _run(*words: object, cwd: Path) -> str:
    """The standard output of a command that must succeed."""
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=cwd, timeout=240, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def _isolation() -> list[str]:
    """Build with the setuptools that is here where it is new enough, else let pip fetch one."""
    try:
        version = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        return []
    return ["--no-build-isolation"] if int(version.partition(".")[0]) > 70 else []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: building writes into the source folder."""
    work = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, work / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, work / "source" / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", *_isolation()]
    _run(*pip, "--wheel-dir", work / "out", work / "source", cwd=work)
    (built,) = (work / "out").glob("*.whl")
    return built


def _install(wheel: Path, python: str, folder: Path) -> Path:
    """An environment with the wheel and nothing else; returns its interpreter."""
    _run(python, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python"]
    _run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder.parent)
    return folder / "bin" / "python"


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    assert wheel.name == f"mnist_depth-{__version__}-py3-none-any.whl"
    information = f"mnist_depth-{__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.startswith(f"{information}/")]
        metadata = email.message_from_bytes(archive.read(f"{information}/METADATA"))
        assert f"{information}/licenses/LICENSE" in archive.namelist()
    files = {path for path in (ROOT / "mnist_depth").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert sorted(names) == sorted(str(path.relative_to(ROOT)) for path in files)
    assert (metadata["Name"], metadata["Version"]) == ("mnist_depth", __version__)
    assert metadata["Requires-Python"] == "<3.14,>=3.10"
    assert metadata["License"] == "MIT" or metadata["License-Expression"] == "MIT"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert str(metadata.get_payload()).startswith("# mnist_depth")
    assert {"test", "ray", "dask", "optuna"} <= set(metadata.get_all("Provides-Extra", []))
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert any(line.startswith("tensorflow>=") for line in needed)
    assert not any("pytest" in line for line in needed)


@pytest.mark.parametrize("python", _interpreters(), ids=lambda path: Path(path).name)
def test_the_bare_wheel_installs_and_compiles(python: str, wheel: Path, tmp_path: Path) -> None:
    inside = _install(wheel, python, tmp_path / "venv")
    prefix, file, version = _run(inside, "-c", FAR, cwd=tmp_path).split()
    assert Path(file).is_relative_to(prefix)
    assert Path(prefix) == tmp_path / "venv"
    assert version == __version__
    assert _run(inside, "-c", BARE, cwd=tmp_path).strip() == "('maxout', ['3'])"
    _run(inside, "-m", "compileall", "-q", "-f", Path(file).parent, cwd=tmp_path)


def test_commands_work_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """With the dependencies that are here behind it on the path, so that nothing is downloaded."""
    inside = _install(wheel, sys.executable, tmp_path / "venv")
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    here = dict.fromkeys(sysconfig.get_paths()[kind] for kind in ("purelib", "platlib"))
    # Folders that a .pth file adds come last, and their own .pth files are not read: an editable install stays out.
    (packages / "dependencies.pth").write_text("\n".join(here) + "\n", encoding="utf-8")
    prefix, file, _ = _run(inside, "-c", FAR, cwd=tmp_path).split()
    assert Path(file).is_relative_to(prefix)
    assert "theory" in _run(inside, "-m", "mnist_depth", "--help", cwd=tmp_path)
    listed = _run(inside, "-m", "mnist_depth", "list", cwd=tmp_path)
    assert "depth9" in listed
    assert "glorot_normal" in listed
    table = _run(inside, "-m", "mnist_depth", "theory", "--activation", "sigmoid", "--depth", "9", cwd=tmp_path)
    assert "layer_09" in table
    assert "first / last gradient" in table
