"""Load what `diagnose` is given on the command line: a saved model and a batch. Neither file is trusted."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mnist_depth.diagnosis import Message
from mnist_depth.errors import UserError
from mnist_depth.files import check_archive
from mnist_depth.model_diagnosis.keras_errors import cause_of
from mnist_depth.runtime.environment import available_memory
from mnist_depth.runtime.stderr import silenced

KINDS = "biufUS"
"""Kinds of NumPy arrays that a model may take: numbers, and texts for models that split them into words."""


class Loaded(NamedTuple):
    """A model, inputs and labels, and where they are from."""

    model: Any
    x: Any
    y: Any
    source: str


def load(model_path: Path, data_path: Path) -> Loaded:
    """A saved `.keras` model and the batch in an `.npz` file (arrays x and y).

    Keras' safe mode stays on and pickled arrays are refused. Raises UserError for every file that cannot be used.
    """
    x, y = _load_batch(data_path)
    with silenced():
        model = _load_model(model_path)
    names = {"model": model_path.name, "data": data_path.name}
    return Loaded(model, x, y, Message("{model} on the {count} examples of {data}", count=len(x), **names))


def _load_batch(path: Path) -> tuple[Any, Any]:
    try:
        check_archive(path, available_memory())
        if not zipfile.is_zipfile(path):
            raise UserError(
                "{path} is not an .npz file; write one with numpy.savez(path, x=inputs, y=labels)", path=path
            )
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            missing = [key for key in ("x", "y") if key not in stored]
            if missing:
                raise UserError(
                    "{path} has no array {name!r}; it must hold x (inputs) and y (labels)", path=path, name=missing[0]
                )
            x, y = stored["x"], stored["y"]
    except FileNotFoundError:
        raise UserError("{path} is missing", path=path) from None
    except UserError:
        raise
    except Exception as error:  # zipfile, NumPy and the operating system raise different errors
        raise UserError(
            "{path} is not a readable .npz file of plain arrays ({reason})", path=path, reason=cause_of(error)
        ) from None
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in KINDS:
            raise UserError(
                "{path}: {name} holds {dtype}, not numbers; convert it first", path=path, name=name, dtype=array.dtype
            )
    if x.ndim == 0 or y.ndim == 0 or not len(x) or len(x) != len(y):
        raise UserError(
            "{path}: x {x} and y {y} must hold the same number of examples, at least one",
            path=path,
            x=x.shape,
            y=y.shape,
        )
    return x, y


def _load_model(path: Path) -> Any:
    if path.suffix != ".keras":
        raise UserError("{path} is not a .keras file; save the model with model.save('name.keras')", path=path)
    if not path.exists():
        raise UserError("{path} is missing", path=path)
    check_archive(path, available_memory())
    import keras

    from mnist_depth import models as own_layers  # noqa: F401  registers the classes of this package's models

    try:
        return keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # a damaged or hostile file fails anywhere inside Keras
        raise UserError("Keras cannot load {path} in safe mode ({reason})", path=path, reason=cause_of(error)) from None
