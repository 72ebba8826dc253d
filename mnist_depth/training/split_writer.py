"""The writers of one training: event files are one run in TensorBoard's list, JSON lines tell the splits apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mnist_depth.instrument import EventWriter, Histogram, JsonLinesWriter, MultiWriter
from mnist_depth.records import event_tag


class SplitWriter(MultiWriter):
    """Writes one split (train, validation, test, ...): plain tags into JSON lines, `event_tag`s into `events`.

    Several splits may share `events`. Only the writer of the split `train` truncates it, so truncate that one first.
    """

    def __init__(self, events: EventWriter, lines: JsonLinesWriter) -> None:
        super().__init__(events, lines)
        self._events, self._lines, self._split = events, lines, lines.run

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._events.write_scalars(step, {event_tag(self._split, tag): value for tag, value in scalars.items()})
        self._lines.write_scalars(step, scalars)

    def write_histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        self._events.write_histograms(step, {event_tag(self._split, tag): one for tag, one in histograms.items()})
        self._lines.write_histograms(step, histograms)

    def write_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        self._events.write_images(step, {event_tag(self._split, tag): image for tag, image in images.items()})

    def truncate_after(self, step: int) -> bool:
        events_left = self._split not in ("validation", "test") and self._events.truncate_after(step)
        return self._lines.truncate_after(step) or events_left
