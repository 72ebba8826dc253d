"""Make the variables of a model that would wait for its first batch, and change nothing else of it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from mnist_depth.instrument.forward import predict


def build(model: keras.Model, x: Any) -> None:
    """Trace one call of the model, as `fit` would, and do not run it: no seed state and no counter moves."""
    tf.function(lambda inputs: predict(model, inputs, training=False), autograph=False).get_concrete_function(x)
