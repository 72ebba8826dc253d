"""Batches that do not fit a model: `diagnose` ends with exit code 2 and a line that says why."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from ..fuzzing.hostile import call

X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
Y = np.arange(16) % 3
ONE_HOT = np.eye(3, dtype=np.float32)[Y]

BATCHES: dict[str, tuple[str, Any, Any, str]] = {
    "texts as labels": ("sparse", X, Y.astype(str), "Cast string to float is not supported)"),
    "two labels each": ("sparse", X, ONE_HOT[:, :2], "target.shape=(16, 2), output.shape=(16, 3)"),
    "too few features": ("sparse", X[:, :3], Y, "to have value 4, but received input with shape (16, 3)"),
    "no features": ("sparse", X[:, 0], Y, "Expected shape (None, 4), but input has incompatible shape (16,)"),
    "objects": ("sparse", X.astype(object), Y, "Object arrays cannot be loaded"),
    "complex numbers": ("sparse", X.astype(complex), Y, "x holds complex128, not numbers"),
    "dates": ("sparse", X, np.zeros(16, "datetime64[s]"), "y holds datetime64[s], not numbers"),
    "records": ("sparse", np.zeros(16, [("a", "f4")]), Y, "x holds [('a', '<f4')], not numbers"),
    "no examples": ("sparse", X[:0], Y[:0], "must hold the same number of examples, at least one"),
    "a single number": ("sparse", X[0, 0], Y[0], "must hold the same number of examples, at least one"),
    "fewer labels": ("sparse", X, Y[:5], "x (16, 4) and y (5,) must hold the same number"),
}

LABELS: dict[str, tuple[str, Any]] = {
    "out of range": ("sparse", Y + 3),
    "negative": ("sparse", Y - 1),
    "one-hot with a sparse loss": ("sparse", ONE_HOT),
    "classes for a one-hot loss": ("categorical", Y),
    "too many classes": ("categorical", np.eye(5)[Y]),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("sparse", "categorical"):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        model.compile("sgd", f"{'sparse_' * (name == 'sparse')}categorical_crossentropy")
        model.save(folder / f"{name}.keras")
    return folder


@pytest.mark.parametrize("batch", BATCHES)
def test_a_batch_that_does_not_fit_is_refused_with_the_cause(batch: str, models: Path, tmp_path: Path) -> None:
    model, x, y, cause = BATCHES[batch]
    np.savez(tmp_path / "batch.npz", x=x, y=y)
    ended = call("diagnose", str(models / f"{model}.keras"), f"--data={tmp_path / 'batch.npz'}")
    last = ended.err.splitlines()[-1]
    assert (ended.code, ended.out) == (2, "")
    assert last.startswith("mnist_depth: ")
    assert cause in last
    assert "{{" not in last
    assert "Op:" not in last


@pytest.mark.parametrize("labels", LABELS)
def test_labels_that_do_not_fit_the_loss_are_an_error_of_the_diagnosis(
    labels: str, models: Path, tmp_path: Path
) -> None:
    model, y = LABELS[labels]
    np.savez(tmp_path / "batch.npz", x=X, y=y)
    ended = call("diagnose", str(models / f"{model}.keras"), f"--data={tmp_path / 'batch.npz'}", "--exit_code")
    assert ended.code == 1
    assert ended.out.startswith("LABELS: ")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps({"x": 1}), b"\x93NUMPY\x01\x00"])
def test_a_file_that_is_no_archive_is_refused_with_what_to_write(content: bytes, models: Path, tmp_path: Path) -> None:
    (tmp_path / "batch.npz").write_bytes(content)
    ended = call("diagnose", str(models / "sparse.keras"), f"--data={tmp_path / 'batch.npz'}")
    assert ended.code == 2
    assert ended.err.endswith("batch.npz is not an .npz file; write one with numpy.savez(path, x=inputs, y=labels)\n")


@pytest.mark.parametrize("missing", ["x", "y"])
def test_an_archive_without_an_array_is_refused_by_its_name(missing: str, models: Path, tmp_path: Path) -> None:
    arrays = {name: X for name in ("x", "y") if name != missing}
    np.savez(tmp_path / "batch.npz", allow_pickle=False, **arrays)
    ended = call("diagnose", str(models / "sparse.keras"), f"--data={tmp_path / 'batch.npz'}")
    assert ended.code == 2
    assert f"has no array '{missing}'" in ended.err
