"""The state of a run after a round: every variable of model and optimizer, in one file written atomically."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mnist_depth.errors import UserError

FILE = "state.npz"


class Checkpoint:
    """Save and restore a compiled model bit for bit: weights, batch-norm and random state, optimizer slots."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    @property
    def exists(self) -> bool:
        return self.path.exists()

    def save(self, model: keras.Model, rounds: int, seconds: float) -> None:
        """Keep the state after `rounds` rounds that took `seconds` so far."""
        arrays = {f"v{index}": np.asarray(variable) for index, variable in enumerate(_variables(model))}
        temporary = self.path.with_suffix(".tmp")
        try:
            self.path.parent.mkdir(exist_ok=True)
            with temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, rounds=np.array(rounds), seconds=np.array(seconds), **arrays)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise UserError(f"cannot write the checkpoint {self.path}: {error.strerror or error}") from error

    def restore(self, model: keras.Model) -> tuple[int, float]:
        """Put the saved state into `model`; returns (rounds, seconds). Raises UserError when the file is damaged."""
        variables = list(_variables(model))
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                rounds, seconds = int(stored["rounds"]), float(stored["seconds"])
                arrays = [stored[f"v{index}"] for index in range(len(variables))]
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)
        except Exception:  # a damaged archive fails in many ways inside zipfile and NumPy
            raise UserError(f"the checkpoint {self.path} is damaged; pass --overwrite to start the run again") from None
        return rounds, seconds


def _variables(model: keras.Model) -> Iterator[Any]:
    optimizer: Any = model.optimizer
    optimizer.build(model.trainable_variables)
    yield from model.variables
    yield from optimizer.variables
