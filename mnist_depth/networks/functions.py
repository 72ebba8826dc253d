"""Activation functions that Keras lacks, or has with another slope."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mnist_depth")
def leaky_relu(z: Any) -> Any:
    """max(z, 0.01 z), the slope of Maas et al. 2013; Keras' own default is 0.2."""
    return keras.activations.leaky_relu(z, negative_slope=0.01)


@keras.saving.register_keras_serializable(package="mnist_depth")
def very_leaky_relu(z: Any) -> Any:
    """max(z, z/3), the "very leaky" ReLU of Graham 2014 as compared by Mishkin & Matas 2015."""
    return keras.activations.leaky_relu(z, negative_slope=1 / 3)


@keras.saving.register_keras_serializable(package="mnist_depth")
class Maxout:
    """Each unit is the largest of its `pieces` linear functions (Goodfellow et al. 2013).

    Maps [batch, pieces * units] to [batch, units]; unit j owns the columns from j * pieces to (j + 1) * pieces - 1.
    """

    def __init__(self, pieces: int = 2) -> None:
        self.pieces = pieces

    def __call__(self, z: Any) -> Any:
        return ops.max(ops.reshape(z, (-1, z.shape[-1] // self.pieces, self.pieces)), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"pieces": self.pieces}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Maxout:
        return cls(**config)
