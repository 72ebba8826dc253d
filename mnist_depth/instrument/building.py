"""Create the variables of a model that is not built yet, without changing anything else."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from mnist_depth.instrument.forward import predict


def is_built(model: keras.Model) -> bool:
    """Whether every layer has its variables. A GAN counts as built when its models are, though it is never called."""
    return all(layer.built for layer in model._flatten_layers(include_self=False))


def build(model: keras.Model, x: Any) -> None:
    """Trace one call of the model, as `fit` would, without running it: seed states and counters stay unchanged."""
    tf.function(lambda inputs: predict(model, inputs, training=False), autograph=False).get_concrete_function(x)
