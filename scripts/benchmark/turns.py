"""Processes that alternate epoch by epoch, so that interference affects all contenders alike.

A child trains one epoch, prints its measurements, and waits for a line on its standard input.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from mnist_depth.runtime.settings import MALLOC
from scripts.benchmark.contenders import CONTENDERS, EXAMPLES

ALLOCATOR = {variable: str(size) for variable, size in MALLOC.items()}


@dataclass
class Epoch:
    """One epoch of one contender, all its processes together: samples per second, largest process, events per run."""

    rate: float
    peak_mb: float
    event_mb: float
    cores: float
    """Processor seconds per second of wall time: what the machine let it have."""


class _Child:
    """What the child does at each epoch's end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.begun, self.used = folder, time.perf_counter(), time.process_time()

    def mark(self) -> None:
        seconds, used = time.perf_counter() - self.begun, time.process_time() - self.used
        events = sum(path.stat().st_size for path in self.folder.rglob("*tfevents*"))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        epoch = Epoch(EXAMPLES / seconds, peak / 1024, events / 1e6, used / seconds)
        print(json.dumps(asdict(epoch)), flush=True)
        if not sys.stdin.readline():
            raise SystemExit
        self.begun, self.used = time.perf_counter(), time.process_time()


def work(name: str, epochs: int) -> None:
    """The child's whole life."""
    with TemporaryDirectory() as folder:
        CONTENDERS[name](epochs, Path(folder), _Child(Path(folder)).mark)


class Contestant:
    """A contender's processes, each warmed up by one epoch and waiting for its next."""

    def __init__(self, name: str, children: list[subprocess.Popen[str]]) -> None:
        self.name, self.children = name, children
        self._read()

    def epoch(self) -> Epoch:
        for child in self.children:
            assert child.stdin
            print(file=child.stdin, flush=True)
        return self._read()

    def _read(self) -> Epoch:
        lines = [child.stdout.readline() for child in self.children if child.stdout]
        if not all(lines):
            raise SystemExit(f"{self.name} failed; run: {sys.executable} scripts/benchmark --worker '{self.name}'")
        found = [Epoch(**json.loads(line)) for line in lines]
        peak, used = max(epoch.peak_mb for epoch in found), sum(epoch.cores for epoch in found)
        return Epoch(sum(epoch.rate for epoch in found), peak, found[0].event_mb, used)


@contextmanager
def contestant(name: str, command: list[str], processes: int, cores: int) -> Iterator[Contestant]:
    """Start a contender as one process that has all cores, or as several of one thread each."""
    environment = _environment(name, cores if processes == 1 else 1)
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env=environment,
                )
            )
            for _ in range(processes)
        ]
        try:
            yield Contestant(name, children)
        finally:
            for child in children:
                child.kill()


def _environment(name: str, threads: int) -> dict[str, str]:
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }
    if name.startswith("jax"):
        environment["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'false' if threads == 1 else 'true'}"
    return environment | (ALLOCATOR if name.startswith("ours") else {})
