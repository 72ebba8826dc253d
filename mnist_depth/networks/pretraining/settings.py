"""What pre-training reads of a run's config, which stands above it: the registry of methods is part of its checks."""

from __future__ import annotations

from typing import Protocol


class Settings(Protocol):
    """A `RunConfig`, as far as pre-training knows it."""

    @property
    def seed(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def pretraining_epochs(self) -> int: ...
    @property
    def pretraining_learning_rate(self) -> float: ...
