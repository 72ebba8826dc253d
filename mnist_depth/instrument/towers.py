"""Find the towers of a functional model: parallel branches that begin at first layers of their own and may merge later.

A siamese network of two encoders and a network of several modalities are such models. A residual connection, the arms
of a U-Net or an Inception block behind a first layer are none: every path passes that layer. Shared layers and several
outputs behind one first layer make no towers either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import keras

from mnist_depth.instrument import names

MIN_LAYERS = 2
"""Weight layers of a branch from an only input that make it a tower; with fewer it is a projection or a shortcut."""


def towers_of(model: keras.Model) -> dict[str, list[str]]:
    """Name of a tower -> its layers from its first one to the model's output, in the order of the model.

    Empty where there is one tower only, and for models whose graph is not known: subclassed ones, and those that call
    layers in a circle.
    """
    if functional(model) is None:
        return {}
    layers = names.outer_layers(model)
    graph = _Graph(model, layers)
    try:
        chains = graph.chains(_with_kernels(model))
    except CycleError:
        return {}
    own = [sorted(chain.difference(*(other for other in chains if other is not chain))) for chain in chains]
    if len(chains) < 2 or (len(model.inputs) == 1 and sum(len(part) >= MIN_LAYERS for part in own) < 2):
        return {}
    order = {name: place for place, name in enumerate(layers)}
    parts = [sorted(part, key=order.__getitem__) for part in own]
    return {name: sorted(chain, key=order.__getitem__) for name, chain in zip(_names(parts), chains, strict=True)}


class _Graph:
    """Which operation follows which, with models inside the model taken apart; a shared layer is one operation."""

    def __init__(self, model: Any, layers: Mapping[str, keras.Layer]) -> None:
        self._names = {id(layer): name for name, layer in layers.items()}
        self._parents: dict[int, set[int]] = {}
        self._names_of: dict[int, list[str]] = {}
        self._layers = layers
        self._add(functional(model))

    def _add(self, graph: Any) -> None:
        for node in (node for nodes in graph._nodes_by_depth.values() for node in nodes):
            inner = functional(node.operation)
            if inner is None:
                self._names_of[id(node.operation)] = self._named(node.operation)
                self._follow(node.operation, node.input_tensors)
                continue
            for tensor, outer in zip(inner.inputs, node.input_tensors, strict=False):
                self._follow(tensor._keras_history.operation, [outer])
            self._add(inner)

    def _follow(self, operation: Any, tensors: Sequence[Any]) -> None:
        """Note that an operation takes these tensors."""
        parents = self._parents.setdefault(id(operation), set())
        parents |= {id(producer(tensor)) for tensor in tensors} - {id(operation)}

    def _named(self, operation: Any) -> list[str]:
        """The layers behind an operation: itself, or those of a subclassed model."""
        if id(operation) in self._names:
            return [self._names[id(operation)]]
        if not isinstance(operation, keras.Model):
            return []
        inside = {id(layer) for layer in operation._flatten_layers()}
        return [name for name, layer in self._layers.items() if id(layer) in inside]

    def chains(self, weighted: set[str]) -> list[set[str]]:
        """The weight layers on the paths from every first one; first ones with the same followers have one chain.

        Raises CycleError where layers are called in a circle.
        """
        order = list(TopologicalSorter(self._parents).static_order())
        own = {one: weighted & {*self._names_of.get(one, ())} for one in order}
        before: dict[int, set[int]] = {}  # operation -> the first weight layers on the paths to it, itself included
        for one in order:
            found = set().union(*(before[parent] for parent in self._parents.get(one, ())))
            before[one] = found or ({one} if own[one] else set())
        firsts = [one for one in order if before[one] == {one}]
        followers = {
            first: frozenset(one for one in order if own[one] and first in before[one] and one != first)
            for first in firsts
        }
        chains: dict[frozenset[int], set[str]] = {}
        for first, following in followers.items():
            chains.setdefault(following, set()).update(own[first], *(own[one] for one in following))
        return list(chains.values())


def functional(model: Any) -> Any:
    """The graph of a Sequential or functional model; None for anything else."""
    if isinstance(model, keras.Sequential):
        model = model._functional
    return model if isinstance(model, keras.Model) and hasattr(model, "_nodes_by_depth") else None


def producer(tensor: Any) -> Any:
    """The operation that a tensor comes from: of a model inside the model, the one that made its output."""
    while True:
        history = tensor._keras_history
        inner = functional(history.operation)
        if inner is None:
            return history.operation
        tensor = inner.outputs[history.tensor_index]


def _with_kernels(model: keras.Model) -> set[str]:
    """Paths at or below which there is a variable that multiplies the signal by a matrix."""
    kernels = (path for path, v in names.variables(model).items() if names.is_kernel(path, v))
    return {prefix for path in kernels for prefix in _prefixes(path)}


def _prefixes(path: str) -> Iterator[str]:
    """`a/b/c` -> `a`, `a/b`."""
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts)))


def _names(parts: Sequence[Sequence[str]]) -> list[str]:
    """For every part the model inside the model that holds it and no other part, else its first and last layer."""
    boxes = [{name.partition("/")[0] for name in part if "/" in name} for part in parts]
    found = []
    for part, box in zip(parts, boxes, strict=True):
        alone = len(box) == 1 and all("/" in name for name in part) and boxes.count(box) == 1
        span = part[0] if len(part) == 1 else f"{part[0]} to {part[-1]}"
        found.append(next(iter(box)) if alone else span)
    return found
