"""Read event files back, byte by byte, without TensorBoard's own reader (which would load TensorFlow)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from mnist_depth.instrument.writers.protos import Event


class Value(NamedTuple):
    """One value of one event: its run is the folder below the root."""

    run: str
    tag: str
    step: int
    value: Any
    plugin: str


def events_in(path: Path) -> Iterator[Any]:
    """The events of one file, checksums checked."""
    content = path.read_bytes()
    while content:
        (length,), (length_sum,) = struct.unpack("<Q", content[:8]), struct.unpack("<I", content[8:12])
        data, (data_sum,) = content[12 : 12 + length], struct.unpack("<I", content[12 + length : 16 + length])
        assert length_sum == masked_crc32c(content[:8])
        assert data_sum == masked_crc32c(data)
        yield Event.FromString(data)
        content = content[16 + length :]


def values_below(root: Path, pattern: str = "*tfevents*") -> list[Value]:
    """Every value of every event file below `root`, in the order that TensorBoard reads them."""
    found = []
    for path in sorted(root.rglob(pattern)):
        for event in events_in(path):
            for value in event.summary.value:
                content = value.simple_value if value.HasField("simple_value") else value.tensor
                run = str(path.parent.relative_to(root))
                found.append(Value(run, value.tag, event.step, content, value.metadata.plugin_data.plugin_name))
    return found


def steps_by_tag(values: list[Value]) -> dict[tuple[str, str], list[int]]:
    """(run, tag) -> steps."""
    found: dict[tuple[str, str], list[int]] = {}
    for value in values:
        found.setdefault((value.run, value.tag), []).append(value.step)
    return found


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below `root` with its time of change and content: equal snapshots mean that nothing was written."""
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
