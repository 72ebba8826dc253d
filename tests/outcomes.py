"""The outcome of a study, without wall times, which differ between repetitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from mnist_depth import records

TIMED = ("_hparams_/session_end_info",)
"""Tags whose values hold wall times."""


def outcome_of(folder: Path) -> dict[str, Any]:
    """Of one run: status, hash of the weights, figures, every point. Fails on duplicate points."""
    run = records.read_run(folder)
    points = [(point.split, point.tag, point.step, repr(point.value)) for point in run.points]
    assert len(points) == len({point[:3] for point in points}), f"duplicate point in {folder}"
    return {
        "status": run.status,
        "weights": run.done["weights_sha256"],
        "metrics": run.done["metrics"],
        "points": sorted(points),
    }


def events_of(folder: Path) -> list[tuple[str, int]]:
    """(tag, step) of every value in the event files right below `folder`. Fails on duplicates."""
    values = [
        (value.tag, event.step)
        for path in sorted(folder.glob("*tfevents*"))
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
    ]
    once = set(values)
    assert len(values) == len(once), f"{len(values) - len(once)} duplicate values in {folder}"
    return sorted(once)


def outcomes_below(root: Path) -> dict[str, Any]:
    """Of all runs and all event folders below `root`, by relative path."""
    found: dict[str, Any] = {
        str(path.parent.relative_to(root)): outcome_of(path.parent) for path in root.rglob(records.CONFIG)
    }
    for path in {path.parent for path in root.rglob("*tfevents*")}:
        found[f"events of {path.relative_to(root)}"] = events_of(path)
    return found
