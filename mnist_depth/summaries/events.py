"""Event files derived from finished measurements: written atomically, replaced when they change.

A training run appends to its event file as it goes (`instrument.writer`). What is derived from finished measurements is
instead one small file of its own per kind, written atomically beside the others; rebuilding it from the same
measurements leaves the file unchanged, so that nothing is written twice and an open board does not reload it.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tensorboard.summary.writer.record_writer import RecordWriter

from mnist_depth.errors import UserError, refusal
from mnist_depth.files import write_atomic
from mnist_depth.instrument.writers.protos import Event, Summary
from mnist_depth.instrument.writers.values import of_images, of_scalars, of_tensor, of_texts
from mnist_depth.summaries.protos import Message

_PREFIX, _OWNER = "events.out.tfevents", "mnist_depth"


def replace_events(folder: Path, kind: str, events: Iterable[Message]) -> None:
    """Make `events` the content of the one file of this `kind` in `folder`; an unchanged file is not touched.

    The new file gets a name of its own, because TensorBoard keeps reading the file that it opened under an old name.
    Without events the file is removed. Raises UserError when the folder cannot be written.
    """
    content = _records(events)
    old = sorted(folder.glob(f"{_PREFIX}.*.{_OWNER}.{kind}"))
    try:
        if content and len(old) == 1 and old[0].is_file() and old[0].read_bytes() == content:
            return
        if content:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / f"{_PREFIX}.{time.time_ns()}.{_OWNER}.{kind}", content)
        for path in old:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            "cannot write event files to {folder}: {reason}", folder=folder, reason=refusal(error)
        ) from error


def scalars(step: int, values: Mapping[str, float], wall_time: float) -> Message:
    """One event with a scalar per tag, all at one step; non-finite values are kept as they are."""
    return _event(of_scalars(values), wall_time, step)


def text(tag: str, markdown: str, wall_time: float) -> Message:
    """One event with a text, rendered as markdown, at step 0."""
    return _event(of_texts({tag: markdown}), wall_time)


def image(tag: str, pixels: NDArray[np.uint8], wall_time: float, step: int = 0) -> Message:
    """One event with an image: `pixels` is [height, width, 3]."""
    return _event(of_images({tag: pixels}), wall_time, step)


def tensor(tag: str, value: Message, metadata: Message, wall_time: float, step: int = 0) -> Message:
    """One event with one tensor of a plugin."""
    return _event([of_tensor(tag, value, metadata)], wall_time, step)


def _event(values: list[Message], wall_time: float, step: int = 0) -> Message:
    return Event(wall_time=wall_time, step=step, summary=Summary(value=values))


def _records(events: Iterable[Message]) -> bytes:
    """The bytes of an event file; empty when there are no events. Equal events give equal bytes."""
    file = io.BytesIO()
    writer = RecordWriter(file)
    for number, event in enumerate(events):
        if number == 0:
            writer.write(Event(wall_time=event.wall_time, file_version="brain.Event:2").SerializeToString())
        writer.write(event.SerializeToString(deterministic=True))
    return file.getvalue()
