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


def _leaky_relu() -> Any:
    from mnist_depth.networks.functions import leaky_relu

    return leaky_relu


def _very_leaky_relu() -> Any:
    from mnist_depth.networks.functions import very_leaky_relu

    return very_leaky_relu


def _maxout(pieces: int) -> Any:
    from mnist_depth.networks.functions import Maxout

    return Maxout(pieces)


ACTIVATIONS: dict[str, Entry] = {
    "linear": Entry("z", _keras("linear")),
    "sigmoid": Entry("1 / (1 + exp(-z)), slope at most 1/4", _keras("sigmoid")),
    "tanh": Entry("hyperbolic tangent", _keras("tanh")),
    "relu": Entry("max(0, z) (Nair & Hinton 2010)", _keras("relu")),
    "leaky_relu": Entry("max(z, 0.01 z) (Maas et al. 2013)", _leaky_relu),
    "very_leaky_relu": Entry("max(z, z/3) (Graham 2014)", _very_leaky_relu),
    "elu": Entry("z above 0, exp(z) - 1 below (Clevert et al. 2015)", _keras("elu")),
    "selu": Entry("scaled ELU with a fixed point at mean 0, variance 1 (Klambauer et al. 2017)", _keras("selu")),
    "softplus": Entry("log(1 + exp(z)), a smooth ReLU (Dugas et al. 2001)", _keras("softplus")),
    "gelu": Entry("z times the normal distribution function of z (Hendrycks & Gimpel 2016)", _keras("gelu")),
    "swish": Entry("z * sigmoid(z) (Ramachandran et al. 2017)", _keras("silu")),
    "maxout": Entry(
        "largest of k linear pieces, k after the colon; width counts outputs, so the kernel is [fan_in, k * width] "
        "(Goodfellow et al. 2013)",
        _maxout,
        (2,),
    ),
}

ALIASES: dict[str, str] = {"lrelu": "leaky_relu", "vlrelu": "very_leaky_relu", "silu": "swish"}
