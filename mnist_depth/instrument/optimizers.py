"""Find the optimizers of a model: the compiled one, and those of a custom train step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras


def innermost(optimizer: Any) -> Any:
    """The optimizer that updates the weights, without the loss scaling around it."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def compiled_optimizer(model: keras.Model) -> Any:
    """The optimizer of `compile`; None for a model that is trained by a loop of the user's own and not compiled."""
    return getattr(model, "optimizer", None)


def held_optimizers(model: keras.Model) -> list[Any]:
    """Every optimizer that the model or a model inside it holds as an attribute, the compiled one first."""
    found = [compiled_optimizer(model)]
    for part in (model, *(layer for layer in model._flatten_layers(include_self=False))):
        for value in list(vars(part).values()):
            found.extend(_optimizers_in(value))
    unique = {id(innermost(optimizer)): innermost(optimizer) for optimizer in found if _is_optimizer(optimizer)}
    return list(unique.values())


def is_loss_scaled(model: keras.Model) -> bool:
    """Whether an optimizer scales the loss and skips the updates that overflow."""
    return hasattr(compiled_optimizer(model), "inner_optimizer")


def _is_optimizer(value: Any) -> bool:
    return isinstance(value, keras.optimizers.Optimizer)


def _optimizers_in(value: Any, depth: int = 3) -> Iterator[Any]:
    """Optimizers in an attribute: the value itself, or inside lists and dictionaries."""
    if _is_optimizer(value):
        yield value
    elif depth and isinstance(value, Mapping):
        for item in list(value.values()):
            yield from _optimizers_in(item, depth - 1)
    elif depth and isinstance(value, (list, tuple)) and len(value) < 100:
        for item in value:
            yield from _optimizers_in(item, depth - 1)
