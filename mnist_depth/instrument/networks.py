"""Find the networks of a model that are judged one by one: such as a generator and a discriminator, or two towers.

A diagnosis compares the first layer of a network with its last one, which has no meaning across two networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras

from mnist_depth.instrument import names
from mnist_depth.instrument.towers import towers_of
from mnist_depth.instrument.training_loss import why_unknown

Networks = dict[str, list[str]]
"""Name of a network -> its layers, in the order of the model; empty for a model that is one network."""


def networks_of(model: keras.Model, optimizers: Sequence[Any]) -> Networks:
    """Those with losses of their own, else the towers of the graph."""
    return _adversaries(model, optimizers) if has_separate_losses(model, optimizers) else towers_of(model)


def has_separate_losses(model: keras.Model, optimizers: Sequence[Any]) -> bool:
    """Whether parts of a model may be trained by losses of their own, which need not fall.

    A model with several optimizers and one known loss is one network: its parts only differ in how they are updated.
    """
    return len(optimizers) > 1 and why_unknown(model) is not None


def _adversaries(model: keras.Model, optimizers: Sequence[Any]) -> Networks:
    """What each optimizer trains; before the first update, which shows that, the models inside the model."""
    layers = names.outer_layers(model)
    weights = {name: {id(variable) for variable in layer.variables} for name, layer in layers.items()}
    stepped = [optimizer for optimizer in optimizers if int(optimizer.iterations.numpy())]
    trained = [{id(variable) for variable in optimizer._trainable_variables} for optimizer in stepped]
    parts = [[name for name in layers if weights[name] & own] for own in trained] or list(_inner_models(model, layers))
    found = list(_largest(parts))
    return {_name(part): part for part in found} if len(found) > 1 else {}


def _inner_models(model: keras.Model, layers: Sequence[str] | dict[str, Any]) -> Iterator[list[str]]:
    """The layers of every model that the model holds."""
    plain = {name for name in layers if "/" not in name}
    for prefix in dict.fromkeys(name.partition("/")[0] for name in layers if name not in plain):
        yield [name for name in layers if name.startswith(f"{prefix}/")]


def _largest(parts: Sequence[list[str]]) -> Iterator[list[str]]:
    """Without empty parts, and without those that lie in another one: an encoder that two losses train."""
    for place, part in enumerate(parts):
        others = [other for at, other in enumerate(parts) if at < place or set(other) > set(part)]
        if part and not any(set(part) <= set(other) for other in others):
            yield part


def _name(part: Sequence[str]) -> str:
    """The part of their paths that all layers share, else the first and the last of them."""
    shared = {name.rpartition("/")[0].partition("/")[0] for name in part}
    if len(shared) == 1 and "" not in shared:
        return shared.pop()
    return part[0] if len(part) == 1 else f"{part[0]} to {part[-1]}"
