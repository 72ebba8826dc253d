"""Updates as the difference of the weights before and after a batch of `fit`.

It adds nothing to the compiled training step, so it neither changes the step nor traces it a second time. It works only
if a batch is one update.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_depth.instrument import names
from mnist_depth.instrument.statistics import choose, evaluate
from mnist_depth.instrument.step_clock import StepClock
from mnist_depth.instrument.updates import Arrays, Measured, UpdatePlan

SUBJECTS = ("update",)


class WeightUpdates:
    """Measures weights and updates outside the training step."""

    is_inside = False

    def __init__(self, model: keras.Model, optimizers: Sequence[Any], plan: UpdatePlan) -> None:
        self._model, self._optimizers = model, tuple(optimizers)
        found = names.trainable_variables(model)
        pattern = plan.variables or ""
        self._variables = {name: variable for name, variable in found.items() if re.search(pattern, name)}
        self._plan = plan
        self._chosen = choose(plan.chosen(SUBJECTS), ("weight", "update"))
        self._snapshots = plan.snapshots(SUBJECTS)
        self.is_idle = not self._variables or not (self._chosen or self._snapshots)
        self.is_waiting = False
        self.fits = True
        self._armed = self._due = (False, False)
        """Whether scalars and arrays of the next update are wanted by an epoch schedule; whether they are due."""
        self._before: list[tf.Tensor] = []
        self._step_before = 0
        self._tags: list[str] = []
        self._measured: list[Measured] = []
        # A partial, as TensorFlow counts traces per code object: many gauges in one process would cause a warning.
        self._function = tf.function(partial(self._evaluate), autograph=False)

    def is_for(self, model: keras.Model, optimizers: Sequence[Any]) -> bool:
        trainable = {id(variable) for variable in model.trainable_variables}
        known = all(id(variable) in trainable for variable in self._variables.values())
        return self._model is model and self._optimizers == tuple(optimizers) and known

    def begin(self, clock: StepClock, fit: object) -> None:
        self._forget()
        self._armed = (False, False)
        self._measured = []

    def arm(self, scalars: bool, snapshot: bool) -> None:
        """Measure the next update regardless of the step schedules."""
        if scalars or snapshot:
            self._armed = (scalars, snapshot)

    def before_batch(self, clock: StepClock) -> None:
        """Keep the weights if the next update is due."""
        schedules = (self._plan.schedule, self._plan.snapshot_schedule)
        if self.is_waiting or not (any(self._armed) or clock.may_reach(clock.next_due(*schedules))):
            return
        clock.read()  # waits for the device, so only where the next update can be due
        due = [schedule.due_between(clock.step, clock.step + 1) for schedule in schedules]
        self._due = (due[0] or self._armed[0], due[1] or self._armed[1])
        if any(self._due):
            self._before = [tf.raw_ops.DeepCopy(x=tf.convert_to_tensor(v.value)) for v in self._variables.values()]
            self._step_before = clock.step
            self.is_waiting = True

    def after_batch(self, clock: StepClock) -> None:
        """Measure the update of this batch; a batch has none while gradients are accumulated."""
        moved = clock.step - self._step_before
        if not self.is_waiting or not moved:
            return
        if moved == 1:
            self._measured.append(Measured(clock.step, *self._measure()))
            self._armed = (False, False)
        else:
            self.fits = False
        self._forget()

    def read(self) -> list[Measured]:
        measured, self._measured = self._measured, []
        return measured

    def end(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._before = []
        self.is_waiting = False

    def _measure(self) -> tuple[dict[str, float], Arrays]:
        after = [tf.convert_to_tensor(variable.value) for variable in self._variables.values()]
        scalars: dict[str, float] = {}
        if self._due[0] and self._chosen:
            values = self._function(self._before, after)
            scalars = dict(zip(self._tags, np.asarray(values).tolist(), strict=True))
        arrays: Arrays = {}
        if self._due[1]:
            pairs = list(zip(self._variables, self._before, after, strict=True))
            arrays = {subject: {name: np.asarray(new - old) for name, old, new in pairs} for subject in self._snapshots}
        return scalars, arrays

    def _evaluate(self, before: list[tf.Tensor], after: list[tf.Tensor]) -> tf.Tensor:
        pairs = zip(self._variables, before, after, strict=True)
        subjects: dict[str, dict[str, Any]] = {name: {"weight": new, "update": new - old} for name, old, new in pairs}
        tags, values = evaluate(self._chosen, subjects)
        self._tags = tags
        return values
