"""Names for the layers and variables of any model: the path of names from the root, `backbone/conv/kernel`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import keras


def _children(layer: keras.Layer) -> list[keras.Layer]:
    if isinstance(layer, keras.Model):
        return layer.layers
    return layer._flatten_layers(include_self=False, recursive=False)


def _is_box(layer: keras.Layer) -> bool:
    """Whether a layer is reported as one: models are looked into, input placeholders left out."""
    return not isinstance(layer, (keras.Model, keras.layers.InputLayer))


def _walk(layer: keras.Layer, prefix: str, seen: set[int]) -> Iterator[tuple[str, keras.Layer, bool]]:
    """Every layer below one, parents before children, as (path, layer, whether all its ancestors are models)."""
    outermost = isinstance(layer, keras.Model)
    for child in _children(layer):
        if id(child) not in seen:
            seen.add(id(child))
            path = f"{prefix}{child.name}"
            yield path, child, outermost
            for below, grandchild, outer in _walk(child, f"{path}/", seen):
                yield below, grandchild, outer and outermost


def _unique(names: Iterable[str]) -> list[str]:
    counts: dict[str, int] = {}
    result = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        result.append(name if counts[name] == 1 else f"{name}_{counts[name]}")
    return result


def outer_layers(model: keras.Model) -> dict[str, keras.Layer]:
    """Layers that belong to the model or to a model inside it; a custom layer counts as one, whatever it holds."""
    found = [(path, layer) for path, layer, outer in _walk(model, "", {id(model)}) if outer and _is_box(layer)]
    return dict(zip(_unique(path for path, _ in found), (layer for _, layer in found), strict=True))


def all_layers(model: keras.Model) -> dict[str, keras.Layer]:
    """Every layer, those inside custom layers included."""
    found = [(path, layer) for path, layer, _ in _walk(model, "", {id(model)}) if _is_box(layer)]
    return dict(zip(_unique(path for path, _ in found), (layer for _, layer in found), strict=True))


def variables(model: keras.Model) -> dict[str, Any]:
    """The model's variables in their own order, each named after the innermost layer that holds it."""
    owners: dict[int, str] = {}
    for path, layer, _ in _walk(model, "", {id(model)}):
        owners.update({id(variable): f"{path}/{variable.name}" for variable in layer.weights})
    found = model.weights
    return dict(zip(_unique(owners.get(id(v), str(v.name)) for v in found), found, strict=True))


def trainable_variables(model: keras.Model) -> dict[str, Any]:
    """Those of the model's variables that training changes, in the model's order."""
    trainable = {id(variable) for variable in model.trainable_variables}
    return {name: variable for name, variable in variables(model).items() if id(variable) in trainable}
