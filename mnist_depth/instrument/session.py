"""What a gauge does in the course of `fit`: identify the training, measure what is due, write the points."""

from __future__ import annotations

import textwrap
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, cast

import keras

from mnist_depth.diagnosis import Diagnosis
from mnist_depth.diagnosis.from_tags import with_networks
from mnist_depth.diagnosis.stored import to_plain
from mnist_depth.instrument.error_text import cause
from mnist_depth.instrument.findings import Judge
from mnist_depth.instrument.gauge_folder import describe, learning_rate
from mnist_depth.instrument.gauge_probe import GaugeProbe
from mnist_depth.instrument.graph import conceptual_graph
from mnist_depth.instrument.networks import has_separate_losses, networks_of
from mnist_depth.instrument.optimizers import compiled_optimizer, held_optimizers, innermost, is_loss_scaled
from mnist_depth.instrument.placement import Placement
from mnist_depth.instrument.probe import PROBE, Measurement
from mnist_depth.instrument.recording import Recording, epoch_scalars
from mnist_depth.instrument.settings import Settings
from mnist_depth.instrument.step_clock import StepClock
from mnist_depth.instrument.update_choice import BYPASSED, make_updates
from mnist_depth.instrument.updates import UpdatePlan, Updates
from mnist_depth.instrument.validation import warn_of_no_match
from mnist_depth.instrument.writers.protocol import Writer


class Session:
    """The trainings of one gauge, one after the other; a new one forgets all of them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.placement = Placement(settings)
        self.clock = StepClock()
        self.judge = Judge(settings.on_finding)
        self._probe = GaugeProbe(settings)
        self._updates: Updates | None = None
        self._model: keras.Model | None = None
        self._fit: Mapping[str, Any] | None = None
        """The parameters of the running `fit`: Keras creates a new object for every call."""
        self._compiled_optimizer: Any = None
        self._why_no_hooks: str | None = None
        self._measured_step = -1
        self._next_due = self._started_at = 0.0
        self._epoch_start = 0

    def restart(self, writer: Writer) -> None:
        """Prepare for another run of the same model: write to `writer`, discard the state of the last run."""
        self.judge = Judge(self.settings.on_finding)
        self.placement.restart(writer)

    @property
    def recording(self) -> Recording:
        return cast(Recording, self.placement.recording)

    @property
    def model(self) -> keras.Model:
        return cast(keras.Model, self._model)

    # Beginning of a fit

    def begin(self, model: keras.Model, fit: Mapping[str, Any] | None) -> None:
        """Identify the training and prepare to measure it."""
        self._probe.follow(model)
        if model is not self._model:
            warn_of_no_match(model, self.settings.layers, self.settings.variables)
        self._model, self._fit = model, fit
        optimizers = self._optimizers()
        step, is_new = self.placement.place(model, optimizers, self.clock, (fit or {}).get("steps"))
        self.clock.follow(optimizers, step, skips=is_loss_scaled(model))
        left = bool(self.clock.step) and self.recording.truncate_after(self.clock.step)
        self._started_at = time.monotonic()
        self._next_due, self._measured_step = 0.0, -1
        self._why_no_hooks = None
        self._compiled_optimizer = compiled_optimizer(model)
        if self._updates is None or not self._updates.is_for(model, optimizers):
            self._updates = self._make_updates()
        if self._updates is not None:
            self._updates.begin(self.clock, fit)
        self.judge.begin(model, self._probe.batch, self.clock.step)
        if self.settings.hparams:
            self.recording.write("write_hparams", self.settings.hparams)
        if is_new and not left:
            self._write_start()
        self.judge.facts = self._probe.facts()
        self.placement.describe(**self._probe_described(), **self._found())

    def _probe_described(self) -> dict[str, Any]:
        """What the probe shows without a gradient, for the gauge's folder."""
        known = {name: to_plain(part) for name, part in self.judge.facts._asdict().items() if part is not None}
        return {**known, "probe_error": self._probe.why_failed} if self._probe.failed else known

    def diagnosis(self) -> Diagnosis | None:
        """The verdict on the last training, or on what was measured so far; None before the first measurement."""
        recording = self.placement.recording
        if self._model is None or recording is None:
            return None
        return self.judge.now(recording, self._layers_described, self.clock.step)

    def _write_start(self) -> None:
        """Write the model as it is before training, and its graph."""
        arrays = self.settings.histogram_schedule.due_at_start()
        if arrays or self.settings.schedule.due_at_start():
            self._measure(arrays)
        if self.settings.graph and not self._probe.failed:
            self._write_graph()
        self.recording.flush()  # the first step is compiled next, for seconds: meanwhile a board shows these points

    def _write_graph(self) -> None:
        """Once per training: TensorBoard cannot reconcile two op graphs."""
        conceptual = conceptual_graph(self.model)
        if conceptual is not None:
            self.recording.write("write_keras_model", conceptual)
        try:
            graph = self._probe.graph(self.model)
        except Exception as error:  # a user's model may raise anything when it is traced again
            warnings.warn(f"no graph is written: {cause(error)}; graph=False leaves it out", stacklevel=2)
        else:
            self.recording.write("write_graph", graph)

    def _optimizers(self) -> tuple[Any, ...]:
        given = self.settings.optimizer
        return tuple(held_optimizers(self.model)) if given is None else (innermost(given),)

    def _make_updates(self) -> Updates | None:
        settings = self.settings
        plan = UpdatePlan(
            settings.preset.statistics,
            settings.preset.histograms,
            settings.update_schedule,
            settings.histogram_schedule,
            settings.variables,
        )
        # Where a batch of `fit` makes several updates, only hooks can measure them one by one.
        several = self.clock.rate > 1 or int(getattr(self.model, "steps_per_execution", 1)) > 1
        gradients = self._probe.gradients != "probe"
        return make_updates(
            self.model, self._optimizers(), plan, gradients=gradients, several=several, why_no_hooks=self._why_no_hooks
        )

    def _replace_updates(self) -> None:
        """Replace the way in which updates are measured."""
        if self._updates is not None:
            self._updates.end()
        self._updates = self._make_updates()
        if self._updates is not None:
            self._updates.begin(self.clock, self._fit)

    # During a fit

    def begin_epoch(self, epoch: int) -> None:
        self._epoch_start = self.clock.step
        if self._updates is not None:
            settings = self.settings
            # No update was made at step 0, so the first one takes its place.
            starts = self.clock.step == 0 and settings.update_schedule.due_at_start()
            scalars = starts or settings.update_schedule.due_epoch(epoch)
            self._updates.arm(scalars, settings.histogram_schedule.due_epoch(epoch))

    def begin_batch(self) -> None:
        if compiled_optimizer(self.model) is not self._compiled_optimizer:
            self._follow_new_optimizer()
        if self._updates is not None:
            self._updates.before_batch(self.clock)

    def end_batch(self, logs: Mapping[str, Any]) -> None:
        if self.clock.step == 0 and self.clock.count() == 1:
            self.judge.after_first_batch(logs)
        self.clock.finish_batch()
        # Reading the step from the device is the most expensive part of this hook, so skip it while nothing can be due.
        waiting = self._updates is not None and self._updates.is_waiting
        if waiting or self.clock.may_have_reached(self._next_due):
            self._catch_up()

    def end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> bool:
        """Write the epoch; whether training should stop."""
        self._catch_up()
        self._write_updates()
        step, settings = self.clock.step, self.settings
        arrays = settings.histogram_schedule.due_epoch(epoch + 1)
        if arrays or (settings.schedule.due_epoch(epoch + 1) and step != self._measured_step):
            self._measure(arrays)
        if settings.epoch_scalars:
            rate = next((learning_rate(optimizer) for optimizer in self._optimizers()), None)
            self.recording.logs(step, {**epoch_scalars(epoch + 1, self._elapsed(), rate), **logs})
        if self.placement.folder is not None:
            self.placement.folder.count_epoch(step - self._epoch_start)
            self.placement.note(self.model, step, seconds=self._elapsed(), **self._found())
        self.recording.flush()
        return self.judge.after_epoch(self.recording, self._layers_described, step)

    def end(self) -> None:
        """End a `fit`: report what is wrong with the training, from the last value of every tag."""
        self._write_updates()
        self.detach()
        step = self.clock.step
        text = self.judge.after_training(self.recording, self._layers_described, step, self.placement.path)
        if text is not None:
            preformatted = textwrap.indent(text, "    ", lambda line: True)
            self.recording.write("write_text", step, {"diagnosis": preformatted})
        self.recording.flush()
        self.placement.finish(self.model, self._optimizers(), step, self._elapsed(), self._found())

    def _found(self) -> dict[str, Any]:
        """What training has shown of the model, for the gauge's folder."""
        optimizers = self._optimizers()
        networks = {
            "networks": networks_of(self.model, optimizers),
            "separate_losses": has_separate_losses(self.model, optimizers),
        }
        return {**networks, **self.judge.references()}

    def detach(self) -> None:
        """Leave model and optimizer as they were before the fit."""
        if self._updates is not None:
            self._updates.end()

    def _follow_new_optimizer(self) -> None:
        """Handle a model that was compiled during `fit`: continue the step count, measure the new optimizer."""
        self._catch_up()
        self._write_updates()
        self._compiled_optimizer = compiled_optimizer(self.model)
        self.clock.follow(self._optimizers(), self.clock.step, skips=is_loss_scaled(self.model))
        self._next_due = 0.0
        self._replace_updates()

    def _elapsed(self) -> float:
        """Seconds of training, those before an interruption included."""
        return self.placement.seconds + time.monotonic() - self._started_at

    def _catch_up(self) -> None:
        """Read the step and measure everything that became due since the last read."""
        counted = self.clock.counts_batches
        before = self.clock.read()
        if self.clock.counts_batches and not counted and self.model.trainable_variables:
            warnings.warn(
                "no optimizer has made a step: the batches of fit are counted in its place; optimizer= names one that "
                "the model does not hold",
                stacklevel=2,
            )
        step, settings = self.clock.step, self.settings
        self._next_due = self.clock.next_due(settings.schedule, settings.histogram_schedule, settings.update_schedule)
        if self._updates is not None:
            self._updates.after_batch(self.clock)
            if not self._updates.fits:
                if self._updates.is_inside:
                    self._why_no_hooks = "" if self.clock.counts_batches else BYPASSED
                self._replace_updates()
        scalars = settings.schedule.due_between(before, step)
        arrays = settings.histogram_schedule.due_between(before, step)
        if scalars or arrays or before == 0 or settings.update_schedule.due_between(before, step):
            self._write_updates()
        if scalars or arrays:
            self._measure(arrays)

    def _write_updates(self) -> None:
        """Write what was measured of the updates since the last time."""
        for measured in [] if self._updates is None else self._updates.read():
            self.recording.scalars(measured.step, measured.scalars)
            if measured.arrays:
                self.recording.histograms(measured.step, measured.arrays)

    def _measure(self, arrays: bool) -> None:
        """Probe the model as it is now."""
        chosen = self._probe.gradients
        measured = self._probe.measure(arrays)
        if self._probe.gradients != chosen:
            self._replace_updates()
        if measured is None:
            return
        step = self.clock.step
        if step != self._measured_step:
            self.recording.scalars(step, self._own_scalars(measured))
            self._measured_step = step
        arrays_of = measured.arrays
        self.recording.histograms(
            step, {PROBE + name if name == "gradient" else name: of for name, of in arrays_of.items()}
        )

    def _own_scalars(self, measured: Measurement) -> dict[str, float]:
        """Without what is written from training itself."""
        watched = self._updates is not None and self.clock.step > 0
        applied_only = self._probe.gradients == "applied" and self._updates is not None
        return {
            tag: value
            for tag, value in measured.scalars.items()
            if not (watched and tag.startswith("weight_"))
            and not (applied_only and tag.startswith(f"{PROBE}gradient_"))
        }

    def _layers_described(self) -> Sequence[Mapping[str, Any]]:
        """The layers of the model with class, activation and network."""
        return with_networks(describe(self.model, None, None)["layers"], networks_of(self.model, self._optimizers()))
