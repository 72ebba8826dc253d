"""The config fields that pre-training reads; importing the config itself would be a circular import."""

from __future__ import annotations

from typing import Protocol


class Settings(Protocol):
    """The part of `RunConfig` that pre-training uses."""

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
