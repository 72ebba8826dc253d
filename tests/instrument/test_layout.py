"""The gauge's own Custom Scalars tab: every quantity that was written, and no empty chart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import metadata

from mnist_depth.instrument import DepthGauge, EventWriter, every_epochs, never
from mnist_depth.instrument.layout import CHARTS, charts_of
from mnist_depth.instrument.writers.protos import Layout

X, Y = np.random.default_rng(0).normal(size=(40, 6)), np.arange(40) % 3


def fitted(epochs: int = 1, **options: Any) -> None:
    """A network of two named layers after `fit` with a gauge."""
    model: Any = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5, "tanh", name="inner"), keras.layers.Dense(3, name="outer")]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, Y, epochs=epochs, batch_size=20, verbose=0, callbacks=[DepthGauge(**options)])


def charts_below(run: Path) -> dict[str, set[str]]:
    """The charts of the last layout of a run, and the scalars that each shows."""
    events = EventAccumulator(str(run), size_guidance={"tensors": 0}).Reload()
    if metadata.CONFIG_SUMMARY_TAG not in events.Tags()["tensors"]:
        return {}
    last = events.Tensors(metadata.CONFIG_SUMMARY_TAG)[-1]
    (category,) = Layout.FromString(last.tensor_proto.string_val[0]).category
    tags = events.Tags()["scalars"]
    return {chart.title: {tag for tag in tags if re.match(chart.multiline.tag[0], tag)} for chart in category.chart}


def test_every_chart_has_a_line_for_every_layer(tmp_path: Path) -> None:
    fitted(target=tmp_path, probe=(X, Y), gradients="both", schedule=every_epochs(1))
    charts = charts_below(tmp_path / "train")
    assert [*charts] == [*CHARTS]
    for title, tags in charts.items():
        layers = {tag.split("/")[1] for tag in tags}
        assert layers == ({"inner"} if title == "saturated share" else {"inner", "outer"})
        assert len({tag.split("/")[0] for tag in tags}) == 1


def test_what_is_not_measured_has_no_chart(tmp_path: Path) -> None:
    fitted(target=tmp_path, preset="light")
    assert [*charts_below(tmp_path / "train")] == ["gradient norm (log axis)"]


def test_nothing_measured_is_no_layout(tmp_path: Path) -> None:
    fitted(target=tmp_path, schedule=never())
    assert charts_below(tmp_path / "train") == {}


def test_the_layout_is_written_once_while_no_quantity_joins(tmp_path: Path) -> None:
    fitted(epochs=4, target=tmp_path, probe=(X, Y), preset="light")
    events = EventAccumulator(str(tmp_path / "train"), size_guidance={"tensors": 0}).Reload()
    assert len(events.Tensors(metadata.CONFIG_SUMMARY_TAG)) == 1


def test_what_is_measured_later_joins(tmp_path: Path) -> None:
    fitted(epochs=3, target=tmp_path, probe=(X, Y), schedule=every_epochs(2), applied=every_epochs(2))
    assert "update / weight (log axis)" in charts_below(tmp_path / "train")


def test_who_brings_a_writer_has_a_layout_of_his_own(tmp_path: Path) -> None:
    fitted(target=EventWriter(tmp_path), probe=(X, Y))
    assert charts_below(tmp_path) == {}


@pytest.mark.parametrize("tag", ["weight_norm/a/kernel", "gradient_norm/a/bias", "my_gradient_norm/a/kernel", "loss"])
def test_other_tags_make_no_chart(tag: str) -> None:
    assert charts_of([tag]) == []
