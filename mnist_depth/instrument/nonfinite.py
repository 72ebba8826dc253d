"""Locate the first NaN or infinity."""

from __future__ import annotations

import math
from collections.abc import Mapping


def first_nonfinite(scalars: Mapping[str, float]) -> str | None:
    """The tag of the first non-finite measurement, in the order of computation in a training step.

    The order is: forward through the layers, the loss, then the gradients from the last variable to the first.
    """
    bad = [tag for tag, value in scalars.items() if not math.isfinite(value)]
    if not bad:
        return None
    return min(enumerate(bad), key=lambda item: _place(*item))[1]


def _place(index: int, tag: str) -> tuple[int, int]:
    if tag.startswith(("activation_gradient", "pre_activation_gradient", "gradient", "probe_gradient")):
        return (2, -index)
    if tag.startswith(("activation", "pre_activation")):
        return (0, index)
    return (1, index) if "/" not in tag else (3, index)
