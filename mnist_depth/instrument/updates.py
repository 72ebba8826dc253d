"""What is asked of a measurement of updates, and what it returns; there are two ways to make one.

`weight_updates` compares the weights before and after a batch, `applied_gradients` listens inside the training step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from mnist_depth.instrument.schedule import Schedule
from mnist_depth.instrument.statistics import choose
from mnist_depth.instrument.step_clock import StepClock

Arrays = dict[str, dict[str, NDArray[Any]]]
"""Subject (gradient, update) -> variable -> array."""


@dataclass(frozen=True)
class UpdatePlan:
    """What of the updates to measure, and when."""

    statistics: Sequence[str]
    histograms: Sequence[str]
    schedule: Schedule
    snapshot_schedule: Schedule
    variables: str | None

    def chosen(self, subjects: Sequence[str]) -> list[str]:
        """The statistics of the weights and of some subjects."""
        return list(choose(self.statistics, ("weight", *subjects)))

    def snapshots(self, subjects: Sequence[str]) -> list[str]:
        """The subjects of which arrays are due."""
        return [subject for subject in self.histograms if subject in subjects]


@dataclass(frozen=True)
class Measured:
    """What one update showed."""

    step: int
    scalars: dict[str, float]
    arrays: Arrays


class Updates(Protocol):
    """Measures the updates of a training. The calls come in the order of the methods."""

    is_idle: bool
    """Whether there is nothing to measure."""
    is_waiting: bool
    """Whether a measurement was begun and needs to see the step after the batch."""
    fits: bool
    """False once it turned out that this way cannot measure this training."""

    def is_for(self, model: Any, optimizers: Sequence[Any]) -> bool:
        """Whether it was made for this model with these optimizers."""
        ...

    def begin(self, clock: StepClock, fit: object) -> None: ...

    def arm(self, scalars: bool, snapshot: bool) -> None: ...

    def before_batch(self, clock: StepClock) -> None: ...

    def after_batch(self, clock: StepClock) -> None: ...

    def read(self) -> list[Measured]: ...

    def end(self) -> None: ...
