"""The Keras callback that combines schedule, probe, updates and writers."""

from __future__ import annotations

import copy
import os
import textwrap
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, cast

import keras
import tensorflow as tf

from mnist_depth.diagnosis import Diagnosis
from mnist_depth.instrument.applied_gradients import AppliedGradients, why_not
from mnist_depth.instrument.building import build
from mnist_depth.instrument.error_text import cause
from mnist_depth.instrument.findings import Judge, OnFinding
from mnist_depth.instrument.gauge_folder import Existing, GaugeFolder, describe, fingerprint_of, learning_rate
from mnist_depth.instrument.graph import conceptual_graph, op_graph
from mnist_depth.instrument.loss_reference import LossReference
from mnist_depth.instrument.optimizers import held_optimizers, innermost, is_loss_scaled
from mnist_depth.instrument.probe import PROBE, Measurement, Probe
from mnist_depth.instrument.probe_batch import as_tensors, with_class_weights
from mnist_depth.instrument.recording import Recording, epoch_scalars
from mnist_depth.instrument.schedule import Schedule
from mnist_depth.instrument.settings import Settings
from mnist_depth.instrument.step_clock import StepClock
from mnist_depth.instrument.training_loss import class_weights_of_fit, why_unknown
from mnist_depth.instrument.updates import UpdatePlan, Updates
from mnist_depth.instrument.validation import Gradients, warn_of_no_match
from mnist_depth.instrument.weight_updates import WeightUpdates
from mnist_depth.instrument.writers.protocol import Writer


class DepthGauge(keras.callbacks.Callback):
    """Writes gradients, weights, updates and activations of any Keras model while `fit` trains it.

    model.fit(x, y, callbacks=[DepthGauge("logs/run", probe=(x[:256], y[:256]))])

    `target` is a folder or a Writer. A folder holds one training: another one gets a folder with a number behind its
    name, or with `existing="error"` a FileExistsError. `probe` is a fixed batch (x, y) or (x, y, sample_weight),
    measured in inference mode unless `training`, or a dataset whose first batch is taken. `gradients` chooses between
    those on the probe (tags `probe_gradient_...`), those that training applied (`gradient_...`) or both; the default is
    the probe's where its loss is that of training. `schedule` and `histograms` replace the preset's schedules;
    `applied` is one of its own for updates and applied gradients. `layers` and `variables` are regular expressions on
    names such as `block/conv` and `block/conv/kernel`. `loss(y_true, y_pred)` is for a model that is compiled without
    one, `optimizer` for one that the model does not hold. The step of every point is the number of updates applied.
    When training ends, one line says whether gradients vanish, units are dead or the loss does not fall. `on_finding`
    is "warn", "stop" (end training at such an error), "ignore", or a function that gets the Diagnosis after the epoch
    in which a new kind of error appears.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | Writer,
        probe: Any = None,
        *,
        preset: str = "standard",
        schedule: Schedule | None = None,
        histograms: Schedule | None = None,
        applied: Schedule | None = None,
        gradients: Gradients | None = None,
        layers: str | None = None,
        variables: str | None = None,
        training: bool = False,
        graph: bool = True,
        hparams: Mapping[str, bool | int | float | str] | None = None,
        epoch_scalars: bool = True,
        optimizer: Any = None,
        loss: Callable[[Any, Any], Any] | None = None,
        existing: Existing = "new",
        on_finding: OnFinding = "warn",
    ) -> None:
        super().__init__()
        if keras.backend.backend() != "tensorflow":
            raise ValueError(f"DepthGauge needs Keras' TensorFlow backend, not {keras.backend.backend()}")
        self.settings = Settings(
            target=target,
            probe=probe,
            preset_name=preset,
            schedule_given=schedule,
            histograms=histograms,
            applied=applied,
            gradients=gradients,
            layers=layers,
            variables=variables,
            training=training,
            graph=graph,
            hparams=hparams,
            epoch_scalars=epoch_scalars,
            optimizer=optimizer,
            loss=loss,
            existing=existing,
            on_finding=on_finding,
        )
        self._reset()

    def _reset(self) -> None:
        """Forget every training; the settings stay."""
        folder = self.settings.folder
        self._folder = None if folder is None else GaugeFolder(folder, self.settings.existing)
        self._clock = StepClock()
        self._judge = Judge(self.settings.on_finding)
        self._recording: Recording | None = None
        if isinstance(self.settings.target, Writer):
            self._recording = Recording(self.settings.target, None, self.settings.preset)
        self._probe: Probe | None = None
        self._updates: Updates | None = None
        self._gradients: Gradients = "applied"
        self._trained_before: tuple[Any, ...] | None = None
        """Model, optimizers and fingerprint of the weights at the end of the last `fit`."""
        self._began = self._probe_failed = False
        self._compiled_optimizer: Any = None
        self._measured_step = -1
        self._next_due = 0.0
        self._seconds = self._started_at = 0.0
        self._epoch_start = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> DepthGauge:
        """A gauge with the same settings that has seen no training, as tuners make one for every trial."""
        twin = cast(DepthGauge, copy.copy(self))
        memo[id(self)] = twin
        if isinstance(self.settings.target, Writer):
            settings = {**vars(self.settings), "target": copy.deepcopy(self.settings.target, memo)}
            twin.settings = Settings(**settings)
        twin._reset()
        return twin

    def __repr__(self) -> str:
        return f"DepthGauge: {', '.join(f'{name} {value}' for name, value in self._described().items())}"

    def _repr_html_(self) -> str:
        rows = [f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in self._described().items()]
        return f"<table>{''.join(rows)}</table>"

    def _described(self) -> dict[str, str]:
        """Target, preset and progress, for `repr`."""
        target = self.folder or self.settings.folder or type(self.settings.target).__name__
        state = f"step {self._clock.step}" if self._began else "no training yet"
        found = self.first_nonfinite
        trouble = {} if found is None else {"not finite": f"{found[1]} at step {found[0]}"}
        return {"target": target, "preset": self.settings.preset_name, "state": state, **trouble}

    @property
    def folder(self) -> str | None:
        """The folder that the gauge writes to: `target`, or with a number behind it; None where it has a Writer."""
        return None if self._folder is None else self._folder.path

    @property
    def writer(self) -> Writer:
        """Where measurements of training go."""
        if self._recording is None:
            raise ValueError("the gauge has no writer before the first fit")
        return self._recording.writer

    @property
    def first_nonfinite(self) -> tuple[int, str] | None:
        """Step and tag of the first NaN or infinity."""
        return None if self._recording is None else self._recording.first_nonfinite

    # Keras' hooks

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._began = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Not in on_train_begin: other callbacks restore weights, and with them the step, in that hook.
        if not self._began:
            self._began = True
            self._begin()
        self._epoch_start = self._clock.step
        if self._updates is not None:
            self._updates.arm(
                self.settings.update_schedule.due_epoch(epoch), self.settings.histogram_schedule.due_epoch(epoch)
            )

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._trained.optimizer is not self._compiled_optimizer:
            self._follow_new_optimizer()
        if self._updates is not None:
            self._updates.before_batch(self._clock)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._clock.finish_batch()
        # Reading the step from the device is the most expensive part of this hook, so skip it while nothing can be due.
        waiting = self._updates is not None and self._updates.is_waiting
        if waiting or self._clock.may_have_reached(self._next_due):
            self._catch_up()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._catch_up()
        self._write_updates()
        step, settings = self._clock.step, self.settings
        arrays = settings.histogram_schedule.due_epoch(epoch + 1)
        if arrays or (settings.schedule.due_epoch(epoch + 1) and step != self._measured_step):
            self._measure(arrays=arrays)
        if settings.epoch_scalars:
            self._to.logs(step, {**epoch_scalars(epoch + 1, self._elapsed(), self._rate()), **(logs or {})})
        if self._judge.after_epoch(self._to.latest, self._layers_described, step):
            self._trained.stop_training = True
        if self._folder is not None:
            self._folder.count_epoch(step - self._epoch_start)
            self._folder.note(self._trained, step, seconds=self._elapsed(), **self._judge.references())
        self._to.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._began:
            return
        self._write_updates()
        self.detach()
        self._seconds = self._elapsed()
        self._trained_before = (self._trained, self._optimizers(), fingerprint_of(self._trained))
        self._after_training(self._to.latest)
        self._to.flush()
        if self._folder is not None:
            self._folder.note(
                self._trained,
                self._clock.step,
                finished=True,
                seconds=self._seconds,
                **self._judge.references(),
            )
            self._to.close()

    def restart(self, writer: Writer) -> None:
        """Prepare for another run of the same model: write to `writer`, discard the state of the last run."""
        self._folder = None
        self._judge = Judge(self.settings.on_finding)
        self._recording = Recording(writer, None, self.settings.preset)
        self._trained_before = None
        self._seconds = 0.0

    def detach(self) -> None:
        """Leave model and optimizer as found; `fit` does this at its end, call it where `fit` raised."""
        if self._updates is not None:
            self._updates.end()

    # Beginning of a fit

    def _begin(self) -> None:
        """Identify the training and prepare to measure it."""
        model = self._trained
        self._build()
        optimizers = self._optimizers()
        step, is_new = self._place(optimizers)
        self._clock.follow(optimizers, step, skips=is_loss_scaled(model))
        if self._clock.step and not is_new:
            self._to.truncate_after(self._clock.step)
        self._started_at = time.monotonic()
        self._next_due, self._measured_step = 0.0, -1
        self._compiled_optimizer = model.optimizer
        self._prepare()
        self._judge.begin(LossReference(model, self._probe and self._probe.batch), self._clock.step)
        if self.settings.hparams:
            self._to.writer.write_hparams(self.settings.hparams)
        at_start = is_new or self._clock.step == 0
        if at_start and (self.settings.schedule.due_at_start() or self.settings.histogram_schedule.due_at_start()):
            self._measure(arrays=self.settings.histogram_schedule.due_at_start())
        if at_start and self.settings.graph and not self._probe_failed:
            self._write_graph()

    def _place(self, optimizers: Sequence[Any]) -> tuple[int | None, bool]:
        """The step at which a known training resumes (None: the optimizers' count), and whether its folder is new."""
        step = self._continued(optimizers)
        if self._folder is None or step is not None:
            return step, False
        updates = max((int(optimizer.iterations.numpy()) for optimizer in optimizers), default=0)
        step = self._folder.continues(self._trained, updates)
        if step is None:
            self._folder.create(describe(self._trained, self._trained.optimizer, self._steps_per_epoch(optimizers)))
            if self._folder.path != self._folder.target:
                warnings.warn(
                    f"{self._folder.target} holds another training; this one is written to {self._folder.path}",
                    stacklevel=2,
                )
        self._seconds = self._folder.seconds
        self._recording = Recording(*self._folder.writers(), self.settings.preset)
        return step, step is None

    def _steps_per_epoch(self, optimizers: Sequence[Any]) -> int | None:
        """Updates per epoch, None where `fit` does not know how many batches there are."""
        batches = (self.params or {}).get("steps")
        accumulated = max((optimizer.gradient_accumulation_steps or 1 for optimizer in optimizers), default=1)
        return None if batches is None else max(1, batches // accumulated)

    def _continued(self, optimizers: Sequence[Any]) -> int | None:
        """The step at which the training of this gauge's last `fit` resumes; None for another training."""
        if self._trained_before is None:
            return None
        model, before, fingerprint = self._trained_before
        if model is not self._trained:
            return None
        if before == optimizers:
            count = self._clock.count()
            return count if count >= self._clock.step else None
        return self._clock.step if fingerprint == fingerprint_of(model) else None

    def _build(self) -> None:
        """Create the variables of a model that is not built yet, because measuring needs them."""
        model = self._trained
        if model.built:
            return
        if self.settings.probe is not None and not self._probe_failed:
            try:
                build(model, as_tensors(self.settings.probe)[0])
            except Exception as error:  # the model is foreign code
                self._give_up_probe(error)
        elif not model.trainable_variables:  # the variables of a GAN belong to its submodels
            warnings.warn(
                "nothing inside the model is measured, it is not built yet: give a probe, or call it before fit",
                stacklevel=2,
            )

    def _prepare(self) -> None:
        """Create probe and updates once; later calls of `fit` reuse both."""
        settings, model = self.settings, self._trained
        if self._probe is None and self._updates is None:
            warn_of_no_match(model, settings.layers, settings.variables)
        if self._probe is not None and self._probe.model is not model:
            self._probe, self._updates, self._probe_failed = None, None, False
        if settings.probe is not None and self._probe is None and not self._probe_failed:
            self._gradients = self._choose_gradients()
            self._make_probe()
        elif self._probe is None:
            self._gradients = "applied"
        if self._updates is None or not self._updates.is_for(model, self._optimizers()):
            self._updates = self._make_updates()
        if self._updates is not None:
            self._updates.begin(self._clock, self.params)  # Keras creates a new params object for every call of `fit`

    def _choose_gradients(self) -> Gradients:
        """Return the requested source; by default the probe, unless its loss differs from the training loss."""
        reason = None if self.settings.loss is not None else why_unknown(self._trained)
        chosen = self.settings.gradients
        if reason is None:
            return chosen or "probe"
        if chosen is None:
            warnings.warn(
                f"gradients are those that training applies: {reason}; loss= gives the probe one", stacklevel=2
            )
        elif chosen != "applied":
            warnings.warn(f"the loss on the probe may not be that of training: {reason}; give loss=", stacklevel=2)
        return chosen or "applied"

    def _make_probe(self) -> None:
        settings = self.settings
        try:
            self._probe = Probe(
                self._trained,
                settings.probe,
                settings.preset.statistics,
                [name for name in settings.preset.histograms if name not in ("update", "gradient_log10")],
                training=settings.training,
                layers=settings.layers,
                variables=settings.variables,
                loss=settings.loss,
                gradients=self._probe_has_loss(),
            )
            self._probe.batch = with_class_weights(self._probe.batch, class_weights_of_fit(self._trained))
        except Exception as error:  # a probe may be anything
            self._give_up_probe(error)

    def _probe_has_loss(self) -> bool:
        """Whether the probe can compute the training loss."""
        unknown = self.settings.loss is None and why_unknown(self._trained) is not None
        return not (unknown and self._gradients == "applied")

    def _give_up_probe(self, error: Exception) -> None:
        """Continue without the probe, with gradients from training."""
        self._probe, self._probe_failed = None, True
        warnings.warn(
            f"the probe is not measured: {cause(error)}; give probe= a batch that the model takes, or leave it out: "
            "gradients are those that training applies",
            stacklevel=2,
        )
        self._gradients = "applied"

    def _make_updates(self) -> Updates | None:
        """Compare weights outside the training step, or hook the optimizers inside it if gradients are wanted."""
        settings, model = self.settings, self._trained
        plan = UpdatePlan(
            settings.preset.statistics,
            settings.preset.histograms,
            settings.update_schedule,
            settings.histogram_schedule,
            settings.variables,
        )
        replicas = model.distribute_strategy.num_replicas_in_sync > 1
        inside = self._gradients != "probe" or self._needs_hooks()
        reason = why_not(model) if inside or replicas else None
        if reason is not None:
            warnings.warn(reason, stacklevel=2)
            inside = False
        if replicas:
            return None
        optimizers, applied = self._optimizers(), self._gradients != "probe"
        updates = (
            AppliedGradients(model, optimizers, plan, applied) if inside else WeightUpdates(model, optimizers, plan)
        )
        return None if updates.is_idle else updates

    def _needs_hooks(self) -> bool:
        """Whether a batch of `fit` is known to make several updates, which only hooks can measure one by one."""
        return self._clock.rate > 1 or int(getattr(self._trained, "steps_per_execution", 1)) > 1

    def _replace_updates(self) -> None:
        """Replace the way in which updates are measured."""
        if self._updates is not None:
            self._updates.end()
        self._updates = self._make_updates()
        if self._updates is not None:
            self._updates.begin(self._clock, self.params)

    def _follow_new_optimizer(self) -> None:
        """Handle a model that was compiled during `fit`: continue the step count, measure the new optimizer."""
        self._catch_up()
        self._write_updates()
        self._compiled_optimizer = self._trained.optimizer
        self._clock.follow(self._optimizers(), self._clock.step, skips=is_loss_scaled(self._trained))
        self._next_due = 0.0
        self._replace_updates()

    def _write_graph(self) -> None:
        """Once per training: TensorBoard cannot reconcile two op graphs."""
        conceptual = conceptual_graph(self._trained)
        if conceptual is not None:
            self._to.writer.write_keras_model(conceptual)
        try:
            self._to.writer.write_graph(op_graph(self._trained, self._graph_batch(), self.settings.loss))
        except Exception as error:  # a user's model may raise anything when it is traced again
            warnings.warn(f"no graph is written: {cause(error)}; graph=False leaves it out", stacklevel=2)

    def _graph_batch(self) -> Sequence[Any]:
        """The probe, or zeros where the model declares its inputs."""
        if self._probe is not None:
            return self._probe.batch if self._probe_has_loss() else self._probe.batch[:1]
        inputs = getattr(self._trained, "inputs", None)
        if not inputs:
            raise ValueError("a model that does not declare its inputs needs a probe")
        zeros = [tf.zeros([size or 1 for size in i.shape], i.dtype) for i in inputs]
        return (zeros if len(zeros) > 1 else zeros[0],)

    # During a fit

    @property
    def _trained(self) -> keras.Model:
        return cast(keras.Model, self.model)

    @property
    def _to(self) -> Recording:
        return cast(Recording, self._recording)

    def _optimizers(self) -> tuple[Any, ...]:
        given = self.settings.optimizer
        return tuple(held_optimizers(self._trained)) if given is None else (innermost(given),)

    def _elapsed(self) -> float:
        """Seconds of training, those before an interruption included."""
        return self._seconds + time.monotonic() - self._started_at

    def _rate(self) -> float | None:
        """The learning rate of the first optimizer."""
        return next((learning_rate(optimizer) for optimizer in self._optimizers()), None)

    def _catch_up(self) -> None:
        """Read the step and measure everything that became due since the last read."""
        counted = self._clock.counts_batches
        before = self._clock.read()
        if self._clock.counts_batches and not counted:
            warnings.warn(
                "no optimizer has made a step: the batches of fit are counted in its place; optimizer= names one that "
                "the model does not hold",
                stacklevel=2,
            )
        step, settings = self._clock.step, self.settings
        self._next_due = self._clock.next_due(settings.schedule, settings.histogram_schedule, settings.update_schedule)
        if self._updates is not None:
            self._updates.after_batch(self._clock)
            if not self._updates.fits:
                self._replace_updates()
        scalars = settings.schedule.due_between(before, step)
        arrays = settings.histogram_schedule.due_between(before, step)
        if scalars or arrays or settings.update_schedule.due_between(before, step):
            self._write_updates()
        if scalars or arrays:
            self._measure(arrays=arrays)

    def _write_updates(self) -> None:
        """Write what was measured of the updates since the last time."""
        if self._updates is None:
            return
        for measured in self._updates.read():
            self._to.scalars(measured.step, measured.scalars)
            if measured.arrays:
                self._to.histograms(measured.step, measured.arrays)

    def _measure(self, arrays: bool) -> None:
        """Probe the model as it is now."""
        if self._probe is None:
            return
        chosen = self._gradients
        try:
            measured = self._probe.measure(arrays)
        except Exception as error:  # the model is foreign code
            self._give_up_probe(error)
            measured = None
        if measured is not None and self.settings.gradients is None and "probe_loss" not in measured.scalars:
            self._gradients = "applied"
        if self._gradients != chosen:
            self._replace_updates()
        if measured is None:
            return
        step = self._clock.step
        if step != self._measured_step:
            self._to.scalars(step, self._own_scalars(measured))
            self._measured_step = step
        arrays_of = measured.arrays
        self._to.histograms(step, {PROBE + name if name == "gradient" else name: of for name, of in arrays_of.items()})

    def _own_scalars(self, measured: Measurement) -> dict[str, float]:
        """Without what is written from training itself."""
        watched = self._updates is not None and self._clock.step > 0
        applied_only = self._gradients == "applied" and self._updates is not None
        return {
            tag: value
            for tag, value in measured.scalars.items()
            if not (watched and tag.startswith("weight_"))
            and not (applied_only and tag.startswith(f"{PROBE}gradient_"))
        }

    def _after_training(self, measured: Mapping[str, float]) -> None:
        """Report what is wrong with the training, from the last value of every tag."""
        text = self._judge.after_training(measured, self._layers_described, self._clock.step, self.folder)
        if text is not None:
            preformatted = textwrap.indent(text, "    ", lambda line: True)
            self._to.writer.write_text(self._clock.step, {"diagnosis": preformatted})

    def _layers_described(self) -> list[dict[str, Any]]:
        """The layers of the model with class and activation."""
        return describe(self._trained, None, None)["layers"]

    @property
    def diagnosis(self) -> Diagnosis | None:
        """What the last training was found to be; None before its end and with `on_finding="ignore"`."""
        return self._judge.diagnosis
