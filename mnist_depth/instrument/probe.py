"""How to measure: one forward and one backward pass of a fixed batch, without leaving a trace in the model.

The pass runs in a `keras.StatelessScope`: whatever it would assign (the averages of BatchNormalization, seed states,
metrics) stays in the scope. It is traced once; a second trace is reported with what changed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_depth.instrument import names
from mnist_depth.instrument.capture import Caught, catching
from mnist_depth.instrument.forward import Loss, as_tensors, loss_of, predict
from mnist_depth.instrument.limits import limits
from mnist_depth.instrument.statistics import LAYER_SUBJECTS, STATISTICS, choose, evaluate

PROBE = "probe_"
"""Stands before the name of a gradient that was measured on a probe, not applied by training."""


@dataclass
class Measurement:
    """One measurement of one model."""

    scalars: dict[str, float]
    """tag -> value; the tags are `quantity/layer` and `quantity/layer/variable`, and `probe_loss`."""
    layers: tuple[str, ...]
    """Every layer measured, in the order of the calls, the input's first."""
    arrays: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    """subject (gradient, weight, activation, activation_gradient, ...) -> layer or variable -> array, if asked for."""

    def quantity(self, name: str) -> dict[str, float]:
        """One quantity of all layers or variables that have it, by their names."""
        return {tag.partition("/")[2]: value for tag, value in self.scalars.items() if tag.partition("/")[0] == name}


def measure(
    model: keras.Model,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    training: bool = False,
    statistics: Collection[str] = tuple(STATISTICS),
    arrays: Collection[str] = (),
    layers: str | None = None,
    variables: str | None = None,
    loss: Loss | None = None,
) -> Measurement:
    """Measure a built model once, without `fit`; gradients need a compiled loss or `loss(y_true, y_pred)`.

    The gradients of variables carry the prefix `probe_`. `arrays` names the subjects whose arrays to return.
    """
    batch = (x, y, sample_weight)
    probe = Probe(model, batch, statistics, arrays, training=training, layers=layers, variables=variables, loss=loss)
    return probe.measure(arrays=True)


class Probe:
    """A fixed batch and the function that measures a model on it."""

    def __init__(
        self,
        model: keras.Model,
        batch: Sequence[Any],
        statistics: Collection[str],
        arrays: Collection[str] = (),
        *,
        training: bool = False,
        layers: str | None = None,
        variables: str | None = None,
        loss: Loss | None = None,
    ) -> None:
        self.model = model
        self.batch = as_tensors(batch)
        self._arrays = tuple(arrays)
        self._training, self._loss = training, loss
        self._of_variables = choose(statistics, ("gradient", "weight"))
        self._of_layers = choose(statistics, LAYER_SUBJECTS)
        self._layers, self._variables = layers, variables
        self._function: Callable[..., Any] | None = None
        self._signature: dict[str, Any] = {}
        self._tags: list[str] = []
        self._found: tuple[str, ...] = ()

    def measure(self, arrays: bool = False) -> Measurement:
        """Every chosen statistic, and the chosen arrays if asked for."""
        self._guard()
        if self._function is None:
            # Not XLA-compiled: it runs seldom, and compiling it takes longer than a short training.
            eager = getattr(self.model, "run_eagerly", False)
            # The partial is a function of its own: TensorFlow counts all probes' `_run` as one, and complains.
            self._function = self._run if eager else tf.function(partial(self._run), autograph=False)
        values, tensors = self._function(*self.batch)
        scalars = dict(zip(self._tags, np.asarray(values).tolist(), strict=True))
        wanted = tensors if arrays else {}
        return Measurement(
            {tag: scalars[tag] for tag in self._in_order(scalars)},
            self._found,
            {subject: {name: np.asarray(tensor) for name, tensor in of.items()} for subject, of in wanted.items()},
        )

    def _guard(self) -> None:
        """Start afresh where the model has changed, and say so: a silent new trace costs seconds every time."""
        found = {
            "trainable variables": tuple(id(v) for v in self.model.trainable_variables),
            "layers": tuple(id(layer) for layer in names.all_layers(self.model).values()),
            "optimizer": id(getattr(self.model, "optimizer", None)),
        }
        changed = [what for what, value in self._signature.items() if found[what] != value]
        if changed:
            warnings.warn(f"the probe is traced anew: the model's {' and '.join(changed)} changed", stacklevel=4)
            self._function = None
        self._signature = found

    def _in_order(self, scalars: Mapping[str, float]) -> list[str]:
        """Tags by layer in depth order, then by variable in the model's: they come grouped by shape."""
        order = [*self._found, *names.trainable_variables(self.model)]
        place = {name: index for index, name in enumerate(order)}
        return sorted(scalars, key=lambda tag: place.get(tag.partition("/")[2], -1))

    def _run(self, x: Any, y: Any, sample_weight: Any) -> tuple[tf.Tensor, dict[str, dict[str, tf.Tensor]]]:
        variables = names.trainable_variables(self.model)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            values = [tf.convert_to_tensor(variable.value) for variable in variables.values()]
            for value in values:
                tape.watch(value)
            state = list(zip(variables.values(), values, strict=True))
            with keras.StatelessScope(state, collect_losses=True), catching(self._chosen_layers(), tape.watch) as found:
                predicted = predict(self.model, x, self._training)
                loss = loss_of(self.model, self._loss, x, y, predicted, sample_weight, self._training)
            scale = _loss_scale(self.model)
            scaled = loss if loss is None or scale is None else tf.cast(loss, tf.float32) * scale
        sources = [*values, *(c.output for c in found), *(c.pre_activation for c in found)]
        gradients = _gradients(tape, scaled, sources, scale)
        of_variables = self._variable_subjects(dict(zip(variables, values, strict=True)), gradients)
        of_layers = _layer_subjects(found, gradients[len(values) :])
        self._found = tuple(of_layers)
        return self._evaluate(loss, of_layers, of_variables), self._wanted(of_layers, of_variables)

    def _chosen_layers(self) -> dict[str, keras.Layer]:
        """The outer layers that match; a pattern with a slash also reaches those inside custom layers."""
        pattern = self._layers or ""
        found = names.all_layers(self.model) if "/" in pattern else names.outer_layers(self.model)
        return {name: layer for name, layer in found.items() if re.search(pattern, name)}

    def _variable_subjects(self, values: Mapping[str, tf.Tensor], gradients: Sequence[Any]) -> dict[str, Any]:
        return {
            name: {"weight": value} | ({} if gradient is None else {"gradient": gradient})
            for (name, value), gradient in zip(values.items(), gradients, strict=False)
            if self._variables is None or re.search(self._variables, name)
        }

    def _evaluate(self, loss: Any, of_layers: dict[str, Any], of_variables: dict[str, Any]) -> tf.Tensor:
        layer_tags, layer_values = evaluate(self._of_layers, of_layers)
        variable_tags, variable_values = evaluate(self._of_variables, of_variables)
        losses = [] if loss is None else [tf.cast(loss, tf.float32)]
        self._tags = ["probe_loss"] * len(losses) + layer_tags + self._own_tags(variable_tags)
        return tf.concat([tf.convert_to_tensor(losses, tf.float32), layer_values, variable_values], axis=0)

    def _own_tags(self, tags: Iterable[str]) -> list[str]:
        """Mark a gradient as the probe's; a weight is the same for the probe and for `fit`."""
        marked = {name for name, statistic in self._of_variables.items() if statistic.subject == "gradient"}
        return [PROBE + tag if tag.partition("/")[0] in marked else tag for tag in tags]

    def _wanted(self, *groups: Mapping[str, Any]) -> dict[str, dict[str, tf.Tensor]]:
        """Regroup the arrays that were asked for: subject -> name -> tensor."""
        return {
            subject: {name: of[subject] for group in groups for name, of in group.items() if subject in of}
            for subject in self._arrays
        }


def _loss_scale(model: keras.Model) -> tf.Tensor | None:
    """What mixed precision multiplies the loss with, lest half-precision gradients underflow."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or (not hasattr(optimizer, "inner_optimizer") and optimizer.loss_scale_factor is None):
        return None
    return tf.cast(optimizer.scale_loss(tf.ones([])), tf.float32)


def _gradients(tape: tf.GradientTape, loss: Any, sources: Sequence[Any], scale: tf.Tensor | None) -> list[Any]:
    """Gradient at each source, dense and unscaled; None where the loss does not depend on it."""
    if loss is None:
        return [None] * len(sources)
    found = iter(tape.gradient(loss, [source for source in sources if source is not None]))
    raw = [None if source is None else next(found) for source in sources]
    dense = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in raw]
    if scale is None:
        return dense
    return [None if gradient is None else tf.cast(gradient, tf.float32) / scale for gradient in dense]


def _layer_subjects(found: Sequence[Caught], gradients: Sequence[Any]) -> dict[str, dict[str, Any]]:
    result = {}
    for index, caught in enumerate(found):
        everything = {
            "activation": caught.output,
            "activation_gradient": gradients[index],
            "pre_activation": caught.pre_activation,
            "pre_activation_gradient": gradients[len(found) + index],
            "limits": limits(vars(caught.layer).get("activation")),
        }
        result[caught.name] = {subject: value for subject, value in everything.items() if value is not None}
    return result
