"""An event file that comes with a layout of the Custom Scalars tab."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mnist_depth.instrument.layout import charts_of, layout_value
from mnist_depth.instrument.writers.events import EventWriter


class LaidOutWriter(EventWriter):
    """Writes a chart for every quantity of which there are tags, whenever new ones have come by the time of a flush."""

    def __init__(self, logdir: str | os.PathLike[str]) -> None:
        super().__init__(logdir)
        self._tags: set[str] = set()
        self._laid_out = self._last = 0

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._tags.update(scalars)
        self._last = step
        super().write_scalars(step, scalars)

    def flush(self) -> None:
        if len(self._tags) > self._laid_out:
            self._laid_out = len(self._tags)
            self._add_values(self._last, [layout_value(charts_of(self._tags))])
        super().flush()
