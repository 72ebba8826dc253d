"""What is measured of a model, of files and of a finished run."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_depth.config import RunConfig
from mnist_depth.diagnosis import judge, layer_numbers, render
from mnist_depth.errors import UserError
from mnist_depth.instrument.traits import model_traits
from mnist_depth.records import read_run
from mnist_depth.results.diagnosis import diagnose
from mnist_depth.results.measurements import from_files, from_training

from .fabricated_runs import write_run

keras: Any = importlib.import_module("keras")


RNG = np.random.default_rng(3)


IMAGES = (RNG.random((64, 784)) * (RNG.random((64, 784)) < 0.3)).astype(np.float32)


LABELS = RNG.integers(0, 10, 64)


def dense_stack(activation: str, initializer: Any, depth: int = 9, width: int = 128) -> Any:
    """A plain network; `initializer(index)` makes a fresh, seeded initializer."""
    layers = [
        keras.layers.Dense(width, activation, kernel_initializer=initializer(index), name=f"dense_{index}")
        for index in range(1, depth)
    ]
    model = keras.Sequential(
        [keras.Input((784,)), *layers, keras.layers.Dense(10, kernel_initializer=initializer(depth), name="logits")]
    )
    return compiled(model)


def compiled(model: Any) -> Any:
    """Without XLA, whose compilation would be most of this file's time; the saved model is measured with it."""
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    return model


def glorot(index: int) -> Any:
    return keras.initializers.GlorotNormal(seed=index)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "initializer", "verdicts"),
    [
        ("sigmoid", glorot, {"vanishing"}),
        ("relu", lambda index: keras.initializers.HeNormal(seed=index), {"healthy"}),
        ("relu", lambda index: keras.initializers.RandomNormal(stddev=1.0, seed=index), {"exploding", "not finite"}),
        ("relu", lambda index: keras.initializers.Zeros(), {"symmetric"}),
        ("sigmoid", lambda index: keras.initializers.Zeros(), {"symmetric"}),
        ("tanh", glorot, {"healthy"}),
    ],
)
def test_networks_of_the_lectures(activation: str, initializer: Any, verdicts: set[str]) -> None:
    assert diagnose(dense_stack(activation, initializer), IMAGES, LABELS).verdict in verdicts


def test_measuring_changes_nothing() -> None:
    model = dense_stack("sigmoid", glorot, depth=3)
    before = [np.array(weight) for weight in model.get_weights()]
    diagnose(model, IMAGES, LABELS)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_functional_model_with_convolution_batch_norm_and_a_skip() -> None:
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(inputs)
    branch = keras.layers.BatchNormalization()(keras.layers.Conv2D(8, 3, padding="same", name="conv")(x))
    x = keras.layers.Add()([x, keras.layers.ReLU()(branch)])
    x = keras.layers.Dense(16, "relu", name="head")(keras.layers.GlobalAveragePooling2D()(x))
    model = compiled(keras.Model(inputs, keras.layers.Dense(10, name="logits")(keras.layers.Dropout(0.5)(x))))
    labels = (IMAGES[:, :392].mean(axis=1) > IMAGES[:, 392:].mean(axis=1)).astype(int)
    images = IMAGES * np.where(labels, 1, -1)[:, None]
    diagnosis = diagnose(model, images.reshape(-1, 28, 28, 1), labels)
    assert [layer.name for layer in diagnosis.layers] == ["stem", "conv", "head", "logits"]
    assert diagnosis.verdict == "healthy"
    assert model_traits(model) == {
        "activation": "relu",
        "initializer": "glorot_uniform",
        "batch_norm": "used",
        "wiring": "residual",
        "optimizer": "sgd",
    }


def test_layers_are_numbered_by_their_names_where_all_have_one() -> None:
    assert layer_numbers(["layer_01", "layer_02_a", "layer_02_b", "layer_03"]) == [1, 2, 2, 3]
    assert layer_numbers(["layer_01", "projection_02", "layer_02"]) == [1, 2, 3]
    assert layer_numbers(["stem", "head"]) == [1, 2]


class Subclassed(keras.Model):
    """Layers held in attributes, called in an order of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.out = keras.layers.Dense(10)
        self.first = keras.layers.Dense(32, activation="sigmoid")
        self.second = keras.layers.Dense(32, activation="sigmoid")

    def call(self, x: Any):
        return self.out(self.second(self.first(x)))


def test_a_subclassed_model_is_measured_in_the_order_of_its_calls() -> None:
    model = Subclassed()
    model(IMAGES)
    diagnosis = diagnose(compiled(model), IMAGES, LABELS)
    assert [layer.name for layer in diagnosis.layers] == [model.first.name, model.second.name, model.out.name]
    assert all(value is not None and value > 0 for value in diagnosis.gradients)


@pytest.mark.parametrize("labels", [LABELS, np.eye(10)[LABELS]])
def test_a_model_that_is_not_compiled_gets_the_usual_loss(labels: Any) -> None:
    model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(10, "softmax")])
    assert diagnose(model, IMAGES, labels).verdict == "healthy"


def test_a_batch_that_does_not_fit_is_a_user_error() -> None:
    with pytest.raises(UserError, match="cannot be measured on this batch"):
        diagnose(dense_stack("relu", glorot, depth=2), IMAGES[:, :5], LABELS)


def test_a_model_without_weights_is_a_user_error() -> None:
    with pytest.raises(UserError, match="no weight layer"):
        diagnose(compiled(keras.Sequential([keras.Input((784,)), keras.layers.Rescaling(2.0)])), IMAGES, LABELS)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "model.keras"
    model = dense_stack("sigmoid", glorot)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=True)
    model.save(path)
    return path


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    np.savez(tmp_path / "batch.npz", x=IMAGES, y=LABELS)
    return tmp_path / "batch.npz"


@pytest.mark.slow
def test_a_saved_model_and_batch(saved: Path, batch: Path) -> None:
    diagnosis = judge(from_files(saved, batch))
    assert diagnosis.verdict == "vanishing"
    assert "Measured: model.keras on the 64 examples of batch.npz." in render(diagnosis)


@pytest.mark.slow
def test_a_saved_network_of_this_package_loads_with_its_own_layers(batch: Path, tmp_path: Path) -> None:
    config = RunConfig(depth=4, width=16, activation="maxout:3", batch_norm="before", wiring="residual:2")
    code = (
        "import sys; from mnist_depth.config import RunConfig; from mnist_depth import models\n"
        "models.build(RunConfig.from_json(sys.argv[1])).save(sys.argv[2])"
    )
    path = tmp_path / "own.keras"
    subprocess.run([sys.executable, "-c", code, config.to_json(), str(path)], check=True, capture_output=True)
    np.savez(batch, x=(255 * IMAGES).astype(np.uint8), y=LABELS)
    measured = from_files(path, batch)
    names = [layer.name for layer in measured.layers]
    assert names == ["layer_01", "projection_02", "layer_02", "layer_03", "layer_04"]
    assert {"batch_norm": "used", "wiring": "residual"}.items() <= measured.traits.items()


def test_files_that_are_missing_or_of_another_kind(saved: Path, batch: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.npz is missing"):
        from_files(saved, tmp_path / "nowhere.npz")
    with pytest.raises(UserError, match=r"nowhere\.keras is missing"):
        from_files(tmp_path / "nowhere.keras", batch)
    with pytest.raises(UserError, match=r"not a \.keras file"):
        from_files(tmp_path / "model.h5", batch)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_damaged_files(saved: Path, batch: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    (tmp_path / "bad.keras").write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.npz is not an \.npz file"):
        from_files(saved, tmp_path / "bad.npz")
    with pytest.raises(UserError, match=r"Keras cannot load .*bad\.keras"):
        from_files(tmp_path / "bad.keras", batch)


class Evil:
    """Writes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_pickled_arrays_are_refused(saved: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", x=np.array([Evil(tmp_path / "ran")], object), y=LABELS[:1])
    with pytest.raises(UserError, match="not a readable"):
        from_files(saved, tmp_path / "evil.npz")
    assert not (tmp_path / "ran").exists()


def test_code_inside_a_model_file_is_refused(batch: Path, tmp_path: Path) -> None:
    layers = [keras.Input((784,)), keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(10)]
    compiled(keras.Sequential(layers)).save(tmp_path / "lambda.keras")
    with pytest.raises(UserError, match="in safe mode"):
        from_files(tmp_path / "lambda.keras", batch)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGES}, "has no array 'y'"),
        ({"x": IMAGES, "y": LABELS[:5]}, "same number of examples"),
        ({"x": IMAGES[:0], "y": LABELS[:0]}, "at least one"),
        ({"x": np.array("text"), "y": LABELS}, "same number of examples"),
    ],
)
def test_batches_of_the_wrong_shape(saved: Path, tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "odd.npz", **arrays)
    with pytest.raises(UserError, match=message):
        from_files(saved, tmp_path / "odd.npz")


def test_measurements_of_a_run_at_its_start_and_end(tmp_path: Path) -> None:
    record = read_run(write_run(tmp_path, RunConfig(activation="sigmoid", depth=3), gain=0.2))
    start, end = from_training(record, "start"), from_training(record, "end")
    assert [layer.name for layer in start.layers] == ["layer_01", "layer_02", "layer_03"]
    assert "step 0" in start.source
    assert "step 900" in end.source
    assert start.layers[0].predicted_gain == pytest.approx(0.232, abs=0.01)
    assert start.layers[2].predicted_gain is None
    assert end.layers[0].predicted_gain is None
    assert start.traits["activation"] == "sigmoid"
    first = record.series("train", "pre_activation_gradient_norm/layer_01")[1]
    assert (start.layers[0].pre_activation_gradient, end.layers[0].pre_activation_gradient) == (first[0], first[-1])


def test_the_probe_gradient_is_preferred_to_the_applied_one(tmp_path: Path) -> None:
    folder = write_run(tmp_path, RunConfig(depth=2))
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"run": "train", "step": 1, "wall_time": 1, "scalars": {"gradient_norm/layer_01/kernel": 77}}\n')
    layer = from_training(read_run(folder), "end").layers[0]
    assert layer.kernel_gradient is not None
    assert layer.kernel_gradient < 77


def test_the_loss_before_training_is_the_probes(tmp_path: Path) -> None:
    folder = write_run(tmp_path, RunConfig(depth=2), status="diverged")
    lines = [
        {"run": "train", "step": 0, "wall_time": 1, "scalars": {"probe_loss": 2.71}},
        {"run": "train", "step": 900, "wall_time": 1, "scalars": {"loss": "nan"}},
    ]
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    start, end = from_training(read_run(folder), "start"), from_training(read_run(folder), "end")
    assert start.loss == 2.71
    assert end.loss is not None
    assert math.isnan(end.loss)
