"""Measurements without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnist_depth.diagnosis import Layer, Measurements


def measured(gradients: Sequence[float | None], traits: dict[str, str] | None = None, **fields: Any) -> Measurements:
    """Layers with these pre-activation gradients; `fields` go to every layer, `loss` and `diverged` to the whole."""
    whole = {name: fields.pop(name) for name in ("loss", "diverged") if name in fields}
    layers = tuple(
        Layer(f"layer_{index:02d}", pre_activation_gradient=value, **fields)
        for index, value in enumerate(gradients, start=1)
    )
    return Measurements("fabricated", layers, traits=traits or {}, **whole)


def geometric(gain: float, depth: int = 9) -> list[float]:
    return [gain**k for k in range(depth)][::-1]
