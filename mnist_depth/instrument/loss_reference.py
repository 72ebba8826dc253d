"""What the training loss is compared with: the best constant prediction's loss on the labels of the probe."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from mnist_depth.diagnosis.constant_loss import References, loss_name, reference_losses
from mnist_depth.instrument.training_loss import overrides, why_unknown

MIN_PER_CLASS = 5
"""Examples per class, or twice this many in all, from which on the probe's labels represent those of training."""


class LossReference:
    """The references of one model and one batch (x, y, sample_weight); nothing where they are not known."""

    def __init__(self, model: keras.Model, batch: Any) -> None:
        self._model = model
        self._of_labels = None if batch is None else _references(model, *batch[1:])

    def now(self) -> References | None:
        """Both, with the present penalties on weights; None where layers add losses of their own."""
        if self._of_labels is None or _adds_losses(self._model):
            return None
        penalty = _penalty(self._model)
        return References(*(loss + penalty for loss in self._of_labels))


def _references(model: keras.Model, y: Any, weights: Any) -> References | None:
    if why_unknown(model) is not None or overrides(model, "compute_loss"):
        return None
    compiled: Any = getattr(model, "_compile_loss", None)
    loss = getattr(model, "loss", None)
    weighted = getattr(compiled, "_user_loss_weights", None)
    if isinstance(loss, (dict, list, tuple)) or weighted is not None or not hasattr(y, "shape"):
        return None
    units = _output_width(model)
    name, _ = loss_name(loss)
    return reference_losses(loss, y, weights, units) if _is_representative(np.asarray(y), name, units) else None


def _is_representative(labels: Any, loss: str, units: int | None) -> bool:
    """Whether there are enough labels, and of enough classes, to know the shares of the classes."""
    if loss == "sparse_categorical_crossentropy":
        classes = len(np.unique(labels))
        return labels.size >= MIN_PER_CLASS * classes and (units is None or 2 * classes >= units)
    per_position = labels.shape[-1] if labels.ndim > 1 else 1
    wanted = per_position if loss == "categorical_crossentropy" else 2
    return labels.size // per_position >= MIN_PER_CLASS * wanted


def _output_width(model: keras.Model) -> int | None:
    try:
        shape = model.output_shape
    except (AttributeError, ValueError):  # a subclassed model
        return None
    return shape[-1] if isinstance(shape, tuple) and shape and isinstance(shape[-1], int) else None


def _adds_losses(model: keras.Model) -> bool:
    """Whether a layer has called `add_loss` or penalizes activations; Keras keeps these losses until the next call."""
    return any(layer._losses for layer in model._flatten_layers())


def _penalty(model: keras.Model) -> float:
    """The sum of the regularizers of the weights, as Keras adds it to the loss."""
    return math.fsum(
        float(np.asarray(v.regularizer(v))) for v in model.trainable_variables if v.regularizer is not None
    )
