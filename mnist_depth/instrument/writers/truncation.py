"""Cut event files back to a step, so that a resumed run leaves the points of one that was never interrupted.

TensorBoard drops later points by itself after a restart event, but other readers of the files would find them twice.
Files are rewritten as a whole: the new file is complete before the old one is removed.
"""

from __future__ import annotations

import os
from pathlib import Path

from mnist_depth.instrument.writers.event_files import event_of, records


def cut_event_file(path: Path, step: int) -> None:
    """Leave out every event after `step`; a file that holds nothing else is removed.

    What follows a damaged record, or one that a killed writer left half written, is left out too.
    """
    kept, values = [], 0
    with path.open("rb") as file:
        for record in records(file):
            try:
                event = event_of(record)
            except ValueError:
                break
            if event.step <= step:
                kept.append(record)
                values += event.HasField("summary") or event.HasField("graph_def")
    if values:
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("wb") as file:
            file.writelines(kept)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    else:
        path.unlink()
