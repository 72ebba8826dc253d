"""How often `diagnose` is right, and how often `repair` works: draw networks, train them, measure, repair, score.

    python -m scripts.diagnosis_benchmark FOLDER [--stages truth measure repair score] [--draw mixed]
        [--examples 512] [--first 0] [--last 75] [--minutes 15]

Every stage stores one file per structure (`repair` one per network) below FOLDER and resumes where it stopped:
`--minutes` ends a part after the file that exceeds it, with exit code 3 if something is left. `truth` trains every
network and the changes that may help it; `measure` measures the networks before and after training; `repair` repairs
the failing networks of the scored half and trains the repaired ones; `score` prints the tables as Markdown.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

EXAMPLES = 512
"""That a diagnosis sees by default: the whole training set of the benchmark."""

INCOMPLETE = 3
"""Exit code of a part that ran out of time."""


def main(arguments: list[str]) -> int:
    """Run the chosen stages; INCOMPLETE where the time ended first."""
    values = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from scripts.diagnosis_benchmark import stages
    from scripts.diagnosis_benchmark.tables import tables

    folder = stages.Folder(values.folder, values.draw, values.examples)
    tasks: dict[str, Callable[[int], Iterator[str]]] = {
        "truth": folder.find_truth,
        "measure": folder.measure,
        "repair": folder.repair,
    }
    end = time.monotonic() + 60 * values.minutes
    for stage in values.stages:
        if stage == "score":
            print(tables(values.folder, values.examples))
        elif not _run(tasks[stage], range(values.first, values.last + 1), end):
            return INCOMPLETE
    return 0


def _run(task: Callable[[int], Iterator[str]], indices: Iterable[int], end: float) -> bool:
    """Whether all is done; a task yields a line for everything it has stored."""
    for index in indices:
        for line in task(index):
            print(line, flush=True)
            if time.monotonic() > end:
                return False
    return True


def _parser() -> argparse.ArgumentParser:
    summary = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m scripts.diagnosis_benchmark", description=summary)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--stages", nargs="+", choices=("truth", "measure", "repair", "score"), default=["score"])
    parser.add_argument("--draw", choices=("mixed", "relu"), default="mixed", help="which networks are drawn")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="that a diagnosis sees, of 512")
    parser.add_argument("--first", type=int, default=0, help="first structure")
    parser.add_argument("--last", type=int, default=75, help="last structure")
    parser.add_argument("--minutes", type=float, default=15.0, help="length of this part")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
