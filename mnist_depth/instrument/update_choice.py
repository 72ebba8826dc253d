"""Choose how the updates of a training are measured: outside of its step, or by hooks on its optimizers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from mnist_depth.instrument.hooked_training import AppliedGradients, hooks_of
from mnist_depth.instrument.random_draws import draws_random_numbers
from mnist_depth.instrument.updates import UpdatePlan, Updates
from mnist_depth.instrument.weight_updates import WeightUpdates


def make_updates(
    model: keras.Model, optimizers: Sequence[Any], plan: UpdatePlan, *, gradients: bool, several: bool
) -> Updates | None:
    """Hooks if `gradients` are wanted or a batch of `fit` makes `several` updates; None if nothing can be measured."""
    replicas = model.distribute_strategy.num_replicas_in_sync > 1
    inside = gradients or several
    reason = _why_no_hooks(model) if inside or replicas else None
    if reason is not None:
        warnings.warn(reason, stacklevel=2)
    if replicas:
        return None
    made: Updates
    if inside and reason is None:
        made = AppliedGradients(model, optimizers, plan, gradients)
    else:
        made = WeightUpdates(model, optimizers, plan)
    return None if made.is_idle else made


def _why_no_hooks(model: keras.Model) -> str | None:
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
