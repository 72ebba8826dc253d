"""What was measured of one network, layer by layer: from a run folder, a live Keras model, or files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnist_depth import theory
from mnist_depth.config import RunConfig
from mnist_depth.diagnosis import Layer, Measurements
from mnist_depth.errors import UserError
from mnist_depth.records import RunRecord
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


def from_run(record: RunRecord, moment: Moment = "start") -> Measurements:
    """The first or the last measurement of a run, with theory's gains at the start of a network that it covers.

    Raises UserError when the run recorded no gradient.
    """
    series = _layer_series(record)
    names = sorted(series)
    if not any(layer.get("kernel_gradient") or layer.get("pre_activation_gradient") for layer in series.values()):
        raise UserError(f"{record.folder} holds no gradient of any layer; train it with --instruments=standard")
    gains = _predicted_gains(record.config) if moment == "start" else {}
    pick = 0 if moment == "start" else -1
    layers = tuple(
        replace(
            _layer(name, {key: points[pick][1] for key, points in series[name].items()}), predicted_gain=gains.get(name)
        )
        for name in names
    )
    return Measurements(
        source=f"{record.slug}, seed {record.seed}, {_when(series, pick)}",
        layers=layers,
        loss=_loss(record, moment),
        history=tuple(record.series("train", "loss")[1]) if moment == "end" else (),
        diverged=moment == "end" and record.status == "diverged",
        traits={name: getattr(record.config, name) for name in PLAIN_TRAITS},
    )


def _layer(name: str, values: Mapping[str, Any]) -> Layer:
    """A layer with the fields of TAGS."""
    return Layer(name, **values)


def _loss(record: RunRecord, moment: Moment) -> float | None:
    """At the start that of the probe, before any update: the first one of training is an epoch's mean."""
    probed, trained = (record.series("train", tag)[1] for tag in ("probe_loss", "loss"))
    if moment == "end":
        return trained[-1] if trained else None
    return (probed or trained or [None])[0]


def _layer_series(record: RunRecord) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """layer -> field of Layer -> (step, value) in the order of steps, from the preferred tag that was recorded."""
    found: dict[str, dict[str, tuple[int, list[tuple[int, float]]]]] = {}
    for (_, tag), series in record.measured.items():
        match = _parse(tag)
        if match is None:
            continue
        layer, key, rank = match
        kept = found.setdefault(layer, {})
        if key not in kept or rank < kept[key][0]:
            kept[key] = (rank, [])
        if rank == kept[key][0]:
            kept[key][1].extend(zip(series.steps, series.values, strict=True))
    return {
        layer: {key: sorted(points, key=lambda p: p[0]) for key, (_, points) in kept.items()}
        for layer, kept in found.items()
    }


_PATTERNS = [
    (re.compile(tag.replace("{layer}", "(layer_[^/]+)")), key, rank)
    for key, tags in TAGS.items()
    for rank, tag in enumerate(tags)
]


@cache
def _parse(tag: str) -> tuple[str, str, int] | None:
    """(layer, field of Layer, rank of the tag), None for a tag that fills no field."""
    for pattern, key, rank in _PATTERNS:
        if match := pattern.fullmatch(tag):
            return match.group(1), key, rank
    return None


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


def from_files(model_path: Path, data_path: Path) -> Measurements:
    """Measure a saved `.keras` model on the batch in an `.npz` file (keys x and y).

    Neither file is trusted: Keras' safe mode stays on and pickled arrays are refused. Raises UserError for every file
    that cannot be used.
    """
    x, y = _load_batch(data_path)
    with silenced():
        model = _load_model(model_path)
    return from_model(model, x, y, source=f"{model_path.name} on the {len(x)} examples of {data_path.name}")


def _load_batch(path: Path) -> tuple[Any, Any]:
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
        raise UserError(f"{path} is not a readable .npz file of plain arrays ({_first_line(error)})") from None
    if x.ndim == 0 or y.ndim == 0 or not len(x) or len(x) != len(y):
        raise UserError(f"{path}: x {x.shape} and y {y.shape} must hold the same number of examples, at least one")
    return x, y


def _load_model(path: Path) -> Any:
    if path.suffix != ".keras":
        raise UserError(f"{path} is not a .keras file; save the model with model.save('name.keras')")
    if not path.exists():
        raise UserError(f"{path} is missing")
    import keras

    from mnist_depth import models as own_layers  # noqa: F401  registers the classes of this package's models

    try:
        return keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # a damaged or hostile file fails anywhere inside Keras
        raise UserError(f"Keras cannot load {path} in safe mode ({_first_line(error)})") from None


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


# From a live model


def from_model(model: Any, x: Any, y: Any, *, source: str = "") -> Measurements:
    """Measure a built Keras model of any kind on one batch, without changing it.

    Weight layers are those with a kernel, in the order of their calls. A model that is not compiled is measured with
    cross-entropy for whole-number labels, else with the mean squared error. Raises UserError when there is no weight
    layer or the batch does not fit.
    """
    import warnings

    from mnist_depth import instrument

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            loss = None if model.compiled else _usual_loss(y)
            measured = instrument.measure(model, x, y, statistics=STATISTICS, loss=loss)
        except Exception as error:  # the model is foreign code
            raise UserError(f"the model cannot be measured on this batch ({_first_line(error)})") from error
    layers = _model_layers(measured)
    if not any(layer.kernel_gradient is not None for layer in layers):
        reason = f" ({_first_line(caught[0].message)})" if caught else ""
        raise UserError(f"no weight layer of the model has a gradient on this batch{reason}")
    return Measurements(
        source=source or f"model {model.name!r} on a batch of {len(y)}",
        layers=layers,
        loss=measured.scalars.get("probe_loss"),
        traits=_model_traits(model),
    )


OF_LAYERS = {
    "saturated_share": "saturated_share",
    "dead_share": "dead_share",
    "activation_std": "activation_std",
    "across_samples_std": "activation_std_across_samples",
}
"""Field of Layer -> the instrument's statistic of a layer's outputs."""

STATISTICS = ("gradient_norm", "pre_activation_gradient_norm", *OF_LAYERS.values())

NOT_KERNELS = ("bias", "gamma", "beta", "scale")
"""Variables of a weight or normalization layer that do not multiply the signal by a matrix."""


def _model_layers(measured: Any) -> tuple[Layer, ...]:
    kernels = {
        name: value
        for name, value in measured.quantity("probe_gradient_norm").items()
        if name.rpartition("/")[2] not in NOT_KERNELS
    }
    signals = measured.quantity("pre_activation_gradient_norm")
    of_layer = {key: measured.quantity(quantity) for key, quantity in OF_LAYERS.items()}
    layers = []
    for name in measured.layers:
        own = [value for variable, value in kernels.items() if variable.startswith(f"{name}/")]
        if own:
            numbers = {key: values.get(name) for key, values in of_layer.items()}
            layers.append(Layer(name, signals.get(name), math.hypot(*own), **numbers))
    return tuple(layers)


def _usual_loss(y: Any) -> Any:
    """(y_true, y_pred) -> loss for a model without one of its own."""
    import keras

    whole = np.asarray(y).dtype.kind in "iu"

    def loss(y_true: Any, y_pred: Any) -> Any:
        if not whole or y_pred.shape[-1] == 1:
            return keras.losses.mean_squared_error(y_true, y_pred)
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=not _probabilities(y_pred))

    return loss


def _probabilities(y_pred: Any) -> bool:
    """Whether an output layer's values are already shares: a softmax made them."""
    return getattr(getattr(y_pred, "op", None), "type", "") == "Softmax"


ACTIVATION_LAYERS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "PReLU": "leaky_relu", "ELU": "elu"}


def _model_traits(model: Any) -> dict[str, str]:
    """What of RunConfig's vocabulary can be seen from outside; the activation is the most frequent hidden one."""
    layers = list(model._flatten_layers(include_self=False))
    kinds = [type(layer).__name__ for layer in layers]
    named = [getattr(getattr(layer, "activation", None), "__name__", "") for layer in layers]
    hidden = [name for name in named if name not in ("", "linear", "softmax")]
    hidden += [ACTIVATION_LAYERS[kind] for kind in kinds if kind in ACTIVATION_LAYERS]
    optimizer = getattr(model, "optimizer", None)
    traits = {
        "activation": max(hidden, key=hidden.count) if hidden else None,
        "batch_norm": "used" if "BatchNormalization" in kinds else None,
        "wiring": "residual" if "Add" in kinds else None,
        "optimizer": None if optimizer is None else type(optimizer).__name__.lower(),
    }
    return {name: value for name, value in traits.items() if value}
