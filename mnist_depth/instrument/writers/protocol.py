"""Where measurements go: the interface that all writers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mnist_depth.instrument.histograms import Histogram


@runtime_checkable
class Writer(Protocol):
    """Takes a step first and then a mapping from tag to value; one call is one summary.

    Steps count optimizer updates. A writer silently skips what its medium cannot hold, as the methods below do that
    only have a docstring; it may be written to again after `close`.
    """

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None: ...

    def write_histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None: ...

    def write_text(self, step: int, texts: Mapping[str, str]) -> None:
        """Markdown."""

    def write_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        """Arrays [height, width, channels] with 1, 3 or 4 channels."""

    def write_graph(self, graph_def: Any) -> None:
        """A tf.compat.v1.GraphDef; at most one per run, or TensorBoard fails to reconcile them."""

    def write_keras_model(self, model_json: str) -> None:
        """What `keras.Model.to_json` gives: the conceptual graph, a tag of its own beside the op graph."""

    def write_hparams(self, hparams: Mapping[str, bool | int | float | str], trial_id: str | None = None) -> None:
        """A row of hyperparameters."""

    def truncate_after(self, step: int) -> bool | None:
        """Drop every point later than a step, which a resumed training writes again; whether earlier ones are left."""
        ...

    def flush(self) -> None: ...

    def close(self) -> None: ...
