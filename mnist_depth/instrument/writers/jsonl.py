"""Write JSON lines, one file of scalars and one of histograms, for readers without TensorFlow and TensorBoard."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from mnist_depth.instrument.histograms import Histogram
from mnist_depth.instrument.writers.protocol import Writer

METRICS, HISTOGRAMS = "metrics.jsonl", "histograms.jsonl"


class JsonLinesWriter(Writer):
    """Appends to `metrics.jsonl` and `histograms.jsonl` in a folder; writers of several runs may share the folder.

    They hold numbers only: texts, images and graphs are skipped. `histograms=False` leaves out the second file, four
    times as large as the same histograms in an event file. Non-finite scalars are written as the strings "nan", "inf",
    "-inf". `epoch` is the 1-based epoch that a step belongs to (0 before training), null unless `steps_per_epoch` is
    given. With `make_folder=False` writing fails where the folder is missing.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        run: str = "train",
        steps_per_epoch: int | None = None,
        *,
        histograms: bool = True,
        make_folder: bool = True,
    ) -> None:
        self.folder = Path(folder)
        self.run = run
        self._keeps_histograms, self._make_folder = histograms, make_folder
        self.steps_per_epoch = steps_per_epoch
        self._files: dict[str, TextIO] = {}

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        if scalars:
            epoch = None if self.steps_per_epoch is None else math.ceil(step / self.steps_per_epoch)
            values = {tag: _number(value) for tag, value in scalars.items()}
            self._append(METRICS, {**self._head(step), "epoch": epoch, "wall_time": time.time(), "scalars": values})

    def write_histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        for tag, bars in histograms.items() if self._keeps_histograms else ():
            body = {"tag": tag, "edges": bars.edges.tolist(), "counts": bars.counts.tolist()}
            self._append(HISTOGRAMS, {**self._head(step), "wall_time": time.time(), **body})

    def truncate_after(self, step: int) -> bool:
        """Rewrite both files without this run's later lines, each whole or not at all; whether earlier ones are left.

        Lines of other runs are kept.
        """
        self.close()
        left = False
        for name in (METRICS, HISTOGRAMS):
            path = self.folder / name
            if path.exists():
                kept = [line for line in _whole_lines(path) if not self._is_later(json.loads(line), step)]
                temporary = path.with_name(f".{name}.{os.getpid()}.tmp")
                temporary.write_text("".join(kept), encoding="utf-8")
                temporary.replace(path)
                left = left or any(json.loads(line)["run"] == self.run for line in kept)
        return left

    def flush(self) -> None:
        for file in self._files.values():
            with _naming(file):
                file.flush()

    def close(self) -> None:
        for file in self._files.values():
            with _naming(file):
                file.close()
        self._files.clear()

    def _head(self, step: int) -> dict[str, Any]:
        return {"run": self.run, "step": step}

    def _is_later(self, line: Mapping[str, Any], step: int) -> bool:
        return line["run"] == self.run and line["step"] > step

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        if name not in self._files:
            if self._make_folder:
                self.folder.mkdir(parents=True, exist_ok=True)
            self._files[name] = (self.folder / name).open("a", encoding="utf-8")
        with _naming(self._files[name]) as file:
            file.write(json.dumps(line) + "\n")
            file.flush()  # a process that is killed leaves what it has measured


@contextlib.contextmanager
def _naming(file: TextIO) -> Iterator[TextIO]:
    """Add the file name to write errors; the operating system names it only in errors of opening a file."""
    try:
        yield file
    except OSError as error:
        raise OSError(error.errno, error.strerror, file.name) from None


def _number(value: float) -> float | str:
    value = float(value)
    return value if math.isfinite(value) else str(value)


def _whole_lines(path: Path) -> Iterator[str]:
    """Lines that parse: a killed writer may have left half of the last one."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                json.loads(line)
            except ValueError:
                continue
            yield line
