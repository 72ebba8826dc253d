"""An event file that comes with a layout of the Custom Scalars tab."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mnist_depth.instrument.layout import charts_of, layout_value
from mnist_depth.instrument.writers.events import EventWriter


class LaidOutWriter(EventWriter):
    """Lays out a chart for every quantity of which there are tags, anew where a flush finds that there are more."""

    def __init__(self, logdir: str | os.PathLike[str]) -> None:
        super().__init__(logdir)
        self._tags: set[str] = set()
        self._charts: list[str] = []
        self._last = 0

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._tags.update(scalars)
        self._last = step
        super().write_scalars(step, scalars)

    def flush(self) -> None:
        charts = charts_of(self._tags)
        if charts != self._charts:
            self._charts = charts
            self._add_values(self._last, [layout_value(charts)])
        super().flush()
