"""Writers: write, read back with TensorBoard's own reader or with json, compare everything."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

from mnist_depth.instrument import EventWriter, Histogram, JsonLinesWriter, MemoryWriter, MultiWriter, Writer
from mnist_depth.instrument.writers.values import png

BARS = Histogram(np.array([-1.0, 0.0, 2.0]), np.array([3.0, 4.0]))
PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def _fill(writer: Writer) -> None:
    writer.write_scalars(1, {"loss": 2.5, "gradient_norm/layer_01/kernel": 1e-34})
    writer.write_scalars(2, {"loss": math.nan})
    writer.write_histograms(2, {"weight/layer_01/kernel": BARS})
    writer.write_text(2, {"note": "*hello*"})
    writer.write_images(2, {"picture": PICTURE})
    writer.write_graph(tf.compat.v1.GraphDef(node=[tf.compat.v1.NodeDef(name="layer_01/MatMul", op="MatMul")]))
    writer.write_keras_model('{"config": {}}')
    writer.write_hparams({"depth": 9, "activation": "relu"}, trial_id="one")
    writer.write_scalars(3, {"loss": 1.5})
    writer.flush()


def _read(folder: Path) -> Any:
    accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0, "graph": 1})
    return accumulator.Reload()


def _scalars(reader: Any, tag: str) -> dict[int, float]:
    return {event.step: event.value for event in reader.Scalars(tag)}


def _events(path: Path) -> list[Any]:
    records: Any = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [tf.compat.v1.Event.FromString(record) for record in records]


def test_points_reach_the_disk_without_a_flush_in_due_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = EventWriter(tmp_path)
    writer.write_scalars(1, {"loss": 1.0})
    assert not _read(tmp_path).Tags()["scalars"]
    monkeypatch.setattr("mnist_depth.instrument.writers.events.FLUSH_SECONDS", 0)
    writer.write_scalars(2, {"loss": 0.5})
    assert _scalars(_read(tmp_path), "loss") == {1: 1.0, 2: 0.5}
    writer.close()


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("events")
    writer = EventWriter(folder)
    _fill(writer)
    writer.close()
    return _read(folder)


def test_event_tags_are_exactly_those_written(events: Any) -> None:
    assert set(events.Tags()["scalars"]) == {"loss", "gradient_norm/layer_01/kernel"}
    tensors = {tag for tag in events.Tags()["tensors"] if not tag.startswith("_hparams_")}
    assert tensors == {"weight/layer_01/kernel", "note", "picture", "keras"}


def test_event_scalars(events: Any) -> None:
    loss = _scalars(events, "loss")
    assert math.isnan(loss.pop(2))
    assert loss == {1: 2.5, 3: 1.5}
    assert _scalars(events, "gradient_norm/layer_01/kernel") == {1: np.float32(1e-34)}


def test_event_histogram(events: Any) -> None:
    [event] = events.Tensors("weight/layer_01/kernel")
    assert event.step == 2
    assert event.wall_time > 1.7e9
    assert tensor_util.make_ndarray(event.tensor_proto).tolist() == [[-1, 0, 3], [0, 2, 4]]
    assert events.SummaryMetadata("weight/layer_01/kernel").plugin_data.plugin_name == "histograms"


def test_event_text_and_image(events: Any) -> None:
    [text] = events.Tensors("note")
    assert tensor_util.make_ndarray(text.tensor_proto).item() == b"*hello*"
    [image] = events.Tensors("picture")
    values: Any = tensor_util.make_ndarray(image.tensor_proto).tolist()
    width, height, encoded = values
    assert (width, height) == (b"3", b"2")
    np.testing.assert_array_equal(tf.io.decode_png(encoded).numpy(), PICTURE)


def test_event_graph_and_hparams(events: Any) -> None:
    assert [node.name for node in events.Graph().node] == ["layer_01/MatMul"]
    assert events.SummaryMetadata("keras").plugin_data.plugin_name == "graph_keras_model"
    metadata = events.SummaryMetadata("_hparams_/session_start_info")
    proto: Any = plugin_data_pb2
    content = proto.HParamsPluginData.FromString(metadata.plugin_data.content)
    assert content.session_start_info.hparams["depth"].number_value == 9
    assert content.session_start_info.hparams["activation"].string_value == "relu"


def test_one_summary_holds_many_values(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    writer.write_scalars(5, {f"t{i}": float(i) for i in range(40)})
    writer.close()
    [path] = tmp_path.iterdir()
    records = _events(path)
    assert [len(record.summary.value) for record in records] == [0, 40]  # the first one is the file's version


def test_events_after_a_resume_are_not_doubled(tmp_path: Path) -> None:
    for start, loss in ((1, 1.0), (3, 2.0)):
        writer = EventWriter(tmp_path / "run")
        if start > 1:
            writer.truncate_after(start - 1)
        for step in range(start, 6):
            writer.write_scalars(step, {"loss": loss, "x/y": loss})
        writer.close()
    reader = _read(tmp_path / "run")
    for tag in ("loss", "x/y"):
        assert [event.step for event in reader.Scalars(tag)] == [1, 2, 3, 4, 5]
        assert _scalars(reader, tag) == {1: 1, 2: 1, 3: 2, 4: 2, 5: 2}


def test_a_later_file_sorts_behind_an_earlier_one_though_the_clock_jumps_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    for step, moment in enumerate([now, now - 3_600, now - 7_200]):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        with_points = EventWriter(tmp_path)
        with_points.write_scalars(step, {"loss": 0.5})
        with_points.close()
    steps = [
        event.step
        for path in sorted(tmp_path.iterdir())
        for event in EventFileLoader(str(path)).Load()
        if event.HasField("summary")
    ]
    assert steps == [0, 1, 2]


def test_an_event_writer_that_was_closed_goes_on(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    for step in (1, 2):
        writer.write_scalars(step, {"loss": float(step)})
        writer.close()
        writer.close()
    steps = {event.step for path in tmp_path.iterdir() for event in _events(path) if event.summary.value}
    assert steps == {1, 2}


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines(tmp_path: Path) -> None:
    writer = JsonLinesWriter(tmp_path, "train", steps_per_epoch=2)
    writer.write_scalars(0, {"loss": 3.0})
    _fill(writer)
    writer.close()
    lines = _lines(tmp_path / "metrics.jsonl")
    assert [(line["run"], line["step"], line["epoch"], line["scalars"]) for line in lines] == [
        ("train", 0, 0, {"loss": 3.0}),
        ("train", 1, 1, {"loss": 2.5, "gradient_norm/layer_01/kernel": 1e-34}),
        ("train", 2, 1, {"loss": "nan"}),
        ("train", 3, 2, {"loss": 1.5}),
    ]
    [bars] = _lines(tmp_path / "histograms.jsonl")
    assert bars.pop("wall_time") > 1.7e9
    assert bars == {
        "run": "train",
        "step": 2,
        "tag": "weight/layer_01/kernel",
        "edges": [-1.0, 0.0, 2.0],
        "counts": [3.0, 4.0],
    }


def test_json_lines_name_infinities(tmp_path: Path) -> None:
    writer = JsonLinesWriter(tmp_path)
    writer.write_scalars(1, {"a": math.inf, "b": -math.inf, "c": float(np.float32(1.5))})
    writer.close()
    [line] = _lines(tmp_path / "metrics.jsonl")
    assert line["scalars"] == {"a": "inf", "b": "-inf", "c": 1.5}
    assert line["epoch"] is None


def test_json_lines_truncate_their_own_run_only(tmp_path: Path) -> None:
    train, test = JsonLinesWriter(tmp_path, "train"), JsonLinesWriter(tmp_path, "test")
    for step in (1, 2, 3):
        for writer in (train, test):
            writer.write_scalars(step, {"loss": 1.0})
            writer.write_histograms(step, {"weight/a": BARS})
            writer.flush()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"run": "train", "st')  # a writer was killed here
    train.truncate_after(1)
    train.write_scalars(2, {"loss": 2.0})
    train.close()
    test.close()
    kept = [(line["run"], line["step"], line["scalars"]["loss"]) for line in _lines(tmp_path / "metrics.jsonl")]
    assert kept == [("train", 1, 1.0), ("test", 1, 1.0), ("test", 2, 1.0), ("test", 3, 1.0), ("train", 2, 2.0)]
    assert [(line["run"], line["step"]) for line in _lines(tmp_path / "histograms.jsonl")] == [
        ("train", 1),
        ("test", 1),
        ("test", 2),
        ("test", 3),
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.jsonl", "histograms.jsonl"}


def test_truncating_nothing(tmp_path: Path) -> None:
    JsonLinesWriter(tmp_path / "not_yet").truncate_after(3)
    assert not (tmp_path / "not_yet").exists()


def test_memory() -> None:
    writer = MemoryWriter()
    _fill(writer)
    assert writer.scalars["gradient_norm/layer_01/kernel"] == {1: 1e-34}
    assert writer.histograms == {"weight/layer_01/kernel": {2: BARS}}
    assert writer.texts == {"note": {2: "*hello*"}}
    assert writer.images["picture"][2] is PICTURE
    assert writer.graph.node[0].name == "layer_01/MatMul"
    assert writer.keras_model == '{"config": {}}'
    assert writer.hparams == {"depth": 9, "activation": "relu"}
    writer.truncate_after(1)
    assert list(writer.scalars["loss"]) == [1]
    assert not writer.histograms["weight/layer_01/kernel"]


def test_several_at_once(tmp_path: Path) -> None:
    first, second = MemoryWriter(), MemoryWriter()
    both = MultiWriter(first, second, JsonLinesWriter(tmp_path))
    _fill(both)
    both.truncate_after(1)
    both.close()
    assert first.scalars == second.scalars == {"loss": {1: 2.5}, "gradient_norm/layer_01/kernel": {1: 1e-34}}
    assert first.hparams == second.hparams
    assert len(_lines(tmp_path / "metrics.jsonl")) == 1


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_is_lossless(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    np.testing.assert_array_equal(tf.io.decode_png(png(pixels), channels).numpy(), pixels)


@pytest.mark.parametrize("pixels", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 1))])
def test_no_picture(pixels: Any) -> None:
    with pytest.raises(ValueError, match="an image is uint8"):
        png(pixels)


def test_all_writers_are_writers(tmp_path: Path) -> None:
    for writer in (EventWriter(tmp_path), JsonLinesWriter(tmp_path), MemoryWriter(), MultiWriter()):
        assert isinstance(writer, Writer)
