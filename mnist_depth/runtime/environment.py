"""The environment of a run: versions, commit, processor, threads."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mnist_depth.version import __version__

GROUP_OF_PROCESS = Path("/proc/self/cgroup")

GROUPS = {
    "": ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Control groups, version 2 and 1, by the controller that GROUP_OF_PROCESS names: folder, what a group may use, what it
uses, and what of that is only cache."""

LIBRARIES = ("tensorflow", "keras", "numpy", "scipy", "pandas", "tensorboard")


def cores() -> int:
    """Processors that this process may use; all of them where the system, as macOS, cannot tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> float:
    """Bytes that processes started now can use: of the machine, or of the container or job that this one runs in.

    Raises OSError, which names the remedy, in a sandbox without /proc: TensorFlow aborts there.
    """
    import psutil

    try:
        free = float(psutil.virtual_memory().available)
    except OSError as error:
        lack = "/proc is not mounted, and TensorFlow aborts without it; mount it, as with `bwrap --proc /proc`"
        raise OSError(error.errno, lack) from None
    for folder, (limit, used, reclaimable) in _groups():
        with contextlib.suppress(OSError, ValueError, KeyError):
            allowed, taken = (int((folder / name).read_text(encoding="ascii")) for name in (limit, used))
            lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
            free = min(free, allowed - taken + int(dict(map(str.split, lines))[reclaimable]))
    return max(0.0, free)


def _groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """The control groups that limit this process, with the names of their files: each group is limited by those above.

    In a container its own group is the top of the tree; a job of Slurm or systemd is in a group below it.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in GROUP_OF_PROCESS.read_text(encoding="utf-8").splitlines():
            _, controllers, name = line.split(":", 2)
            for controller in GROUPS.keys() & set(controllers.split(",")):
                top, *files = GROUPS[controller]
                own = Path(top, name.lstrip("/"))
                for folder in (own, *own.parents):
                    if folder.is_relative_to(top):
                        yield folder, (files[0], files[1], files[2])


@cache
def describe() -> dict[str, Any]:
    """What the run folder records of this machine and installation."""
    return {
        "mnist_depth": __version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
    }


def _git_commit() -> str | None:
    """The commit of the checkout this package is imported from; None where it is not a git checkout of its own."""
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():
        return None
    command = ["git", "-C", str(top), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
