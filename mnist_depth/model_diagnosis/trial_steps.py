"""Optimizer steps on minibatches of one batch, on copies of the weights: does the loss fall, at which learning rates?

The model is called inside `keras.StatelessScope` with the values of copied variables, and a copy of the optimizer
updates these copies, so the model itself is never written to. (Keras' `stateless_apply` does not exist for TensorFlow.)
An update that is scaled by a factor is the update of a learning rate scaled by that factor, for every optimizer whose
update is proportional to its rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_depth.instrument import names
from mnist_depth.instrument.forward import Loss, loss_of, predict
from mnist_depth.model_diagnosis.examples import MINIBATCH, chosen, count_of, minibatches, shuffled

STEPS = 128
"""Steps per learning rate; the thresholds of the benchmark belong to this number."""

FEW_STEPS = 4
"""Steps of a model whose steps are slow, and those after which it is judged which weights have moved."""


@dataclass(frozen=True)
class Steps:
    """The result of trial steps at one learning rate."""

    losses: tuple[float, ...]
    """Of every step's minibatch before the step, without regularization."""
    update_ratios: dict[str, float]
    """Variable -> ||first update|| / ||weights||; nan for weights that are zero."""
    weights: dict[str, np.ndarray]
    """Variable -> its value at the end."""


class TrialSteps:
    """The trial of one model; call it with a batch, a factor of the learning rate and the number of steps.

    `eager` runs the steps without tracing them, which is faster for a few steps of a large model.
    """

    def __init__(self, model: keras.Model, optimizer: Any, loss: Loss | None, *, eager: bool = False) -> None:
        self.model, self._loss = model, loss
        self._variables = names.trainable_variables(model)
        # From arrays: a Keras variable made from another one's `value` shares its storage.
        self._copies = [keras.Variable(np.array(v), dtype=v.dtype, name=v.name) for v in self._variables.values()]
        self._source = getattr(optimizer, "inner_optimizer", optimizer)
        self._optimizer = type(self._source).from_config(self._source.get_config())
        self._optimizer.build(self._copies)
        self._fresh = [np.array(variable) for variable in self._optimizer.variables]
        # A partial of its own: TensorFlow would count the `_run` of all trials as one function and warn of retracing.
        self._eager = eager
        self._function: Any = self._run if eager else tf.function(partial(self._run), autograph=False)

    def __call__(self, x: Any, y: Any, factor: float = 1.0, steps: int = STEPS) -> Steps:
        count = self._count(x, y)
        order = None if count < 2 * MINIBATCH else minibatches(count, STEPS)
        losses, ratios = self._take(x, y, order, factor, steps)
        return Steps(
            tuple(np.asarray(losses, np.float64).tolist()),
            dict(zip(self._variables, np.asarray(ratios, np.float64).tolist(), strict=True)),
            dict(zip(self._variables, map(np.array, self._copies), strict=True)),  # copies: the next trial overwrites
        )

    def held_out_loss(self, x: Any, y: Any) -> float | None:
        """After the steps, the loss of a quarter that no step used; None where the batch is too small for that."""
        count = self._count(x, y)
        if count < 3 * MINIBATCH:
            return None
        held_out, kept = np.split(shuffled(count), [count // 4])
        self._take(x, y, kept[minibatches(len(kept), STEPS)], 1.0, STEPS)
        others = [variable.value for variable in self.model.non_trainable_variables]
        weights = [copy.value for copy in self._copies]
        return float(self._forward(weights, others, *chosen((x, y), held_out))[1])

    def _take(self, x: Any, y: Any, order: np.ndarray | None, factor: float, steps: int) -> tuple[Any, Any]:
        self._reset()
        others = [variable.value for variable in self.model.non_trainable_variables]
        examples = None if order is None else tf.constant(order)
        return self._function(others, tf.constant(factor, tf.float32), x, y, examples, tf.constant(steps))

    def _count(self, x: Any, y: Any) -> int:
        """Examples that steps may choose from; 0 where every step takes the whole batch."""
        return 0 if self._eager else count_of((x, y), self.model)

    def _reset(self) -> None:
        """Weights and optimizer as they are now; an optimizer that has not trained yet starts as a new one."""
        for copy, variable in zip(self._copies, self._variables.values(), strict=True):
            copy.assign(variable.value)
        own = self._source.variables
        state = own if len(own) == len(self._fresh) else self._fresh
        for variable, value in zip(self._optimizer.variables, state, strict=True):
            variable.assign(value)
        if isinstance(getattr(self._source, "_learning_rate", None), keras.Variable):
            self._optimizer.learning_rate = np.asarray(self._source.learning_rate)

    def _run(self, others: Any, factor: Any, x: Any, y: Any, order: Any, count: Any) -> tuple[Any, Any]:
        """Losses [count] before every step, and [variables] update ratios of the first.

        `others` holds the values of the variables that no optimizer updates, `order` the examples of every step or
        None for all of them.
        """

        def step(index: Any, others: Any, losses: Any, ratios: Any) -> tuple[Any, ...]:
            theta = [tf.convert_to_tensor(copy.value) for copy in self._copies]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(theta)
                batch = (x, y) if order is None else chosen((x, y), order[index])
                total, loss, others = self._forward(theta, others, *batch)
            gradients = [
                tf.zeros_like(value) if gradient is None else tf.convert_to_tensor(gradient)
                for value, gradient in zip(theta, tape.gradient(total, theta), strict=True)
            ]
            # Each change by the model's own rate is scaled afterwards. To scale the gradients instead would do nothing
            # to Adam, which divides by their size.
            self._optimizer.apply(gradients, self._copies)
            changes = [
                tf.cast(factor, old.dtype) * (copy.value - old) for copy, old in zip(self._copies, theta, strict=True)
            ]
            for copy, old, change in zip(self._copies, theta, changes, strict=True):
                copy.assign(old + change)
            first = tf.stack([_ratio(change, old) for change, old in zip(changes, theta, strict=True)])
            losses = losses.write(index, tf.cast(loss, tf.float32))
            return index + 1, others, losses, tf.where(index == 0, first, ratios)

        losses = tf.TensorArray(tf.float32, count, element_shape=[])
        loop = (tf.constant(0), list(others), losses, tf.zeros([len(self._copies)]))
        _, _, losses, ratios = tf.while_loop(lambda index, *_: index < count, step, loop, parallel_iterations=1)
        return losses.stack(), ratios

    def _forward(self, theta: Any, others: Any, x: Any, y: Any) -> tuple[Any, Any, list[Any]]:
        """The loss to descend, the loss without regularization, and the new values of the other variables."""
        fixed = self.model.non_trainable_variables
        # Inside the scope the model reads these values in place of its variables, and what it assigns, such as moving
        # averages, is kept apart: the model itself is not written to.
        pairs = [*zip(self._variables.values(), theta, strict=True), *zip(fixed, others, strict=True)]
        with keras.StatelessScope(pairs, collect_losses=True) as scope:
            predicted = predict(self.model, x, training=True)
            total = loss_of(self.model, self._loss, x, y, predicted, None, training=True)
            if total is None:
                raise ValueError("the model has no loss on this batch")
            extra = [tf.cast(value, total.dtype) for value in self.model.losses]
        after = [scope.get_current_value(variable) for variable in fixed]
        kept = [old if new is None else new for old, new in zip(others, after, strict=True)]
        return total, total - tf.add_n(extra) if extra else total, kept


def _ratio(change: Any, value: Any) -> Any:
    return tf.cast(tf.norm(change) / tf.norm(value), tf.float32)


def movement(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> float:
    """||after - before|| / ||before|| over all arrays; infinite for a movement away from zero."""
    change = math.sqrt(sum(float(np.sum((np.float64(b) - a) ** 2)) for a, b in zip(before, after, strict=True)))
    size = math.sqrt(sum(float(np.sum(np.float64(a) ** 2)) for a in before))
    return change / size if size else (math.inf if change else 0.0)


def identical_share(kernel: np.ndarray) -> float:
    """Share of units (last axis) whose incoming weights equal those of another unit, to seven digits."""
    columns = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1]).T  # [units, inputs]
    scale = np.abs(columns).max() or 1.0
    if not np.isfinite(scale) or columns.shape[1] < 2:
        return 0.0
    _, inverse, counts = np.unique(np.round(columns / scale, 7), axis=0, return_inverse=True, return_counts=True)
    return float(np.mean(counts[np.ravel(inverse)] > 1))
