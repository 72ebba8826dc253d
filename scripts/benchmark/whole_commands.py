"""Whole commands, as users give them: wall time, time to the first point on disk, memory over many runs, the board."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.runtime.environment import cores

RUNS, EPOCHS = 12, 15
"""Of the sweep that is timed with one worker and with one per core."""

TINY_RUNS, COMPARED = 200, 20
"""Runs whose memory is watched, and how many of them are compared at either end."""

SHORT_RUNS, TINY_EPOCHS = 1_000, 1_000
"""Runs of the sweep whose share outside of training is measured, and their epochs of one step."""

LONG_EPOCHS = 500

TINY: dict[str, Any] = {"dataset": "xor", "depth": 2, "width": 2, "epochs": 200}
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


def command(logdir: Path, *words: str, quiet: bool = True) -> subprocess.Popen[bytes]:
    """`python -m mnist_depth` with these words, under way; its output can be read unless `quiet`."""
    full = [sys.executable, "-m", "mnist_depth", *words, *["--quiet"] * quiet, f"--logdir={logdir}"]
    output = subprocess.DEVNULL if quiet else subprocess.PIPE
    return subprocess.Popen(full, stdout=output, stderr=subprocess.DEVNULL)


def seconds_of(process: subprocess.Popen[bytes], begun: float) -> float:
    """Wall time of a command since `begun`; ends the program where it failed."""
    if process.wait():
        raise SystemExit(f"{process.args} failed")
    return time.perf_counter() - begun


def headline(*words: str) -> str:
    """The bare command: when it prints and writes what, its runs, its processor seconds, and the command again."""
    with TemporaryDirectory() as folder:
        logdir, times, before = Path(folder), dict[str, float](), os.times()
        begun = time.perf_counter()
        process = command(logdir, *words, quiet=False)
        reader = threading.Thread(target=_watch_output, args=(process, begun, times))
        reader.start()
        while process.poll() is None and not _has_curves(logdir):
            time.sleep(0.05)
        times["curves of both runs"] = time.perf_counter() - begun
        times["end"] = seconds_of(process, begun)
        reader.join()
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        trained = [records.read_run(folder).done["seconds"] for folder in records.folders_with(records.DONE, logdir)]
        begun = time.perf_counter()
        again = seconds_of(command(logdir, *words), begun)
    runs = " and ".join(f"{seconds:.1f}" for seconds in sorted(trained))
    points = ", ".join(f"{what} {at:.1f}" for what, at in sorted(times.items(), key=lambda item: item[1]))
    return (
        f"headline study {' '.join(words)}: seconds until {points}; its runs side by side {runs} s; "
        f"{used:.1f} processor s; the command again {again:.1f} s"
    )


ANSWER = b"Verdict:"
"""Begins a line of the answer, which is printed at once."""


def _watch_output(process: subprocess.Popen[bytes], begun: float, times: dict[str, float]) -> None:
    """Read what a command prints and note when its first line and its answer come."""
    assert process.stdout
    for line in process.stdout:
        times.setdefault("first line", time.perf_counter() - begun)
        if line.startswith(ANSWER):
            times["answer"] = time.perf_counter() - begun


RUNS_OF_HEADLINE, FIRST_TAG = 2, b"probe_loss"


def _has_curves(logdir: Path) -> bool:
    """Whether the event files of both runs hold a scalar. TensorBoard's reader would import TensorFlow meanwhile."""
    files = [path for folder in records.folders_with(records.CONFIG, logdir) for path in folder.glob("*.gauge")]
    return len(files) == RUNS_OF_HEADLINE and all(FIRST_TAG in path.read_bytes() for path in files)


def sweep() -> str:
    """Twelve runs of fifteen epochs by one worker that uses all cores, and by one worker per core."""
    words = ("train", f"--seeds={RUNS}", f"--epochs={EPOCHS}")
    seconds = []
    for workers in (1, cores()):
        with TemporaryDirectory() as folder:
            begun = time.perf_counter()
            seconds.append(seconds_of(command(Path(folder), *words, f"--workers={workers}"), begun))
    one, many = seconds
    ratio = f"{one / many:.2f} times as fast"
    return f"{RUNS} runs of {EPOCHS} epochs: one worker {one:.0f} s, one per core {many:.0f} s, {ratio}"


def sweep_share() -> str:
    """Of a sweep of tiny runs, once warm: the share of the workers' time that is not training.

    Training is a run's `fit` with the default measurements, scores and checkpoints, from its first point to its last.
    """
    with TemporaryDirectory() as folder:
        logdir = Path(folder)
        process = command(logdir, "train", f"--seeds={SHORT_RUNS}", *_flags({**TINY, "epochs": TINY_EPOCHS}))
        whole = seconds_of(process, time.perf_counter())
        runs = sorted(
            ((path / records.DONE).stat().st_mtime, path) for path in records.folders_with(records.DONE, logdir)
        )
        warm = runs[COMPARED:]
        trained = [max(times) - min(times) for times in (_wall_times(path) for _, path in warm)]
        available = cores() * (runs[-1][0] - runs[COMPARED - 1][0])
    share = 1 - sum(trained) / available
    return (
        f"{SHORT_RUNS} runs of {TINY_EPOCHS} XOR epochs: {whole:.0f} s; after the first {COMPARED}, "
        f"{statistics.mean(trained):.2f} s of training per run and {share:.1%} of the workers' time outside of it"
    )


def _wall_times(folder: Path) -> list[float]:
    return [point.wall_time for point in records.read_run(folder).points]


def _flags(fields: dict[str, Any]) -> list[str]:
    return [f"--{name}={value}" for name, value in fields.items()]


def sweep_memory() -> str:
    """Memory per worker during a sweep of tiny runs: first runs compared with last runs."""
    found: list[tuple[int, float]] = []
    with TemporaryDirectory() as folder:
        logdir = Path(folder)
        process = command(logdir, "train", f"--seeds={TINY_RUNS}", *_flags(TINY))
        while process.poll() is None:
            done = len(records.folders_with(records.DONE, logdir))
            found += [(done, size) for size in _workers_mb(process.pid)]
            time.sleep(0.1)
    first = statistics.mean(size for done, size in found if COMPARED / 2 <= done <= COMPARED)
    last = statistics.mean(size for done, size in found if done > TINY_RUNS - COMPARED)
    sizes = f"{first:.0f} MB per worker in the first {COMPARED}, {last:.0f} in the last ({last / first:.2f})"
    return f"{TINY_RUNS} tiny runs: {sizes}"


def _workers_mb(parent: int) -> Iterator[float]:
    """Resident size of each of loky's workers below a process."""
    listed = subprocess.run(["ps", "-o", "rss=,args=", "--ppid", str(parent)], capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        if "popen_loky" in line:
            yield int(line.split()[0]) / 1000


def process_memory() -> str:
    """Memory of one process that trains runs of two networks in turn."""
    sizes = _sizes_of("alternate")
    at, end = sizes[COMPARED - 1], sizes[-1]
    return f"{TINY_RUNS} runs in one process: {at:.0f} MB after {COMPARED}, {end:.0f} after the last ({end / at:.2f})"


def epochs_memory() -> str:
    """Memory of one process during a long run."""
    sizes = _sizes_of("long_run")
    at, end = sizes[len(sizes) // 10], sizes[-1]
    return f"a run of {LONG_EPOCHS} epochs: {at:.0f} MB after a tenth, {end:.0f} at the end ({end / at:.2f})"


def _sizes_of(function: str) -> list[float]:
    """What a function of this file, called in a process of its own, prints."""
    code = f"from scripts.benchmark import whole_commands; whole_commands.{function}()"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def alternate() -> None:
    """Train in this process and print its resident size after every run, in MB, as a JSON list."""
    from mnist_depth.training.run import configure, train_run

    configure(1)
    sizes = []
    with TemporaryDirectory() as folder:
        for index in range(TINY_RUNS):
            config = RunConfig(**{**TINY, "width": 2 + index % 2}, seed=index)
            train_run(config, Path(folder) / str(index))
            sizes.append(_resident_mb())
    print(json.dumps(sizes))


def long_run() -> None:
    """Train one run in this process and print its resident size after every block of steps, in MB, as a JSON list."""
    from mnist_depth.training.run import configure, train_run

    configure(1)
    sizes: list[float] = []

    def look() -> bool:
        sizes.append(_resident_mb())
        return False

    with TemporaryDirectory() as folder:
        config = RunConfig(dataset="digits", depth=3, width=16, epochs=LONG_EPOCHS)
        train_run(config, Path(folder) / "run", stop=look)
    print(json.dumps(sizes))


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


def served(logdir: Path) -> str:
    """Bytes and seconds that the runs below a logdir cost TensorBoard."""
    from mnist_depth import records
    from mnist_depth.board.server import start_board

    folders = records.folders_with(records.DONE, logdir)
    if not folders:
        raise SystemExit(f"there is no finished run below {logdir}")
    sizes = [sum(path.stat().st_size for path in folder.rglob("*tfevents*")) / 1e6 for folder in folders]
    last_step = {f"{f.relative_to(logdir)}/train": json.loads((f / records.DONE).read_text())["steps"] for f in folders}
    begun = time.perf_counter()
    with start_board(logdir, port=0) as running:
        waiting = dict(last_step)
        while waiting:
            time.sleep(0.2)
            loaded = _get(f"{running.url}data/plugin/scalars/tags")
            for run in [run for run in waiting if "loss" in loaded.get(run, ())]:
                points = _get(f"{running.url}data/plugin/scalars/scalars?tag=loss&run={quote(run)}")
                if points and points[-1][1] == waiting[run]:
                    del waiting[run]
        seconds = time.perf_counter() - begun
    return (
        f"{len(folders)} runs, event MB per run: median {statistics.median(sizes):.2f}, most {max(sizes):.2f}; "
        f"TensorBoard serves all of them after {seconds:.1f} s"
    )


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)
