"""Measure a live Keras model of any kind on one batch, as training sees it, and leave it unchanged.

One pass in training mode gives gradients and activations by layer; trial steps on copies of the weights show whether
the loss falls, and at which learning rates. Only the trial steps of models of usual size are traced: a pass that runs
once is faster without.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mnist_depth.diagnosis import Measurements, Message, Trial, judge, next_factor
from mnist_depth.diagnosis.from_tags import OF_LAYERS
from mnist_depth.diagnosis.trials import EXAMPLES, reference_loss, removed
from mnist_depth.errors import UserError
from mnist_depth.instrument import batch_facts
from mnist_depth.instrument.outputs import is_linear, output_and_loss, output_of_last_layer, usual_loss
from mnist_depth.instrument.training_loss import why_unknown
from mnist_depth.instrument.traits import model_traits
from mnist_depth.instrument.weight_layers import model_layers
from mnist_depth.model_diagnosis.keras_errors import cause_of
from mnist_depth.model_diagnosis.movement import with_movement

STATISTICS = ("gradient_norm", "weight_nonfinite_share", *OF_LAYERS.values(), "time_gain", "time_steps")

LARGE = 500_000
"""Parameters from which on trial steps are few and at the model's own learning rate only."""

EXAMPLES_OF_LARGE = 32
"""Examples of a large model that are used at most: a batch of `fit` by default."""

AT_ONCE = 128
"""Examples of one pass at most: its memory grows with them."""

Progress = Callable[[str], None]


def from_model(
    model: Any, x: Any, y: Any, *, source: str = "", loss: Any = None, progress: Progress | None = None
) -> Measurements:
    """Measure a built Keras model of any kind on one batch, without changing it.

    Weight layers are those with a kernel, in the order of their calls. A model that is not compiled is measured with
    cross-entropy for whole-number labels, else with the mean squared error; `loss(y_true, y_pred)` replaces either.
    Raises UserError when there is no weight layer, the batch does not fit, or only the model's `train_step` knows
    the loss.
    """
    return ModelMeasurer(model, loss=loss, progress=progress).measure(x, y, source=source)


class ModelMeasurer:
    """Measures one model, also again after its weights have changed: the trial steps are traced once."""

    def __init__(
        self, model: Any, *, loss: Any = None, progress: Progress | None = None, try_rates: bool = True
    ) -> None:
        """Without `try_rates` the trial steps only show which weights move."""
        self.model = model
        self._try_rates = try_rates
        self._given_loss = loss
        self._progress = progress or (lambda line: None)
        self._probe: Any = None
        self._trial: Any = None

    def measure(self, x: Any, y: Any, *, source: str = "") -> Measurements:
        """All measurements on one batch. Raises UserError as `from_model` does."""
        model = self.model
        data = batch_facts.batch_data(model, x, y)
        loss = self._given_loss or (None if model.compiled else usual_loss(y))
        unknown = why_unknown(model) if loss is None else None
        if unknown is not None:
            raise UserError(
                "{problem}; give diagnose loss=, or train the model with DepthGauge", problem=UserError(unknown)
            )
        size = {"model": model.name, "parameters": model.count_params()}
        self._progress(Message("measuring gradients and activations of {model}, {parameters:,} parameters", **size))
        name = source or Message("model {model!r} on a batch of {examples}", model=model.name, examples=data.examples)
        try:
            measured = self._measure_once(x, y, loss)
            layers = model_layers(model, measured)
            if not any(layer.kernel_gradient is not None or not layer.trainable for layer in layers):
                raise UserError(
                    "no weight layer of the model has a gradient on this batch{reason}", reason=self._reason
                )
        except UserError:  # a finding about labels that the loss rejects is clearer
            unmeasured = Measurements(name, (), data=data, output=output_of_last_layer(model, self._given_loss))
            if judge(unmeasured).has_errors:
                return unmeasured
            raise
        output = output_and_loss(model, layers, self._probe.batch[0], self._given_loss)
        references = batch_facts.references(self._given_loss or getattr(model, "loss", None), output, y)
        found = Measurements(
            source=name,
            layers=layers,
            loss=measured.scalars.get("probe_loss"),
            traits=model_traits(model),
            constant_loss=None if references is None else references.constant,
            lowest_loss=0.0 if references is None else references.lowest,
            data=data,
            output=output,
            is_linear=is_linear(model, layers, x),
            updates=_updates(model),
            learning_rate=_learning_rate(model),
            rate_kept=_rate_kept(model),
        )
        return self._with_trials(found, x, y, loss)

    # The pass

    def _measure_once(self, x: Any, y: Any, loss: Any) -> Any:
        from mnist_depth.instrument.probe import Probe
        from mnist_depth.model_diagnosis.examples import parts_of

        self._reason = ""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                parts = parts_of(self._some_of(x, y), self.model, AT_ONCE)
                if self._probe is None:
                    self._probe = Probe(self.model, parts[0], STATISTICS, training=True, loss=loss, eager=True)
                found = []
                for part in parts:
                    self._probe.batch = (*part, None)
                    found.append(self._probe.measure())
            except Exception as error:  # the model is user code
                raise UserError(
                    "the model cannot be measured on this batch ({reason})", reason=cause_of(error)
                ) from error
        if caught:
            # Keras may warn of other things before the probe says why there are no gradients.
            self._reason = f" ({cause_of(caught[-1].message)})"
        return _combined(found)

    @property
    def _is_large(self) -> bool:
        return self.model.count_params() > LARGE

    def _some_of(self, x: Any, y: Any) -> Any:
        """(x, y) as tensors, of the examples that are used."""
        from mnist_depth.instrument.probe_batch import as_tensors
        from mnist_depth.model_diagnosis.examples import some_of

        limit = EXAMPLES_OF_LARGE if self._is_large else EXAMPLES
        return some_of(as_tensors((x, y), self.model)[:2], self.model, limit)

    # Trial steps

    def _with_trials(self, measured: Measurements, x: Any, y: Any, loss: Any) -> Measurements:
        """The measurements with trial steps at the own rate and, where these do not learn, at other rates."""
        self._progress(Message("trying optimizer steps on a copy of the weights"))
        tensors = self._some_of(x, y)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._tried(measured, tensors, loss)
        except Exception as error:  # an optimizer or loss of the user's may not work on copies of the weights
            return replace(measured, unseen=(Message("trial steps: {reason}", reason=cause_of(error)),))

    def _tried(self, measured: Measurements, tensors: Any, loss: Any) -> Measurements:
        from mnist_depth.model_diagnosis.trial_steps import FEW_STEPS, TrialSteps

        if self._trial is None:
            self._trial = TrialSteps(self.model, _optimizer(self.model), loss, eager=self._is_large)
        few = self._trial(*tensors, steps=FEW_STEPS)
        measured = with_movement(self.model, measured, few)
        if self._is_large:
            return replace(measured, trials=(Trial(1.0, few.losses),))
        while self._try_rates and (factor := next_factor(measured)) is not None:
            trial = Trial(factor, self._trial(*tensors, factor).losses)
            measured = replace(measured, trials=(*measured.trials, trial))
        return measured

    def held_out_share(self, x: Any, y: Any, measured: Measurements) -> float:
        """Part of the reference loss that trial steps remove; where there are enough examples, on those left out."""
        reference = reference_loss(measured)
        if not reference or not measured.trials:
            return 0.0
        loss = self._trial.held_out_loss(*self._some_of(x, y))
        if loss is None:
            return removed(measured.trials[0], reference, measured.lowest_loss)
        return (reference - loss) / (reference - measured.lowest_loss) if math.isfinite(loss) else -math.inf


def _combined(parts: Sequence[Any]) -> Any:
    """The measurement of the first part, with what all of them say of the loss and of dead units.

    A unit that is zero for all examples is so in every part: the smallest share comes closest.
    """
    first = parts[0]
    scalars = dict(first.scalars)
    for tag in scalars:
        values = [part.scalars.get(tag, math.nan) for part in parts]
        if tag == "probe_loss":
            scalars[tag] = float(np.mean(values))
        elif tag.startswith("dead_share/"):
            scalars[tag] = min(values)
    return replace(first, scalars=scalars)


def _optimizer(model: Any) -> Any:
    import keras

    return getattr(model, "optimizer", None) or keras.optimizers.Adam()


def _updates(model: Any) -> int:
    optimizer = getattr(model, "optimizer", None)
    return 0 if optimizer is None else int(np.asarray(optimizer.iterations))


def _rate_kept(model: Any) -> float | None:
    """What a schedule leaves of the learning rate within a trial; None without one, or where it starts at zero."""
    import keras

    from mnist_depth.model_diagnosis.trial_steps import STEPS

    schedule = getattr(getattr(model, "optimizer", None), "_learning_rate", None)
    now = _learning_rate(model)
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule) or not now:
        return None
    return float(np.asarray(schedule(model.optimizer.iterations + STEPS))) / now


def _learning_rate(model: Any) -> float | None:
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else float(np.asarray(optimizer.learning_rate))
