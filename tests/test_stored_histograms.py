"""Histograms come back from event files exactly as they were binned, and from the text of earlier versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError, printable
from mnist_depth.instrument import EventWriter, Histogram, JsonLinesWriter, MultiWriter, histogram, log10_histogram
from mnist_depth.instrument.writers import values
from mnist_depth.records.histograms import HistogramPoint, last_histograms, read_histograms
from mnist_depth.training.split_writer import SplitWriter

RANDOM = np.random.default_rng(0)

KINDS: dict[str, Any] = {
    "normal": RANDOM.normal(size=5_000).astype(np.float32),
    "vanished": (RANDOM.normal(size=5_000) * 1e-30).astype(np.float32),
    "below float32": RANDOM.normal(size=500) * 1e-200,
    "denormal": (RANDOM.normal(size=5_000) * 1e-40).astype(np.float32),
    "huge": RANDOM.normal(size=500) * 1e200,
    "equal": np.full(7, np.float32(0.1)),
    "zeros": np.zeros(7, np.float32),
    "nearly equal": (1000 + RANDOM.normal(size=500) * 1e-3).astype(np.float32),
}


def _same(one: Histogram, other: Histogram) -> bool:
    return np.array_equal(one.edges, other.edges) and np.array_equal(one.counts, other.counts)


def _stored(bars: Histogram) -> Any:
    return values.of_histograms({"tag": bars})[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_histogram_comes_back_bit_for_bit(kind: str) -> None:
    for bars in (histogram(KINDS[kind]), log10_histogram(KINDS[kind])):
        assert bars is None or _same(values.read_histogram(_stored(bars)), bars)


@settings(max_examples=200, deadline=None)
@given(
    arrays.arrays(np.float32, st.integers(1, 40), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
)
def test_any_histogram_of_float32_comes_back_bit_for_bit(entries: np.ndarray) -> None:
    bars = histogram(entries)
    assert bars is not None
    assert _same(values.read_histogram(_stored(bars)), bars)


def test_histograms_of_ordinary_values_take_half_the_bytes() -> None:
    sizes = {kind: len(_stored(bars).tensor.tensor_content) for kind in KINDS if (bars := histogram(KINDS[kind]))}
    assert sizes["normal"] == sizes["vanished"] == 60 * 3 * 4
    assert sizes["below float32"] == sizes["huge"] == sizes["nearly equal"] == 60 * 3 * 8
    odd = Histogram(np.array([0.0, 1.0, 3.0]), np.array([1.5, 2.0]))
    assert _same(values.read_histogram(_stored(odd)), odd)
    large = Histogram(np.array([0.0, 1.0]), np.array([2.0**24 + 1]))
    assert _same(values.read_histogram(_stored(large)), large)


def test_tensorboard_reads_edges_to_a_thousandth_of_a_bin(tmp_path: Path) -> None:
    found = {kind: bars for kind in ("normal", "vanished", "denormal") if (bars := histogram(KINDS[kind]))}
    writer = EventWriter(tmp_path)
    writer.write_histograms(3, found)
    writer.close()
    reader = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0}).Reload()
    for kind, bars in found.items():
        [event] = reader.Tensors(kind)
        lefts, rights, counts = tensor_util.make_ndarray(event.tensor_proto).astype(float).T
        np.testing.assert_array_equal(counts, bars.counts)
        for edges, wanted in ((lefts, bars.edges[:-1]), (rights, bars.edges[1:])):
            np.testing.assert_allclose(edges, wanted, rtol=0, atol=1e-3 * np.diff(bars.edges).min())


def _fill(writer: MultiWriter | SplitWriter, tags: list[str]) -> None:
    for step in range(3):
        bars = {tag: found for tag in tags if (found := histogram(RANDOM.normal(size=100).astype(np.float32)))}
        writer.write_histograms(step, bars)
    writer.close()


@pytest.mark.parametrize("split", ["train", "pretraining"])
def test_a_run_folder_gives_the_same_from_events_as_from_text(tmp_path: Path, split: str) -> None:
    suffix = ".gauge" if split == "train" else f".{split}"
    _fill(SplitWriter(EventWriter(tmp_path, suffix), JsonLinesWriter(tmp_path, split)), ["weight/layer_01", "b"])
    events = list(read_histograms(tmp_path))
    last = last_histograms(tmp_path, lambda point: point.step < 2)
    for path in tmp_path.glob("events*"):
        path.unlink()
    text = list(read_histograms(tmp_path))
    assert text == events
    assert [(point.split, point.tag, point.step) for point in events] == [
        (split, tag, step) for step in range(3) for tag in ("weight/layer_01", "b")
    ]
    assert last_histograms(tmp_path, lambda point: point.step < 2) == last
    assert last == {point.tag: point for point in events if point.step == 1}


def test_a_gauge_folder_gives_the_same_from_events_as_from_text(tmp_path: Path) -> None:
    _fill(MultiWriter(EventWriter(tmp_path / "train"), JsonLinesWriter(tmp_path)), ["weight/block/train/kernel"])
    events = list(read_histograms(tmp_path))
    assert len(events) == 3
    for path in tmp_path.glob("train/events*"):
        path.unlink()
    assert list(read_histograms(tmp_path)) == events


def _written(folder: Path) -> Path:
    writer = EventWriter(folder)
    for step in range(3):
        writer.write_histograms(step, {"a": Histogram(np.array([0.0, 1.0]), np.array([float(step)]))})
    writer.close()
    [path] = folder.iterdir()
    return path


def test_a_record_that_a_killed_writer_cut_is_left_out(tmp_path: Path) -> None:
    path = _written(tmp_path)
    path.write_bytes(path.read_bytes()[:-7])
    assert [point.step for point in read_histograms(tmp_path)] == [0, 1]


def test_a_damaged_event_file_is_one_line_that_names_it(tmp_path: Path, tiny: RunConfig) -> None:
    path = _written(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\x0a\x01a", b"\x0a\xffa"))
    for read in (lambda: list(read_histograms(tmp_path)), lambda: last_histograms(tmp_path, lambda _: True)):
        with pytest.raises(UserError, match=r"\.gauge is damaged"):
            read()
    document = {"format": records.FORMAT, "config": tiny.to_dict()}
    (tmp_path / records.CONFIG).write_text(json.dumps(document))
    assert records.state(tmp_path, tiny) == "unfinished", "training cuts off what is damaged"


# The text of version 0.1


def _line(tag: str, step: int, counts: list[float]) -> str:
    return json.dumps({"run": "train", "step": step, "wall_time": 0, "tag": tag, "edges": [0, 1, 2], "counts": counts})


def test_the_last_usable_histogram_of_each_tag_is_found_from_the_end(tmp_path: Path) -> None:
    odd = 'a "quoted"\ttag'
    lines = [_line(tag, step, [step, 1]) for step in range(1, 5) for tag in ("a", "b", odd)]
    lines += [_line("b", 9, [-1, 0]), _line("a", 10, [10, 1])[:30]]
    (tmp_path / records.HISTOGRAMS).write_text("\n".join(lines))
    found = last_histograms(tmp_path, lambda point: min(point.counts) >= 0)
    assert {tag: point.step for tag, point in found.items()} == {"a": 4, "b": 4, printable(odd): 4}
    every = list(read_histograms(tmp_path))
    assert all(point in every for point in found.values())
    assert every[0] == HistogramPoint("train", "a", 1, [0.0, 1.0, 2.0], [1.0, 1.0])
    assert last_histograms(tmp_path / "nothing", bool) == {}


def test_a_damaged_last_line_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / records.HISTOGRAMS).write_text(_line("a", 1, [1, 1]) + '\n{"tag": "b"}')
    with pytest.raises(UserError, match=r"histograms\.jsonl is damaged"):
        last_histograms(tmp_path, bool)
