"""The state of a run after an interval: every variable of model and optimizer, in one file written atomically."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mnist_depth.errors import UserError
from mnist_depth.files import replacing
from mnist_depth.records import make_folder

FILE = "state.npz"

SAVE_SHARE = 0.05
"""Largest share of the training time that goes into saving: an interrupted run loses 20 times what a save takes."""


class Checkpoint:
    """Save and restore a compiled model bit for bit: weights, batch-norm and random state, optimizer slots."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._next_save = 0.0

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def save_when_due(self, model: keras.Model, intervals: int, seconds: float) -> None:
        """Save unless the last save was a moment ago, measured by how long it took."""
        started = time.monotonic()
        if started >= self._next_save:
            self.save(model, intervals, seconds)
            ended = time.monotonic()
            self._next_save = ended + (ended - started) / SAVE_SHARE

    def save(self, model: keras.Model, intervals: int, seconds: float) -> None:
        """Keep the state after `intervals` intervals that took `seconds` so far."""
        arrays = {f"v{index}": np.asarray(variable) for index, variable in enumerate(_variables(model))}
        make_folder(self.path.parent, parents=False)
        with replacing(self.path) as file:
            np.savez(file, allow_pickle=False, rounds=np.array(intervals), seconds=np.array(seconds), **arrays)

    def restore(self, model: keras.Model) -> tuple[int, float]:
        """Put the saved state into `model`; returns (intervals, seconds). Raises UserError when the file is damaged."""
        variables = list(_variables(model))
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                intervals, seconds = int(stored["rounds"]), float(stored["seconds"])
                arrays = [stored[f"v{index}"] for index in range(len(variables))]
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)
        except Exception:  # a damaged archive fails in many ways inside zipfile and NumPy
            raise UserError(
                "the checkpoint {path} is damaged; pass --overwrite to start the run again", path=self.path
            ) from None
        return intervals, seconds


def _variables(model: keras.Model) -> Iterator[Any]:
    optimizer: Any = model.optimizer
    optimizer.build(model.trainable_variables)
    yield from model.variables
    yield from optimizer.variables
