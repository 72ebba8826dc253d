"""The fields of a run's config that pre-training reads; it cannot import the config, which checks names against it."""

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
