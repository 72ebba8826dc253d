"""Find the trainings below a folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from mnist_depth.errors import UserError
from mnist_depth.records.gauge import GAUGE, GaugeRecord, read_gauge
from mnist_depth.records.run import CONFIG, RunRecord, read_run


def folders_with(name: str, root: Path) -> list[Path]:
    """The folders at or below `root` that hold something of this name, sorted; runs may be under way in them.

    `Path.rglob` fails where a folder vanishes while it looks, as a checkpoint's does when its run ends.
    """
    return sorted(Path(folder) for folder, folders, files in os.walk(root) if name in (*folders, *files))


def find_trainings(root: Path) -> list[RunRecord | GaugeRecord]:
    """Every readable training at or below `root`, in the order of their paths; damaged ones are left out."""
    found: list[RunRecord | GaugeRecord] = []
    for folder, folders, files in os.walk(root):
        with contextlib.suppress(UserError):
            if CONFIG in files:
                folders.clear()  # a run's own subfolders hold no other run
                found.append(read_run(Path(folder)))
            elif GAUGE in files:
                found.append(read_gauge(Path(folder)))
    return sorted(found, key=lambda record: record.folder)


def find_runs(root: Path) -> list[RunRecord]:
    """Every readable run of a study at or below `root`, in the order of their paths; damaged ones are left out."""
    return [record for record in find_trainings(root) if isinstance(record, RunRecord)]
