"""Where the runs of a report come from: commands, versions, dataset, machine, hashes of weights."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mnist_depth.records import GaugeRecord, RunRecord, TrainingRecord
from mnist_depth.results.tables import Table
from mnist_depth.translation import plural

MAX_COMMANDS = 30


def commands(runs: Sequence[TrainingRecord]) -> list[str]:
    given = [run.metadata.get("command") for run in runs if isinstance(run, RunRecord)]
    return list(dict.fromkeys(text for text in given if isinstance(text, str) and text))[:MAX_COMMANDS]


def environment(runs: Sequence[TrainingRecord]) -> Table:
    """Versions, commit, dataset and machine; values that differ between runs are listed side by side."""
    seen: dict[str, Counter[str]] = {}
    for run in runs:
        for part in ("environment", "dataset"):
            for name, value in _flat(_metadata(run).get(part), part if part == "dataset" else ""):
                seen.setdefault(name, Counter())[value] += 1
    rows = [[name.replace("_", " "), _several(values)] for name, values in seen.items()]
    return Table(["", ""], rows)


def _metadata(run: TrainingRecord) -> Mapping[str, Any]:
    return run.metadata if isinstance(run, RunRecord | GaugeRecord) else {}


def hashes(runs: Sequence[TrainingRecord]) -> str:
    """The final weights' hash of every run: the same command on the same kind of machine gives the same."""
    return "\n".join(
        f"{run.done.get('weights_sha256')}  {run.name}" for run in runs if isinstance(run, RunRecord) and run.done
    )


def _flat(value: Any, prefix: str) -> Iterable[tuple[str, str]]:
    """(name, text) of everything in nested JSON objects."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix} {key}".strip())
    elif value is not None:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def _several(values: Counter[str]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(
        plural("{value} ({count} run)", "{value} ({count} runs)", number, value=value)
        for value, number in values.most_common()
    )
