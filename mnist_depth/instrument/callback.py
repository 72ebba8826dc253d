"""Who measures: a Keras callback that joins schedule, probe, tap and writer."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from mnist_depth.instrument.by_layer import END, FOLDER, SHOWN, START, by_layer, moment
from mnist_depth.instrument.forward import as_tensors, predict
from mnist_depth.instrument.graph import conceptual_graph, op_graph
from mnist_depth.instrument.histograms import Histogram, histogram, log10_histogram
from mnist_depth.instrument.nonfinite import first_nonfinite
from mnist_depth.instrument.optimizer_hook import Tap, attach, detach, innermost, listen
from mnist_depth.instrument.presets import PRESETS
from mnist_depth.instrument.probe import PROBE, Measurement, Probe
from mnist_depth.instrument.schedule import Schedule, never
from mnist_depth.instrument.statistics import choose
from mnist_depth.instrument.validation import (
    Gradients,
    check_batch,
    check_patterns,
    check_schedules,
    warn_of_no_match,
    whose,
)
from mnist_depth.instrument.writers.events import EventWriter
from mnist_depth.instrument.writers.laid_out import LaidOutWriter
from mnist_depth.instrument.writers.protocol import Writer


class DepthGauge(keras.callbacks.Callback):
    """Writes gradients, weights, updates and activations of any Keras model while `fit` trains it.

    model.fit(x, y, callbacks=[DepthGauge("logs/run", probe=(x[:256], y[:256]))])

    `target` is a folder (event files go to its runs `train`, `validation` and, over the layers, `depth/...`) or a
    Writer. `probe` is a fixed batch (x, y) or (x, y, sample_weight), measured in inference mode unless `training`.
    `gradients` says whose gradients are written: those on the probe (tags `probe_gradient_...`), those that training
    applied (`gradient_...`) or both; the default is the probe's where there is one. `schedule` and `histograms` replace
    the preset's schedules; `applied` is one of its own for what is seen inside the update, which costs less than a
    probe. `layers` and `variables` are regular expressions on names such as `block/conv` and `block/conv/kernel`.
    `loss(y_true, y_pred)` stands in for a model that is compiled without one, `optimizer` for a model that keeps its
    own. The step of every point is the number of updates applied.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | Writer,
        probe: Sequence[Any] | None = None,
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
    ) -> None:
        super().__init__()
        if keras.backend.backend() != "tensorflow":
            raise ValueError(f"DepthGauge needs Keras' TensorFlow backend, not {keras.backend.backend()}")
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}; valid: {', '.join(PRESETS)}")
        check_schedules(schedule=schedule, histograms=histograms, applied=applied)
        check_patterns(layers=layers, variables=variables)
        check_batch(probe)
        self.preset = PRESETS[preset]
        self.schedule = schedule or self.preset.schedule
        self.histogram_schedule = (histograms or self.preset.histogram_schedule) if self.preset.histograms else never()
        self.applied_schedule = applied or self.schedule
        self.gradients = whose(gradients, probe is not None)
        self._folder = None if isinstance(target, Writer) else os.fspath(target)
        self.writer, self._validation = _writers(target)
        self._batch, self._loss, self._training = probe, loss, training
        self._layers, self._variables = layers, variables
        self._given_optimizer = optimizer
        self._graph = self._graph_due = graph
        self._hparams, self._epoch_scalars = hparams, epoch_scalars
        self._probe: Probe | None = None
        self._tap: Tap | None = None
        self._step = self._unread = self._rate = 0
        self._next_due = self._next_tapped = 0.0
        self._measured_step = -1
        self._measured: Mapping[str, float] = {}
        self.first_nonfinite: tuple[int, str] | None = None
        """Step and tag of the first NaN or infinity."""

    # Keras' hooks

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._step, self._unread, self._rate = self._iterations(), 0, 0
        self._next_due = 0.0
        self._measured_step = -1
        if self._step:
            self.writer.truncate_after(self._step)
        self._prepare()
        if self._hparams:
            self.writer.write_hparams(self._hparams)
        if self._step == 0 and self._graph_due:
            self._write_graph()
        if self._step == 0 and (self.schedule.due_at_start() or self.histogram_schedule.due_at_start()):
            self._measure(arrays=self.histogram_schedule.due_at_start())
            self._snapshot(START)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._tap is not None:
            self._tap.arm(self.applied_schedule.due_epoch(epoch), self.histogram_schedule.due_epoch(epoch))

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._tap is not None and self._counts_single_updates:
            listen(self._tap, batch == 0 or self._step + self._unread + 1 >= self._next_tapped)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._unread += 1
        # To read the step from the device costs more than all else here: not while nothing can be due.
        if not self._rate or self._step + self._unread * self._rate >= self._next_due:
            self._catch_up()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._catch_up()
        self._drain()
        arrays = self.histogram_schedule.due_epoch(epoch + 1)
        if arrays or (self.schedule.due_epoch(epoch + 1) and self._step != self._measured_step):
            self._measure(arrays=arrays)
        if epoch + 1 in SHOWN and self._step == self._measured_step:
            self._snapshot(moment(epoch + 1))
        if self._epoch_scalars:
            self._write_logs(logs or {})
        self.writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._drain()
        self.detach()
        self._snapshot(END)
        self.writer.flush()
        if self._folder is not None:
            self.writer.close()
        if self._validation is not None:
            self._validation.close()

    def restart(self, writer: Writer) -> None:
        """Get ready for another run of the same model: write to `writer`, forget what was seen of the last run."""
        self.writer, self._validation, self._folder = writer, None, None
        self._graph_due = self._graph
        self.first_nonfinite = None

    def detach(self) -> None:
        """Leave model and optimizer as found; `fit` does this at its end, call it where `fit` raised."""
        if self._tap is not None:
            detach(self._tap)

    # Inside

    @property
    def _trained(self) -> keras.Model:
        return cast(keras.Model, self.model)

    @property
    def _optimizer(self) -> Any:
        optimizer = self._given_optimizer or getattr(self._trained, "optimizer", None)
        if optimizer is None:
            raise ValueError("the model has no optimizer to count updates by: give optimizer=")
        return innermost(optimizer)

    def _iterations(self) -> int:
        return int(self._optimizer.iterations.numpy())

    @property
    def _counts_single_updates(self) -> bool:
        """Whether each batch of `fit` is known to be one update, so that the step can be foretold."""
        return self._rate == 1 and not self._optimizer.gradient_accumulation_steps

    def _catch_up(self) -> None:
        """Read the step, and measure what fell due since it was read last."""
        before = self._step
        self._read_step()
        scalars = self.schedule.due_between(before, self._step)
        arrays = self.histogram_schedule.due_between(before, self._step)
        if scalars or arrays or self.applied_schedule.due_between(before, self._step):
            self._drain()
        if scalars or arrays:
            self._measure(arrays=arrays)

    def _read_step(self) -> None:
        """Learn the step, and how many updates a batch of `fit` makes: one, or a whole block of them."""
        now = self._iterations()
        if self._unread:
            self._rate = max(self._rate, math.ceil((now - self._step) / self._unread))
        self._step, self._unread = now, 0
        self._next_tapped = min(s.next_after(now) for s in (self.applied_schedule, self.histogram_schedule))
        self._next_due = min(self._next_tapped, self.schedule.next_after(now))

    def _prepare(self) -> None:
        """Build probe and tap once; both live on when `fit` is called again."""
        if not self._trained.built:
            self._build()
        if self._probe is None and self._tap is None:
            warn_of_no_match(self._trained, self._layers, self._variables)
        if self._batch is not None and (self._probe is None or self._probe.model is not self._trained):
            self._probe = Probe(
                self._trained,
                self._batch,
                self.preset.statistics,
                [name for name in self.preset.histograms if name not in ("update", "gradient_log10")],
                training=self._training,
                layers=self._layers,
                variables=self._variables,
                loss=self._loss,
            )
        if self._tap is None or self._tap.optimizer is not self._optimizer:
            self._tap = self._make_tap()
        if self._tap is not None:
            self._tap.forget()
            attach(self._tap, self.params)  # Keras makes these anew for every call of `fit`

    def _build(self) -> None:
        """Make the variables of a model that would wait for its first batch: what is measured has to be there."""
        if self._batch is not None:
            predict(self._trained, as_tensors(self._batch)[0], training=False)
        else:
            warnings.warn(
                "nothing inside the model is measured, it is not built yet: give a probe, or call it before fit",
                stacklevel=2,
            )

    def _write_graph(self) -> None:
        """Once per run: TensorBoard cannot reconcile two op graphs."""
        self._graph_due = False
        conceptual = conceptual_graph(self._trained)
        if conceptual is not None:
            self.writer.write_keras_model(conceptual)
        try:
            self.writer.write_graph(op_graph(self._trained, self._graph_batch(), self._loss))
        except Exception as error:  # whatever a foreign model may raise when it is traced once more
            warnings.warn(f"no graph is written: {str(error).strip().splitlines()[0]}", stacklevel=2)

    def _snapshot(self, name: str) -> None:
        """What the probe found last, against the layer, as a run of its own."""
        if self._folder is not None and self._measured:
            writer = EventWriter(os.path.join(self._folder, FOLDER, name))
            writer.truncate_after(-1)
            for place, values in by_layer(self._measured).items():
                writer.write_scalars(place, values)
            writer.close()

    def _graph_batch(self) -> Sequence[Any]:
        """The probe, or zeros where the model declares its inputs."""
        if self._batch is not None:
            return self._batch
        inputs = getattr(self._trained, "inputs", None)
        if not inputs:
            raise ValueError("a model that does not declare its inputs needs a probe")
        zeros = [tf.zeros([size or 1 for size in i.shape], i.dtype) for i in inputs]
        return (zeros if len(zeros) > 1 else zeros[0],)

    def _make_tap(self) -> Tap | None:
        if self._trained.distribute_strategy.num_replicas_in_sync > 1:
            warnings.warn(
                "several replicas: applied gradients and updates are not measured, the probe's are", stacklevel=2
            )
            return None
        applied = self.gradients != "probe"
        if applied and self._optimizer.gradient_accumulation_steps:
            warnings.warn("gradients are accumulated: of every update, the last minibatch's is written", stacklevel=2)
        tapped = ("gradient", "update") if applied else ("update",)
        statistics = choose(self.preset.statistics, ("weight", *tapped))
        snapshots = [name for name in self.preset.histograms if name in tapped]
        tap = Tap(
            self._trained,
            self._optimizer,
            statistics,
            self.applied_schedule,
            snapshots=snapshots,
            snapshot_schedule=self.histogram_schedule,
            variables=self._variables,
        )
        return None if tap.is_idle else tap

    def _drain(self) -> None:
        """Write what the tap has seen since the last time."""
        if self._tap is None:
            return
        for row in self._tap.drain():
            self._write_scalars(row.step, row.scalars)
        snapshot = self._tap.snapshot()
        if snapshot is not None:
            self._write_histograms(snapshot.step, snapshot.arrays)

    def _measure(self, arrays: bool) -> None:
        """Probe the model as it is now."""
        if self._probe is None:
            return
        measured = self._probe.measure(arrays)
        if self._step != self._measured_step:
            self._measured = self._own_scalars(measured)
            self._write_scalars(self._step, self._measured)
            self._measured_step = self._step
        self._write_histograms(
            self._step,
            {PROBE + subject if subject == "gradient" else subject: of for subject, of in measured.arrays.items()},
        )

    def _own_scalars(self, measured: Measurement) -> dict[str, float]:
        """Without what the tap writes from training itself."""
        tapped = self._tap is not None and self._step > 0
        applied_only = self.gradients == "applied" and self._tap is not None
        return {
            tag: value
            for tag, value in measured.scalars.items()
            if not (tapped and tag.startswith("weight_")) and not (applied_only and tag.startswith(f"{PROBE}gradient_"))
        }

    def _write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        self.writer.write_scalars(step, scalars)
        bad = first_nonfinite(scalars) if self.first_nonfinite is None else None
        if bad is not None:
            self.first_nonfinite = (step, bad)
            warnings.warn(f"first non-finite value at step {step}: {bad}", stacklevel=2)
            self.writer.write_text(step, {"non_finite": f"first non-finite value at step {step}: `{bad}`"})

    def _write_histograms(self, step: int, arrays: Mapping[str, Mapping[str, Any]]) -> None:
        """The arrays as histograms; what has no place on an axis stands beside them as shares."""
        bars: dict[str, Histogram | None] = {}
        shares: dict[str, float] = {}
        for subject, of in arrays.items():
            for name, values in of.items():
                bars[f"{subject}/{name}"] = plain = histogram(values)
                broken = plain.nonfinite / np.size(values) if plain else 1.0
                if broken:
                    shares[f"{subject}_nonfinite_share/{name}"] = broken
                if subject.removeprefix(PROBE) == "gradient" and "gradient_log10" in self.preset.histograms:
                    bars[f"{subject}_log10/{name}"] = log10_histogram(values)
                    shares[f"{subject}_zero_share/{name}"] = 1 - np.count_nonzero(values) / np.size(values)
        self.writer.write_histograms(step, {tag: value for tag, value in bars.items() if value is not None})
        self.writer.write_scalars(step, {tag: value for tag, value in shares.items() if self._is_new(tag)})

    def _is_new(self, tag: str) -> bool:
        """Whether the preset does not write this tag as a scalar of its own."""
        return tag.partition("/")[0].removeprefix(PROBE) not in self.preset.statistics

    def _write_logs(self, logs: Mapping[str, Any]) -> None:
        """What `fit` itself reports at the end of an epoch."""
        training = {name: float(value) for name, value in logs.items() if not name.startswith("val_")}
        validation = {name[4:]: float(value) for name, value in logs.items() if name.startswith("val_")}
        self._write_scalars(self._step, training)
        if self._validation is not None:
            self._validation.write_scalars(self._step, validation)
        else:
            self._write_scalars(self._step, {f"validation_{name}": value for name, value in validation.items()})


def _writers(target: str | os.PathLike[str] | Writer) -> tuple[Writer, Writer | None]:
    if isinstance(target, Writer):
        return target, None
    folder = os.fspath(target)
    return LaidOutWriter(os.path.join(folder, "train")), EventWriter(os.path.join(folder, "validation"))
