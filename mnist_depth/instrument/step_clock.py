"""Count the updates of a training: the step of a measurement, and whether the next one can be due."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mnist_depth.instrument.schedule import Schedule


class StepClock:
    """The number of updates applied since a training began, read from the optimizers of its model.

    With several optimizers it follows the one that has stepped most. The count continues when an optimizer is replaced
    by one whose own counter starts at zero. Where no optimizer ever steps, the batches of `fit` are counted.
    """

    def __init__(self) -> None:
        self.step = 0
        self.rate = 0
        """Updates per batch of `fit`, 0 while unknown."""
        self.counts_batches = False
        self._optimizers: tuple[Any, ...] = ()
        self._offset = self._unread = 0
        self._skips = False

    def follow(self, optimizers: Sequence[Any], step: int | None = None, *, skips: bool = False) -> None:
        """Count from `step` on; by default from what the optimizers have counted themselves.

        `skips`: a batch without an update is normal, because loss scaling skips updates that overflow.
        """
        self._optimizers = tuple(optimizers)
        self._skips = skips
        self.counts_batches = False
        self._offset = 0 if step is None else step - self._iterations()
        self.step = self._offset + self._iterations()
        self._unread = self.rate = 0

    @property
    def offset(self) -> int:
        """Updates that were applied before the optimizers began to count."""
        return self._offset

    def count(self) -> int:
        """The step now, without moving the clock."""
        return self.step if self.counts_batches else self._offset + self._iterations()

    def finish_batch(self) -> None:
        self._unread += 1

    def may_have_reached(self, step: float) -> bool:
        """Whether a step may lie behind; True while the rate is unknown."""
        return not self.rate or self.step + self._unread * self.rate >= step

    def may_reach(self, step: float) -> bool:
        """Whether the next batch may reach a step."""
        return not self.rate or self.step + (self._unread + 1) * self.rate >= step

    def read(self) -> int:
        """Read the counters, which waits for the device; returns the step before."""
        before, batches = self.step, self._unread
        now = self._offset + self._iterations()
        # No counter moved in the first batches that were read: the updates are made without an optimizer.
        if batches and now == before and not self.rate and not self._may_skip():
            self.counts_batches = True
        if self.counts_batches:
            now = before + batches
        if batches:
            self.rate = max(self.rate, math.ceil((now - before) / batches))
        self.step, self._unread = now, 0
        return before

    def next_due(self, *schedules: Schedule) -> float:
        return min(schedule.next_after(self.step) for schedule in schedules)

    def _iterations(self) -> int:
        return max((int(optimizer.iterations.numpy()) for optimizer in self._optimizers), default=0)

    def _may_skip(self) -> bool:
        """Whether a batch without an update is normal."""
        return self._skips or any(o.gradient_accumulation_steps for o in self._optimizers)
