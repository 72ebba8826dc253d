"""The interface of update measurements: plan, result and protocol.

There are two implementations: `weight_updates` compares the weights before and after a batch, `applied_gradients` hooks
the optimizers inside the training step.
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
"""Subject (gradient, update) -> variable -> array of the variable's shape."""


@dataclass(frozen=True)
class UpdatePlan:
    """Which statistics of the updates to measure, and when."""

    statistics: Sequence[str]
    histograms: Sequence[str]
    # Scalars are reduced on the device; snapshots copy whole arrays, so their schedule is usually sparser.
    schedule: Schedule
    snapshot_schedule: Schedule
    variables: str | None

    def chosen(self, subjects: Sequence[str]) -> list[str]:
        """Names of the requested statistics of the weights and of these subjects."""
        return list(choose(self.statistics, ("weight", *subjects)))

    def snapshots(self, subjects: Sequence[str]) -> list[str]:
        """The requested histogram subjects among these."""
        return [subject for subject in self.histograms if subject in subjects]


@dataclass(frozen=True)
class Measured:
    """The measurements of one update."""

    step: int
    """Updates applied, this one included."""
    scalars: dict[str, float]
    arrays: Arrays


class Updates(Protocol):
    """Measures the updates of a training. The calls come in the order of the methods."""

    is_inside: bool
    """Whether it measures inside the training step."""
    is_idle: bool
    """Whether there is nothing to measure."""
    is_waiting: bool
    """Whether a measurement was begun and needs to see the step after the batch."""
    fits: bool
    """False once it turned out that this way cannot measure this training."""

    def is_for(self, model: Any, optimizers: Sequence[Any]) -> bool:
        """Whether it was made for this model with these optimizers."""
        ...

    def begin(self, clock: StepClock, fit: object) -> None:
        """Start a call of `fit`, which `fit` identifies; measurements of an earlier call are dropped."""
        ...

    def arm(self, scalars: bool, snapshot: bool) -> None:
        """Measure the next update regardless of the step schedules; used by epoch schedules."""
        ...

    def before_batch(self, clock: StepClock) -> None: ...

    def after_batch(self, clock: StepClock) -> None: ...

    def read(self) -> list[Measured]:
        """The measurements since the last call, in the order of steps."""
        ...

    def end(self) -> None:
        """Leave model and optimizers as they were before `begin`."""
        ...
