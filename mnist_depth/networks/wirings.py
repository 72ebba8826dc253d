"""Ways to wire hidden layers ("NN LEGO"), by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mnist_depth.registry import Entry


def _plain(x: Any, hidden: Sequence[Callable[[Any], Any]]) -> Any:
    for layer in hidden:
        x = layer(x)
    return x


WIRINGS: dict[str, Entry] = {
    "plain": Entry("one layer after the other", _plain),
}
