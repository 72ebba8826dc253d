"""What was measured of one network, layer by layer: from a run folder, a live Keras model, or files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnist_depth import theory
from mnist_depth.config import RunConfig
from mnist_depth.diagnosis import Layer, Measurements
from mnist_depth.errors import UserError
from mnist_depth.records import RunRecord, TrainingRecord
from mnist_depth.results.model_measurements import Progress, first_line, from_model
from mnist_depth.runtime.stderr import silenced

Moment = Literal["start", "end"]

TAGS: dict[str, tuple[str, ...]] = {
    "pre_activation_gradient": ("pre_activation_gradient_norm/{layer}",),
    "kernel_gradient": (
        "probe_gradient_norm/{layer}/kernel",
        "gradient_norm/{layer}/kernel",
        "probe_gradient_norm/{layer}/cell/kernel",
        "gradient_norm/{layer}/cell/kernel",
    ),
    "saturated_share": ("saturated_share/{layer}",),
    "dead_share": ("dead_share/{layer}",),
    "update_ratio": ("update_ratio/{layer}/kernel",),
    "activation_std": ("activation_std/{layer}",),
    "across_samples_std": ("activation_std_across_samples/{layer}",),
}
"""The tags that fill a Layer's fields, the preferred one first."""

PLAIN_TRAITS = ("activation", "initializer", "optimizer", "wiring", "batch_norm", "pretraining")


# From a run folder


def from_run(record: TrainingRecord, moment: Moment = "start") -> Measurements:
    """The first or the last measurement of a training, with theory's gains at the start of a run that it covers.

    Raises UserError when the run recorded no gradient.
    """
    series = _layer_series(record)
    if not any(layer.get("kernel_gradient") or layer.get("pre_activation_gradient") for layer in series.values()):
        raise UserError(f"{record.folder} holds no gradient of any layer; measure it with the standard instruments")
    config = record.config if isinstance(record, RunRecord) else None
    gains = _predicted_gains(config) if config and moment == "start" else {}
    pick = 0 if moment == "start" else -1
    layers = tuple(
        replace(
            _layer(name, {key: points[pick][1] for key, points in series[name].items()}), predicted_gain=gains.get(name)
        )
        for name in series
    )
    return Measurements(
        source=f"{record.name}, {_when(series, pick)}",
        layers=layers,
        loss=_loss(record, moment),
        history=tuple(record.series("train", "loss")[1]) if moment == "end" else (),
        diverged=moment == "end" and record.status == "diverged",
        traits={name: getattr(config, name) for name in PLAIN_TRAITS} if config else {},
    )


def _layer(name: str, values: Mapping[str, Any]) -> Layer:
    """A layer with the fields of TAGS."""
    return Layer(name, **values)


def _loss(record: TrainingRecord, moment: Moment) -> float | None:
    """At the start that of the probe, before any update: the first one of training is an epoch's mean."""
    probed, trained = (record.series("train", tag)[1] for tag in ("probe_loss", "loss"))
    if moment == "end":
        return trained[-1] if trained else None
    return (probed or trained or [None])[0]


def _layer_series(record: TrainingRecord) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """layer -> field of Layer -> (step, value) in the order of steps, from the preferred tag that was recorded."""
    found = {layer: {key: _first_series(record, layer, tags) for key, tags in TAGS.items()} for layer in record.layers}
    kept = {layer: {key: points for key, points in fields.items() if points} for layer, fields in found.items()}
    return {layer: fields for layer, fields in kept.items() if fields}


def _first_series(record: TrainingRecord, layer: str, tags: Sequence[str]) -> list[tuple[int, float]]:
    for tag in tags:
        steps, values = record.series("train", tag.format(layer=layer))
        if steps:
            return list(zip(steps, values, strict=True))
    return []


def _when(series: Mapping[str, Mapping[str, list[tuple[int, float]]]], pick: int) -> str:
    steps = [
        points[pick][0]
        for layer in series.values()
        for key, points in layer.items()
        if key in ("pre_activation_gradient", "kernel_gradient")
    ]
    return f"step {min(steps) if pick == 0 else max(steps)}"


def _predicted_gains(config: RunConfig) -> dict[str, float]:
    if theory.not_covered(config):
        return {}
    return {row.name: row.gain for row in theory.predict_config(config) if not math.isnan(row.gain)}


# From files


def from_files(model_path: Path, data_path: Path, progress: Progress | None = None) -> Measurements:
    """Measure a saved `.keras` model on the batch in an `.npz` file (keys x and y).

    Neither file is trusted: Keras' safe mode stays on and pickled arrays are refused. Raises UserError for every file
    that cannot be used.
    """
    x, y = load_batch(data_path)
    with silenced():
        model = load_model(model_path)
    return from_model(
        model, x, y, source=(f"{model_path.name} on the {len(x)} examples of {data_path.name}"), progress=progress
    )


def load_batch(path: Path) -> tuple[Any, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            missing = [key for key in ("x", "y") if key not in stored]
            if missing:
                raise UserError(f"{path} has no array {missing[0]!r}; it must hold x (inputs) and y (labels)")
            x, y = stored["x"], stored["y"]
    except FileNotFoundError:
        raise UserError(f"{path} is missing") from None
    except UserError:
        raise
    except Exception as error:  # zipfile, NumPy and the operating system each have their own
        raise UserError(f"{path} is not a readable .npz file of plain arrays ({first_line(error)})") from None
    if x.ndim == 0 or y.ndim == 0 or not len(x) or len(x) != len(y):
        raise UserError(f"{path}: x {x.shape} and y {y.shape} must hold the same number of examples, at least one")
    return x, y


def load_model(path: Path) -> Any:
    if path.suffix != ".keras":
        raise UserError(f"{path} is not a .keras file; save the model with model.save('name.keras')")
    if not path.exists():
        raise UserError(f"{path} is missing")
    import keras

    from mnist_depth import models as own_layers  # noqa: F401  registers the classes of this package's models

    try:
        return keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # a damaged or hostile file fails anywhere inside Keras
        raise UserError(f"Keras cannot load {path} in safe mode ({first_line(error)})") from None
