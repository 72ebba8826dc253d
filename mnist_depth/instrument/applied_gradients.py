"""Applied gradients and updates of a whole model: a hook on every optimizer, for the duration of one `fit`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from mnist_depth.instrument.hooked_training import attach, detach, hooks_of
from mnist_depth.instrument.optimizer_hook import OptimizerHook
from mnist_depth.instrument.step_clock import StepClock
from mnist_depth.instrument.updates import Measured, UpdatePlan


class AppliedGradients:
    """A hook on every optimizer of a model: exact also where a batch of `fit` makes many updates."""

    is_inside = True

    def __init__(self, model: keras.Model, optimizers: Sequence[Any], plan: UpdatePlan, gradients: bool = True) -> None:
        self.model, self._optimizers = model, tuple(optimizers)
        subjects = ("gradient", "update") if gradients else ("update",)
        self._hooks = [
            OptimizerHook(
                model,
                optimizer,
                plan.chosen(subjects),
                plan.schedule,
                snapshots=plan.snapshots(subjects),
                snapshot_schedule=plan.snapshot_schedule,
                variables=plan.variables,
                others=optimizers,
            )
            for optimizer in optimizers
        ]
        self.is_idle = all(hook.is_idle for hook in self._hooks)
        self.is_waiting = False
        self.fits = True
        self._first_step = 0
        if gradients and any(optimizer.gradient_accumulation_steps for optimizer in optimizers):
            warnings.warn("gradients are accumulated: of every update, the last minibatch's is written", stacklevel=2)

    def is_for(self, model: keras.Model, optimizers: Sequence[Any]) -> bool:
        return self.model is model and self._optimizers == tuple(optimizers)

    def begin(self, clock: StepClock, fit: object) -> None:
        """Attach the hooks for one call of `fit`."""
        self._first_step = clock.step
        for hook in self._hooks:
            hook.begin(clock.step, clock.offset)
            attach(hook, fit)

    def arm(self, scalars: bool, snapshot: bool) -> None:
        """Measure the next update regardless of the step schedules."""
        for hook in self._hooks:
            hook.arm(scalars, snapshot)

    def before_batch(self, clock: StepClock) -> None:
        hooks_of(self.model).install()

    def after_batch(self, clock: StepClock) -> None:
        """Notice a training that bypasses the hooks; measurements stay on the device until they are read."""
        # A step that was traced before the hooks were attached calls the optimizer's own `apply`.
        self.fits = clock.step == self._first_step or any(hook.is_traced for hook in self._hooks)

    def read(self) -> list[Measured]:
        """What was measured since the last time, in the order of the steps."""
        measured: list[Measured] = []
        for hook in self._hooks:
            measured.extend(hook.drain())
            snapshot = hook.snapshot()
            measured.extend([] if snapshot is None else [snapshot])
        return sorted(measured, key=lambda one: one.step)

    def end(self) -> None:
        for hook in self._hooks:
            detach(hook)
