"""The loss of the best prediction that ignores its input: what a network must beat to have learned anything."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LOSS_ALIASES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "msle": "mean_squared_logarithmic_error",
    "kld": "kl_divergence",
    "logcosh": "log_cosh",
}


class References(NamedTuple):
    """Losses that a training is compared with, both on the same labels."""

    constant: float
    """Of the best prediction that is equal for all inputs."""
    lowest: float
    """Of a perfect prediction: zero but for soft or smoothed labels."""


def loss_name(loss: Any) -> tuple[str, bool]:
    """(snake-case name, from_logits) of a Keras loss given as name, function or object; ("", False) for others."""
    function = getattr(loss, "fn", loss)
    name = loss if isinstance(loss, str) else getattr(function, "__name__", "")
    if not name and loss is not None:
        name = type(loss).__name__
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    logits = getattr(loss, "_fn_kwargs", {}).get("from_logits", getattr(loss, "from_logits", False))
    return LOSS_ALIASES.get(name, name), bool(logits)


def reference_losses(loss: Any, y: Any, weights: Any = None, units: int | None = None) -> References | None:
    """The references of a Keras loss on labels [n, ...]; `weights` [n] weigh examples, `units` is the output's width.

    A constant prediction of sequences or images is the same at every position. None where the loss has no formula
    here or the labels do not fit it.
    """
    labels = _array(y)
    shares = None if weights is None else _array(weights)
    if labels is None or (weights is not None and (shares is None or shares.shape != labels.shape[:1])):
        return None
    options = getattr(loss, "_fn_kwargs", {})
    if getattr(loss, "reduction", None) in ("sum", "none") or options.get("ignore_class") is not None:
        return None
    name, _ = loss_name(loss)
    formula = FORMULAS.get(name)
    if formula is None:
        return None
    rows = labels.reshape(-1, labels.shape[-1]) if labels.ndim > 1 and not name.startswith("sparse") else labels.ravel()
    if rows.ndim == 1:
        rows = rows[:, None]
    each: Any = np.ones(len(labels)) if shares is None else shares
    return formula(rows, np.repeat(each, len(rows) // len(labels)), float(options.get("label_smoothing", 0.0)), units)


def _array(values: Any) -> NDArray[Any] | None:
    """Finite numbers as float64; None for anything else."""
    if values is None or isinstance(values, (dict, list, tuple)):
        return None
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return None
    return array if array.ndim and array.size and np.isfinite(array).all() else None


# Every formula: rows [m, columns], weights [m], label smoothing, width of the output.


def _sparse(rows: NDArray[Any], weights: NDArray[Any], _: float, __: int | None) -> References | None:
    places = np.unique(rows[:, 0], return_inverse=True)[1]
    totals: Any = np.bincount(places.ravel(), weights)
    return References(_scaled(_entropy(totals / totals.sum()), weights), 0.0) if totals.sum() > 0 else None


def _categorical(rows: NDArray[Any], weights: NDArray[Any], smoothing: float, units: int | None) -> References | None:
    if (units is not None and rows.shape[1] != units) or rows.min() < 0 or weights.sum() <= 0:
        return None
    smooth = rows * (1 - smoothing) + smoothing / rows.shape[1]
    mean: Any = np.average(smooth, axis=0, weights=weights)
    return References(_scaled(_entropy(mean), weights), float(np.mean(weights * _entropy(smooth))))


def _binary(rows: NDArray[Any], weights: NDArray[Any], smoothing: float, _: int | None) -> References | None:
    if rows.min() < 0 or rows.max() > 1 or weights.sum() <= 0:
        return None
    smooth = rows * (1 - smoothing) + smoothing / 2
    mean: Any = np.average(smooth, axis=0, weights=weights)
    lowest = np.mean(weights * _two(smooth).mean(axis=1))
    return References(_scaled(float(_two(mean).mean()), weights), float(lowest))


def _squared(rows: NDArray[Any], weights: NDArray[Any], _: float, __: int | None) -> References | None:
    if weights.sum() <= 0:
        return None
    mean: Any = np.average(rows, axis=0, weights=weights)
    return References(float(np.mean(weights * ((rows - mean) ** 2).mean(axis=1))), 0.0)


def _absolute(rows: NDArray[Any], weights: NDArray[Any], _: float, __: int | None) -> References | None:
    if not (weights == 1).all():
        return None
    return References(float(np.abs(rows - np.median(rows, axis=0)).mean()), 0.0)


FORMULAS = {
    "sparse_categorical_crossentropy": _sparse,
    "categorical_crossentropy": _categorical,
    "binary_crossentropy": _binary,
    "mean_squared_error": _squared,
    "mean_absolute_error": _absolute,
}


def _scaled(loss: Any, weights: NDArray[Any]) -> float:
    """Keras divides the sum of weighted losses by the number of examples, not by the sum of weights."""
    return float(loss * np.mean(weights))


def _entropy(shares: NDArray[Any]) -> Any:
    """Over the last axis, in nats."""
    positive = np.where(shares > 0, shares, 1.0)
    return -np.sum(positive * np.log(positive), axis=-1)


def _two(shares: NDArray[Any]) -> NDArray[Any]:
    """Entropy of a yes with this probability."""
    return _entropy(np.stack([shares, 1 - shares], axis=-1))
