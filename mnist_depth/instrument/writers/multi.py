"""Write to several places at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_depth.instrument.histograms import Histogram
from mnist_depth.instrument.writers.protocol import Writer


class MultiWriter(Writer):
    """Passes every call on to each writer in turn."""

    def __init__(self, *writers: Writer) -> None:
        self.writers = writers

    def _each(self, method: str, *arguments: Any) -> list[Any]:
        return [getattr(writer, method)(*arguments) for writer in self.writers]

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._each("write_scalars", step, scalars)

    def write_histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        self._each("write_histograms", step, histograms)

    def write_text(self, step: int, texts: Mapping[str, str]) -> None:
        self._each("write_text", step, texts)

    def write_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        self._each("write_images", step, images)

    def write_graph(self, graph_def: Any) -> None:
        self._each("write_graph", graph_def)

    def write_keras_model(self, model_json: str) -> None:
        self._each("write_keras_model", model_json)

    def write_hparams(self, hparams: Mapping[str, bool | int | float | str], trial_id: str | None = None) -> None:
        self._each("write_hparams", hparams, trial_id)

    def truncate_after(self, step: int) -> bool:
        return any(self._each("truncate_after", step))

    def flush(self) -> None:
        self._each("flush")

    def close(self) -> None:
        self._each("close")
