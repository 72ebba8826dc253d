"""Plain networks and a batch of random images for them."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

keras: Any = importlib.import_module("keras")


RNG = np.random.default_rng(3)


IMAGES = (RNG.random((64, 784)) * (RNG.random((64, 784)) < 0.3)).astype(np.float32)


LABELS = RNG.integers(0, 10, 64)


def dense_stack(activation: str, initializer: Any, depth: int = 9, width: int = 128) -> Any:
    """A plain network; `initializer(index)` makes a fresh, seeded initializer."""
    layers = [
        keras.layers.Dense(width, activation, kernel_initializer=initializer(index), name=f"dense_{index}")
        for index in range(1, depth)
    ]
    model = keras.Sequential(
        [keras.Input((784,)), *layers, keras.layers.Dense(10, kernel_initializer=initializer(depth), name="logits")]
    )
    return compiled(model)


def compiled(model: Any) -> Any:
    """Without XLA, whose compilation would be most of this file's time; the saved model is measured with it."""
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    return model


def glorot(index: int) -> Any:
    return keras.initializers.GlorotNormal(seed=index)
