"""The output layer and the loss of a live model, for the rules on what fits together."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from mnist_depth.diagnosis import Layer, Output
from mnist_depth.diagnosis.constant_loss import loss_name
from mnist_depth.diagnosis.outputs import NEEDS, PROBABILITIES
from mnist_depth.instrument.towers import functional, producer
from mnist_depth.instrument.traits import activation_name


def is_one_hot(y: Any) -> bool:
    """Whether labels [n, classes] hold a single one per row."""
    labels = np.asarray(y)
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "iufb":
        return False
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def usual_loss(y: Any) -> Any:
    """(y_true, y_pred) -> loss for a model without one of its own."""
    import keras

    whole, one_hot = np.asarray(y).dtype.kind in "iu", is_one_hot(y)

    def loss(y_true: Any, y_pred: Any) -> Any:
        if one_hot and y_pred.shape[-1] == np.shape(y)[1]:
            return keras.losses.categorical_crossentropy(y_true, y_pred, from_logits=not _probabilities(y_pred))
        if not whole or y_pred.shape[-1] == 1:
            return keras.losses.mean_squared_error(y_true, y_pred)
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=not _probabilities(y_pred))

    return loss


def _probabilities(y_pred: Any) -> bool:
    """Whether an output layer's values are already shares: a softmax made them."""
    return getattr(getattr(y_pred, "op", None), "type", "") == "Softmax"


def output_of_last_layer(model: Any, given_loss: Any) -> Output:
    """Properties of output and loss that need no measurement."""
    name, logits = loss_name(given_loss or getattr(model, "loss", None))
    last = model.layers[-1] if model.layers else None
    shape: Any = last.output.shape if last is not None and hasattr(last, "output") else ()
    units = shape[-1] if shape and isinstance(shape[-1], int) else None
    return Output(units=units, activation=activation_name(last), loss=name, from_logits=logits)


def output_and_loss(model: Any, layers: tuple[Layer, ...], x: Any, given_loss: Any) -> Output:
    compiled = getattr(model, "loss", None) if given_loss is None else given_loss
    if isinstance(compiled, (list, tuple)) and len(compiled) == 1:
        compiled = compiled[0]
    single = not isinstance(compiled, (dict, list, tuple))
    name, logits = loss_name(compiled) if single and compiled is not None else ("", False)
    last = next((layer for layer in layers if layer.is_output), None)
    if last is None:
        return Output(loss=name, from_logits=logits)
    units = _output_units(model, last)
    activation = _output_activation(model, last)
    found = Output(units=units, activation=activation, loss=name, from_logits=logits)
    if name in NEEDS and not logits and activation not in PROBABILITIES:
        values = np.asarray(model(x, training=False))
        found = replace(found, minimum=float(np.min(values)), maximum=float(np.max(values)))
    return found


def _output_activation(model: Any, last: Layer) -> str:
    """The activation of the model's output: of the last weight layer, unless several tensors are merged behind it."""
    if functional(model) is None:
        return last.activation
    operation = producer(model.outputs[0])
    while not (name := activation_name(operation)):
        inputs = operation._inbound_nodes[-1].input_tensors
        if len(inputs) != 1 or getattr(operation, "weights", ()):
            return last.activation if len(inputs) == 1 else ""
        operation = producer(inputs[0])
    return name


def _output_units(model: Any, last: Layer) -> int | None:
    shape = getattr(model, "output_shape", None) if hasattr(model, "outputs") else None
    if isinstance(shape, tuple) and shape and isinstance(shape[-1], int):
        return shape[-1]
    return last.units


def is_linear(model: Any, layers: tuple[Layer, ...], x: Any) -> bool | None:
    """Whether f((a + b) / 2) = (f(a) + f(b)) / 2 before the last activation, of a model with several weight layers."""
    if len(layers) < 2 or any(layer.activation for layer in layers if not layer.is_output):
        return False
    from mnist_depth import instrument

    inputs = np.asarray(x) if hasattr(x, "shape") else None
    if inputs is None or inputs.dtype.kind not in "fiu" or len(inputs) < 2 or not np.isfinite(inputs).all():
        return None
    count = min(len(inputs) // 2, 16)
    first, second = np.float32(inputs[:count]), np.float32(inputs[count : 2 * count])
    mixed = np.concatenate([first, second, (first + second) / 2])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = instrument.measure(model, mixed, statistics=(), arrays=("pre_activation", "activation")).arrays
    except Exception:  # a model that takes no floating-point inputs is no linear one
        return None
    values = found["pre_activation"].get(layers[-1].name)
    if values is None or not np.isfinite(values).all():
        return None
    a, b, middle = np.split(np.float64(values), 3)
    return bool(np.abs((a + b) / 2 - middle).max() <= 1e-4 * max(float(np.abs(values).max()), 1e-30))
