"""When to measure: sets of steps and epochs, joined with `|`.

A schedule is asked from Python (by the probe, between calls of the compiled step) and from inside the compiled step (by
the hook on the optimizer), so each schedule has two equivalent implementations: for a Python int and for a tensor.

>>> schedule = every_steps(100) | at_steps([7])
>>> [step for step in range(250) if schedule.due_between(step - 1, step)]
[0, 7, 100, 200]
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class Schedule:
    """A set of steps (optimizer updates, 0 = before training) and of epochs (1-based, 0 = before training)."""

    def next_after(self, step: int) -> float:
        """The first due step behind a step; infinity where there is none."""
        return math.inf

    def due_between(self, after: int, upto: int) -> bool:
        """Whether a due step lies in (after, upto]."""
        return self.next_after(after) <= upto

    def due_epoch(self, epoch: int) -> bool:
        """Whether the end of this epoch is due."""
        return False

    def due_in_graph(self, after: Any, upto: Any) -> Any:
        """`due_between` inside the compiled step: int64 [] tensors -> bool [] tensor."""
        return upto < 0

    def due_at_start(self) -> bool:
        """Whether the untrained model is due."""
        return self.due_between(-1, 0) or self.due_epoch(0)

    def __or__(self, other: Schedule) -> Schedule:
        return Union(self, other)


@dataclass(frozen=True)
class Never(Schedule):
    """Nothing is due."""


@dataclass(frozen=True)
class EverySteps(Schedule):
    """Steps 0, n, 2n, ..."""

    n: int

    def next_after(self, step: int) -> float:
        return (step // self.n + 1) * self.n

    def due_in_graph(self, after: Any, upto: Any) -> Any:
        return upto // self.n > after // self.n


@dataclass(frozen=True)
class EveryEpochs(Schedule):
    """The ends of epochs n, 2n, ... and the start of training."""

    n: int

    def due_epoch(self, epoch: int) -> bool:
        return epoch % self.n == 0


@dataclass(frozen=True)
class AtSteps(Schedule):
    """A given set of steps, ascending."""

    steps: tuple[int, ...]

    def next_after(self, step: int) -> float:
        place = bisect.bisect_right(self.steps, step)
        return self.steps[place] if place < len(self.steps) else math.inf

    def due_in_graph(self, after: Any, upto: Any) -> Any:
        import tensorflow as tf

        steps = tf.constant(self.steps, tf.int64)
        return tf.reduce_any((steps > after) & (steps <= upto))


@dataclass(frozen=True)
class Union(Schedule):
    """The union of two schedules."""

    left: Schedule
    right: Schedule

    def next_after(self, step: int) -> float:
        return min(self.left.next_after(step), self.right.next_after(step))

    def due_epoch(self, epoch: int) -> bool:
        return self.left.due_epoch(epoch) or self.right.due_epoch(epoch)

    def due_in_graph(self, after: Any, upto: Any) -> Any:
        return self.left.due_in_graph(after, upto) | self.right.due_in_graph(after, upto)


def _positive(n: int, what: str) -> int:
    if n < 1:
        raise ValueError(f"{what} must be at least 1, not {n}")
    return n


def never() -> Schedule:
    """Nothing is due."""
    return Never()


def every_steps(n: int) -> Schedule:
    """Every n updates: steps 0, n, 2n, ... ValueError unless n >= 1."""
    return EverySteps(_positive(n, "every_steps"))


def every_epochs(n: int) -> Schedule:
    """Before training and at the end of every n-th epoch. ValueError unless n >= 1.

    >>> [epoch for epoch in range(10) if every_epochs(3).due_epoch(epoch)]
    [0, 3, 6, 9]
    """
    return EveryEpochs(_positive(n, "every_epochs"))


def at_steps(steps: Iterable[int]) -> Schedule:
    """At given steps; 0 is the untrained model. ValueError for a negative one."""
    chosen = tuple(sorted(set(steps)))
    if chosen and chosen[0] < 0:
        raise ValueError(f"at_steps takes steps from 0 on, not {chosen[0]}")
    return AtSteps(chosen)


def log_spaced(last: int, points: int = 50) -> Schedule:
    """Step 0 and about `points` steps from 1 to `last`, evenly spaced on a logarithmic axis, each at most once.

    >>> log_spaced(1000, points=4)
    AtSteps(steps=(0, 1, 10, 100, 1000))
    """
    _positive(last, "the last step of log_spaced")
    _positive(points, "the points of log_spaced")
    exponents = (i / max(points - 1, 1) for i in range(points))
    return at_steps([0, last, *(round(last**exponent) for exponent in exponents)])


def at_most(points: int, total_steps: int) -> Schedule:
    """Every n updates, with the smallest n that leaves at most `points` of `total_steps` updates.

    >>> at_most(50, total_steps=825)
    EverySteps(n=17)
    """
    return every_steps(max(1, math.ceil(total_steps / _positive(points, "the points of at_most"))))
