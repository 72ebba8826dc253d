"""Write TensorBoard event files, many values in one summary.

The protos are built by hand: several times cheaper than `tf.summary`, and one event per step instead of one per value.
Event files are record files, and TensorFlow's record writer is compiled; TensorBoard's own `EventFileWriter` computes
each record's checksum in Python, which took longer than all else that a measurement costs.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.hparams import api as hparams_api
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.text import metadata as text_metadata

from mnist_depth.instrument.histograms import Histogram
from mnist_depth.instrument.writers.protos import (
    DOUBLE,
    STRING,
    Event,
    SessionLog,
    Summary,
    SummaryMetadata,
    TensorProto,
    TensorShape,
)
from mnist_depth.instrument.writers.truncation import cut_event_file

SUFFIX = ".gauge"
"""Ends the names of our files, so that only they are ever rewritten."""

STAMP = r"events\.out\.tfevents\.(\d{10})\..*"

FLUSH_SECONDS = 60
"""What is written shows on a board after so long at the latest, however long an epoch takes."""

_files = itertools.count()


class EventWriter:
    """One run's event file under `logdir`, opened at the first write; any path that TensorFlow can write to.

    `suffix` ends the name of the file: `truncate_after` rewrites only files with the suffix of this writer.
    """

    def __init__(self, logdir: str | os.PathLike[str], suffix: str = SUFFIX) -> None:
        self.logdir = os.fspath(logdir)
        self.suffix = suffix
        self._file: Any = None
        self._flushed = 0.0

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._add_values(step, [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()])

    def write_histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        metadata = histogram_metadata.create_summary_metadata(display_name=None, description=None)
        self._add_values(step, [_value(tag, _bins(bars), metadata) for tag, bars in histograms.items()])

    def write_text(self, step: int, texts: Mapping[str, str]) -> None:
        metadata = text_metadata.create_summary_metadata(display_name=None, description=None)
        self._add_values(step, [_value(tag, _strings([text.encode()], []), metadata) for tag, text in texts.items()])

    def write_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        metadata = image_metadata.create_summary_metadata(
            display_name=None,
            description=None,
            converted_to_tensor=False,  # pyright: ignore[reportCallIssue]
        )
        self._add_values(step, [_value(tag, _image(pixels), metadata) for tag, pixels in images.items()])

    def write_graph(self, graph_def: Any) -> None:
        self._add(Event(graph_def=graph_def.SerializeToString()))

    def write_keras_model(self, model_json: str) -> None:
        plugin = SummaryMetadata.PluginData(plugin_name="graph_keras_model", content=b"1")
        metadata = SummaryMetadata(plugin_data=plugin)
        self._add_values(0, [_value("keras", _strings([model_json.encode()], []), metadata)])

    def write_hparams(self, hparams: Mapping[str, bool | int | float | str], trial_id: str | None = None) -> None:
        self._add(Event(summary=hparams_api.hparams_pb(dict(hparams), trial_id=trial_id)))

    def truncate_after(self, step: int) -> None:
        """Remove this writer's later points from its files, and tell a board that has them open to forget them."""
        self.close()
        folder = Path(self.logdir)
        earlier = sorted(folder.glob(f"*tfevents*{self.suffix}")) if folder.is_dir() else []
        for path in earlier:
            cut_event_file(path, step)
        if earlier:
            self._add(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add_values(self, step: int, values: list[Any]) -> None:
        if values:
            self._add(Event(step=step, summary=Summary(value=values)))

    def _add(self, event: Any) -> None:
        if self._file is None:
            tf.io.gfile.makedirs(os.fsencode(self.logdir))
            path = os.path.join(self.logdir, _file_name(self.logdir, self.suffix))
            # TensorFlow encodes texts as strict UTF-8; the names of folders are bytes, of any encoding.
            self._file = tf.io.TFRecordWriter(os.fsencode(path))  # pyright: ignore[reportArgumentType]
            self._write(Event(file_version="brain.Event:2"))
            self.flush()
        self._write(event)

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._file.write(event.SerializeToString())
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()


def _file_name(folder: str, suffix: str) -> str:
    """A name that is no other writer's and sorts behind those in the folder, as TensorBoard expects of a later file.

    The time alone would not do: a clock may jump back, and a run may be resumed within a second.
    """
    earlier = [int(found[1]) for name in tf.io.gfile.listdir(os.fsencode(folder)) if (found := re.match(STAMP, name))]
    stamp = max([int(time.time()), *(before + 1 for before in earlier)])
    return f"events.out.tfevents.{stamp:010d}.{socket.gethostname()}.{os.getpid()}.{next(_files)}{suffix}"


def _value(tag: str, tensor: Any, metadata: Any) -> Any:
    return Summary.Value(tag=tag, tensor=tensor, metadata=metadata)


def _shape(sizes: list[int]) -> Any:
    return TensorShape(dim=[TensorShape.Dim(size=size) for size in sizes])


def _bins(bars: Histogram) -> Any:
    """The histogram plugin's tensor: float64 [bins, 3] of left edge, right edge, count."""
    table = np.stack([bars.edges[:-1], bars.edges[1:], bars.counts], axis=1)
    return TensorProto(
        dtype=DOUBLE, tensor_shape=_shape(list(table.shape)), tensor_content=table.astype("<f8").tobytes()
    )


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
