"""What `models.build` promises: names, paths, logits, seeds, penalties, the logits' activation, files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from mnist_depth import models
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.networks.weight_layer import weight_layers

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 784), np.uint8)
LABELS = np.arange(30, dtype=np.int32) % 10


def _predict(model: keras.Model, images: np.ndarray = IMAGES) -> np.ndarray:
    return np.asarray(model(images, training=False))


def test_layers_and_variables_carry_their_depth() -> None:
    model = models.build(RunConfig(depth=3, width=4, batch_norm="before"))
    assert [layer.name for layer in model.layers] == ["pixels", "scaling", "layer_01", "layer_02", "layer_03"]
    norm = ["gamma", "beta", "moving_mean", "moving_variance"]
    hidden = [
        f"layer_{index:02d}/{name}"
        for index in (1, 2)
        for name in ("kernel", "bias", *(f"batch_norm/{variable}" for variable in norm))
    ]
    assert [variable.path for variable in model.variables] == [*hidden, "layer_03/kernel", "layer_03/bias"]


@pytest.mark.slow
def test_names_are_padded_for_the_deepest_network() -> None:
    names = [layer.name for layer in weight_layers(models.build(RunConfig(depth=100, width=1)))]
    assert names == [f"layer_{index:03d}" for index in range(1, 101)]


def test_logits_are_those_of_numpy() -> None:
    model = models.build(RunConfig(depth=3, width=8, bias_std=0.3))
    x = IMAGES / np.float32(255)
    for layer in weight_layers(model)[:-1]:
        x = np.maximum(x @ np.asarray(layer.kernel) + np.asarray(layer.bias), 0)
    last = weight_layers(model)[-1]
    expected = x @ np.asarray(last.kernel) + np.asarray(last.bias)
    np.testing.assert_allclose(_predict(model), expected, rtol=1e-4, atol=1e-5)
    assert expected.min() < 0


def test_depth_one_is_softmax_regression_or_a_perceptron() -> None:
    assert [variable.shape for variable in models.build(RunConfig(depth=1)).variables] == [(784, 10), (10,)]
    gate: Any = models.build(RunConfig(dataset="and", depth=1))
    assert [variable.shape for variable in gate.variables] == [(2, 1), (1,)]
    assert gate.input.dtype == "float32"


def test_weight_decay_adds_half_the_squared_kernels() -> None:
    for wiring in ("plain", "residual:2", "split_merge"):
        model = models.build(RunConfig(depth=4, width=6, weight_decay=0.02, bias_std=1.0, wiring=wiring))
        kernels = sum(np.sum(np.asarray(v) ** 2) for v in model.trainable_variables if v.name == "kernel")
        assert sum(float(loss) for loss in model.losses) == pytest.approx(0.01 * kernels, rel=1e-5)


def test_weight_decay_of_a_recurrent_network_counts_both_kernels() -> None:
    model = models.build(RunConfig(depth=2, width=6, weight_decay=0.02, wiring="recurrent", activation="tanh"))
    kernels = [np.asarray(v) for v in model.trainable_variables if "kernel" in v.name]
    assert len(kernels) == 3
    expected = 0.01 * sum(np.sum(kernel**2) for kernel in kernels)
    assert sum(float(loss) for loss in model.losses) == pytest.approx(expected, rel=1e-5)


def test_dropout_is_seeded_and_keeps_the_mean() -> None:
    config = RunConfig(depth=2, width=4000, dropout=0.3, activation="linear")
    built = (models.build(config), models.build(config))
    hidden = [keras.Model(model.input, model.get_layer("layer_01").output) for model in built]
    first, second = (np.asarray(model(IMAGES, training=True)) for model in hidden)
    np.testing.assert_array_equal(first, second)
    assert np.mean(first == 0) == pytest.approx(0.3, abs=0.01)
    kept = first != 0
    np.testing.assert_allclose(first[kept], np.asarray(hidden[0](IMAGES))[kept] / 0.7, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_batch_norm_normalizes_before_or_after_the_activation(batch_norm: str) -> None:
    model = models.build(RunConfig(depth=2, width=20, batch_norm=batch_norm, activation="tanh"))
    layer: Any = model.get_layer("layer_01")
    outputs = np.asarray(keras.Model(model.input, layer.output)(IMAGES, training=True))
    z = IMAGES / np.float32(255) @ np.asarray(layer.kernel)
    expected = np.tanh(_normalize(z)) if batch_norm == "before" else _normalize(np.tanh(z))
    np.testing.assert_allclose(outputs, expected, rtol=1e-3, atol=1e-4)


def _normalize(x: np.ndarray) -> np.ndarray:
    """Ioffe & Szegedy 2015, with the epsilon of Saito's book and a fresh layer's scale and shift."""
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-6)


def test_relu_on_the_logits_acts_in_the_loss_or_in_the_score_only() -> None:
    linear, trained, scored = (
        RunConfig(depth=2, width=8, logits_activation=name) for name in ("linear", "relu", "relu_scored")
    )
    logits = _predict(models.build(linear))
    assert logits.min() < 0
    np.testing.assert_array_equal(_predict(models.build(trained)), np.maximum(logits, 0))
    np.testing.assert_array_equal(_predict(models.build(scored)), logits)

    negative = np.array([[-3.0, -1.0], [-1.0, 2.0]], np.float32)
    for config, expected in ((linear, 1.0), (scored, 0.5)):
        metric = models.metrics(config)[0]
        metric.update_state(np.array([1, 1]), negative)
        assert float(metric.result()) == expected
        assert metric.name == "accuracy"


def test_gate_loss_and_accuracy_take_logits() -> None:
    config = RunConfig(dataset="xor", depth=2, width=2)
    logits, labels = np.array([[2.0], [-1.0], [0.5], [-3.0]], np.float32), np.array([1, 1, 0, 0], np.int32)
    signs = np.where(labels == 1, 1, -1)
    loss: Any = models.loss(config)(labels, logits)
    assert float(loss) == pytest.approx(np.mean(np.log1p(np.exp(-signs * logits[:, 0]))), rel=1e-5)
    metric = models.metrics(config)[0]
    metric.update_state(labels, logits)
    assert float(metric.result()) == 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"activation": "maxout:3", "batch_norm": "after", "dropout": 0.2, "optimizer": "radam"},
        {"activation": "very_leaky_relu", "initializer": "orthogonal:1.4", "batch_norm": "before"},
        {"wiring": "residual:2", "logits_activation": "relu_scored"},
        {"wiring": "split_merge:2,add"},
        {"wiring": "recurrent:gru", "activation": "leaky_relu", "dropout": 0.1},
    ],
    ids=lambda options: next(iter(options.values())),
)
def test_a_compiled_model_survives_its_file(options: dict[str, Any], tmp_path: Path) -> None:
    config = RunConfig(depth=4, width=6, **options)
    model = models.build(config)
    compiled: dict[str, Any] = {"optimizer": models.build_optimizer(config), "loss": models.loss(config)}
    model.compile(**compiled, metrics=models.metrics(config), run_eagerly=True)
    model.train_on_batch(IMAGES, LABELS)
    model.save(tmp_path / "model.keras")
    loaded: Any = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(_predict(loaded), _predict(model))
    assert type(loaded.optimizer) is type(model.optimizer)
    assert loaded.optimizer.iterations == 1
    np.testing.assert_allclose(loaded.test_on_batch(IMAGES, LABELS), model.test_on_batch(IMAGES, LABELS), rtol=1e-5)


def test_weights_are_saved_as_keras_saves_them(tmp_path: Path) -> None:
    model = models.build(RunConfig(depth=3, width=8, batch_norm="before"))
    models.save_weights(model, tmp_path / "ours.weights.h5")
    model.save_weights(tmp_path / "keras.weights.h5")
    with h5py.File(tmp_path / "ours.weights.h5") as ours, h5py.File(tmp_path / "keras.weights.h5") as expected:
        datasets: list[str] = []
        expected.visititems(lambda name, found: datasets.append(name) if isinstance(found, h5py.Dataset) else None)
        assert len(datasets) == len(model.weights)
        for name in datasets:
            np.testing.assert_array_equal(np.asarray(ours[name]), np.asarray(expected[name]))


def test_weights_of_version_0_1_are_read(tmp_path: Path) -> None:
    """Version 0.1 stored weight layers under their class name, Block; all other groups have the same names."""
    config = RunConfig(depth=4, width=8, wiring="residual", batch_norm="before")
    saved, path = models.build(config), tmp_path / "new.weights.h5"
    models.save_weights(saved, path)
    with h5py.File(path) as new, h5py.File(tmp_path / "old.weights.h5", "w") as old:
        layers: Any = new["layers"]
        assert {name for name in layers if name.startswith("weight_layer")} >= {"weight_layer", "weight_layer_1"}
        for name in layers:
            new.copy(layers[name], old, "layers/" + name.replace("weight_layer", "block"))
    for name in ("new.weights.h5", "old.weights.h5"):
        model = models.build(replace(config, seed=1))
        models.load_weights(model, tmp_path / name)
        for loaded, variable in zip(model.weights, saved.weights, strict=True):
            np.testing.assert_array_equal(loaded, variable)


@pytest.mark.parametrize("content", [None, b"", b"not HDF5"])
def test_damaged_weights_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "some.weights.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"some\.weights\.h5 is missing or damaged"):
        models.load_weights(models.build(RunConfig(depth=2, width=8)), path)
