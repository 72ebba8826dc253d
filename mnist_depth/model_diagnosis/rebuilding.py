"""Clone Sequential and functional models: fresh weights, other activations, normalization, residual connections."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnist_depth.diagnosis import Message
from mnist_depth.diagnosis.from_tags import ACTIVATION_LAYERS
from mnist_depth.instrument.traits import activation_name
from mnist_depth.model_diagnosis.copying import compiled_like
from mnist_depth.model_diagnosis.lsuv import weight_layers

LINEAR_TAILED = ("relu", "leaky_relu", "elu", "selu", "swish", "silu", "gelu", "mish")
"""Activations that do not saturate for large inputs; all others are replaced."""

HIDDEN_UNITS = 64
"""Width of a hidden layer that is added to a model without one."""

MAX_NAMED = 3
"""Layers that share a change and are named; of more, the number."""

MIN_VARIANCE = 1e-3
"""Smallest variance of an input column, relative to the mean one: columns that hardly vary are not blown up."""


def rebuilt(
    model: Any,
    *,
    activation: str | None = None,
    is_linear: bool = False,
    batch_norm: bool = False,
    residual: bool = False,
    hidden_layer: str | None = None,
    normalized: np.ndarray | None = None,
) -> tuple[Any, tuple[str, ...]]:
    """A clone whose weight layers have new weights and the requested changes.

    `activation` replaces those of hidden layers, of an `is_linear` model also where there is none; `hidden_layer` adds
    one with this activation before the last weight layer; `normalized` scales inputs like these.
    """
    import keras

    last = _last_weight_layer(model)
    changed: dict[Message, list[str]] = {}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if activation is not None and layer is not last and _replaceable(layer, is_linear):
            config = _with_activation(layer, config, activation, changed)
        if isinstance(layer, weight_layers()):
            name = activation if activation is not None and layer is not last else activation_name(layer)
            config = _with_initializer(layer, config, name or "linear", layer is last, changed)
        return _made(layer, config, activation)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if normalized is not None and args and _is_input(args[0]):
            args = (_normalization(normalized)(args[0]), *args[1:])
        if hidden_layer is not None and layer.name == last.name:
            args = (_hidden(layer, hidden_layer)(args[0]), *args[1:])
        if layer.name not in hidden:
            return layer(*args, **kwargs)
        return _wrapped_call(layer, args, kwargs, batch_norm=batch_norm, residual=residual)

    hidden = {layer.name for layer in model.layers if isinstance(layer, weight_layers()) and layer is not last}
    functional = model
    if isinstance(model, keras.Sequential):
        functional = keras.Model(model.inputs, model.outputs)
    copy = keras.models.clone_model(functional, clone_function=clone, call_function=call)
    changes = [_of_layers(what, names) for what, names in changed.items()]
    if normalized is not None:
        changes.insert(0, Message("inputs scaled to zero mean and unit variance"))
    if hidden_layer is not None:
        added = {"units": HIDDEN_UNITS, "activation": hidden_layer, "layer": last.name}
        changes.append(Message("a hidden layer of {units} units with {activation} before {layer}", **added))
    if batch_norm and hidden:
        changes.append(Message("batch normalization before the activation of {count} layers", count=len(hidden)))
    if residual and hidden:
        changes.append(Message("residual connections around hidden layers of equal shape"))
    return compiled_like(model, copy), tuple(changes)


def _is_input(tensor: Any) -> bool:
    return type(getattr(getattr(tensor, "_keras_history", None), "operation", None)).__name__ == "InputLayer"


def _normalization(x: np.ndarray) -> Any:
    """By column for a table, as a whole for anything else."""
    import keras

    axes = 0 if x.ndim == 2 else None
    mean, variance = x.mean(axis=axes, dtype=np.float64), x.var(axis=axes, dtype=np.float64)
    variance = np.maximum(variance, MIN_VARIANCE * variance.mean())
    axis: Any = -1 if x.ndim == 2 else None
    return keras.layers.Normalization(axis=axis, mean=mean, variance=variance, name="input_normalization")


def _hidden(last: Any, activation: str) -> Any:
    import keras

    return keras.layers.Dense(
        HIDDEN_UNITS, activation=activation, kernel_initializer="he_normal", name=f"{last.name}_hidden"
    )


def _of_layers(change: Message, names: list[str]) -> Message:
    """The change and its layers by name; many layers are counted."""
    if len(names) > MAX_NAMED:
        return Message("{change}: {count} layers", change=change, count=len(names))
    return Message("{change}: {names}", change=change, names=", ".join(dict.fromkeys(names)))


def _last_weight_layer(model: Any) -> Any:
    return next((layer for layer in reversed(model.layers) if isinstance(layer, weight_layers())), None)


def _replaceable(layer: Any, is_linear: bool) -> bool:
    name = activation_name(layer)
    if isinstance(layer, weight_layers()):
        return name != "softmax" and (bool(name) or is_linear)
    return type(layer).__name__ in ACTIVATION_LAYERS and name not in ("", "softmax")


def _with_activation(
    layer: Any, config: dict[str, Any], activation: str, changed: dict[Message, list[str]]
) -> dict[str, Any]:
    old = activation_name(layer) or "linear"
    if old == activation:
        return config
    change = Message("activation {old} -> {new}", old=old, new=activation)
    changed.setdefault(change, []).append(layer.name)
    return {**config, "activation": activation}


def _with_initializer(
    layer: Any, config: dict[str, Any], activation: str, is_last: bool, changed: dict[Message, list[str]]
) -> dict[str, Any]:
    name = "he_normal" if activation in LINEAR_TAILED and not is_last else "glorot_uniform"
    old = type(layer.kernel_initializer).__name__
    change = Message("weights drawn anew, initializer {old} -> {new}, biases zero", old=old, new=name)
    changed.setdefault(change, []).append(layer.name)
    return {**config, "kernel_initializer": name, "bias_initializer": "zeros"}


def _made(layer: Any, config: dict[str, Any], activation: str | None) -> Any:
    import keras

    if activation is not None and type(layer).__name__ in ACTIVATION_LAYERS and _replaceable(layer, is_linear=False):
        return keras.layers.Activation(activation, name=layer.name)
    return type(layer).from_config(config)


def _wrapped_call(layer: Any, args: Any, kwargs: Any, *, batch_norm: bool, residual: bool) -> Any:
    """Call a hidden weight layer with normalization before its activation, and a shortcut around it."""
    import keras

    activation = layer.activation
    if batch_norm:
        layer.activation = keras.activations.linear
    outputs = layer(*args, **kwargs)
    if batch_norm:
        outputs = keras.layers.BatchNormalization(name=f"{layer.name}_norm")(outputs)
        if activation is not keras.activations.linear:
            outputs = keras.layers.Activation(activation, name=f"{layer.name}_activation")(outputs)
    if residual and args[0].shape == outputs.shape:
        outputs = keras.layers.Add(name=f"{layer.name}_add")([args[0], outputs])
    return outputs
