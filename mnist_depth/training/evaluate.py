"""Score finished runs again: one on the test split, several as an ensemble whose probabilities are averaged.

Averaging keeps what the members agree on; the mean's cross-entropy is never above the mean of theirs (Jensen), and its
accuracy is usually above every member's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from scipy.special import expit, softmax

from mnist_depth import datasets, files, models, records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.instrument import EventWriter, JsonLinesWriter
from mnist_depth.records import DONE, WEIGHTS, read_run
from mnist_depth.training import loop
from mnist_depth.training.split_writer import SplitWriter


def score_on_test(folder: Path, data_dir: str | None = None) -> None:
    """Score a finished run that left the test split alone, once: the figures join its record and its test curve."""
    if "test_accuracy" in read_run(folder).done["metrics"]:
        return  # without a lock, which needs permission to write
    with records.claim(folder):
        record = read_run(folder)
        config, data = record.config, datasets.load(record.config.dataset, data_dir)
        model = models.build(config)
        models.load_weights(model, folder / WEIGHTS)
        scores = loop.Scorer(model, {"test": data.test}, models.loss(config), models.metrics(config)[0])()["test"]
        writer = SplitWriter(EventWriter(folder), JsonLinesWriter(folder, "test"))
        writer.write_scalars(record.done["steps"], scores)
        writer.close()
        figures = {f"test_{name}": files.encode(value) for name, value in scores.items()}
        metrics = {**record.done["metrics"], **figures}
        files.write_atomic(folder / DONE, json.dumps({**record.done, "metrics": metrics}, indent=1))


@dataclass(frozen=True)
class EnsembleAccuracy:
    """Accuracy of each member, in the order given, their mean, and that of the averaged probabilities."""

    members: tuple[float, ...]
    mean: float
    ensemble: float


def ensemble_accuracy(probabilities: Sequence[np.ndarray], labels: np.ndarray) -> EnsembleAccuracy:
    """Score `probabilities`, one [n, classes] per member, against `labels` [n]. Raises UserError without members."""
    if not probabilities:
        raise UserError("an ensemble needs at least one finished run")
    members = tuple(_accuracy(member, labels) for member in probabilities)
    return EnsembleAccuracy(members, float(np.mean(members)), _accuracy(np.mean(probabilities, axis=0), labels))


def class_probabilities(model: keras.Model, config: RunConfig, images: np.ndarray) -> np.ndarray:
    """Probabilities [n, classes] of the hypothesis that `config` scores, for `images` [n, features]."""
    logits = np.asarray(model.predict(images, batch_size=1000, verbose=0), np.float64)  # pyright: ignore[reportArgumentType]
    if logits.shape[1] == 1:
        return np.concatenate([expit(-logits), expit(logits)], axis=1)
    return softmax(np.maximum(logits, 0) if config.logits_activation == "relu_scored" else logits, axis=1)


def load_run(folder: Path) -> tuple[RunConfig, keras.Model]:
    """The config and the trained network of a finished run folder. Raises UserError where they cannot be had."""
    run = read_run(folder)
    if run.status != "finished":
        raise UserError(
            "the run in {folder} is {status}; an ensemble takes finished runs", folder=folder, status=run.status
        )
    if not (folder / WEIGHTS).exists():
        raise UserError(
            "the run in {folder} kept no weights; train it again with --save_weights --overwrite", folder=folder
        )
    model = models.build(run.config)
    models.load_weights(model, folder / WEIGHTS)
    return run.config, model


def ensemble_of_runs(folders: Sequence[Path], data_dir: str | None = None) -> EnsembleAccuracy:
    """Test accuracy of the networks in `folders` and of their ensemble. Raises UserError where datasets differ."""
    runs = [load_run(folder) for folder in folders]
    names = sorted({config.dataset for config, _ in runs})
    if len(names) > 1:
        raise UserError("the runs of an ensemble must share one dataset, not {names}", names=", ".join(names))
    if not names:
        raise UserError("an ensemble needs at least one finished run")
    test = datasets.load(names[0], data_dir).test
    return ensemble_accuracy([class_probabilities(model, config, test.images) for config, model in runs], test.labels)


def _accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(probabilities.argmax(axis=1) == labels))
