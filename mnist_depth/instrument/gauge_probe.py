"""The probe of a gauge: whether its loss is that of training, and what happens when it fails."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import keras
import tensorflow as tf

from mnist_depth.instrument.building import build, is_built
from mnist_depth.instrument.error_text import cause
from mnist_depth.instrument.graph import op_graph
from mnist_depth.instrument.notice import notice_if_slow
from mnist_depth.instrument.probe import Measurement, Probe
from mnist_depth.instrument.probe_batch import Batch, as_tensors, with_class_weights
from mnist_depth.instrument.probe_facts import ProbeFacts, probe_facts
from mnist_depth.instrument.settings import Settings
from mnist_depth.instrument.training_loss import class_weights_of_fit, why_unknown
from mnist_depth.instrument.validation import Gradients


class GaugeProbe:
    """Measures the model that a gauge watches, if there is a batch that the model takes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: keras.Model | None = None
        self._probe: Probe | None = None
        self._unweighted: Batch = (None, None, None)
        self.failed = False
        self.why_failed = ""
        self.measured: Measurement | None = None
        """The last measurement."""
        self.gradients: Gradients = "applied"
        """The gradients to write: those on the probe, those that training applies, or both."""

    @property
    def batch(self) -> Batch | None:
        """The fixed batch; None where there is none that the model takes."""
        return None if self._probe is None else self._probe.batch

    def follow(self, model: keras.Model) -> None:
        """Prepare to measure a model, in every call of `fit`; a new one is built if necessary."""
        if model is not self._model:
            self._model, self._probe, self.failed, self.measured = model, None, False, None
            # A layer may create its variables late: an activation with weights is built in its first call.
            if not (model.built and is_built(model)):
                self._build(model)
        elif not model.built:
            self._build(model)
        if self._probe is not None and not self._probe.is_current():  # compiled anew since the last fit
            self._probe = None
        if self._probe is None:
            self.gradients = "applied"
            if self._settings.probe is not None and not self.failed:
                self.gradients = self._choose(model)
                self._make(model)
        if self._probe is not None:
            self._probe.batch = with_class_weights(self._unweighted, class_weights_of_fit(model))

    def _build(self, model: keras.Model) -> None:
        """Create the variables of a model if a batch is known; else `fit` does in its first step."""
        has_batch = self._settings.probe is not None and not self.failed
        try:
            build(model, as_tensors(self._settings.probe)[0] if has_batch else _zeros(model))
        except Exception as error:  # the model is foreign code
            if has_batch:
                self._give_up(error)

    def _choose(self, model: keras.Model) -> Gradients:
        """Return the requested source; by default the probe, unless its loss differs from the training loss."""
        reason, chosen = self._why_unknown(model), self._settings.gradients
        if reason is None:
            return chosen or "probe"
        if chosen is None:
            warnings.warn(
                f"gradients are those that training applies: {reason}; loss= gives the probe one", stacklevel=2
            )
        elif chosen != "applied":
            warnings.warn(f"the loss on the probe may not be that of training: {reason}; give loss=", stacklevel=2)
        return chosen or "applied"

    def _why_unknown(self, model: keras.Model) -> str | None:
        return None if self._settings.loss is not None else why_unknown(model)

    def _has_loss(self, model: keras.Model) -> bool:
        """Whether the probe can compute the training loss."""
        return self.gradients != "applied" or self._why_unknown(model) is None

    def _make(self, model: keras.Model) -> None:
        settings = self._settings
        try:
            self._probe = Probe(
                model,
                settings.probe,
                settings.preset.statistics,
                [name for name in settings.preset.histograms if name not in ("update", "gradient_log10")],
                training=_has_batch_statistics(model) if settings.training is None else settings.training,
                layers=settings.layers,
                variables=settings.variables,
                loss=settings.loss,
                gradients=self._has_loss(model),
            )
            self._unweighted = self._probe.batch
        except Exception as error:  # a probe may be anything
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Continue without the probe, with gradients from training."""
        self._probe, self.failed, self.gradients = None, True, "applied"
        self.why_failed = cause(error)
        remedy = "give probe= a batch that the model takes, or leave it out: gradients are those that training applies"
        wrong = self.facts().error()
        if wrong is not None:
            self.why_failed, remedy = wrong.sentence, wrong.remedy
        warnings.warn(f"the probe is not measured: {self.why_failed}; {remedy}", stacklevel=2)

    def facts(self) -> ProbeFacts:
        """What the probe shows without a gradient, also where it cannot be measured."""
        if self._model is None:
            return ProbeFacts()
        return probe_facts(self._model, self._settings.probe, self._settings.loss, self.measured)

    def measure(self, arrays: bool) -> Measurement | None:
        """Measure the model as it is now; `gradients` becomes "applied" where the probe turns out to have none."""
        if self._probe is None:
            return None
        notice = notice_if_slow("tracing the model once to measure it, about as long as Keras' own first step")
        try:
            with notice if self._probe.must_trace() else contextlib.nullcontext():
                measured = self._probe.measure(arrays)
        except Exception as error:  # the model is foreign code
            self._give_up(error)
            return None
        self.measured = measured
        if self._settings.gradients is None and "probe_loss" not in measured.scalars:
            self.gradients = "applied"
        return measured

    def graph(self, model: keras.Model) -> tf.compat.v1.GraphDef:
        """The op graph, from the probe, or from zeros where the model declares its inputs."""
        batch: Any
        if self._probe is not None:
            batch = self._probe.batch if self._has_loss(model) else self._probe.batch[:1]
        else:
            batch = (_zeros(model),)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the probe itself warns of a loss that it cannot compute
            return op_graph(model, batch, self._settings.loss)


def _has_batch_statistics(model: keras.Model) -> bool:
    """Whether inference differs from what training computes until averages over batches are known."""
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in model._flatten_layers())


def _zeros(model: keras.Model) -> Any:
    """One example of zeros in the structure of the model's declared inputs."""
    inputs = getattr(model, "_inputs_struct", None) or getattr(model, "inputs", None)
    if not inputs:
        raise ValueError("a model that does not declare its inputs needs a probe")
    if isinstance(inputs, (list, tuple)) and len(inputs) == 1:
        inputs = inputs[0]
    return keras.tree.map_structure(lambda i: tf.zeros([size or 1 for size in i.shape], i.dtype), inputs)
