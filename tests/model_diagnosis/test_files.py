"""Saved models and batches: they are measured, or refused in one line."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_depth.config import RunConfig
from mnist_depth.diagnosis import judge, render
from mnist_depth.errors import UserError
from mnist_depth.model_diagnosis.files import load
from mnist_depth.model_diagnosis.measuring import from_model

from .stacks import IMAGES, LABELS, compiled, dense_stack, glorot

keras: Any = importlib.import_module("keras")


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
    model, x, y, source = load(saved, batch)
    diagnosis = judge(from_model(model, x, y, source=source))
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
    model, x, y, _ = load(path, batch)
    measured = from_model(model, x, y)
    names = [layer.name for layer in measured.layers]
    assert names == ["layer_01", "projection_02", "layer_02", "layer_03", "layer_04"]
    assert {"batch_norm": "used", "wiring": "residual"}.items() <= measured.traits.items()


def test_files_that_are_missing_or_of_another_kind(saved: Path, batch: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.npz is missing"):
        load(saved, tmp_path / "nowhere.npz")
    with pytest.raises(UserError, match=r"nowhere\.keras is missing"):
        load(tmp_path / "nowhere.keras", batch)
    with pytest.raises(UserError, match=r"not a \.keras file"):
        load(tmp_path / "model.h5", batch)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken"])
def test_damaged_files(saved: Path, batch: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    (tmp_path / "bad.keras").write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.npz is not an \.npz file"):
        load(saved, tmp_path / "bad.npz")
    with pytest.raises(UserError, match=r"Keras cannot load .*bad\.keras"):
        load(tmp_path / "bad.keras", batch)


class Evil:
    """Writes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_pickled_arrays_are_refused(saved: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", x=np.array([Evil(tmp_path / "ran")], object), y=LABELS[:1])
    with pytest.raises(UserError, match="not a readable"):
        load(saved, tmp_path / "evil.npz")
    assert not (tmp_path / "ran").exists()


def test_code_inside_a_model_file_is_refused(batch: Path, tmp_path: Path) -> None:
    layers = [keras.Input((784,)), keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(10)]
    compiled(keras.Sequential(layers)).save(tmp_path / "lambda.keras")
    with pytest.raises(UserError, match="in safe mode"):
        load(tmp_path / "lambda.keras", batch)


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
        load(saved, tmp_path / "odd.npz")
