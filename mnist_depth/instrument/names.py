"""Names for the layers and variables of any model: the path of names from the root, `backbone/conv/kernel`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import keras

from mnist_depth.diagnosis.from_tags import NOT_KERNELS


def _children(layer: keras.Layer) -> list[keras.Layer]:
    if isinstance(layer, keras.Model):
        return layer.layers
    return layer._flatten_layers(include_self=False, recursive=False)


def _is_box(layer: keras.Layer) -> bool:
    """Whether a layer is reported as one: models are looked into, input placeholders left out."""
    return not isinstance(layer, (keras.Model, keras.layers.InputLayer))


def _walk(model: keras.Model) -> Iterator[tuple[str, keras.Layer, bool]]:
    """Every layer below a model, in the order of attributes and calls, as (path, layer, whether it lies in no layer).

    A layer that several layers hold gets the shortest of its paths, because a mere reference is not ownership.
    """
    shortest = _shortest_parents(model)
    yield from _below(model, "", True, shortest, {id(model)})


def _shortest_parents(model: keras.Model) -> dict[int, keras.Layer]:
    """id of a layer -> the layer next to the model that holds it."""
    parents: dict[int, keras.Layer] = {}
    generation = [cast(keras.Layer, model)]
    while generation:
        following = []
        for parent in generation:
            for child in _children(parent):
                if id(child) not in parents and child is not model:
                    parents[id(child)] = parent
                    following.append(child)
        generation = following
    return parents


def _below(
    parent: keras.Layer, prefix: str, outermost: bool, parents: dict[int, keras.Layer], seen: set[int]
) -> Iterator[tuple[str, keras.Layer, bool]]:
    # Only here where this parent is the one next to the model; `seen` ends cycles, the dictionary duplicates.
    own = [child for child in _children(parent) if parents.get(id(child)) is parent and id(child) not in seen]
    own = list({id(child): child for child in own}.values())
    seen.update(id(child) for child in own)
    for name, child in zip(_unique([child.name for child in own]), own, strict=True):
        yield f"{prefix}{name}", child, outermost
        inside = outermost and isinstance(child, keras.Model)
        yield from _below(child, f"{prefix}{name}/", inside, parents, seen)


def _unique(names: Sequence[str]) -> list[str]:
    """A duplicate name gets the first free number: `dense`, `dense_2`; names given by the user are left alone."""
    taken: set[str] = set()
    result = []
    for name in names:
        free, number = name, 1
        while free in taken or (number > 1 and free in names):
            number += 1
            free = f"{name}_{number}"
        taken.add(free)
        result.append(free)
    return result


def outer_layers(model: keras.Model) -> dict[str, keras.Layer]:
    """Layers that belong to the model or to a model inside it; a custom layer counts as one, whatever it holds."""
    return {path: layer for path, layer, outer in _walk(model) if outer and _is_box(layer)}


def all_layers(model: keras.Model) -> dict[str, keras.Layer]:
    """Every layer, those inside custom layers included."""
    return {path: layer for path, layer, _ in _walk(model) if _is_box(layer)}


def variables(model: keras.Model) -> dict[str, Any]:
    """The model's variables in their own order, each named after the innermost layer that made it."""
    owners: dict[int, tuple[str, bool]] = {}
    for path, layer, _ in _walk(model):
        for variable in _own_variables(layer):
            # Tied weights are variables of two layers. The first holder owns one until its maker turns up.
            maker = _maker(variable) == layer.name
            if id(variable) not in owners or (maker and not owners[id(variable)][1]):
                owners[id(variable)] = (f"{path}/{variable.name}", maker)
    found = model.weights
    names = [owners[id(v)][0] if id(v) in owners else str(v.name) for v in found]
    return dict(zip(_unique(names), found, strict=True))


def _own_variables(layer: keras.Layer) -> list[Any]:
    """The variables that a layer holds itself, not by a layer inside it."""
    inner = {id(variable) for child in _children(layer) for variable in child.variables}
    return [variable for variable in layer.variables if id(variable) not in inner]


def _maker(variable: Any) -> str:
    """The name of the layer within which a variable was made."""
    return str(variable.path).rpartition("/")[0].rpartition("/")[2]


def is_kernel(path: str, variable: Any) -> bool:
    """Whether a variable multiplies the signal by a matrix."""
    return path.rpartition("/")[2] not in NOT_KERNELS and len(variable.shape) > 1


def trainable_variables(model: keras.Model) -> dict[str, Any]:
    """Those of the model's variables that training changes, in the model's order."""
    trainable = {id(variable) for variable in model.trainable_variables}
    return {name: variable for name, variable in variables(model).items() if id(variable) in trainable}
