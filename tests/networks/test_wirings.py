"""Wirings: which layers they make, and that they compute what they say."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from mnist_depth import models
from mnist_depth.config import RunConfig
from mnist_depth.instrument import MemoryWriter
from mnist_depth.networks import recurrence

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 784), np.uint8)
PIXELS = IMAGES / np.float32(255)
LABELS = np.arange(6, dtype=np.int32)


def _names(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if layer.name not in ("pixels", "scaling")]


def _affine(model: keras.Model, name: str, x: np.ndarray) -> np.ndarray:
    layer: Any = model.get_layer(name)
    return x @ np.asarray(layer.kernel) + (0 if layer.bias is None else np.asarray(layer.bias))


def _predict(model: keras.Model) -> np.ndarray:
    return np.asarray(model(IMAGES))


def test_residual_adds_the_input_of_every_two_layers() -> None:
    model = models.build(RunConfig(depth=6, width=5, wiring="residual:2", activation="tanh", bias_std=0.5))
    assert sorted(_names(model)) == sorted([*(f"layer_0{n}" for n in range(1, 7)), "projection_02", "add_02", "add_04"])
    first = np.tanh(_affine(model, "layer_02", np.tanh(_affine(model, "layer_01", PIXELS))))
    x = first + _affine(model, "projection_02", PIXELS)
    x = x + np.tanh(_affine(model, "layer_04", np.tanh(_affine(model, "layer_03", x))))
    x = np.tanh(_affine(model, "layer_05", x))
    np.testing.assert_allclose(_predict(model), _affine(model, "layer_06", x), rtol=1e-4, atol=1e-5)


def test_residual_needs_no_projection_where_shapes_agree() -> None:
    assert not any("projection" in name for name in _names(models.build(RunConfig(width=784, wiring="residual"))))


@pytest.mark.parametrize(("merge", "units"), [("concat", 3), ("add", 6)])
def test_split_merge_runs_branches_side_by_side(merge: str, units: int) -> None:
    config = RunConfig(depth=4, width=6, wiring=f"split_merge:2,{merge}", activation="tanh")
    model = models.build(config)
    branches = [f"layer_0{index}_{branch}" for branch in "ab" for index in (2, 3)]
    assert sorted(_names(model)) == sorted(["layer_01", *branches, "merge", "layer_04"])
    stem = np.tanh(_affine(model, "layer_01", PIXELS))
    ends = []
    for branch in "ab":
        end = np.tanh(_affine(model, f"layer_02_{branch}", stem))
        assert end.shape == (6, units)
        ends.append(np.tanh(_affine(model, f"layer_03_{branch}", end)))
    merged = np.concatenate(ends, axis=1) if merge == "concat" else ends[0] + ends[1]
    np.testing.assert_allclose(_predict(model), _affine(model, "layer_04", merged), rtol=1e-4, atol=1e-5)
    assert not np.allclose(ends[0], ends[1]), "branches draw from their own seeds"


def test_simple_recurrence_reads_rows_as_time() -> None:
    model = models.build(RunConfig(depth=2, width=4, wiring="recurrent:simple", activation="tanh", bias_std=0.5))
    cell = model.get_layer("layer_01").cell
    kernel, recurrent, bias = (np.asarray(v) for v in (cell.kernel, cell.recurrent_kernel, cell.bias))
    state = np.zeros((6, 4), np.float32)
    for row in PIXELS.reshape(6, 28, 28).transpose(1, 0, 2):
        state = np.tanh(row @ kernel + bias + state @ recurrent)
    np.testing.assert_allclose(_predict(model), _affine(model, "layer_02", state), rtol=1e-4, atol=1e-5)
    assert [v.path for v in model.trainable_variables][:2] == ["layer_01/cell/kernel", "layer_01/cell/recurrent_kernel"]


@pytest.mark.parametrize("kind", ["simple", "lstm", "gru"])
def test_time_gradients_run_through_the_real_network(kind: str) -> None:
    """The unrolled pass must give the gradients that Keras' own loop gives."""
    import tensorflow as tf

    config = RunConfig(depth=3, width=4, wiring=f"recurrent:{kind}", activation="tanh", bias_std=0.3)
    model, loss = models.build(config), models.loss(config)
    before = [variable.numpy() for variable in model.variables]
    sizes = recurrence.gradient_by_time_step(model, loss, IMAGES, LABELS)
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    assert list(sizes) == ["layer_01", "layer_02"]
    assert all(norms.shape == (28,) and np.isfinite(norms).all() and norms.min() > 0 for norms in sizes.values())

    if kind != "lstm":  # an LSTM's last layer passes on its cell state; the network's output is another tensor
        outputs = np.asarray(keras.Model(model.input, model.get_layer("layer_02").output)(IMAGES))
        state = tf.Variable(tf.constant(outputs))
        tape: Any = tf.GradientTape()
        with tape:
            value: Any = loss(LABELS, model.get_layer("layer_03")(state))
        last = np.linalg.norm(tape.gradient(value, state) * len(LABELS), axis=1).mean()
        assert sizes["layer_02"][-1] == pytest.approx(last, rel=1e-5)


def test_time_gradient_of_a_linear_network_is_a_power_of_its_kernel() -> None:
    config = RunConfig(depth=2, width=4, wiring="recurrent:simple", activation="linear")
    model = models.build(config)
    sizes = recurrence.gradient_by_time_step(model, models.loss(config), IMAGES[:1], LABELS[:1])["layer_01"]
    logits = _predict(model)[:1].astype(np.float64)
    error = np.exp(logits) / np.exp(logits).sum() - np.eye(10)[LABELS[:1]]
    gradient = error @ np.asarray(model.get_layer("layer_02").kernel, np.float64).T
    recurrent = np.asarray(model.get_layer("layer_01").cell.recurrent_kernel, np.float64)
    for step in reversed(range(28)):
        assert sizes[step] == pytest.approx(np.linalg.norm(gradient), rel=1e-3)
        gradient = gradient @ recurrent.T


def test_time_gradients_are_written_over_time() -> None:
    writer = MemoryWriter()
    recurrence.write(writer, {"layer_01": np.array([1.0, 2.0]), "layer_02": np.array([3.0, 4.0])})
    assert writer.scalars == {
        "time_gradient_norm/layer_01": {1: 1.0, 2: 2.0},
        "time_gradient_norm/layer_02": {1: 3.0, 2: 4.0},
    }
