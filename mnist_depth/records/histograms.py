"""Histograms of a training: from its event files or, in folders of earlier versions, from `histograms.jsonl`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mnist_depth.errors import printable
from mnist_depth.files import MAX_LINES_BYTES, open_regular
from mnist_depth.points import damage_named, name_of, parsed, read_lines, step_of, text_of

if TYPE_CHECKING:
    from mnist_depth.instrument.histograms import Histogram
    from mnist_depth.instrument.writers.event_files import StoredHistogram

HISTOGRAMS = "histograms.jsonl"

EVENT_FILE = re.compile(r"events\.out\.tfevents\..*\.(?:gauge|(pretraining|time))")
"""The event files of an `EventWriter` in a folder, with the split of those that do not belong to training."""

TRAIN = "train"
"""The split of training, and the subfolder of a gauge's folder that holds its event files."""


class HistogramPoint(NamedTuple):
    """One histogram: `edges` has one entry more than `counts`."""

    split: str
    tag: str
    step: int
    edges: list[float]
    counts: list[float]


def read_histograms(folder: Path) -> Iterator[HistogramPoint]:
    """Every histogram of a folder in the order of writing.

    Raises UserError that names the file that is damaged; a half-written end, as a killed writer leaves it, is left out.
    """
    count = 0
    for split, tag, stored in _stored(folder):
        yield _point(split, tag, stored.step, stored.read())
        count += 1
    if not count:
        yield from read_text_histograms(folder)


def last_histograms(folder: Path, is_usable: Callable[[HistogramPoint], bool]) -> dict[str, HistogramPoint]:
    """Tag -> its last usable histogram, without decoding all of them. Raises UserError like `read_histograms`."""
    stored = list(_stored(folder))
    if not stored:
        return _last_text_histograms(folder, is_usable)
    found = dict[str, HistogramPoint]()
    for split, tag, histogram in reversed(stored):
        if tag not in found and is_usable(point := _point(split, tag, histogram.step, histogram.read())):
            found[tag] = point
    return dict(reversed(found.items()))


def _stored(folder: Path) -> Iterator[tuple[str, str, StoredHistogram]]:
    """Split, tag and encoded histogram of everything in a folder's event files."""
    from mnist_depth.instrument.writers.event_files import histograms, records  # imports the protos of TensorBoard

    for path, split in _event_files(folder):
        with damage_named(path), open_regular(path, MAX_LINES_BYTES) as file:
            for stored in histograms(records(file)):
                yield split, name_of(stored.tag.removeprefix(f"{split}/")), stored


def _event_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files of a run, in the folder, or of a gauge, in its subfolder `train`, in the order of their names."""
    for place in (folder, folder / TRAIN):
        for path in sorted(place.glob("events.out.tfevents.*")):
            if found := EVENT_FILE.fullmatch(path.name):
                yield path, found[1] or TRAIN


def _point(split: str, tag: str, step: int, bars: Histogram) -> HistogramPoint:
    return HistogramPoint(split, tag, step, bars.edges.tolist(), bars.counts.tolist())


# Text, as version 0.1 wrote it and `JsonLinesWriter` still can


def read_text_histograms(folder: Path) -> Iterator[HistogramPoint]:
    """Every histogram of `histograms.jsonl` in the order of writing. Raises UserError like `read_lines`."""
    return read_lines(folder / HISTOGRAMS, _of_line)


def _last_text_histograms(folder: Path, is_usable: Callable[[HistogramPoint], bool]) -> dict[str, HistogramPoint]:
    """Read the file from its end and do not parse lines of tags that were already found."""
    path, found = folder / HISTOGRAMS, dict[str, HistogramPoint]()
    with damage_named(path), text_of(path) as file:
        for text in reversed(list(file)):
            tag = _TAG.search(text)
            if tag is None or printable(tag[1]) not in found:
                for point in parsed([text], _of_line):
                    if point.tag not in found and is_usable(point):
                        found[point.tag] = point
    return dict(reversed(found.items()))


_TAG = re.compile(r'"tag": "([^"\\]*)"')
"""A tag without escapes in a line of JSON."""


def _of_line(line: Mapping[str, Any]) -> HistogramPoint:
    edges, counts = ([float(number) for number in line[name]] for name in ("edges", "counts"))
    return HistogramPoint(name_of(line["run"]), name_of(line["tag"]), step_of(line["step"]), edges, counts)
