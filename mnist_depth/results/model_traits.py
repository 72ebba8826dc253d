"""What is visible of a live model in the words of a run's config."""

from __future__ import annotations

from typing import Any

from mnist_depth.results.model_layers import activation_name


def model_traits(model: Any) -> dict[str, str]:
    """Visible traits in RunConfig's vocabulary; the activation is the most frequent hidden one."""
    layers = list(model._flatten_layers(include_self=False))
    kinds = [type(layer).__name__ for layer in layers]
    hidden = [name for name in map(activation_name, layers) if name not in ("", "softmax")]
    optimizer = getattr(model, "optimizer", None)
    initializers = [type(layer.kernel_initializer).__name__ for layer in layers if hasattr(layer, "kernel_initializer")]
    traits = {
        "activation": max(hidden, key=hidden.count) if hidden else None,
        "initializer": _initializer(max(initializers, key=initializers.count)) if initializers else None,
        "batch_norm": "used" if "BatchNormalization" in kinds else None,
        "wiring": "residual" if "Add" in kinds else None,
        "optimizer": None if optimizer is None else type(optimizer).__name__.lower(),
    }
    return {name: value for name, value in traits.items() if value}


INITIALIZERS = {
    "RandomNormal": "normal",
    "RandomUniform": "normal",
    "TruncatedNormal": "normal",
    "Zeros": "zeros",
    "Constant": "zeros",
    "Ones": "zeros",
    "HeNormal": "he_normal",
    "HeUniform": "he_uniform",
    "GlorotNormal": "glorot_normal",
    "GlorotUniform": "glorot_uniform",
    "OrthogonalInitializer": "orthogonal",
    "Orthogonal": "orthogonal",
}
"""Keras' classes -> RunConfig's words; those with a fixed scale are one kind, and so are those without randomness."""


def _initializer(name: str) -> str | None:
    return INITIALIZERS.get(name)
