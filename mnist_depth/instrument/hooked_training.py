"""Measure gradients and updates as the optimizers apply them: insert hooks into the training step, and remove them.

A model's `train_function` is traced once. Hooks must be part of that trace, so a training with hooks uses a separate
train function from its first batch to its last. Alternating between two functions would restart the `tf.random` stream
in each of them and trace them at different times. A train function that is set in between (by a callback that compiles
the model) is never replaced by an older one.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from mnist_depth.instrument.optimizer_hook import OptimizerHook
from mnist_depth.instrument.random_draws import draws_random_numbers
from mnist_depth.instrument.step_clock import StepClock
from mnist_depth.instrument.updates import Measured, UpdatePlan

ATTRIBUTE = "_mnist_depth_hooks"
"""Attribute of a model that holds its HookedTraining."""


class HookedTraining:
    """The hooks of one model; several callbacks share it."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.hooks: list[OptimizerHook] = []
        self.fit: object = None
        """Any object that identifies one call of `fit`."""
        self._plain: Any = None
        self._hooked: Any = None
        self._traced: dict[tuple[OptimizerHook, ...], tuple[Any, Any]] = {}

    def add(self, hook: OptimizerHook) -> None:
        if hook not in self.hooks:
            self.hooks.append(hook)
            self._shadow(hook.optimizer)

    def remove(self, hook: OptimizerHook) -> None:
        if hook in self.hooks:
            self.hooks.remove(hook)
            if not any(other.optimizer is hook.optimizer for other in self.hooks):
                _restore(hook.optimizer)
            if not self.hooks:
                self._put_back()

    def install(self) -> None:
        """Make the model use a train function with these hooks; called before every batch.

        A train function that was replaced since the last batch becomes the model's original one.
        """
        current = self.model.train_function
        if current is None or current is self._hooked:
            return
        key = tuple(self.hooks)
        plain, hooked = self._traced.get(key, (None, None))
        if plain is not current:
            # No trace with these hooks yet, or a callback has compiled the model since: make a new train function,
            # which is traced with the shadowed `apply`.
            self.model.make_train_function(force=True)
            plain, hooked = current, self.model.train_function
            self._traced = {key: (plain, hooked)}
        self.model.train_function = hooked
        self._plain, self._hooked = plain, hooked

    def owns(self, train_function: Any) -> bool:
        """Whether a train function was traced with hooks."""
        return any(train_function is hooked for _, hooked in self._traced.values())

    def _put_back(self) -> None:
        """Restore the original train function after the last hook, unless training draws from `tf.random`."""
        # The state of a `tf.random` stream is part of the trace: the original function would draw the first numbers
        # again. The hooked function therefore stays; its hooks still write into their buffers, which are never read.
        installed = self._hooked is not None and self.model.train_function is self._hooked
        if installed and not draws_random_numbers(self._hooked):
            self.model.train_function = self._plain
        self._plain = self._hooked = None

    def _shadow(self, optimizer: Any) -> None:
        if is_hooked(optimizer):
            return
        original = optimizer.apply

        def apply(grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
            gradients = list(grads)
            given = optimizer._trainable_variables if trainable_variables is None else trainable_variables
            variables = list(given)
            # This body runs while the step is traced, so that the hooks become part of the graph. `gradients[i]` has
            # the shape of `variables[i]`; it is an IndexedSlices for an embedding and None without a dependency.
            hooks = [hook for hook in self.hooks if hook.optimizer is optimizer]
            for hook in hooks:
                hook.before(variables)
            result = original(gradients, trainable_variables)
            for hook in hooks:
                hook.after(gradients, variables)
            return result

        # An instance attribute shadows the method of the class; `_restore` deletes it. `object.__setattr__` bypasses
        # Keras' attribute tracking.
        object.__setattr__(optimizer, "apply", apply)


def is_hooked(optimizer: Any) -> bool:
    """Whether this optimizer has a hook; a train step may then route only some updates through it."""
    return "apply" in vars(optimizer)


def _restore(optimizer: Any) -> None:
    if is_hooked(optimizer):
        object.__delattr__(optimizer, "apply")


def hooks_of(model: keras.Model) -> HookedTraining:
    """The HookedTraining of a model, created on first use."""
    found = vars(model).get(ATTRIBUTE)
    if found is None:
        found = HookedTraining(model)
        object.__setattr__(model, ATTRIBUTE, found)  # bypasses Keras' attribute tracking
    return found


def attach(hook: OptimizerHook, fit: object = None) -> None:
    """Attach a hook to its optimizer; hooks left over from an interrupted `fit` are removed.

    `fit` is any object that identifies one call of `fit`.
    """
    training = hooks_of(hook.model)
    if training.fit is not None and training.fit is not fit:
        for old in list(training.hooks):
            training.remove(old)
    training.fit = fit
    training.add(hook)


def detach(hook: OptimizerHook) -> None:
    """Remove a hook; the last one restores the optimizer's `apply` and the model's train function."""
    hooks_of(hook.model).remove(hook)


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
