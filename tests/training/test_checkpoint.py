"""The state of training, bit for bit, or one line that names the file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mnist_depth.errors import UserError
from mnist_depth.training.checkpoint import FILE, Checkpoint

pytestmark = pytest.mark.slow

X, Y = np.random.default_rng(0).normal(size=(32, 4)), np.arange(32) % 3


def network(width: int = 5) -> Any:
    """With everything that training changes: averages, random state, optimizer slots."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(width, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def trained(model: Any, epochs: int) -> list[np.ndarray]:
    model.fit(X, Y, batch_size=8, epochs=epochs, verbose=0, shuffle=False)
    return [np.asarray(weight) for weight in model.weights]


def test_saving_takes_a_twentieth_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, saved = [0.0], []

    def save(_: Checkpoint, __: Any, intervals: int, ___: float) -> None:
        saved.append(intervals)
        now[0] += 1.0

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Checkpoint, "save", save)
    checkpoint = Checkpoint(tmp_path)
    model = network()
    for interval in range(1, 50):
        checkpoint.save_when_due(model, interval, 0.0)
        now[0] += 1.0
    assert saved == [1, 21, 41]


def test_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model, checkpoint = network(), Checkpoint(tmp_path / "checkpoint")
    assert not checkpoint.exists
    trained(model, 2)
    checkpoint.save(model, intervals=2, seconds=1.5)
    expected = trained(model, 2)
    keras.utils.set_random_seed(99)
    other = network()
    assert checkpoint.restore(other) == (2, 1.5)
    for actual, wanted in zip(trained(other, 2), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_a_later_state_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    model, checkpoint = network(), Checkpoint(tmp_path)
    for intervals in (1, 2):
        checkpoint.save(model, intervals, 0.0)
    assert checkpoint.restore(model)[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_a_file_that_was_cut_is_named(tmp_path: Path, kept: float) -> None:
    model, checkpoint = network(), Checkpoint(tmp_path)
    checkpoint.save(model, 1, 0.0)
    whole = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else int(kept)])
    with pytest.raises(UserError, match=f"{FILE} is damaged; pass --overwrite"):
        checkpoint.restore(model)


def test_the_state_of_another_network_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.save(network(), 1, 0.0)
    with pytest.raises(UserError, match="is damaged"):
        checkpoint.restore(network(width=6))


def test_what_cannot_be_written_leaves_the_earlier_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, checkpoint = network(), Checkpoint(tmp_path)
    checkpoint.save(model, 1, 0.0)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(UserError, match="No space left on device"):
        checkpoint.save(model, 2, 0.0)
    assert checkpoint.restore(model)[0] == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
