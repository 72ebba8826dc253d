"""Read event files record by record, without TensorFlow.

A file is a sequence of records: length (8 bytes), checksum of the length (4), the event, checksum of the event (4).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple

from google.protobuf.message import DecodeError

from mnist_depth.instrument.histograms import Histogram
from mnist_depth.instrument.writers import values
from mnist_depth.instrument.writers.protos import Event

HEADER, FOOTER = 12, 4
"""Bytes before and after the event of a record."""


class StoredHistogram(NamedTuple):
    """One histogram of an event file, decoded on demand: a file holds many that nobody asks for."""

    step: int
    tag: str
    value: Any
    """Summary.Value"""

    def read(self) -> Histogram:
        """Raises ValueError for a table that is no histogram."""
        return values.read_histogram(self.value)


def records(file: BinaryIO) -> Iterator[bytes]:
    """Whole records, framing included; the last one is left out where a killed writer left it half written."""
    left = file.seek(0, os.SEEK_END)
    file.seek(0)
    while len(header := file.read(HEADER)) == HEADER:
        (length,) = struct.unpack("<Q", header[:8])
        left -= HEADER + length + FOOTER
        if left < 0:  # a damaged length can be huge; `read` would allocate it
            return
        yield header + file.read(length + FOOTER)


def event_of(record: bytes) -> Any:
    """The event of a record. Raises ValueError for anything else."""
    try:
        return Event.FromString(record[HEADER:-FOOTER])
    except DecodeError as error:
        raise ValueError(f"no event: {error}") from None


def histograms(parts: Iterable[bytes]) -> Iterator[StoredHistogram]:
    """The histograms among the events of `records`, in the order of writing. Raises ValueError for a damaged record."""
    for record in parts:
        event = event_of(record)
        for value in event.summary.value:
            if values.is_histogram(value):
                yield StoredHistogram(event.step, value.tag, value)
