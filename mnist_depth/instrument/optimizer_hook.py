"""The gradients and updates that training really applies, seen from inside the compiled step.

For the duration of training the optimizer instance's `apply` is shadowed by a function that measures, where the
schedule says so, and calls the original. It therefore works in any `train_step`, also in one that loops over many
minibatches per call. Measurements wait in a ring buffer on the device until the callback drains it.

The gradient is that of the loss: after loss unscaling, before clipping and weight decay. What these do shows in the
update, which is the variable after minus the variable before.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_depth.instrument import names
from mnist_depth.instrument.schedule import Schedule
from mnist_depth.instrument.statistics import VARIABLE_SUBJECTS, choose, evaluate

CAPACITY = 1024
"""Measurements that fit into the buffer between two drains; a compiled block of minibatches should hold fewer."""


@dataclass(frozen=True)
class Row:
    """The scalars of one update, by tag; `step` counts updates, this one included."""

    step: int
    scalars: dict[str, float]


@dataclass(frozen=True)
class Snapshot:
    """Whole arrays of one update: subject (gradient, update) -> variable -> array."""

    step: int
    arrays: dict[str, dict[str, NDArray[Any]]]


class Tap:
    """Measures inside `optimizer.apply`. Attach it with `tapped`, read it with `drain` and `snapshot`."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: Any,
        statistics: Collection[str],
        schedule: Schedule,
        *,
        snapshots: Collection[str] = (),
        snapshot_schedule: Schedule,
        variables: str | None = None,
    ) -> None:
        self.model, self.optimizer = model, innermost(optimizer)
        found = names.trainable_variables(model)
        self._names = {id(v): n for n, v in found.items() if variables is None or re.search(variables, n)}
        self._chosen = choose(statistics, VARIABLE_SUBJECTS)
        self._schedule, self._snapshot_schedule = schedule, snapshot_schedule
        self._columns = [f"{quantity}/{name}" for name in self._names.values() for quantity in self._chosen]
        self._filled: set[str] = set()
        self._needs_before = "update" in snapshots or any(s.subject == "update" for s in self._chosen.values())
        self._snapshots = tuple(snapshots)
        self.tapped_function: tuple[Any, Any] | None = None
        self._allocate([v for v in found.values() if id(v) in self._names])

    def _allocate(self, variables: Sequence[Any]) -> None:
        """Buffers on the device, made before the training step is traced."""

        def like(variable: Any) -> tf.Variable:
            return tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False)

        self._rows = CAPACITY if self._columns else 1
        self._buffer = tf.Variable(tf.zeros([self._rows, max(len(self._columns), 1)]), trainable=False)
        self._steps = tf.Variable(tf.zeros([self._rows], tf.int64), trainable=False)
        self._count = tf.Variable(tf.zeros([], tf.int64), trainable=False)
        self._armed = tf.Variable(tf.zeros([2], tf.bool), trainable=False)
        self._snapshot_step = tf.Variable(-tf.ones([], tf.int64), trainable=False)
        self._before = {id(v): like(v) for v in variables} if self._needs_before else {}
        self._taken = {subject: {id(v): like(v) for v in variables} for subject in self._snapshots}
        self._seen_in_snapshot: dict[str, set[int]] = {subject: set() for subject in self._snapshots}
        self._drained = 0
        self._snapshot_read = -1

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to measure."""
        return not self._names or not (self._columns or self._snapshots)

    def forget(self) -> None:
        """Drop what was measured and not read: the next measurement is of another run, whose steps start anew."""
        self._drained = int(self._count.numpy())
        self._snapshot_step.assign(-1)
        self._snapshot_read = -1
        self._armed.assign([False, False])

    def arm(self, scalars: bool, snapshot: bool) -> None:
        """Measure the very next update, whatever the step schedule says: how epoch schedules reach into the step."""
        if scalars or snapshot:
            self._armed.assign([scalars, snapshot])

    def drain(self) -> list[Row]:
        """Measurements since the last drain, oldest first."""
        count, rows = int(self._count.numpy()), self._rows
        fresh = range(max(self._drained, count - rows), count)
        lost = count - self._drained - len(fresh)
        self._drained = count
        if not fresh:
            return []
        if lost:
            warnings.warn(f"{lost} measurements were lost: more than {rows} came between two drains", stacklevel=3)
        places = [at % rows for at in fresh]
        steps, table = tf.gather(self._steps, places).numpy(), tf.gather(self._buffer, places).numpy()
        return [Row(int(step), self._scalars(row)) for step, row in zip(steps, table, strict=True)]

    def _scalars(self, row: NDArray[np.float32]) -> dict[str, float]:
        return {tag: value for tag, value in zip(self._columns, row.tolist(), strict=False) if tag in self._filled}

    def snapshot(self) -> Snapshot | None:
        """The arrays of the last due update since the last call, None where there was none."""
        step = int(self._snapshot_step.numpy())
        if step == self._snapshot_read:
            return None
        self._snapshot_read = step
        arrays = {
            subject: {
                name: self._taken[subject][key].numpy()
                for key, name in self._names.items()
                if key in self._seen_in_snapshot[subject]
            }
            for subject in self._snapshots
        }
        return Snapshot(step, arrays)

    def before(self, variables: Sequence[Any]) -> None:
        """In the step, ahead of the update: keep the weights where they will be needed."""
        self._step = tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int64) + 1
        updates = self._is_update()
        self._due = updates & (self._schedule.due_in_graph(self._step) | self._armed[0])
        self._snapshot_due = updates & (self._snapshot_schedule.due_in_graph(self._step) | self._armed[1])
        if self._before:
            tf.cond(self._due | self._snapshot_due, lambda: self._keep(variables), lambda: False)

    def _is_update(self) -> tf.Tensor:
        """Whether this call of `apply` changes the weights, not only adds to the accumulated gradients."""
        accumulated = self.optimizer.gradient_accumulation_steps
        if not accumulated:
            return tf.constant(True)
        return tf.equal((tf.convert_to_tensor(self.optimizer._iterations) + 1) % accumulated, 0)

    def _keep(self, variables: Sequence[Any]) -> bool:
        for variable in variables:
            if id(variable) in self._before:
                self._before[id(variable)].assign(tf.convert_to_tensor(variable.value))
        return True

    def after(self, gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        """In the step, behind the update: measure."""
        pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if id(v) in self._names]
        if self._columns:
            tf.cond(self._due, lambda: self._record(pairs), lambda: False)
        if self._snapshots:
            tf.cond(self._snapshot_due, lambda: self._take(pairs), lambda: False)

    def _subjects(self, gradient: Any, variable: Any) -> dict[str, tf.Tensor]:
        weight = tf.convert_to_tensor(variable.value)
        subjects = {"weight": weight}
        if gradient is not None:
            subjects["gradient"] = _unscaled(self.optimizer, tf.convert_to_tensor(gradient))
        if self._before:
            subjects["update"] = weight - self._before[id(variable)]
        return subjects

    def _record(self, pairs: Sequence[tuple[Any, Any]]) -> bool:
        subjects = {self._names[id(variable)]: self._subjects(gradient, variable) for gradient, variable in pairs}
        tags, values = evaluate(self._chosen, subjects)
        self._filled.update(tags)
        # Statistics come grouped by shape; columns that this trace does not fill take the NaN at the end.
        place = {tag: index for index, tag in enumerate(tags)}
        order = [place.get(column, len(tags)) for column in self._columns]
        row = tf.gather(tf.concat([values, [float("nan")]], axis=0), order)
        at = tf.math.floormod(self._count, self._rows)
        self._buffer.scatter_nd_update(tf.reshape(at, [1, 1]), row[None])
        self._steps.scatter_nd_update(tf.reshape(at, [1, 1]), self._step[None])
        self._count.assign_add(1)
        self._armed.assign(tf.stack([tf.constant(False), self._armed[1]]))
        return True

    def _take(self, pairs: Sequence[tuple[Any, Any]]) -> bool:
        for gradient, variable in pairs:
            subjects = self._subjects(gradient, variable)
            for subject in self._snapshots:
                if subject in subjects:
                    self._taken[subject][id(variable)].assign(subjects[subject])
                    self._seen_in_snapshot[subject].add(id(variable))
        self._snapshot_step.assign(self._step)
        self._armed.assign(tf.stack([self._armed[0], tf.constant(False)]))
        return True


def innermost(optimizer: Any) -> Any:
    """The optimizer that updates the weights, without the loss scaling around it."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def _unscaled(optimizer: Any, gradient: tf.Tensor) -> tf.Tensor:
    scale = optimizer.loss_scale_factor
    return gradient if scale is None else gradient / scale


class Attachment:
    """The taps on one optimizer while a model trains; several callbacks share one.

    A tap slows the compiled step even where it measures nothing, so steps in which no tap may fall due can go through
    the model's own training function.
    """

    def __init__(self, model: keras.Model, optimizer: Any, training: object) -> None:
        self.model, self.optimizer, self._training = model, optimizer, training
        self._tapped: Any = None
        self.taps: list[Tap] = []
        self._deaf: set[Tap] = set()
        self._original = optimizer.apply
        self._untapped = getattr(model, "train_function", None)
        object.__setattr__(optimizer, "apply", self._apply())

    def _apply(self) -> Callable[..., Any]:
        def apply(grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
            gradients = list(grads)
            given = self.optimizer._trainable_variables if trainable_variables is None else trainable_variables
            variables = list(given)
            listening = self.taps if self._listening else ()
            for tap in listening:
                tap.before(variables)
            result = self._original(gradients, trainable_variables)
            for tap in listening:
                tap.after(gradients, variables)
            return result

        apply.attachment = self  # pyright: ignore[reportFunctionMemberAccess]
        return apply

    def train_through(self, earlier: tuple[Any, Any] | None) -> tuple[Any, Any]:
        """Give the model a training function to trace anew, or the one that an earlier training traced with this tap.

        Takes and returns the pair of the model's own function and the tapped one.
        """
        if earlier is not None and earlier[0] is self._untapped and self._untapped is not None:
            self.model.train_function = earlier[1]
        else:
            self.model.make_train_function(force=True)
        self._tapped = self.model.train_function
        return self._untapped, self._tapped

    @property
    def _listening(self) -> bool:
        return len(self._deaf) < len(self.taps)

    def listen(self, tap: Tap, wanted: bool) -> None:
        """Whether the next batch of `fit` has to pass this tap; it passes all where one wants it."""
        (self._deaf.discard if wanted else self._deaf.add)(tap)
        self.model.train_function = self._tapped if self._listening else self._untapped

    def is_left_over(self, training: object) -> bool:
        """Whether it belongs to another call of `fit`: to one that was interrupted, and never came to its end."""
        return self._training is not None and self._training is not training

    def remove(self) -> None:
        """Leave optimizer and model as they were found; a training function that someone else has set since stays."""
        object.__delattr__(self.optimizer, "apply")
        if self.model.train_function is self._tapped:
            self.model.train_function = self._untapped


def attach(tap: Tap, training: object = None) -> None:
    """Start measuring: the model's training function is traced with the tap inside, once per tap.

    `training` is any object that stands for one call of `fit`; what an earlier one has left is removed.
    """
    attachment = _attachment(tap)
    if attachment is not None and attachment.is_left_over(training):
        attachment.remove()
        attachment = None
    if attachment is None:
        attachment = Attachment(tap.model, tap.optimizer, training)
        tap.tapped_function = attachment.train_through(tap.tapped_function)
    if tap not in attachment.taps:
        attachment.taps.append(tap)


def detach(tap: Tap) -> None:
    """Stop measuring; with the last tap the optimizer's own `apply` and the model's own training function come back."""
    attachment = _attachment(tap)
    if attachment is not None and tap in attachment.taps:
        attachment.listen(tap, True)
        attachment.taps.remove(tap)
        if not attachment.taps:
            attachment.remove()


def listen(tap: Tap, wanted: bool) -> None:
    """Before a batch of `fit`: whether the attached tap may have to measure in it."""
    attachment = _attachment(tap)
    if attachment is not None:
        attachment.listen(tap, wanted)


def _attachment(tap: Tap) -> Attachment | None:
    return getattr(tap.optimizer.apply, "attachment", None)


@contextlib.contextmanager
def tapped(tap: Tap) -> Iterator[Tap]:
    """Attach for the duration of a `with` block."""
    attach(tap)
    try:
        yield tap
    finally:
        detach(tap)
