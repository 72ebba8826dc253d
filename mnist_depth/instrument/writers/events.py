"""Write TensorBoard event files, many values in one summary.

The protos are built by hand: several times cheaper than `tf.summary`, and one event per step instead of one per value.
Event files are record files, and TensorFlow's record writer is compiled; TensorBoard's own `EventFileWriter` computes
each record's checksum in Python, which took longer than all else that a measurement costs.
"""

from __future__ import annotations

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
from tensorboard.plugins.hparams import api as hparams_api

from mnist_depth.instrument.histograms import Histogram
from mnist_depth.instrument.writers import values
from mnist_depth.instrument.writers.protos import Event, SessionLog, Summary
from mnist_depth.instrument.writers.truncation import cut_event_file

SUFFIX = ".gauge"
"""Ends the names of our files, so that only they are ever rewritten."""

STAMP = r"events\.out\.tfevents\.(\d{10})\..*"

FLUSH_SECONDS = 60
"""Maximum seconds until written points show on a board, however long an epoch takes."""

_files = itertools.count()


class EventWriter:
    """One run's event file under `logdir`, opened at the first write; any path that TensorFlow can write to.

    `suffix` ends the name of the file: `truncate_after` rewrites only files with the suffix of this writer. With
    `make_folder=False` writing fails where the folder is missing.
    """

    def __init__(self, logdir: str | os.PathLike[str], suffix: str = SUFFIX, *, make_folder: bool = True) -> None:
        self.logdir = os.fspath(logdir)
        self._make_folder = make_folder
        self.suffix = suffix
        self._file: Any = None
        self._flushed = 0.0

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self._add_values(step, values.of_scalars(scalars))

    def write_histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        self._add_values(step, values.of_histograms(histograms))

    def write_text(self, step: int, texts: Mapping[str, str]) -> None:
        self._add_values(step, values.of_texts(texts))

    def write_images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        self._add_values(step, values.of_images(images))

    def write_graph(self, graph_def: Any) -> None:
        self._add(Event(graph_def=graph_def.SerializeToString()))

    def write_keras_model(self, model_json: str) -> None:
        self._add_values(0, [values.of_keras_model(model_json)])

    def write_hparams(self, hparams: Mapping[str, bool | int | float | str], trial_id: str | None = None) -> None:
        self._add(Event(summary=hparams_api.hparams_pb(dict(hparams), trial_id=trial_id)))

    def truncate_after(self, step: int) -> bool:
        """Remove this writer's later points from its files, and tell a board that has them open to forget them.

        Returns whether earlier points are left.
        """
        self.close()
        folder = Path(self.logdir)
        earlier = sorted(folder.glob(f"*tfevents*{self.suffix}")) if folder.is_dir() else []
        for path in earlier:
            cut_event_file(path, step)
        if earlier:
            self._add(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))
        return any(path.exists() for path in earlier)

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()
            self._flushed = time.monotonic()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add_values(self, step: int, found: list[Any]) -> None:
        if found:
            self._add(Event(step=step, summary=Summary(value=found)))

    def _add(self, event: Any) -> None:
        if self._file is None:
            if self._make_folder:
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
    """A unique name that sorts after the existing files, as TensorBoard expects of a later file.

    The time alone is not enough: a clock may jump back, and a run may be resumed within a second.
    """
    earlier = [int(found[1]) for name in tf.io.gfile.listdir(os.fsencode(folder)) if (found := re.match(STAMP, name))]
    stamp = max([int(time.time()), *(before + 1 for before in earlier)])
    return f"events.out.tfevents.{stamp:010d}.{socket.gethostname()}.{os.getpid()}.{next(_files)}{suffix}"
