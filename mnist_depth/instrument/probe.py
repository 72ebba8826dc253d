"""How to measure: one forward and one backward pass of a fixed batch, without leaving a trace in the model.

The pass runs in a `keras.StatelessScope`: whatever it would assign (BatchNormalization's averages, seed states, metrics)
stays in the scope. Each kind of measurement is traced once; a second trace is reported with the argument that changed.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_depth.instrument import names
from mnist_depth.instrument.capture import Caught, catching
from mnist_depth.instrument.limits import limits
from mnist_depth.instrument.presets import PRESETS
from mnist_depth.instrument.statistics import LAYER_SUBJECTS, Statistic, choose, evaluate

Subjects = dict[str, dict[str, Any]]


@dataclass
class Measurement:
    """One measurement of one model. Layers stand in the order of their calls, the input's first."""

    scalars: dict[str, float]
    """tag -> value; the tags are `quantity/layer` and `quantity/layer/variable`, and `probe_loss`."""
    arrays: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    """subject (gradient, weight, activation, activation_gradient, ...) -> layer or variable -> array, if asked for."""

    def quantity(self, name: str) -> dict[str, float]:
        """One quantity over all layers or variables that have it, without the quantity in the key."""
        return {tag.partition("/")[2]: value for tag, value in self.scalars.items() if tag.partition("/")[0] == name}

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer that was measured, in depth order."""
        return tuple(dict.fromkeys(tag.partition("/")[2] for tag in self.scalars if tag.startswith("activation_")))


def measure(
    model: keras.Model,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    training: bool = False,
    statistics: Collection[str] | None = None,
    arrays: Collection[str] = (),
    layers: str | None = None,
    variables: str | None = None,
    loss: Callable[[Any, Any], Any] | None = None,
) -> Measurement:
    """Measure a built model once, without `fit`; gradients need a compiled loss or `loss(y_true, y_pred)`.

    The gradient of the variables carries the prefix `probe_`. `arrays` names the subjects whose arrays to return.
    """
    chosen = PRESETS["full"].statistics if statistics is None else statistics
    probe = Probe(
        model, (x, y, sample_weight), chosen, training=training, layers=layers, variables=variables, loss=loss
    )
    return probe.measure(arrays)


class Probe:
    """A fixed batch and the functions that measure a model on it."""

    def __init__(
        self,
        model: keras.Model,
        batch: Sequence[Any],
        statistics: Collection[str],
        *,
        training: bool = False,
        layers: str | None = None,
        variables: str | None = None,
        loss: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        self.model = model
        self.training = training
        self.batch = _as_tensors(batch)
        self._loss = loss
        self._of_variables = choose(statistics, ("gradient", "weight"))
        self._of_layers = choose(statistics, LAYER_SUBJECTS)
        self._layers, self._variables = layers, variables
        self._functions: dict[frozenset[str], Callable[..., Any]] = {}
        self._tags: dict[frozenset[str], list[str]] = {}
        self._signature: dict[str, Any] = {}

    def measure(self, arrays: Collection[str] = ()) -> Measurement:
        """Every chosen statistic, and the arrays of the named subjects."""
        wanted = frozenset(arrays)
        self._guard()
        if wanted not in self._functions:
            self._functions[wanted] = self._compiled(wanted)
        values, caught = self._functions[wanted](*self.batch)
        scalars = dict(zip(self._tags[wanted], np.asarray(values).tolist(), strict=True))
        return Measurement(scalars, {key: {n: np.asarray(a) for n, a in of.items()} for key, of in caught.items()})

    def _guard(self) -> None:
        """Start afresh where the model has changed, and say so: a silent new trace costs seconds every time."""
        found = {
            "the trainable variables": tuple(id(v) for v in self.model.trainable_variables),
            "the layers": tuple(id(layer) for layer in names.all_layers(self.model).values()),
            "the optimizer": id(getattr(self.model, "optimizer", None)),
        }
        changed = [what for what, value in self._signature.items() if found[what] != value]
        if changed:
            warnings.warn(f"the probe is traced anew: {' and '.join(changed)} of the model changed", stacklevel=3)
            self._functions.clear()
        self._signature = found

    def _compiled(self, wanted: frozenset[str]) -> Callable[..., Any]:
        def run(x: Any, y: Any, sample_weight: Any) -> tuple[tf.Tensor, Subjects]:
            return self._run(wanted, x, y, sample_weight)

        if getattr(self.model, "run_eagerly", False):
            return run
        return tf.function(run, jit_compile=_compiles(self.model), autograph=False)

    def _run(self, wanted: frozenset[str], x: Any, y: Any, sample_weight: Any) -> tuple[tf.Tensor, Subjects]:
        variables = names.trainable_variables(self.model)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            values = [tf.convert_to_tensor(variable.value) for variable in variables.values()]
            for value in values:
                tape.watch(value)
            state = list(zip(variables.values(), values, strict=True))
            with keras.StatelessScope(state, collect_losses=True), catching(self._chosen_layers(), tape.watch) as found:
                predicted = _call(self.model, x, self.training)
                loss = self._loss_of(x, y, predicted, sample_weight)
            scale = _loss_scale(self.model)
            scaled = None if loss is None else loss * scale if scale is not None else loss
        pre = [caught.pre_activation for caught in found]
        sources = [*values, *(caught.output for caught in found), *pre]
        gradients = _gradients(tape, scaled, sources, scale)
        of_variables = self._variable_subjects(dict(zip(variables, values, strict=True)), gradients)
        of_layers = _layer_subjects(found, gradients[len(values) :])
        tags: dict[str, tf.Tensor] = {} if loss is None else {"probe_loss": tf.cast(loss, tf.float32)}
        tags.update(_tagged(self._of_layers, of_layers))
        tags.update(_tagged(self._of_variables, of_variables, {"gradient": "probe_"}))
        self._tags[wanted] = list(tags)
        return tf.stack(list(tags.values())) if tags else tf.zeros([0]), _wanted(wanted, of_variables, of_layers)

    def _chosen_layers(self) -> dict[str, keras.Layer]:
        """The outer layers; with a regular expression every layer that matches, inner ones included."""
        if self._layers is None:
            return names.outer_layers(self.model)
        return {n: layer for n, layer in names.all_layers(self.model).items() if re.search(self._layers, n)}

    def _loss_of(self, x: Any, y: Any, predicted: Any, sample_weight: Any) -> tf.Tensor | None:
        try:
            if self._loss is not None:
                return tf.reduce_mean(self._loss(y, predicted))
            if not getattr(self.model, "compiled", False):
                return None
            extra = {"training": self.training} if _accepts(self.model.compute_loss, "training") else {}
            return self.model.compute_loss(x=x, y=y, y_pred=predicted, sample_weight=sample_weight, **extra)
        except Exception as error:  # a loss of the user's may raise anything
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            warnings.warn(f"no gradients on the probe, the rest is measured: {reason}", stacklevel=2)
            return None

    def _variable_subjects(self, values: Mapping[str, tf.Tensor], gradients: Sequence[Any]) -> Subjects:
        result: Subjects = {}
        for (name, value), gradient in zip(values.items(), gradients, strict=False):
            if self._variables is None or re.search(self._variables, name):
                result[name] = {"weight": value} | ({} if gradient is None else {"gradient": gradient})
        return result


def _as_tensors(batch: Sequence[Any]) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) as `fit` would see them: floating arrays in Keras' default float type."""
    if not isinstance(batch, (tuple, list)) or not 1 <= len(batch) <= 3:
        raise ValueError("a probe is (x,), (x, y) or (x, y, sample_weight)")

    def convert(value: Any) -> Any:
        if value is None or tf.is_tensor(value):
            return value
        array = np.asarray(value)
        return tf.constant(array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array)

    x, y, sample_weight = (tf.nest.map_structure(convert, part) for part in (*batch, None, None)[:3])
    return x, y, sample_weight


def _accepts(function: Callable[..., Any], argument: str) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(p.name == argument or p.kind is p.VAR_KEYWORD for p in parameters)


def _call(model: keras.Model, x: Any, training: bool) -> Any:
    return model(x, training=training) if _accepts(model.call, "training") else model(x)


def _compiles(model: keras.Model) -> bool:
    """Compile the probe where `fit` compiles the model, so that both compute the same bits."""
    return bool(getattr(model, "compiled", False) and model.jit_compile)


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
    present = [source for source in sources if source is not None]
    found = iter(tape.gradient(loss, present))
    raw = [None if source is None else next(found) for source in sources]
    dense = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in raw]
    if scale is None:
        return dense
    return [None if gradient is None else tf.cast(gradient, tf.float32) / scale for gradient in dense]


def _layer_subjects(found: Sequence[Caught], gradients: Sequence[Any]) -> Subjects:
    result: Subjects = {}
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


def _tagged(
    chosen: Mapping[str, Statistic], subjects: Subjects, prefixes: Mapping[str, str] | None = None
) -> dict[str, tf.Tensor]:
    prefixes = prefixes or {}
    return {
        f"{prefixes.get(chosen[quantity].subject, '')}{quantity}/{name}": value
        for name, of in subjects.items()
        for quantity, value in evaluate(chosen, of).items()
    }


def _wanted(wanted: frozenset[str], *groups: Subjects) -> dict[str, dict[str, tf.Tensor]]:
    """Regroup the arrays asked for: subject -> name -> tensor."""
    return {
        subject: {name: of[subject] for group in groups for name, of in group.items() if subject in of}
        for subject in wanted
    }
