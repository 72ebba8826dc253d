"""Cut event files back to a step, so that a resumed run leaves the points of one that was never interrupted.

TensorBoard drops later points by itself after a restart event, but other readers of the files would find them twice.
Files are rewritten as a whole: the new file is complete before the old one is removed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError

from mnist_depth.instrument.writers.protos import Event


def cut_event_file(path: Path, step: int) -> None:
    """Leave out every event after `step`; a file that holds nothing else is removed.

    What follows a damaged record, or one that a killed writer left half written, is left out too.
    """
    kept, values = [], 0
    for record in _records(path):
        try:
            event = Event.FromString(_payload(record))
        except DecodeError:
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


def _records(path: Path) -> Iterator[bytes]:
    """Whole records, framing included: length (8 bytes), its checksum (4), the event, its checksum (4)."""
    content = path.read_bytes()
    at = 0
    while at + 12 <= len(content):
        (length,) = struct.unpack("<Q", content[at : at + 8])
        end = at + 12 + length + 4
        if end > len(content):
            return
        yield content[at:end]
        at = end


def _payload(record: bytes) -> bytes:
    return record[12:-4]
