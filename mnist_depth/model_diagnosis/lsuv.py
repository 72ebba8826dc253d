"""Layer-sequential unit variance for any built Keras model: rescale kernels until every layer's output varies by one.

Mishkin & Matas 2015, "All you need is a good init", with the variance across samples, so that an activation with a
non-zero mean (sigmoid) cannot hide that inputs become alike (Kraehenbuehl et al. 2016).
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_depth.errors import UserError

TOLERANCE = 0.1
"""How far from one the variance may stay, as in the paper."""

MAX_ITERATIONS = 10
"""Rescalings of one layer at most, as in the paper."""

MAX_EXAMPLES = 256
"""Samples whose outputs are measured."""


@dataclass(frozen=True)
class Rescaled:
    """The result for one layer."""

    layer: str
    before: float
    """Variance of the pre-activations across samples, mean over units."""
    after: float
    iterations: int

    @property
    def converged(self) -> bool:
        """Whether the variance is one; not where no scale helps, as when all inputs are equal."""
        return abs(self.after - 1) <= TOLERANCE


def lsuv(model: Any, x: Any) -> list[Rescaled]:
    """Rescale the kernels of a built model of any kind in place, layer by layer in the order of the calls.

    `x` is a batch of inputs as for `model.fit`. Each layer's kernel is divided by the standard deviation of its
    pre-activations across samples, and its bias takes their mean away, until the variance is one. The last layer keeps
    its scale: its outputs are predictions. Frozen layers, normalization and the gates of recurrent layers are left
    alone. Raises UserError for a model without such a layer.
    """
    from mnist_depth.instrument import names

    layers = {name: layer for name, layer in names.all_layers(model).items() if _is_weight_layer(layer)}
    order = [name for name in _outputs(model, layers, x) if name in layers][:-1]
    if not order:
        raise UserError("lsuv needs a built model with at least two Dense or convolutional layers")
    return [_rescale(model, name, layers[name], x) for name in order]


def weight_layers() -> tuple[type, ...]:
    """Keras' layers of the form activation(kernel x + bias)."""
    import keras

    return (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


def _is_weight_layer(layer: Any) -> bool:
    return isinstance(layer, weight_layers()) and layer.trainable and layer.built


def _rescale(model: Any, name: str, layer: Any, x: Any) -> Rescaled:
    first = None
    for iteration in range(MAX_ITERATIONS + 1):
        outputs = _outputs(model, {name: layer}, x)[name]
        axes = tuple(range(outputs.ndim - 1))
        mean, variance = outputs.mean(axis=axes), float(outputs.var(axis=axes).mean())
        first = variance if first is None else first
        done = Rescaled(name, first, variance, iteration)
        if done.converged or iteration == MAX_ITERATIONS or not 0 < variance < np.inf:
            return done
        scale = 1 / np.sqrt(variance)
        layer.kernel.assign(np.asarray(layer.kernel) * scale)
        if layer.use_bias:
            layer.bias.assign((np.asarray(layer.bias) - mean) * scale)
    raise AssertionError("unreachable")


def _outputs(model: Any, layers: dict[str, Any], x: Any) -> dict[str, np.ndarray]:
    """The pre-activations of the layers, in the order of the calls, as float64 [..., units]."""
    import keras
    import tensorflow as tf

    from mnist_depth.instrument.capture import shadowed
    from mnist_depth.instrument.forward import predict
    from mnist_depth.instrument.probe_batch import as_tensors

    few = tf.nest.map_structure(lambda part: part[:MAX_EXAMPLES], as_tensors((x,))[0])
    caught: dict[str, np.ndarray] = {}

    def keep(name: str, value: Any) -> None:
        caught.setdefault(name, np.asarray(value, np.float64))

    with contextlib.ExitStack() as stack:
        stack.enter_context(keras.StatelessScope())
        for name, layer in layers.items():
            stack.enter_context(shadowed(layer, "activation", _keeping(name, layer.activation, keep)))
        predict(model, few, training=True)
    return caught


def _keeping(name: str, activation: Any, keep: Any) -> Any:
    """An activation that also stores its input."""

    def inside(value: Any) -> Any:
        keep(name, value)
        return value if activation is None else activation(value)

    return inside
