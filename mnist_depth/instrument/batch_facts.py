"""Plain facts about one batch and about a model's output and loss, for the rules on data, labels and losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnist_depth.diagnosis import Data, Output
from mnist_depth.diagnosis.constant_loss import References, reference_losses

SCALING_LAYERS = (
    "Rescaling",
    "Normalization",
    "BatchNormalization",
    "LayerNormalization",
    "Embedding",
    "UnitNormalization",
)
"""Layers before the first weight layer that make the scale of the input irrelevant."""


def batch_data(model: Any, x: Any, y: Any) -> Data:
    """Facts about inputs and labels for the rules. With several input arrays the one with the largest scale is used."""
    arrays = [np.asarray(part) for part in _flat(x)]
    floats = [array for array in arrays if array.dtype.kind in "fiu"]
    fields: dict[str, Any] = {
        "input_nonfinite": sum(int(np.sum(~np.isfinite(array))) for array in floats),
        "input_identical": bool(arrays) and all(bool(np.all(array == array[:1])) for array in arrays),
        "input_is_scaled": _is_scaled(model),
    }
    if floats:
        largest = max(floats, key=_rms)
        fields |= {"input_rms": _rms(largest), "input_min": float(largest.min()), "input_max": float(largest.max())}
        fields["feature_scales"] = _feature_scales(largest)
    labels = [np.asarray(part) for part in _flat(y)]
    if len(labels) == 1 and labels[0].dtype.kind in "fiub" and labels[0].size:
        fields |= _label_fields(labels[0])
    return Data(examples=len(arrays[0]) if arrays else 0, **fields)


def _flat(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, dict):
        return [part for item in value.values() for part in _flat(item)]
    if isinstance(value, (list, tuple)) and value and hasattr(value[0], "shape"):
        return [part for item in value for part in _flat(item)]
    return [value]


def _rms(array: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(np.square(array, dtype=np.float64)))) if array.size else 0.0


def _feature_scales(array: np.ndarray) -> float | None:
    """For a table [n, features]; columns that do not vary are left out."""
    if array.ndim != 2 or not np.isfinite(array).all():
        return None
    spreads = array.std(axis=0, dtype=np.float64)
    spreads = spreads[spreads > 0]
    return float(spreads.max() / spreads.min()) if len(spreads) > 1 and len(spreads) <= 256 else None


def _label_fields(labels: np.ndarray) -> dict[str, Any]:
    finite = labels[np.isfinite(labels)] if labels.dtype.kind == "f" else labels
    if not finite.size:
        return {"label_nonfinite": int(labels.size)}
    whole = labels.dtype.kind in "iub" or bool(np.all(finite == np.round(finite)))
    rows = labels.reshape(len(labels), -1)
    return {
        "label_nonfinite": int(labels.size - finite.size),
        "label_min": float(finite.min()),
        "label_max": float(finite.max()),
        "label_rms": _rms(np.asarray(finite)),
        "label_identical": bool(np.all(labels == labels[:1])),
        "label_classes": len(np.unique(finite)) if whole else None,
        "label_shape": tuple(labels.shape),
        "label_rows_sum_to_one": labels.ndim > 1 and bool(np.allclose(np.sum(np.float64(rows), axis=1), 1, atol=1e-3)),
    }


def _is_scaled(model: Any) -> bool:
    for layer in model._flatten_layers(include_self=False):
        if type(layer).__name__ in SCALING_LAYERS:
            return True
        if any(getattr(layer, name, None) is not None for name in ("kernel", "cell", "depthwise_kernel")):
            return False
    return False


def references(loss: Any, output: Output, y: Any) -> References | None:
    """The losses of the best constant and of a perfect prediction; None for a Keras loss without a formula."""
    return reference_losses(loss, y, units=output.units or 1)
