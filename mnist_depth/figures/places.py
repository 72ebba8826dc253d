"""Places of layers: in the order of one model, and on an axis that several models share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Places:
    """Where the layers of several models lie on one axis."""

    names: list[str]
    """What the axis shows at every place: names of layers, or numbers where models have other names."""
    layers: list[list[str]]
    """Of every model: its layer at every place, empty where it has none."""

    @property
    def is_shared(self) -> bool:
        """Whether one place has the same layer in every model."""
        allowed = [{"", name} for name in self.names]
        return all(layer in names for layers in self.layers for layer, names in zip(layers, allowed, strict=True))


def places_of(models: Sequence[Sequence[str]]) -> Places:
    """By name where every model shares most of its names with the deepest one, else each model at 1, 2, ... of its own.

    >>> places_of([["stem", "norm", "head"], ["stem", "head"]]).layers
    [['stem', 'norm', 'head'], ['stem', '', 'head']]
    >>> places_of([["stem", "norm", "head"], ["embedding", "lstm"]]).names
    ['1', '2', '3']
    """
    deepest = max(models, key=len, default=())
    if all(2 * len({*deepest}.intersection(model)) > len(model) for model in models if model):
        names = _merged(models)
        return Places(names, [[name if name in model else "" for name in names] for model in map(frozenset, models)])
    return Places(
        [str(place + 1) for place in range(len(deepest))],
        [[*model, *[""] * (len(deepest) - len(model))] for model in models],
    )


def are_variants(models: Sequence[Sequence[str]]) -> bool:
    """Whether models share most of their layers, apart from the numbers that Keras counts on within a session.

    >>> are_variants([["dense", "dense_1"], ["dense_7", "dense_8"]]), are_variants([["dense"], ["lstm"]])
    (True, False)
    """
    return places_of([_renumbered(model) for model in models]).is_shared


def _renumbered(model: Sequence[str]) -> list[str]:
    """Names whose last numbers are replaced by counts within the model."""
    bases = [re.sub(r"_\d+$", "", name) for name in model]
    return [f"{base}_{bases[:place].count(base)}" for place, base in enumerate(bases)]


def _merged(models: Iterable[Sequence[str]]) -> list[str]:
    """The layers of the deepest model, and each further one behind the layer that it follows in its own model."""
    names: list[str] = []
    for model in sorted(models, key=len, reverse=True):
        known, place = frozenset(names), 0
        for layer in model:
            if layer in known:
                place = names.index(layer) + 1
            else:
                names.insert(place, layer)
                place += 1
    return names


def nested(layers: Sequence[str], inner: Iterable[str]) -> list[str]:
    """Layers in the order of a model, and each inner one behind the layer that contains it; all others at the end.

    >>> nested(["lstm", "dense"], ["lstm/lstm_cell", "other"])
    ['lstm', 'lstm/lstm_cell', 'dense', 'other']
    """
    ranks = {name: rank for rank, name in enumerate(layers)}

    def rank_of(name: str) -> int:
        while name and name not in ranks:
            name = name.rpartition("/")[0]
        return ranks.get(name, len(ranks))

    return sorted([*layers, *(name for name in inner if name not in ranks)], key=rank_of)
