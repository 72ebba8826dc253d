"""Gradient against layer: of any model, at the moments that get a curve."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mnist_depth.instrument import DepthGauge, MemoryWriter
from mnist_depth.instrument.by_layer import LOGARITHMIC, QUANTITIES, SHOWN, by_layer, moment

X, Y = np.random.default_rng(0).normal(size=(40, 6)), np.arange(40) % 3


def network(depth: int = 4) -> Any:
    layers = [keras.layers.Dense(5, "tanh", name=f"hidden_{index}") for index in range(1, depth)]
    model = keras.Sequential([keras.Input((6,)), *layers, keras.layers.Dense(3, name="logits")])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> (place, value) of every point, in the order of the file."""
    events = EventAccumulator(str(run)).Reload()
    return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def values(run: Path, tag: str, step: int) -> float:
    (value,) = [point.value for point in EventAccumulator(str(run)).Reload().Scalars(tag) if point.step == step]
    return value


def test_a_curve_over_the_layers_at_every_moment(tmp_path: Path) -> None:
    gauge = DepthGauge(tmp_path, probe=(X, Y))
    network().fit(X, Y, epochs=4, batch_size=20, verbose=0, callbacks=[gauge])
    moments = {"start": 0, "epoch_001": 2, "epoch_003": 6, "end": 8}
    assert {path.name for path in (tmp_path / "depth").iterdir()} == {*moments}
    for name, step in moments.items():
        found = curves(tmp_path / "depth" / name)
        assert [place for place, _ in found["by_layer/probe_gradient_norm"]] == [1, 2, 3, 4]
        for place, layer in enumerate(("hidden_1", "hidden_2", "hidden_3", "logits"), start=1):
            expected = values(tmp_path / "train", f"probe_gradient_norm/{layer}/kernel", step)
            assert dict(found["by_layer/probe_gradient_norm"])[place] == expected
            assert dict(found["by_layer/log10_probe_gradient_norm"])[place] == pytest.approx(math.log10(expected))
        assert [place for place, _ in found["by_layer/saturated_share"]] == [1, 2, 3]  # the logits have no limits


def test_a_second_training_in_the_folder_takes_the_place_of_the_first(tmp_path: Path) -> None:
    for depth in (4, 2):
        gauge = DepthGauge(tmp_path, probe=(X, Y))
        network(depth).fit(X, Y, verbose=0, callbacks=[gauge])
    assert [place for place, _ in curves(tmp_path / "depth" / "end")["by_layer/probe_gradient_norm"]] == [1, 2]


def test_without_a_probe_or_a_folder_there_is_none(tmp_path: Path) -> None:
    network().fit(X, Y, verbose=0, callbacks=[DepthGauge(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {"train"}
    writer = MemoryWriter()
    network().fit(X, Y, verbose=0, callbacks=[DepthGauge(writer, probe=(X, Y))])
    assert not [tag for tag in writer.scalars if tag.startswith("by_layer")]


def test_every_quantity_counts_its_own_layers() -> None:
    tags = [f"{name}/{layer}{'/kernel' if ending else ''}" for name, ending in QUANTITIES.items() for layer in "ab"]
    others = {"loss": 9.0, "weight_norm/a/kernel": 9.0, "gradient_norm/a/bias": 9.0, "activation_mean/a": 9.0}
    found = by_layer({**others, **dict.fromkeys(tags, 0.1)})
    assert [*found] == [1, 2]
    assert found[1] == found[2]
    logarithms = {f"by_layer/log10_{name}" for name in LOGARITHMIC}
    assert {*found[1]} == {f"by_layer/{name}" for name in QUANTITIES} | logarithms


@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
def test_what_has_no_logarithm_has_no_point_there(value: float) -> None:
    (found,) = by_layer({"gradient_norm/a/kernel": value}).values()
    assert [*found] == ["by_layer/gradient_norm"]


def test_moments_are_spread_evenly_in_the_logarithm() -> None:
    assert [epoch for epoch in SHOWN if epoch < 2_000] == [1, 3, 10, 30, 100, 300, 1_000]
    names = [moment(epoch) for epoch in (1, 3, 10, 30, 100)]
    assert names == sorted(names)
