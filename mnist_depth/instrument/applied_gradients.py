"""Gradients and updates as the optimizers apply them: one hook for every optimizer of a model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from mnist_depth.instrument.hooked_training import attach, detach, draws_random_numbers, hooks_of
from mnist_depth.instrument.optimizer_hook import OptimizerHook
from mnist_depth.instrument.step_clock import StepClock
from mnist_depth.instrument.updates import Measured, UpdatePlan


class AppliedGradients:
    """Measures inside the training step; exact also where a batch of `fit` makes many updates."""

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
        if gradients and any(optimizer.gradient_accumulation_steps for optimizer in optimizers):
            warnings.warn("gradients are accumulated: of every update, the last minibatch's is written", stacklevel=2)

    def is_for(self, model: keras.Model, optimizers: Sequence[Any]) -> bool:
        return self.model is model and self._optimizers == tuple(optimizers)

    def begin(self, clock: StepClock, fit: object) -> None:
        """Attach the hooks for one call of `fit`."""
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
        """Do nothing: measurements stay on the device until they are read."""

    def read(self) -> list[Measured]:
        """What was measured since the last time, in the order of the steps."""
        measured: list[Measured] = []
        for hook in self._hooks:
            measured.extend(Measured(row.step, row.scalars, {}) for row in hook.drain())
            snapshot = hook.snapshot()
            if snapshot is not None:
                measured.append(Measured(snapshot.step, {}, snapshot.arrays))
        return sorted(measured, key=lambda one: one.step)

    def end(self) -> None:
        for hook in self._hooks:
            detach(hook)


def why_not(model: keras.Model) -> str | None:
    """Why hooks cannot measure this training; None if they can."""
    if model.distribute_strategy.num_replicas_in_sync > 1:
        return "several replicas: applied gradients and updates are not measured, the probe's are"
    function = model.train_function
    if function is not None and not hooks_of(model).owns(function) and draws_random_numbers(function):
        return (
            "applied gradients are not measured: the model draws from tf.random and was trained before, so "
            "that a new trace of its training step would repeat those draws; give the gauge to its first fit, or use "
            "keras.random"
        )
    return None
