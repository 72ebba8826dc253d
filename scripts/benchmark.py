#!/usr/bin/env python
"""How fast training is, beside every peer that is installed: one command, one table, JSON beside it.

    .venv/bin/python scripts/benchmark.py [--repeats 3] [--epochs 3] [--only NAME ...] [--json FILE]
    .venv/bin/python scripts/benchmark.py --board LOGDIR

Every contender trains the same network (784-256x8-10, ReLU, batch 100, SGD 0.1) on the same number of random images
(speed does not depend on their content) in a process of its own. All processes live at once and take turns by the
epoch (A B C A B C ...), so that a machine that drifts favors none; each one's first epoch is warm-up and not counted.
With `--repeats` all of it is done again with fresh processes. Figures are medians over all counted epochs, in thousand
samples per second; the spread is half the distance between the quartiles.

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
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import whole_commands
from scripts.contenders import CLASSES, CONTENDERS, FEATURES, HIDDEN, WIDTH
from scripts.turns import ALLOCATOR, Epoch, contestant, work

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

PAIRS = ("matmul limit", "ours, none", "ours, full", "keras fit + TensorBoard")
"""Contenders that are also run as one single-threaded process per core."""


Results = dict[str, list[Epoch]]


def needs(name: str) -> str | None:
    """The optional library that a contender needs and that is not installed."""
    library = name.split()[0]
    return library if library in ("torch", "jax") and importlib.util.find_spec(library) is None else None


def table(results: Results) -> str:
    limit = {kind: _median(results.get(f"matmul limit{kind}", ())) for kind in ("", " x cores")}
    lines = [f"{'contender':<44}{'k samples/s':>12}{'spread':>8}{'of matmul':>11}{'peak MB':>9}{'events MB':>11}"]
    for name, epochs in results.items():
        rate, best = _median(epochs), limit[" x cores" if name.endswith(" x cores") else ""]
        share = f"{rate / best:.0%}" if best else "-"
        lines.append(
            f"{name:<44}{rate:>12.1f}{_spread(epochs):>8.1f}{share:>11}"
            f"{max(epoch.peak_mb for epoch in epochs):>9.0f}{epochs[-1].event_mb:>11.2f}"
        )
    return "\n".join(lines)


def _median(epochs: Sequence[Epoch]) -> float:
    return statistics.median(epoch.rate for epoch in epochs) / 1000 if epochs else 0.0


def _spread(epochs: Sequence[Epoch]) -> float:
    if len(epochs) < 2:
        return 0.0
    low, _, high = statistics.quantiles((epoch.rate / 1000 for epoch in epochs), n=4, method="inclusive")
    return (high - low) / 2


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


def ratios(results: Results) -> str:
    """Each ratio turn by turn, so that drift cancels; the median of them."""
    lines = []
    for above, below, wanted in RATIOS:
        if above in results and below in results:
            turns = zip(results[above], results[below], strict=True)
            value = statistics.median(a.rate / b.rate for a, b in turns)
            lines.append(f"{above + ' : ' + below:<68}{value:>6.2f}   wanted {wanted}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="times that all processes are started")
    parser.add_argument("--epochs", type=int, default=5, help="counted epochs of 50,000 images per process")
    parser.add_argument("--only", nargs="*", help="contenders and commands to run, by name")
    parser.add_argument("--json", type=Path, help="file for the figures of every epoch")
    parser.add_argument("--same_allocator", action="store_true", help="set the allocator for every contender")
    parser.add_argument("--board", type=Path, metavar="LOGDIR", help="measure TensorBoard on these runs instead")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.epochs + 1)
        return
    if arguments.board:
        print(whole_commands.served(arguments.board.resolve()))
        return
    if arguments.same_allocator:
        os.environ.update(ALLOCATOR)
    results = compare(arguments.repeats, arguments.epochs, arguments.only)
    if results:
        print(f"{CORES} cores, {FLOP_PER_SAMPLE / 1e6:.2f} MFLOP per sample\n")
        print(table(results) + "\n\n" + ratios(results), flush=True)
    if arguments.json:
        found = {name: [asdict(epoch) for epoch in epochs] for name, epochs in results.items()}
        arguments.json.write_text(json.dumps(found, indent=1))
    for name, measured in COMMANDS.items():
        if not arguments.only or name in arguments.only:
            print(measured(), flush=True)


def compare(repeats: int, epochs: int, only: Sequence[str] | None) -> Results:
    """Every contender that is installed and asked for, in turns."""
    rows = [(name, name, 1) for name in CONTENDERS] + [(f"{name} x cores", name, CORES) for name in PAIRS]
    rows = [row for row in rows if not only or row[0] in only]
    for label in [label for label, name, _ in rows if needs(name)]:
        print(f"{label}: skipped, {label.split()[0]} is not installed")
    results: Results = {label: [] for label, name, _ in rows if not needs(name)}
    for _ in range(repeats):
        with ExitStack() as stack:
            taking_turns = {}
            for label, name, processes in rows:
                if label in results:
                    command = [sys.executable, __file__, "--worker", name, "--epochs", str(epochs)]
                    taking_turns[label] = stack.enter_context(contestant(name, command, processes, CORES))
            for _ in range(epochs):
                for label, each in taking_turns.items():
                    results[label].append(each.epoch())
                    print(f"{label} {results[label][-1].rate / 1000:.1f}", file=sys.stderr, flush=True)
    return results


if __name__ == "__main__":
    main()
