"""Optimizers by name, each with its source's usual learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mnist_depth.registry import Entry


def _keras(class_name: str, **fixed: Any) -> Callable[..., Any]:
    def build(*, learning_rate: float, **options: Any) -> Any:
        import keras

        return getattr(keras.optimizers, class_name)(learning_rate=learning_rate, **fixed, **options)

    return build


OPTIMIZERS: dict[str, Entry] = {
    "sgd": Entry("stochastic gradient descent", _keras("SGD")),
    "adam": Entry("adaptive moments (Kingma & Ba 2015)", _keras("Adam")),
}

LEARNING_RATES: dict[str, float] = {"sgd": 0.1, "adam": 0.001}
