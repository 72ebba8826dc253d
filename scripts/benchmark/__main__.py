#!/usr/bin/env python
"""How fast training is, beside every peer that is installed: one command, one table, JSON beside it.

    .venv/bin/python scripts/benchmark [--repeats 3] [--epochs 3] [--only NAME ...] [--json FILE]
    .venv/bin/python scripts/benchmark --board LOGDIR

Every contender trains the same network (784-256x8-10, ReLU, batch 100, SGD 0.1) on the same number of random images
(speed does not depend on their content) in a process of its own. The processes of a group live at once and take turns
by the epoch (A B C A B C ...), so that a machine that drifts favors none; the first two epochs are warm-up and not
counted. (All contenders in one group would wait too long for their turns: a virtual machine's host may page out what
lies idle for a minute.) With `--repeats` all is done again with fresh processes. Figures are medians over all counted
epochs, in thousand samples per second; the spread is half the distance between the quartiles. An epoch in which the
machine stalled, slower than 0.6 of the same contender's fastest, is counted in a column of its own and left out of the
figures; a line under the table says whether it did more work in them or waited for the machine.

Ours run with the allocator set as `python -m mnist_depth` sets it (`mnist_depth/runtime/settings.py`), the others as
users start them; `--same_allocator` sets it for all.

In every group `fixed work` takes its turn, the same small work by one thread: where it does not get a whole core, or
its rate varies, the machine is noisy and the line under the table says so. The limit is the contender `XLA products`:
all matrix products of a step and its updates, counted in the compiled program (`limits.py`); NumPy and PyTorch do the
same products beside it.

After the contenders whole commands are measured: the headline study on MNIST and on digits, a sweep by one worker and
by one per core, the share of a sweep of 1,000 tiny runs that is not training, the memory of 200 tiny runs in a sweep
and in one process, and of a run of 500 epochs. `--only` measures some groups and commands, so that a part takes less
than ten minutes; what is left out is listed at the end.

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
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mnist_depth.runtime.environment import cores
from scripts.benchmark import whole_commands
from scripts.benchmark.contenders import CLASSES, FEATURES, FIXED_WORK, HIDDEN, WIDTH
from scripts.benchmark.turns import ALLOCATOR, Contestant, Epoch, contestant, work

FLOP_PER_SAMPLE = 6 * (FEATURES * WIDTH + (HIDDEN - 1) * WIDTH * WIDTH + WIDTH * CLASSES) - 2 * FEATURES * WIDTH
"""Forward, gradient of weights, gradient of inputs: 2 FLOP per weight each; the first layer's inputs need none."""

COMMANDS = {
    "headline": whole_commands.headline,
    "headline on digits": partial(whole_commands.headline, "--dataset=digits"),
    "sweep": whole_commands.sweep,
    "sweep share": whole_commands.sweep_share,
    "sweep memory": whole_commands.sweep_memory,
    "process memory": whole_commands.process_memory,
    "epochs memory": whole_commands.epochs_memory,
}
"""Whole commands that are measured after the contenders, by name."""

CORES = cores()

EVERY_CORE = " x cores"
"""Ends the name of a contender that runs as one single-threaded process per core."""

GROUPS: dict[str, tuple[str, ...]] = {
    "one run": (
        "XLA products",
        "NumPy products",
        "torch products",
        "compiled epoch by hand",
        "ours, none",
        "ours, light",
        "ours, standard",
        "ours, full",
        "keras fit",
        "keras fit + TensorBoard",
        "torch + SummaryWriter",
    ),
    "one run per core": (
        "XLA products x cores",
        "ours, none x cores",
        "ours, full x cores",
        "keras fit + TensorBoard x cores",
        "keras fit + TensorBoard",
    ),
    "without instruments": ("ours, none", "keras fit, 50 steps per execution", "torch", "jax scan"),
    "the gauge": (
        "keras fit",
        "keras fit + TensorBoard",
        "keras fit + light",
        "keras fit + standard",
        "keras fit + full",
    ),
    "the gauge, convolutions": (
        "convolutions",
        "convolutions + TensorBoard",
        "convolutions + light",
        "convolutions + standard",
        "convolutions + full",
    ),
}
"""Contenders that take turns."""


Results = dict[str, list[Epoch]]
"""Of one group: contender -> counted epochs, as many for each."""


def needs(name: str) -> str | None:
    """The optional library that a contender needs and that is not installed."""
    library = name.split()[0]
    return library if library in ("torch", "jax") and importlib.util.find_spec(library) is None else None


STALLED = 0.6


LIMIT = "XLA products"

WHOLE_CORE, STEADY = 0.95, 0.1
"""An idle machine gives fixed work at least this share of a core, and rates within this share of their median."""


def machine(epochs: Sequence[Epoch]) -> str:
    """Whether the machine was idle enough, according to the contender `fixed work`."""
    share = statistics.median(epoch.cores for epoch in epochs)
    rates = [epoch.rate for epoch in epochs]
    varied = (max(rates) - min(rates)) / statistics.median(rates)
    found = f"fixed work got {share:.0%} of a core and its rate varied by {varied:.0%}"
    if share >= WHOLE_CORE and varied <= 2 * STEADY:
        return f"The machine was steady: {found}."
    return f"THE MACHINE WAS NOISY: {found}. Do not compare these figures with others."


def steady(epochs: Sequence[Epoch]) -> list[Epoch | None]:
    """The epochs, with None for those in which the machine stalled."""
    fastest = max((epoch.rate for epoch in epochs), default=0.0)
    return [epoch if epoch.rate >= STALLED * fastest else None for epoch in epochs]


SAME_WORK = 1.25
"""A stalled epoch with at most so many times the processor seconds of a steady one did the same work and waited."""


def stalls(results: Results) -> str:
    """Whether the epochs that stalled did more work than the others or waited for the machine; a line per contender."""
    lines = []
    for name, epochs in results.items():
        work = {True: [], False: []}
        for epoch, kept in zip(epochs, steady(epochs), strict=True):
            work[kept is None].append(epoch.cores / epoch.rate)  # processor seconds per sample
        if work[True]:
            more = statistics.median(work[True]) / statistics.median(work[False])
            reason = "waited for the machine" if more <= SAME_WORK else "did more work"
            lines.append(f"{name}: {len(work[True])} stalled, {more:.2f} times the processor seconds: {reason}")
    return "\n".join(lines)


def _rates(epochs: Sequence[Epoch]) -> list[float]:
    """Of the steady epochs, in thousand samples per second."""
    return [epoch.rate / 1000 for epoch in steady(epochs) if epoch]


def table(results: Results) -> str:
    limit = {kind: _median(results.get(f"{LIMIT}{kind}", ())) for kind in ("", EVERY_CORE)}
    titles = f"{'contender':<44}{'k samples/s':>12}{'spread':>8}{'of limit':>11}{'stalled':>9}"
    lines = [f"{titles}{'peak MB':>9}{'events MB':>11}"]
    for name, epochs in results.items():
        rate, best = _median(epochs), limit[EVERY_CORE if name.endswith(EVERY_CORE) else ""]
        share = f"{rate / best:.0%}" if best else "-"
        lines.append(
            f"{name:<44}{rate:>12.1f}{_spread(epochs):>8.1f}{share:>11}{steady(epochs).count(None):>9}"
            f"{max(epoch.peak_mb for epoch in epochs):>9.0f}{epochs[-1].event_mb:>11.2f}"
        )
    return "\n".join(lines)


def _median(epochs: Sequence[Epoch]) -> float:
    return statistics.median(_rates(epochs)) if epochs else 0.0


def _spread(epochs: Sequence[Epoch]) -> float:
    rates = _rates(epochs)
    if len(rates) < 2:
        return 0.0
    low, _, high = statistics.quantiles(rates, n=4, method="inclusive")
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
    ("ours, none x cores", "XLA products x cores", 0.9),
)
"""Ratios worth watching, and what this project wants of them."""


def ratios(results: Results) -> str:
    """Each ratio turn by turn, so that drift cancels; the median of them."""
    lines = []
    for above, below, wanted in RATIOS:
        if above in results and below in results:
            turns = zip(steady(results[above]), steady(results[below]), strict=True)
            if found := [a.rate / b.rate for a, b in turns if a and b]:
                lines.append(f"{above + ' : ' + below:<68}{statistics.median(found):>6.2f}   wanted {wanted}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="times that all processes are started")
    parser.add_argument("--epochs", type=int, default=5, help="counted epochs of 50,000 images per process")
    parser.add_argument("--only", nargs="*", choices=[*GROUPS, *COMMANDS], help="groups and commands to run, by name")
    parser.add_argument("--json", type=Path, help="file for the figures of every epoch")
    parser.add_argument("--same_allocator", action="store_true", help="set the allocator for every contender")
    parser.add_argument("--board", type=Path, metavar="LOGDIR", help="measure TensorBoard on these runs instead")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.epochs + 2)
        return
    if arguments.board:
        print(whole_commands.served(arguments.board.resolve()))
        return
    if arguments.same_allocator:
        os.environ.update(ALLOCATOR)
    only = arguments.only or [*GROUPS, *COMMANDS]
    print(f"{CORES} cores, {FLOP_PER_SAMPLE / 1e6:.2f} MFLOP per sample")
    results = {}
    for name in [name for name in GROUPS if name in only]:
        results[name] = found = compare((FIXED_WORK, *GROUPS[name]), arguments.repeats, arguments.epochs)
        trained = {label: epochs for label, epochs in found.items() if label != FIXED_WORK}
        print(
            f"\n{name}\n\n{table(trained)}\n\n{machine(found[FIXED_WORK])}\n{stalls(found)}\n\n{ratios(trained)}",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1, default=asdict))
    for name in [name for name in COMMANDS if name in only]:
        print(COMMANDS[name](), flush=True)
    if left_out := [name for name in (*GROUPS, *COMMANDS) if name not in only]:
        print(f"Left out (--only): {', '.join(left_out)}")


def compare(labels: Sequence[str], repeats: int, epochs: int) -> Results:
    """Those of a group that are installed, in turns."""
    for label in filter(needs, labels):
        print(f"{label}: skipped, {needs(label)} is not installed")
    results: Results = {label: [] for label in labels if not needs(label)}
    for _ in range(repeats):
        with ExitStack() as stack:
            taking_turns = {label: stack.enter_context(_start(label, epochs)) for label in results}
            for turn in range(1 + epochs):
                for label, contender in taking_turns.items():
                    epoch = contender.epoch()
                    print(f"{label} {epoch.rate / 1000:.1f}", file=sys.stderr, flush=True)
                    if turn:  # the first is warm-up
                        results[label].append(epoch)
    return results


def _start(label: str, epochs: int) -> AbstractContextManager[Contestant]:
    name = label.removesuffix(EVERY_CORE)
    command = [sys.executable, __file__, "--worker", name, "--epochs", str(epochs)]
    return contestant(name, command, 1 if name == label else CORES, CORES)


if __name__ == "__main__":
    main()
