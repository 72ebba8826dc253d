"""The recorded environment, and other systems as far as Linux can simulate them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnist_depth.runtime import environment

pytestmark = pytest.mark.slow

MACOS = "import os; del os.sched_getaffinity"


def test_the_description_names_versions_and_processors() -> None:
    described = environment.describe()
    assert {"tensorflow", "keras"} <= set(described["libraries"])
    assert 1 <= described["cores"] == environment.cores() <= (os.cpu_count() or 1)


def test_without_affinity_all_processors_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert environment.cores() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert environment.cores() == 1


@pytest.mark.parametrize("limited", ["own", "above"])
@pytest.mark.parametrize(("controller", "line"), [("", "0::/jobs/job_7"), ("memory", "4:cpu,memory:/jobs/job_7")])
def test_the_memory_of_a_job_is_what_its_group_and_those_above_leave(
    controller: str, line: str, limited: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, limit, used, reclaimable = environment.GROUPS[controller]
    unlimited = 1 << 62
    for folder, allowed in ((tmp_path / "jobs", "above"), (tmp_path / "jobs" / "job_7", "own")):
        folder.mkdir()
        (folder / limit).write_text(f"{3_000_000 if allowed == limited else unlimited}\n")
        (folder / used).write_text("1000000\n")
        (folder / "memory.stat").write_text(f"anon 7\n{reclaimable} 200000\n")
    (tmp_path / "cgroup").write_text(f"1:name=systemd:/\n{line}\n")
    monkeypatch.setattr(environment, "GROUP_OF_PROCESS", tmp_path / "cgroup")
    monkeypatch.setitem(environment.GROUPS, controller, (str(tmp_path), limit, used, reclaimable))
    assert environment.available_memory() == 3_000_000 - 1_000_000 + 200_000


def test_commands_run_on_a_system_without_affinity(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(MACOS)
    words = ["train", "--dataset=digits", "--dry_run", f"--logdir={tmp_path / 'logs'}"]
    done = subprocess.run(
        [sys.executable, "-m", "mnist_depth", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 run, less than a minute" in done.stdout


def test_on_windows_the_commands_say_what_to_do() -> None:
    code = "import runpy, sys; sys.platform = 'win32'; runpy.run_module('mnist_depth', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "mnist_depth: the commands need Linux or macOS; on Windows run them in WSL\n"
