"""Build TensorBoard's values for scalars, histograms, texts and images.

Equal input gives equal bytes. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text import metadata as text_metadata

from mnist_depth.instrument.histograms import Histogram, equal_edges
from mnist_depth.instrument.writers.protos import (
    DOUBLE,
    FLOAT,
    STRING,
    Summary,
    SummaryMetadata,
    TensorProto,
    TensorShape,
)

FLOAT32 = (1.2e-38, 3.4e38)
"""Magnitudes that float32 holds with all its digits."""

MAX_COUNT = 1 << 24
"""Whole numbers up to this one are exact in float32."""

EDGE_TOLERANCE = 1e-3
"""Error of an edge in float32, as a share of a bin, up to which TensorBoard gets it."""


def of_scalars(scalars: Mapping[str, float]) -> list[Any]:
    """Non-finite values are kept as they are."""
    return [_scalar(tag, float(value)) for tag, value in scalars.items()]


def _scalar(tag: str, value: float) -> Any:
    """A float32, as TensorBoard reads it most cheaply; a float64 where float32 would make it zero or infinite."""
    magnitude = abs(value)
    if magnitude in (0.0, math.inf) or value != value or FLOAT32[0] <= magnitude <= FLOAT32[1]:
        return Summary.Value(tag=tag, simple_value=value)
    tensor = TensorProto(dtype=DOUBLE, tensor_shape=_shape([]), double_val=[value])
    return of_tensor(tag, tensor, scalar_metadata.create_summary_metadata(display_name=None, description=None))


def of_histograms(histograms: Mapping[str, Histogram]) -> list[Any]:
    metadata = histogram_metadata.create_summary_metadata(display_name=None, description=None)
    return [of_tensor(tag, _bins(bars), metadata) for tag, bars in histograms.items()]


def of_texts(texts: Mapping[str, str]) -> list[Any]:
    """Markdown; what UTF-8 cannot hold is escaped."""
    metadata = text_metadata.create_summary_metadata(display_name=None, description=None)
    return [
        of_tensor(tag, _strings([text.encode(errors="backslashreplace")], []), metadata) for tag, text in texts.items()
    ]


def of_images(images: Mapping[str, NDArray[np.uint8]]) -> list[Any]:
    """Arrays [height, width, channels] with 1, 3 or 4 channels."""
    metadata = image_metadata.create_summary_metadata(
        display_name=None,
        description=None,
        converted_to_tensor=False,  # pyright: ignore[reportCallIssue]
    )
    return [of_tensor(tag, _image(pixels), metadata) for tag, pixels in images.items()]


def of_keras_model(model_json: str) -> Any:
    """The conceptual graph."""
    plugin = SummaryMetadata.PluginData(plugin_name="graph_keras_model", content=b"1")
    return of_tensor("keras", _strings([model_json.encode()], []), SummaryMetadata(plugin_data=plugin))


def of_tensor(tag: str, tensor: Any, metadata: Any) -> Any:
    """One value of a plugin."""
    return Summary.Value(tag=tag, tensor=tensor, metadata=metadata)


def _shape(sizes: list[int]) -> Any:
    return TensorShape(dim=[TensorShape.Dim(size=size) for size in sizes])


def _bins(bars: Histogram) -> Any:
    """The histogram plugin's tensor: [bins, 3] of left edge, right edge, count.

    It is float32, half the size, where `read_histogram` gets the same float64 edges back from the two outer ones.
    """
    table = np.stack([bars.edges[:-1], bars.edges[1:], bars.counts], axis=1)
    small = _fits_float32(bars)
    return TensorProto(
        dtype=FLOAT if small else DOUBLE,
        tensor_shape=_shape(list(table.shape)),
        tensor_content=table.astype("<f4" if small else "<f8").tobytes(),
    )


def _fits_float32(bars: Histogram) -> bool:
    """Whether all counts are exact in float32, the edges are equally spaced, and their errors are small for a bin."""
    edges, counts = bars.edges, bars.counts
    if not len(counts) or max(np.abs(edges).max(), counts.max()) > FLOAT32[1]:
        return False
    near = edges.astype(np.float32).astype(np.float64)
    return (
        counts.max() <= MAX_COUNT
        and bool((counts == np.floor(counts)).all())
        and np.array_equal(equal_edges(near[0], near[-1], len(counts)), edges)
        and bool(np.abs(near - edges).max() <= EDGE_TOLERANCE * np.diff(edges).min())
    )


def is_histogram(value: Any) -> bool:
    """Whether a `Summary.Value` is a histogram."""
    return value.metadata.plugin_data.plugin_name == histogram_metadata.PLUGIN_NAME


def read_histogram(value: Any) -> Histogram:
    """The histogram of a `Summary.Value` as it was written. Raises ValueError where the tensor is no such table."""
    tensor = value.tensor
    numbers = np.frombuffer(tensor.tensor_content, "<f4" if tensor.dtype == FLOAT else "<f8")
    if tensor.dtype not in (FLOAT, DOUBLE) or not numbers.size or numbers.size % 3:
        raise ValueError("no table of edges and counts")
    return of_table(numbers.reshape(-1, 3))


def of_table(table: NDArray[Any]) -> Histogram:
    """The histogram of a table [bins, 3], as it was written; what is in float32 has equal bins."""
    lefts, rights, counts = table.astype(np.float64).T
    small = table.dtype == np.float32
    edges = equal_edges(lefts[0], rights[-1], len(counts)) if small else np.append(lefts, rights[-1])
    return Histogram(edges, counts)


def _strings(values: list[bytes], shape: list[int]) -> Any:
    return TensorProto(dtype=STRING, tensor_shape=_shape(shape), string_val=values)


def _image(pixels: NDArray[np.uint8]) -> Any:
    """The image plugin's tensor: width, height, PNG."""
    height, width, _ = pixels.shape
    return _strings([str(width).encode(), str(height).encode(), png(pixels)], [3])


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode [height, width, channels] (grey, RGB or RGBA). ValueError for other shapes or types."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise ValueError(f"an image is uint8 [height, width, 1, 3 or 4], not {pixels.dtype} {list(pixels.shape)}")
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, format="PNG")
    return file.getvalue()
