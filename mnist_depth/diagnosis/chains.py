"""The chains of layers that are judged one by one: each network or tower of a model, first layer first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from mnist_depth.diagnosis.finding import Finding
from mnist_depth.diagnosis.measurements import Layer
from mnist_depth.diagnosis.message import Message


def chains(layers: Sequence[Layer]) -> dict[str, tuple[Layer, ...]]:
    """Name of a network -> its layers; all of them under an empty name where the model is one network."""
    found = dict.fromkeys(name for layer in layers for name in layer.networks)
    if not found:
        return {"": tuple(layers)}
    return {name: tuple(layer for layer in layers if name in layer.networks) for name in found}


def in_chains(layers: Sequence[Layer], rule: Callable[[Sequence[Layer]], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a rule on every chain; those about one of several networks name it.

    What is found alike in several chains is about layers that they share.
    """
    found: dict[Finding, list[str]] = {}
    for name, chain in chains(layers).items():
        for finding in rule(chain):
            found.setdefault(finding, []).append(name)
    for finding, names in found.items():
        alone = len(names) == 1 and names[0]
        yield replace(finding, sentence=named(names[0], finding.sentence)) if alone else finding


def named(network: str, sentence: str) -> Message:
    """A sentence about one of several networks."""
    return Message("{network}: {sentence}", network=network, sentence=sentence)


def furthest_from_one(ratios: Mapping[str, float | None]) -> str:
    """The network whose ratio differs most from one; the first where none is known."""
    known = {name: abs(math.log(ratio)) if ratio else math.inf for name, ratio in ratios.items() if ratio is not None}
    return max(known, key=lambda name: known[name], default=next(iter(ratios)))
