"""Change a model so that it can learn: a new model by cloning, verified by measuring it again.

Remedies are tried in the order that the benchmark shows (docs/diagnosis.md). The first is taken whose trial steps
clearly learn and whose diagnosis has no error; otherwise the one that learns best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_depth.diagnosis import Diagnosis, Measurements, Message, judge, localized, summary_line
from mnist_depth.diagnosis.trials import learning_factors, trial_learns
from mnist_depth.model_diagnosis.copying import copied
from mnist_depth.model_diagnosis.lsuv import Rescaled, lsuv
from mnist_depth.model_diagnosis.measuring import ModelMeasurer, from_model
from mnist_depth.model_diagnosis.rebuilding import rebuilt
from mnist_depth.translation import of_terminal

CLEARLY = 0.7
"""Part of the constant prediction's loss that trial steps must remove so that no other repair is tried."""

REPLACEMENT = "elu"
"""Replaces activations that vanish, saturate, explode or die: linear on one side, with a slope on the other."""


@dataclass(frozen=True)
class Repaired:
    """The result of `repair`."""

    model: Any
    """A new model; the one that was given where nothing had to be changed or nothing helps."""
    changes: tuple[str, ...]
    before: Diagnosis
    after: Diagnosis

    @property
    def is_better(self) -> bool:
        """Whether the errors are gone."""
        return self.before.has_errors and not self.after.has_errors

    @property
    def text(self) -> str:
        """What was changed, and the verdicts before and after, in the language of the terminal."""
        with of_terminal():
            before, after = (summary_line(moment, localized) for moment in (self.before, self.after))
            verdicts = localized(Message("Before: {before}\nAfter:  {after}", before=before, after=after))
            changes = map(localized, self.changes or [Message("nothing")])
            return "\n".join([*(f"- {change}" for change in changes), verdicts])


def repair(model: Any, x: Any, y: Any, *, before: Diagnosis | None = None) -> Repaired:
    """A new model without the errors of `model`, the one that learns best; the model stays unchanged.

    Give the training set, or some hundred examples: at most 512 are used, and a quarter of them is held out.

    Sequential and functional models of Keras layers are cloned with another learning rate, fresh weights, scaled
    inputs, another activation, batch normalization or residual connections. Weights that are kept are copied. A
    subclassed model is copied by `get_config`, and gets another learning rate or is rescaled with `lsuv`. Without a
    working `get_config` this is done to the model itself if it removes the errors; `changes` begins with "in place".
    Errors of data, labels or loss are not repaired: the text says so. Raises UserError when the model cannot be
    measured.
    """
    measured = from_model(model, x, y)
    before = before or judge(measured)
    if not before.has_errors:
        return Repaired(model, (), before, before)
    best: tuple[float, Repaired] | None = None
    any_copy = False  # whether Keras can copy or clone the model at all
    for attempt in _attempts(model, measured, before, x):
        try:
            candidate, changes = attempt()
            any_copy = True
            share, repaired = _tried(candidate, changes, before, x, y)
        except Exception:  # a user's layer may not support this kind of cloning; the next kind may work
            continue
        if repaired.is_better and (best is None or share > best[0]):
            best = share, repaired
        if best and best[0] >= CLEARLY:
            break
    repaired = best[1] if best else None
    if not any_copy:
        repaired = _in_place(model, measured, before, x, y)
    return repaired or Repaired(model, (), before, before)


def _in_place(model: Any, measured: Measurements, before: Diagnosis, x: Any, y: Any) -> Repaired | None:
    """The model itself at another learning rate or with rescaled weights; None, and as it was, if neither helps."""
    weights = model.get_weights()
    rate = _rate(model) if model.compiled and not _has_schedule(model) else None
    kept = False
    try:
        for rescale in (False, True) if learning_factors(measured) else (True,):
            done = lsuv(model, x) if rescale else []
            what = _lsuv_change(done) if rescale else Message("no copy of this class")
            changes = (Message("in place: {change}", change=what),)
            _, repaired = _tried(model, changes, before, x, y)
            kept = repaired.is_better
            if kept:
                return repaired
        return None
    except Exception:  # nothing to rescale, or no rate that can be set
        return None
    finally:
        if not kept:
            model.set_weights(weights)
            if rate is not None:
                model.optimizer.learning_rate = rate


def _tried(candidate: Any, changes: Sequence[str], before: Diagnosis, x: Any, y: Any) -> tuple[float, Repaired]:
    """The candidate at the rate at which its trial steps learn best, and the part of the loss that they remove.

    The loss is that of examples outside of the steps where the batch is large enough: memorizing is easier.
    """
    measurer = ModelMeasurer(candidate)
    measured = measurer.measure(x, y)
    share = measurer.held_out_share(x, y, measured)
    if trial_learns(measured) is False and (factors := learning_factors(measured)):
        nearest = min(factors, key=lambda factor: abs(math.log(factor)))
        old, shares = _rate(candidate), {}
        for factor in (nearest, nearest * (10.0 if nearest > 1 else 0.1)):
            candidate.optimizer.learning_rate = old * factor
            shares[factor] = measurer.held_out_share(x, y, measured)
        best = max(shares, key=lambda factor: shares[factor])
        candidate.optimizer.learning_rate = old * best
        changes = (*changes, Message("learning rate {old:.3g} -> {new:.3g}", old=old, new=old * best))
        measured, share = measurer.measure(x, y), shares[best]
    return share, Repaired(candidate, tuple(changes), before, judge(measured))


Attempt = Callable[[], tuple[Any, tuple[str, ...]]]


def _attempts(model: Any, measured: Measurements, before: Diagnosis, x: Any) -> list[Attempt]:
    """Remedies, the least change first."""
    unscaled = any(finding.kind == "input scale" for finding in before.findings)
    inputs = np.asarray(x) if unscaled and hasattr(x, "shape") else None

    def rebuild(**changes: Any) -> Attempt:
        return lambda: rebuilt(model, normalized=inputs, is_linear=bool(measured.is_linear), **changes)

    least = [*([lambda: (copied(model, x), ())] if learning_factors(measured) else []), rebuild()]
    if len(measured.layers) == 1:
        return [*least, rebuild(hidden_layer=REPLACEMENT)]
    return [
        *least,
        lambda: _rescaled(model, x),
        rebuild(activation=REPLACEMENT),
        rebuild(activation=REPLACEMENT, batch_norm=True),
        rebuild(activation=REPLACEMENT, residual=True),
        rebuild(activation=REPLACEMENT, batch_norm=True, residual=True),
    ]


def _has_schedule(model: Any) -> bool:
    import keras

    return isinstance(getattr(model.optimizer, "_learning_rate", None), keras.optimizers.schedules.LearningRateSchedule)


def _rate(model: Any) -> float:
    if _has_schedule(model):
        raise ValueError("the learning rate is a schedule")
    return float(np.asarray(model.optimizer.learning_rate))


def _rescaled(model: Any, x: Any) -> tuple[Any, tuple[str, ...]]:
    clone = copied(model, x)
    return clone, (_lsuv_change(lsuv(clone, x)),)


def _lsuv_change(done: Sequence[Rescaled]) -> Message:
    return Message("{count} kernels rescaled to unit variance across samples (LSUV)", count=len(done))
