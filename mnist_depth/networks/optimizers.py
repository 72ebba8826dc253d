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


def _radam(*, learning_rate: float, **options: Any) -> Any:
    from mnist_depth.networks.radam import RAdam

    return RAdam(learning_rate=learning_rate, **options)


OPTIMIZERS: dict[str, Entry] = {
    "sgd": Entry("stochastic gradient descent", _keras("SGD")),
    "momentum": Entry("SGD with momentum 0.9 (Polyak 1964)", _keras("SGD", momentum=0.9)),
    "nag": Entry(
        "Nesterov's accelerated gradient, momentum 0.9 (Sutskever et al. 2013)",
        _keras("SGD", momentum=0.9, nesterov=True),
    ),
    "adagrad": Entry("rates shrink with the sum of squared gradients (Duchi et al. 2011)", _keras("Adagrad")),
    "rmsprop": Entry("rates follow a running mean of squared gradients (Tieleman & Hinton 2012)", _keras("RMSprop")),
    "adagrad_from_zero": Entry(
        "AdaGrad whose sum begins at 0, as in the paper and PyTorch; Keras' begins at 0.1",
        _keras("Adagrad", initial_accumulator_value=0.0, epsilon=1e-20),
    ),
    "rmsprop_tiny_epsilon": Entry(
        "RMSprop with epsilon 1e-16 under the root, about PyTorch's 1e-8 beside it; Keras has 1e-7 under it",
        _keras("RMSprop", epsilon=1e-16),
    ),
    "adadelta": Entry(
        "RMSprop with steps in the units of the weights (Zeiler 2012)", _keras("Adadelta", rho=0.95, epsilon=1e-6)
    ),
    "adam": Entry("adaptive moments (Kingma & Ba 2015)", _keras("Adam")),
    "adamw": Entry("Adam with weight_decay taken out of the gradient (Loshchilov & Hutter 2019)", _keras("AdamW")),
    "nadam": Entry("Adam with Nesterov momentum (Dozat 2016)", _keras("Nadam")),
    "radam": Entry("Adam with a rectified start (Liu et al. 2019)", _radam),
}

LEARNING_RATES: dict[str, float] = {
    "sgd": 0.1,
    "momentum": 0.01,
    "nag": 0.01,
    "adagrad": 0.01,
    "rmsprop": 0.001,
    "adagrad_from_zero": 0.01,
    "rmsprop_tiny_epsilon": 0.001,
    "adadelta": 1.0,
    "adam": 0.001,
    "adamw": 0.001,
    "nadam": 0.002,
    "radam": 0.001,
}

DECOUPLED: frozenset[str] = frozenset({"adamw"})
"""Optimizers that apply weight decay themselves, to kernels only; with all others it is a penalty in the loss."""
