"""What happens to a built network before training, by name."""

from __future__ import annotations

from mnist_depth.registry import Entry


def _none(*_: object) -> None:
    """Training starts from the initializer."""


PRETRAININGS: dict[str, Entry] = {
    "none": Entry("training starts from the initializer", _none),
}
