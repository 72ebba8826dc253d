#!/usr/bin/env python
"""How fast training is, beside every peer that is installed: one command, one table, JSON beside it.

    .venv/bin/python scripts/benchmark.py [--repeats 3] [--epochs 3] [--only NAME ...] [--json FILE]
    .venv/bin/python scripts/benchmark.py --board LOGDIR

Every contender trains the same network (784-256x8-10, ReLU, batch 100, SGD 0.1) on the same number of random images
(speed does not depend on their content) in a process of its own; the contenders take turns (A B C A B C ...), so that a
machine that drifts favors none. The first epoch is warm-up and not counted. Figures are medians over the repeats, in
thousand samples per second; the spread is half the range. PyTorch and JAX take part where they are installed.

Ours run with the allocator set as `python -m mnist_depth` sets it (`mnist_depth/allocator.py`), the others as users
start them; `--same_allocator` sets it for all.

Behind the contenders whole commands are measured: the headline study, a sweep by one worker and by one per core, the
memory of 200 tiny runs in a sweep and in one process.

With `--board` it measures the runs below LOGDIR instead: event bytes per run, and the seconds until TensorBoard serves
the last point of every run's loss.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mnist_depth.allocator import SETTINGS
from scripts import whole_commands
from scripts.contenders import CLASSES, CONTENDERS, EXAMPLES, FEATURES, HIDDEN, WIDTH

FLOP_PER_SAMPLE = 6 * (FEATURES * WIDTH + (HIDDEN - 1) * WIDTH * WIDTH + WIDTH * CLASSES) - 2 * FEATURES * WIDTH
"""Forward, gradient of weights, gradient of inputs: 2 FLOP per weight each; the first layer's inputs need none."""

COMMANDS = {
    "headline": whole_commands.headline,
    "sweep": whole_commands.sweep,
    "sweep memory": whole_commands.sweep_memory,
    "process memory": whole_commands.process_memory,
}
"""Whole commands that are measured behind the contenders, by name."""

CORES = len(os.sched_getaffinity(0))
ALLOCATOR = {variable: str(size) for variable, size in SETTINGS.items()}

PAIRS = ("matmul limit", "ours, none", "ours, full", "keras fit + TensorBoard")
"""Contenders that are also run as one single-threaded process per core."""


def needs(name: str) -> str | None:
    """The optional library that a contender needs and that is not installed."""
    library = name.split()[0]
    return library if library in ("torch", "jax") and importlib.util.find_spec(library) is None else None


def work(name: str, epochs: int) -> dict[str, float]:
    """In a child process: train one epoch more than asked and leave the first one out."""
    with tempfile.TemporaryDirectory() as folder:
        marks = CONTENDERS[name](epochs + 1, Path(folder))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*tfevents*"))
    rate = epochs * EXAMPLES / (marks[-1] - marks[0])
    return {"rate": rate, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "event_mb": size / 1e6}


def start(name: str, epochs: int, threads: int) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'false' if threads == 1 else 'true'}" if name[:3] == "jax" else "",
    }
    if name.startswith("ours"):
        environment |= ALLOCATOR
    command = [sys.executable, __file__, "--worker", name, "--epochs", str(epochs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)


def measure(name: str, epochs: int, processes: int) -> dict[str, float]:
    """Run `processes` of a contender at once and add their rates up."""
    threads = CORES if processes == 1 else 1
    children = [start(name, epochs, threads) for _ in range(processes)]
    outputs = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise SystemExit(f"{name} failed; run: {sys.executable} {__file__} --worker '{name}'")
    found = [json.loads(output.splitlines()[-1]) for output in outputs]
    return {
        "rate": sum(each["rate"] for each in found),
        "peak_mb": max(each["peak_mb"] for each in found),
        "event_mb": found[0]["event_mb"],
    }


def table(results: dict[str, list[dict[str, float]]]) -> str:
    limit = {kind: _median(results.get(f"matmul limit{kind}")) for kind in ("", " x cores")}
    lines = [f"{'contender':<44}{'k samples/s':>12}{'spread':>8}{'of matmul':>11}{'peak MB':>9}{'events MB':>11}"]
    for name, runs in results.items():
        rates = [run["rate"] / 1000 for run in runs]
        kind = " x cores" if name.endswith(" x cores") else ""
        share = f"{statistics.median(rates) * 1000 / limit[kind]:.0%}" if limit[kind] else "-"
        lines.append(
            f"{name:<44}{statistics.median(rates):>12.1f}{(max(rates) - min(rates)) / 2:>8.1f}{share:>11}"
            f"{max(run['peak_mb'] for run in runs):>9.0f}{runs[-1]['event_mb']:>11.2f}"
        )
    return "\n".join(lines)


def _median(runs: Sequence[dict[str, float]] | None) -> float:
    return statistics.median(run["rate"] for run in runs) if runs else 0.0


RATIOS = (
    ("ours, none", "keras fit", 1.6),
    ("ours, full", "ours, none", 0.95),
    ("ours, standard", "ours, none", 0.95),
    ("ours, light", "ours, none", 0.98),
    ("keras fit + light", "keras fit", 0.98),
    ("keras fit + standard", "keras fit", 0.95),
    ("keras fit + full", "keras fit + TensorBoard", 1.0),
    ("convolutions + light", "convolutions", 0.98),
    ("convolutions + standard", "convolutions", 0.95),
    ("convolutions + full", "convolutions + TensorBoard", 1.0),
    ("ours, full", "keras fit + TensorBoard", 1.9),
    ("ours, full", "torch + SummaryWriter", 1.7),
    ("ours, none", "compiled epoch by hand", 0.97),
    ("ours, full x cores", "keras fit + TensorBoard", 2.8),
    ("ours, full x cores", "keras fit + TensorBoard x cores", 1.7),
    ("ours, none x cores", "matmul limit x cores", 0.9),
)
"""Ratios worth watching, and what this project wants of them."""


def ratios(results: dict[str, list[dict[str, float]]]) -> str:
    """Each ratio repeat by repeat, so that drift cancels; the median of them."""
    lines = []
    for above, below, wanted in RATIOS:
        if above in results and below in results:
            pairs = zip(results[above], results[below], strict=False)
            value = statistics.median(a["rate"] / b["rate"] for a, b in pairs)
            lines.append(f"{above + ' : ' + below:<68}{value:>6.2f}   wanted {wanted}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="turns of every contender")
    parser.add_argument("--epochs", type=int, default=3, help="counted epochs of 50,000 images per turn")
    parser.add_argument("--only", nargs="*", help="contenders and commands to run, by name")
    parser.add_argument("--json", type=Path, help="file for the figures of every turn")
    parser.add_argument("--same_allocator", action="store_true", help="set the allocator for every contender")
    parser.add_argument("--board", type=Path, metavar="LOGDIR", help="measure TensorBoard on these runs instead")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(work(arguments.worker, arguments.epochs)))
        return
    if arguments.board:
        print(whole_commands.served(arguments.board.resolve()))
        return
    if arguments.same_allocator:
        os.environ.update(ALLOCATOR)
    results = compare(arguments.repeats, arguments.epochs, arguments.only)
    if results:
        print(f"{CORES} cores, {FLOP_PER_SAMPLE / 1e6:.2f} MFLOP per sample\n")
        print(table(results) + "\n\n" + ratios(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    for name, measured in COMMANDS.items():
        if not arguments.only or name in arguments.only:
            print(measured(), flush=True)


def compare(repeats: int, epochs: int, only: Sequence[str] | None) -> dict[str, list[dict[str, float]]]:
    """Every contender that is installed and asked for, in turns."""
    turns = [(name, name, 1) for name in CONTENDERS] + [(f"{name} x cores", name, CORES) for name in PAIRS]
    results: dict[str, list[dict[str, float]]] = {}
    for label, name, processes in turns * repeats:
        if only and label not in only:
            continue
        if library := needs(name):
            print(f"{label}: skipped, {library} is not installed")
            continue
        results.setdefault(label, []).append(measure(name, epochs, processes))
        print(f"{label} {results[label][-1]['rate'] / 1000:.1f}", file=sys.stderr, flush=True)
    return results


if __name__ == "__main__":
    main()
