"""Measure the gradients and updates that training applies, inside the compiled step.

For the duration of training the optimizer instance's `apply` is replaced by a function that measures, where the
schedule says so, and calls the original; `hooked_training` has the training step traced with it. It therefore works in
any `train_step`, also in one that loops over many minibatches per call. Measurements wait in a ring buffer on the
device until the callback drains it.

The gradient is that of the loss: after loss unscaling, before clipping and weight decay. What these do shows in the
update, which is the variable after minus the variable before.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import NDArray

from mnist_depth.instrument import names
from mnist_depth.instrument.building import is_built
from mnist_depth.instrument.optimizers import innermost
from mnist_depth.instrument.schedule import Schedule
from mnist_depth.instrument.statistics import VARIABLE_SUBJECTS, choose, evaluate
from mnist_depth.instrument.updates import Measured

CAPACITY = 1024
"""Measurements that fit into the buffer between two drains; a compiled block of minibatches should hold fewer."""

ATTACHED = "_mnist_depth_attached"
"""Attribute of an optimizer that lists the hooks on it."""


class OptimizerHook:
    """Measures inside `apply` of one optimizer; read it with `drain` and `snapshot`."""

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
        others: Collection[Any] = (),
    ) -> None:
        self.model, self.optimizer = model, innermost(optimizer)
        self._others = [other for other in others if other is not self.optimizer]
        self._pattern = variables or ""
        self._chosen = choose(statistics, VARIABLE_SUBJECTS)
        self._schedule, self._snapshot_schedule = schedule, snapshot_schedule
        self._names: dict[int, str] = {}
        self._columns: list[str] = []
        self._filled: list[frozenset[str]] = []
        self._needs_before = "update" in snapshots or any(s.subject == "update" for s in self._chosen.values())
        self._snapshots = tuple(snapshots)
        self._last = tf.Variable(tf.zeros([], tf.int64), trainable=False)
        self._offset = tf.Variable(tf.zeros([], tf.int64), trainable=False)
        self._count = tf.Variable(tf.zeros([], tf.int64), trainable=False)
        self._armed = tf.Variable(tf.zeros([2], tf.bool), trainable=False)
        self._snapshot_step = tf.Variable(-tf.ones([], tf.int64), trainable=False)
        self._drained = 0
        self._snapshot_read = -1
        self.is_traced = False
        """Whether it is part of a training step."""
        self._is_allocated = False
        if is_built(model):
            self._allocate()

    def _allocate(self) -> None:
        """Name the variables and create their buffers on the device.

        A model that is not built yet creates its variables while the training step is traced; this is then called from
        within the trace, after its forward pass.
        """
        found = names.trainable_variables(self.model)
        self._names = {id(v): name for name, v in found.items() if re.search(self._pattern, name)}
        self._columns = [f"{quantity}/{name}" for name in self._names.values() for quantity in self._chosen]
        variables = [v for v in found.values() if id(v) in self._names]
        self._dtype = tf.float64 if any(v.dtype == "float64" for v in variables) else tf.float32
        with tf.init_scope():  # variables cannot be created inside of a trace
            self._create_buffers(variables)
        self._is_allocated = True

    def _create_buffers(self, variables: Sequence[Any]) -> None:
        def like(variable: Any) -> tf.Variable:
            return tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False)

        self._rows = CAPACITY if self._columns else 1
        # A ring: row `count % rows` of each holds the statistics of one update, its step, and which trace made it.
        self._buffer = tf.Variable(tf.zeros([self._rows, max(len(self._columns), 1)], self._dtype), trainable=False)
        self._steps = tf.Variable(tf.zeros([self._rows], tf.int64), trainable=False)
        self._fillings = tf.Variable(tf.zeros([self._rows], tf.int32), trainable=False)
        self._before = {id(v): like(v) for v in variables} if self._needs_before else {}
        self._taken = {subject: {id(v): like(v) for v in variables} for subject in self._snapshots}
        self._seen_in_snapshot: dict[str, set[int]] = {subject: set() for subject in self._snapshots}

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to measure."""
        has_subject = bool(self._names) or not self._is_allocated
        return not has_subject or not (self._chosen or self._snapshots)

    def attach(self) -> None:
        """Make the optimizer call this hook in every step that is traced from now on."""
        if not is_hooked(self.optimizer):
            _shadow_apply(self.optimizer)
        vars(self.optimizer)[ATTACHED].append(self)

    def detach(self) -> None:
        """Undo `attach`; the last hook leaves the optimizer as it was."""
        attached = vars(self.optimizer)[ATTACHED]
        attached.remove(self)
        if not attached:
            object.__delattr__(self.optimizer, ATTACHED)
            object.__delattr__(self.optimizer, "apply")

    def begin(self, step: int = 0, offset: int = 0) -> None:
        """Prepare for a training that is at `step`; the optimizers have counted `offset` updates fewer.

        Unread measurements are dropped, because they belong to another training.
        """
        self._last.assign(step)
        self._offset.assign(offset)
        self._drained = int(self._count.numpy())
        self._snapshot_step.assign(-1)
        self._snapshot_read = -1
        self._armed.assign([False, False])

    def arm(self, scalars: bool, snapshot: bool) -> None:
        """Measure the next update regardless of the step schedule; this is how epoch schedules reach into the step."""
        if scalars or snapshot:
            self._armed.assign([scalars, snapshot])

    def drain(self) -> list[Measured]:
        """Measurements since the last drain, oldest first."""
        count = int(self._count.numpy())
        if count == self._drained:
            return []
        rows = self._rows
        fresh = range(max(self._drained, count - rows), count)
        lost = count - self._drained - len(fresh)
        self._drained = count
        if lost:
            warnings.warn(f"{lost} measurements were lost: more than {rows} came between two drains", stacklevel=3)
        # Gathered on the device, so that only the fresh rows are copied: [fresh] and [fresh, columns].
        places = [at % rows for at in fresh]
        steps, table = tf.gather(self._steps, places).numpy(), tf.gather(self._buffer, places).numpy()
        filled = [self._filled[place] for place in tf.gather(self._fillings, places).numpy()]
        return [Measured(int(step), self._scalars(*row), {}) for step, *row in zip(steps, table, filled, strict=True)]

    def _scalars(self, row: NDArray[Any], filled: Collection[str]) -> dict[str, float]:
        return {tag: value for tag, value in zip(self._columns, row.tolist(), strict=False) if tag in filled}

    def snapshot(self) -> Measured | None:
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
        return Measured(step, {}, arrays)

    def before(self, variables: Sequence[Any]) -> None:
        """Called in the step before the update: keep the weights if they will be needed."""
        self.is_traced = True
        if not self._is_allocated:
            self._allocate()
        # Everything below builds the graph of the step: `self._step`, `self._due` and `self._snapshot_due` are scalar
        # tensors of this one trace, which `after` uses in the same trace.
        self._step = self._step_of_update()
        # With several optimizers the step may move by more than one between two updates of this one.
        last = tf.minimum(self._last.read_value(), self._step - 1) if self._others else self._step - 1
        span = (last, self._step)
        updates = self._is_update()
        self._due = updates & (self._schedule.due_in_graph(*span) | self._armed[0])
        self._snapshot_due = updates & (self._snapshot_schedule.due_in_graph(*span) | self._armed[1])
        if self._before:
            tf.cond(self._due | self._snapshot_due, lambda: self._keep(variables), lambda: False)

    def _step_of_update(self) -> tf.Tensor:
        """int64 []: the step that this update makes, by the optimizer that has stepped most (`step_clock`)."""
        counts = [tf.cast(tf.convert_to_tensor(o.iterations), tf.int64) for o in (self.optimizer, *self._others)]
        counts[0] += 1  # this optimizer counts the update only after `apply`
        return tf.reduce_max(tf.stack(counts)) + self._offset.read_value()

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
        """Called in the step after the update: measure."""
        pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if id(v) in self._names]
        # A tf.cond traces both branches, but runs only one: an update that is not due costs the test alone.
        if self._columns:
            tf.cond(self._due, lambda: self._record(pairs), lambda: False)
        if self._snapshots:
            tf.cond(self._snapshot_due, lambda: self._take(pairs), lambda: False)
        if self._others:
            self._last.assign(self._step)

    def _subjects(self, gradient: Any, variable: Any) -> dict[str, tf.Tensor]:
        # `weight` is read after the update, `gradient` may be an IndexedSlices (embeddings): made dense here.
        weight = tf.convert_to_tensor(variable.value)
        subjects = {"weight": weight}
        if gradient is not None:
            subjects["gradient"] = _unscaled(self.optimizer, tf.convert_to_tensor(gradient))
        if self._before:
            subjects["update"] = weight - self._before[id(variable)]
        return subjects

    def _record(self, pairs: Sequence[tuple[Any, Any]]) -> bool:
        subjects = {self._names[id(variable)]: self._subjects(gradient, variable) for gradient, variable in pairs}
        tags, values = evaluate(self._chosen, subjects)  # [tags], in an order of its own
        # Each trace fills its own columns (a second optimizer call may bring other variables), and notes its number.
        self._filled.append(frozenset(tags))
        # Statistics come grouped by shape; columns that this trace does not fill take the NaN at the end.
        place = {tag: index for index, tag in enumerate(tags)}
        order = [place.get(column, len(tags)) for column in self._columns]
        row = tf.cast(
            tf.gather(tf.concat([values, tf.constant([float("nan")], values.dtype)], axis=0), order), self._dtype
        )
        # row: [columns], NaN where this trace measures nothing. `row[None]` is one row of the scatter's updates.
        at = tf.math.floormod(self._count, self._rows)
        self._buffer.scatter_nd_update(tf.reshape(at, [1, 1]), row[None])
        self._steps.scatter_nd_update(tf.reshape(at, [1, 1]), self._step[None])
        self._fillings.scatter_nd_update(tf.reshape(at, [1, 1]), [len(self._filled) - 1])
        self._count.assign_add(1)
        self._armed.assign(tf.stack([tf.constant(False), self._armed[1]]))  # an epoch schedule arms one update
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


def _unscaled(optimizer: Any, gradient: tf.Tensor) -> tf.Tensor:
    scale = optimizer.loss_scale_factor
    return gradient if scale is None else gradient / scale


def is_hooked(optimizer: Any) -> bool:
    """Whether this optimizer has a hook; a train step may then route only some updates through it."""
    return ATTACHED in vars(optimizer)


def _shadow_apply(optimizer: Any) -> None:
    original = optimizer.apply
    attached: list[OptimizerHook] = []

    def apply(grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
        gradients = list(grads)
        variables = list(optimizer._trainable_variables if trainable_variables is None else trainable_variables)
        # This body runs while the step is traced, so that the hooks become part of the graph. `gradients[i]` has the
        # shape of `variables[i]`; it is an IndexedSlices for an embedding and None without a dependency.
        hooks = list(attached)
        for hook in hooks:
            hook.before(variables)
        result = original(gradients, trainable_variables)
        for hook in hooks:
            hook.after(gradients, variables)
        return result

    # An instance attribute shadows the method of the class, until it is deleted. `object.__setattr__` bypasses Keras'
    # attribute tracking, which would save the list with the model.
    object.__setattr__(optimizer, ATTACHED, attached)
    object.__setattr__(optimizer, "apply", apply)
