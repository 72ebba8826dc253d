"""Call a model and its loss the way `fit` would, for any signature."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mnist_depth.instrument.error_text import cause

Loss = Callable[[Any, Any], Any]
"""loss(y_true, y_pred)."""


def accepts(function: Callable[..., Any], argument: str) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(p.name == argument or p.kind is p.VAR_KEYWORD for p in parameters)


def predict(model: keras.Model, x: Any, training: bool) -> Any:
    """The model's outputs."""
    return model(x, training=training) if accepts(model.call, "training") else model(x)


def loss_of(
    model: keras.Model, loss: Loss | None, x: Any, y: Any, predicted: Any, sample_weight: Any, training: bool
) -> Any:
    """The loss, regularization included: `loss` if given, else the compiled one; None, with one warning, if neither."""
    try:
        if loss is not None:
            return tf.add_n([tf.reduce_mean(loss(y, predicted)), *model.losses])
        if not getattr(model, "compiled", False):
            raise ValueError("the model is not compiled; compile it or give loss=")
        extra = {"training": training} if accepts(model.compute_loss, "training") else {}
        return model.compute_loss(x=x, y=y, y_pred=predicted, sample_weight=sample_weight, **extra)
    except Exception as error:  # a loss of the user's may raise anything
        # Without labels Keras' losses raise errors that do not name the reason.
        reason = "the probe has no labels; give (x, y)" if y is None else f"{cause(error)}; give loss="
        warnings.warn(f"no gradients on the probe, the rest is measured: {reason} or gradients='applied'", stacklevel=2)
        return None
