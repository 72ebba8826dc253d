"""Optimizers by name, each with its source's usual learning rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mnist_depth.registry import Entry


@dataclass(frozen=True, kw_only=True)
class OptimizerEntry(Entry):
    """One optimizer: its usual learning rate, and how many numbers it keeps per weight.

    `decays_weights`: it applies weight decay itself, to kernels only; with all others that is a penalty in the loss.
    """

    learning_rate: float
    slots: int
    decays_weights: bool = False


def _keras(class_name: str, **fixed: Any) -> Callable[..., Any]:
    def build(*, learning_rate: float, **options: Any) -> Any:
        import keras

        return getattr(keras.optimizers, class_name)(learning_rate=learning_rate, **fixed, **options)

    return build


def _radam(*, learning_rate: float, **options: Any) -> Any:
    from mnist_depth.networks.radam import RAdam

    return RAdam(learning_rate=learning_rate, **options)


OPTIMIZERS: dict[str, OptimizerEntry] = {
    "sgd": OptimizerEntry("stochastic gradient descent", _keras("SGD"), learning_rate=0.1, slots=0),
    "momentum": OptimizerEntry(
        "SGD with momentum 0.9 (Polyak 1964)", _keras("SGD", momentum=0.9), learning_rate=0.01, slots=1
    ),
    "nag": OptimizerEntry(
        "Nesterov's accelerated gradient, momentum 0.9 (Sutskever et al. 2013)",
        _keras("SGD", momentum=0.9, nesterov=True),
        learning_rate=0.01,
        slots=1,
    ),
    "adagrad": OptimizerEntry(
        "rates shrink with the sum of squared gradients (Duchi et al. 2011)",
        _keras("Adagrad"),
        learning_rate=0.01,
        slots=1,
    ),
    "rmsprop": OptimizerEntry(
        "rates follow a running mean of squared gradients (Tieleman & Hinton 2012)",
        _keras("RMSprop"),
        learning_rate=0.001,
        slots=1,
    ),
    "adagrad_from_zero": OptimizerEntry(
        "AdaGrad whose sum begins at 0, as in the paper and PyTorch; Keras' begins at 0.1",
        _keras("Adagrad", initial_accumulator_value=0.0, epsilon=1e-20),
        learning_rate=0.01,
        slots=1,
    ),
    "rmsprop_tiny_epsilon": OptimizerEntry(
        "RMSprop with epsilon 1e-16 under the root, about PyTorch's 1e-8 beside it; Keras has 1e-7 under it",
        _keras("RMSprop", epsilon=1e-16),
        learning_rate=0.001,
        slots=1,
    ),
    "adadelta": OptimizerEntry(
        "RMSprop with steps in the units of the weights (Zeiler 2012)",
        _keras("Adadelta", rho=0.95, epsilon=1e-6),
        learning_rate=1.0,
        slots=2,
    ),
    "adam": OptimizerEntry("adaptive moments (Kingma & Ba 2015)", _keras("Adam"), learning_rate=0.001, slots=2),
    "adamw": OptimizerEntry(
        "Adam with weight_decay taken out of the gradient (Loshchilov & Hutter 2019)",
        _keras("AdamW"),
        learning_rate=0.001,
        slots=2,
        decays_weights=True,
    ),
    "nadam": OptimizerEntry("Adam with Nesterov momentum (Dozat 2016)", _keras("Nadam"), learning_rate=0.002, slots=2),
    "radam": OptimizerEntry("Adam with a rectified start (Liu et al. 2019)", _radam, learning_rate=0.001, slots=2),
}
