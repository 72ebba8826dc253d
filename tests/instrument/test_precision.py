"""float64 models are measured in float64, from the array to the event file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from mnist_depth.instrument import DepthGauge, EventWriter, MemoryWriter, every_steps, measure
from tests.instrument.twins import X, Y, dense, network, train


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("size", [1e-60, 1e60])
def test_numbers_that_float32_cannot_hold(size: float) -> None:
    model = network(dense(4, name="hidden"))
    model.get_layer("hidden").kernel.assign(np.full((6, 4), size))
    measured = measure(model, X.astype("float64"), Y.astype("float64"))
    assert measured.scalars["weight_norm/hidden/kernel"] == pytest.approx(size * np.sqrt(24), rel=1e-12)
    assert measured.scalars["activation_std/hidden"] == pytest.approx(
        size * np.std(X.astype("float64").sum(1)), rel=1e-9
    )
    assert 0 < measured.scalars["probe_gradient_norm/out/kernel"] < np.inf


@pytest.mark.usefixtures("double_precision")
def test_updates_and_applied_gradients_too() -> None:
    writers = MemoryWriter(), MemoryWriter()
    every: dict[str, Any] = {"schedule": every_steps(1)}
    gauges = [DepthGauge(writers[0], (X, Y), **every), DepthGauge(writers[1], (X, Y), gradients="both", **every)]
    train(lambda: network(dense(4, name="hidden"), optimizer=keras.optimizers.SGD(1e-50)), gauges, epochs=1)
    outside, inside = (writer.scalars["update_ratio/hidden/kernel"][1] for writer in writers)
    assert outside == inside == 0  # an update of 1e-50 is lost beside a weight of 1
    applied = writers[1].scalars["gradient_norm/hidden/kernel"][1]
    assert applied != float(np.float32(applied))


@pytest.mark.parametrize("kind", [keras.layers.Dense, keras.layers.EinsumDense])
def test_equal_inputs_do_not_differ(kind: Any) -> None:
    hidden = kind(8, name="hidden") if kind is keras.layers.Dense else kind("ab,bc->ac", 8, name="hidden")
    inputs = np.repeat(X[:1], 16, axis=0)
    measured = measure(network(hidden), inputs, Y[:16])
    outputs = np.asarray(hidden(inputs))
    assert (outputs == outputs[0]).all()
    assert measured.scalars["activation_std_across_samples/hidden"] == 0


def test_an_event_file_holds_them(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    writer.write_scalars(1, {"small": 1e-60, "large": 1e60, "usual": 0.5})
    writer.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in events.Scalars("usual")] == [0.5]
    for tag, value in (("small", 1e-60), ("large", 1e60)):
        assert make_ndarray(events.Tensors(tag)[0].tensor_proto) == value


def test_a_constant_has_no_deviation() -> None:
    from mnist_depth.instrument.arrays import Arrays
    from mnist_depth.instrument.statistics import std

    constant = tf.fill([3, 7], 0.1)
    assert float(std(Arrays([constant]))[0]) == 0
