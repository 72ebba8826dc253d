"""Choose how the updates of a training are measured: outside of its step, or by hooks on its optimizers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import keras

from mnist_depth.instrument.applied_gradients import AppliedGradients
from mnist_depth.instrument.hooked_training import hooks_of
from mnist_depth.instrument.random_draws import draws_random_numbers
from mnist_depth.instrument.updates import UpdatePlan, Updates
from mnist_depth.instrument.weight_updates import WeightUpdates

BYPASSED = (
    "applied gradients are not measured: the training step was traced before the gauge began, or does not call `apply` "
    "of an optimizer that the model holds; start the gauge before the first step, or give optimizer="
)

DRAWS = (
    "applied gradients are not measured: the model draws from tf.random and was trained before, so that a new trace of "
    "its training step would repeat those draws; give the gauge to its first fit, or use keras.random"
)

REPLICAS = "several replicas: applied gradients and updates are not measured, the probe's are"


def make_updates(
    model: keras.Model,
    optimizers: Sequence[Any],
    plan: UpdatePlan,
    *,
    gradients: bool,
    several: bool,
    why_no_hooks: str | None = None,
) -> Updates | None:
    """Hooks if `gradients` are wanted or a batch of `fit` makes `several` updates; None if nothing can be measured.

    `why_no_hooks` is what this `fit` has shown to prevent hooks, an empty text if that is reported elsewhere.
    """
    replicas = model.distribute_strategy.num_replicas_in_sync > 1
    inside = gradients or several
    if why_no_hooks is None and (inside or replicas):
        why_no_hooks = _why_no_hooks(model, optimizers)
    if why_no_hooks:
        warnings.warn(why_no_hooks, stacklevel=2)
    if replicas or (several and why_no_hooks is not None):
        return None
    made: Updates
    if inside and why_no_hooks is None:
        made = AppliedGradients(model, optimizers, plan, gradients)
    else:
        made = WeightUpdates(model, optimizers, plan)
    return None if made.is_idle else made


def _why_no_hooks(model: keras.Model, optimizers: Sequence[Any]) -> str | None:
    """Why hooks cannot measure this training; None if they can."""
    if not optimizers:
        return ""  # the clock warns of this
    if model.distribute_strategy.num_replicas_in_sync > 1:
        return REPLICAS
    function = model.train_function
    if function is not None and not hooks_of(model).owns(function) and draws_random_numbers(function):
        return DRAWS
    return None
