"""Keep measurements in memory, for notebooks and tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnist_depth.instrument.histograms import Histogram

Value = TypeVar("Value")
Series = dict[str, dict[int, Value]]


class MemoryWriter:
    """Everything written, as `scalars[tag][step]`, `histograms[tag][step]`, `texts[tag][step]`, `images[tag][step]`."""

    def __init__(self) -> None:
        self.scalars: Series[float] = {}
        self.histograms: Series[Histogram] = {}
        self.texts: Series[str] = {}
        self.images: Series[NDArray[np.uint8]] = {}
        self.graph: Any = None
        self.keras_model = ""
        self.hparams: dict[str, bool | int | float | str] = {}

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        _file(self.scalars, step, scalars)

    def write_histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        _file(self.histograms, step, histograms)

    def write_text(self, step: int, texts: Mapping[str, str]) -> None:
        _file(self.texts, step, texts)

    def write_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        _file(self.images, step, images)

    def write_graph(self, graph_def: Any) -> None:
        self.graph = graph_def

    def write_keras_model(self, model_json: str) -> None:
        self.keras_model = model_json

    def write_hparams(self, hparams: Mapping[str, bool | int | float | str], trial_id: str | None = None) -> None:
        self.hparams.update(hparams)

    def truncate_after(self, step: int) -> bool:
        """Forget every point later than a step; whether earlier ones are left."""
        kinds = (self.scalars, self.histograms, self.texts, self.images)
        series = [points for kind in kinds for points in kind.values()]
        for points in series:
            for later in [at for at in points if at > step]:
                del points[later]
        return any(series)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open; what was written stays."""


def _file(series: Series[Value], step: int, values: Mapping[str, Value]) -> None:
    for tag, value in values.items():
        series.setdefault(tag, {})[step] = value
