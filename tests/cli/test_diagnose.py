"""`diagnose` of a saved model: what it prints, its exit code, and the repaired file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_depth.cli import main

pytestmark = pytest.mark.slow

keras: Any = importlib.import_module("keras")


def test_a_repaired_file_loads_and_learns_what_the_original_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exclusive or, and no hidden layer."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(128, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int32)
    np.savez(tmp_path / "batch.npz", x=x, y=y)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax", name="out")])
    model.compile(keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    source, target = tmp_path / "model.keras", tmp_path / "repaired.keras"
    model.save(source)
    before = source.read_bytes()

    words = ["diagnose", str(source), f"--data={tmp_path / 'batch.npz'}", f"--repair={target}"]
    assert main(["mnist_depth", *words, "--exit_code"]) == 1
    diagnosis, repair = capsys.readouterr().out.split("\nREPAIR\n")
    assert diagnosis.startswith("NOT LEARNING: ")
    assert "a hidden layer with ReLU before the output" in diagnosis
    lines = repair.splitlines()
    assert any(line.startswith("- a hidden layer of 64 units") and line.endswith("before out") for line in lines)
    assert lines[-3].startswith("Before: NOT LEARNING: ")
    assert lines[-2].startswith("After:  HEALTHY: ")
    assert lines[-1] == f"Written: {target}"
    assert source.read_bytes() == before

    repaired = keras.models.load_model(target)
    assert repaired.fit(x, y, epochs=60, verbose=0).history["accuracy"][-1] > 0.9
    assert main(["mnist_depth", *words]) == 2
    assert "exists already" in capsys.readouterr().err
