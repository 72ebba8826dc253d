"""What a model has already, so that a diagnosis does not propose it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnist_depth.diagnosis.from_tags import ACTIVATION_LAYERS

if TYPE_CHECKING:
    import keras

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

NORMALIZATIONS = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization")
CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")


def model_traits(model: keras.Model) -> dict[str, str]:
    """Visible traits, those of a RunConfig in its words; the activation is the most frequent hidden one.

    `hidden` is "none" where no layer but recurrent ones lies before the output, and `recurrent` "simple" or "gated".
    """
    layers = model._flatten_layers(include_self=False)
    recurrent = [layer for layer in layers if hasattr(layer, "cell")]
    inside = {id(part) for layer in recurrent for part in layer._flatten_layers()}
    plain = [layer for layer in layers if id(layer) not in inside]
    kinds = [type(layer).__name__ for layer in layers]
    hidden = [name for name in map(activation_name, plain) if name not in ("", "softmax")]
    weighted = [layer for layer in plain if hasattr(layer, "kernel_initializer")]
    multiplying = [layer for layer in plain if layer in weighted or _has_matrix(layer)]
    initializers = [type(layer.kernel_initializer).__name__ for layer in weighted]
    optimizer = getattr(model, "optimizer", None)
    traits = {
        "activation": max(hidden, key=hidden.count) if hidden else None,
        "initializer": INITIALIZERS.get(max(initializers, key=initializers.count)) if initializers else None,
        "batch_norm": "used" if set(NORMALIZATIONS) & set(kinds) else None,
        "wiring": "residual" if "Add" in kinds else None,
        "optimizer": None if optimizer is None else type(optimizer).__name__.lower(),
        "clipping": "used" if any(getattr(optimizer, name, None) for name in CLIPPING) else None,
        "attention": "used" if any("Attention" in kind for kind in kinds) else None,
        "recurrent": _recurrent(kinds) if recurrent else None,
        "recurrent_initializer": "orthogonal" if recurrent and all(map(_is_orthogonal, recurrent)) else None,
        "hidden": "none" if len(multiplying) < 2 else None,
    }
    return {name: value for name, value in traits.items() if value}


def activation_name(layer: Any) -> str:
    """The activation of a layer in Keras' words; empty for none or a linear one."""
    known = ACTIVATION_LAYERS.get(type(layer).__name__, "")
    name = known or getattr(getattr(layer, "activation", None), "__name__", "")
    return "" if name == "linear" else name


def _has_matrix(layer: Any) -> bool:
    """Whether a layer of the user's own multiplies by weights."""
    return type(layer).__name__ != "Embedding" and any(len(v.shape) > 1 for v in layer._trainable_variables)


def _recurrent(kinds: list[str]) -> str:
    return "gated" if any("LSTM" in kind or "GRU" in kind for kind in kinds) else "simple"


def _is_orthogonal(layer: Any) -> bool:
    found = getattr(layer.cell, "recurrent_initializer", None)
    return type(found).__name__ in ("OrthogonalInitializer", "Orthogonal", "IdentityInitializer", "Identity")
