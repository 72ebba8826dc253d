"""Gradient against layer, drawn by TensorBoard itself: scalars whose step is the place of a layer, 1 next to the input.

Every moment of training is an event run of its own (`depth/start`, `depth/epoch_001`, ..., `depth/end`), so that one
chart shows a quantity over the layers with a curve per moment. Tags: `by_layer/<quantity>` and
`by_layer/log10_<quantity>`, in which gradients of all sizes can be seen at once.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

FOLDER, START, END = "depth", "start", "end"

KERNEL = "(kernel|embeddings)$"
"""How the tag of a variable ends that carries a signal from layer to layer; biases and averages do not."""

QUANTITIES: dict[str, str] = {
    "gradient_norm": KERNEL,
    "probe_gradient_norm": KERNEL,
    "pre_activation_gradient_norm": "",
    "update_ratio": KERNEL,
    "activation_std": "",
    "activation_std_across_samples": "",
    "saturated_share": "",
}
"""Quantity -> how its tags end; nothing where they are those of layers, not of variables."""

LOGARITHMIC = frozenset(QUANTITIES) - {"activation_std", "saturated_share"}


SHOWN = tuple(factor * 10**power for power in range(10) for factor in (1, 3))
"""The epochs whose ends get a curve: 1, 3, 10, 30, 100, ..."""


def tags_of(quantity: str) -> str:
    """The regular expression that the tags of all layers match, from their start."""
    return f"{quantity}/.*{QUANTITIES[quantity]}"


def by_layer(scalars: Mapping[str, float]) -> dict[int, dict[str, float]]:
    """Place -> tags and values, from measurements in the order of the layers; each quantity counts its own layers."""
    places: Counter[str] = Counter()
    found: dict[int, dict[str, float]] = {}
    for tag, value in scalars.items():
        quantity = tag.partition("/")[0]
        if quantity in QUANTITIES and re.match(tags_of(quantity), tag):
            places[quantity] += 1
            found.setdefault(places[quantity], {}).update(with_log(quantity, value))
    return found


def with_log(quantity: str, value: float) -> dict[str, float]:
    """The tags of one layer's value; those that differ by powers of ten have their logarithm too."""
    values = {f"by_layer/{quantity}": value}
    if quantity in LOGARITHMIC and 0 < value < math.inf:
        values[f"by_layer/log10_{quantity}"] = math.log10(value)
    return values


def moment(epoch: int) -> str:
    """The name of the end of an epoch, which is counted from 1."""
    return f"epoch_{epoch:03d}"
