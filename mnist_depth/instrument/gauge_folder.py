"""The folder of a gauge: event files, scalars as JSON lines and `gauge.json` of one training.

A training is recognized by its weights: `gauge.json` keeps fingerprints of them at the ends of epochs. A training that
starts from recorded weights resumes in the folder; every other one gets a new folder, `logs/mine-2`.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from mnist_depth.instrument import names
from mnist_depth.instrument.traits import model_traits
from mnist_depth.instrument.writers.events import SUFFIX, EventWriter
from mnist_depth.instrument.writers.jsonl import METRICS, JsonLinesWriter
from mnist_depth.instrument.writers.multi import MultiWriter

FORMAT = 1
RECORD = "gauge.json"
TRAIN, VALIDATION = "train", "validation"
RUN_CONFIG = "config.json"
"""What the folder of a run of a study holds."""

MAX_FINGERPRINTS = 1000
SAMPLED = 64
"""Entries of every variable that a fingerprint is made of."""

SAVE_SHARE = 0.05
"""Largest share of the training time that goes into updates of `gauge.json`."""

Existing = Literal["new", "error"]


class GaugeFolder:
    """The folder of the current training: the requested one or a numbered one beside it."""

    def __init__(self, target: str | os.PathLike[str], existing: Existing) -> None:
        self.target = os.fspath(target)
        self.path: str | None = None
        """The folder in use; None before the first training."""
        self._existing = existing
        self._record: dict[str, Any] = {}
        self._next_save = 0.0
        self._lines: list[JsonLinesWriter] = []

    @property
    def seconds(self) -> float:
        """How long the training in the folder has taken."""
        return float(self._record.get("seconds", 0.0))

    def continues(self, model: keras.Model, updates: int) -> int | None:
        """The step at which this model resumes the training in the folder; None for another training."""
        fingerprint, layers = fingerprint_of(model), _layers(model)
        for path in _candidates(self.target):
            record = _read(path)
            step = None if record is None else _step_of(record, fingerprint, updates, layers)
            if step is not None:
                self.path, self._record = path, record or {}
                return step
        return None

    def create(self, description: Mapping[str, Any]) -> None:
        """Take the first free folder: the target, or one with a number. FileExistsError if `existing` forbids that."""
        for path in _candidates(self.target, endless=True):
            if _claim(path):
                self.path = path
                self._record = {**description, "identity": uuid.uuid4().hex, "created": _now()}
                self._record |= {"step": 0, "finished": False, "fingerprints": {}}
                self._write()
                return
            if self._existing == "error":
                raise FileExistsError(
                    f"{path} holds another training; give the gauge another folder, or leave out existing='error'"
                )

    def writers(self) -> tuple[MultiWriter, MultiWriter]:
        """Those of training and validation."""
        self._lines = []
        return self._writer(TRAIN), self._writer(VALIDATION)

    def _writer(self, run: str) -> MultiWriter:
        assert self.path is not None
        lines = JsonLinesWriter(self.path, run, self._record["steps_per_epoch"], histograms=False)
        self._lines.append(lines)
        return MultiWriter(EventWriter(os.path.join(self.path, run)), lines)

    def count_epoch(self, steps: int) -> None:
        """Record the updates per epoch if `fit` did not know them beforehand."""
        if self._record["steps_per_epoch"] is None and steps:
            self._record["steps_per_epoch"] = steps
            for writer in self._lines:
                writer.steps_per_epoch = steps

    def note(self, model: keras.Model, step: int, *, finished: bool = False, **changes: Any) -> None:
        """Record the progress of the training; skips calls that come faster than the disk can write."""
        started = time.monotonic()
        if not finished and started < self._next_save:
            return
        known = {**self._record["fingerprints"], fingerprint_of(model): step}
        newest = dict(list(known.items())[-MAX_FINGERPRINTS:])
        self._record |= {**changes, "step": step, "finished": finished, "fingerprints": newest}
        self._write()
        ended = time.monotonic()
        self._next_save = ended + (ended - started) / SAVE_SHARE

    def describe(self, **changes: Any) -> None:
        """Add to the record, or replace what it says; the training's progress stays."""
        self._record |= changes
        self._write()

    def _write(self) -> None:
        assert self.path is not None
        _write_json(Path(self.path, RECORD), self._record)


def _candidates(target: str, *, endless: bool = False) -> Iterator[str]:
    """The target, then `target-2`, `target-3`, ..., as far as they exist."""
    number = 1
    path = target
    while endless or os.path.isdir(path):
        yield path
        number += 1
        path = f"{target}-{number}"


def _claim(path: str) -> bool:
    """Claim a folder; False if it holds another training. What other callbacks write there is left alone."""
    os.makedirs(path, exist_ok=True)
    if _is_taken(path):
        return False
    try:
        with open(os.path.join(path, RECORD), "x", encoding="utf-8"):
            return True
    except FileExistsError:  # another process claimed it first
        return False


def _is_taken(path: str) -> bool:
    """Whether a gauge or a run has written to a folder."""
    folder = Path(path)
    points = (file for run in (".", TRAIN, VALIDATION) for file in folder.glob(f"{run}/*tfevents*{SUFFIX}"))
    return any((folder / name).exists() for name in (RECORD, METRICS, RUN_CONFIG)) or any(points)


def _read(path: str) -> dict[str, Any] | None:
    try:
        record = json.loads(Path(path, RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("fingerprints"), dict) else None


def _step_of(record: Mapping[str, Any], fingerprint: str, updates: int, layers: Sequence[Any]) -> int | None:
    """The step at which the recorded training resumes; None if the weights are not from it.

    An interrupted training may have been saved after its last fingerprint. The same layers with more updates therefore
    count as the same training, so that no point is lost.
    """
    # Saved weights may be older than the last step (`known`), or newer than the last fingerprint (`interrupted`).
    last, known = record["step"], record["fingerprints"].get(fingerprint, 0)
    if known:
        return last if updates == last else known
    interrupted = not record["finished"] and updates > 0 and updates >= last
    return updates if interrupted and record.get("layers") == layers else None


def fingerprint_of(model: keras.Model) -> str:
    """A digest of a sample of the model's weights: equal for equal weights, of the same shapes."""
    digest = hashlib.sha256()
    for variable in model.weights:
        flat = tf.reshape(tf.convert_to_tensor(variable.value), [-1])
        digest.update(f"{variable.shape}".encode())
        sample = flat[:: max(1, int(np.prod(variable.shape)) // SAMPLED)]
        digest.update(np.ascontiguousarray(sample.numpy()).tobytes())
    return digest.hexdigest()[:32]


def describe(model: keras.Model, optimizer: Any, steps_per_epoch: int | None) -> dict[str, Any]:
    """Description of the model and its training for `gauge.json`."""
    return {
        "format": FORMAT,
        "model": model.name,
        "layers": _layers(model),
        "optimizer": None if optimizer is None else type(optimizer).__name__,
        "learning_rate": learning_rate(optimizer),
        "loss": _name_of(getattr(model, "loss", None)),
        "steps_per_epoch": steps_per_epoch,
        "traits": model_traits(model),
        "environment": {
            "python": platform.python_version(),
            "keras": keras.version(),
            "tensorflow": tf.__version__,
            "devices": [device.device_type for device in tf.config.list_physical_devices()],
        },
    }


def _layers(model: keras.Model) -> list[dict[str, Any]]:
    return [_layer(name, layer) for name, layer in names.outer_layers(model).items()]


def _layer(name: str, layer: keras.Layer) -> dict[str, Any]:
    described = {"name": name, "class": type(layer).__name__, "parameters": layer.count_params() if layer.built else 0}
    if layer.weights and not layer.trainable_weights:
        described["trainable"] = False
    activation = vars(layer).get("activation")
    return {**described, "activation": _name_of(activation)} if callable(activation) else described


def learning_rate(optimizer: Any) -> float | None:
    """The rate of the next update, also of a schedule; None where there is no optimizer."""
    rate = getattr(optimizer, "learning_rate", None)
    return None if rate is None else float(np.asarray(rate))


def _name_of(value: Any) -> Any:
    """The name of a loss or an activation, as it would be written in code."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _name_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_name_of(item) for item in value]
    return str(getattr(value, "name", None) or getattr(value, "__name__", None) or type(value).__name__)


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a whole file or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(values, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
