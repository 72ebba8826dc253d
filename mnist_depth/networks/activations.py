"""Activation functions by name; Keras' own wherever Keras has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnist_depth.registry import Entry


def _keras(name: str) -> Callable[[], Any]:
    def build() -> Any:
        import keras

        return keras.activations.get(name)

    return build


ACTIVATIONS: dict[str, Entry] = {
    "linear": Entry("z", _keras("linear")),
    "sigmoid": Entry("1 / (1 + exp(-z)), slope at most 1/4", _keras("sigmoid")),
    "tanh": Entry("hyperbolic tangent", _keras("tanh")),
    "relu": Entry("max(0, z) (Nair & Hinton 2010)", _keras("relu")),
}
