"""Measure one forward and one backward pass of a fixed batch, without changing the model.

The pass runs in a `keras.StatelessScope`: all assignments (the averages of BatchNormalization, seed states, metrics)
stay in the scope. Variables and random streams that Keras does not manage are saved and restored. The pass is traced
once; a second trace is reported together with its cause.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import escape
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mnist_depth.instrument import names
from mnist_depth.instrument.capture import Caught, catching
from mnist_depth.instrument.forward import Loss, loss_of, predict
from mnist_depth.instrument.limits import limits
from mnist_depth.instrument.probe_batch import as_tensors
from mnist_depth.instrument.state_guard import plain_variables, random_streams, unchanged, written_variables
from mnist_depth.instrument.statistics import LAYER_SUBJECTS, STATISTICS, choose, evaluate
from mnist_depth.instrument.time_gradient import catching_sequences, time_subjects
from mnist_depth.instrument.training_loss import why_unknown

PROBE = "probe_"
"""Prefix of a gradient that was measured on a probe, not applied by training."""

MAX_LOSS_SCALE = 1024.0
"""Half precision then holds gradients from 6e-11 to 64 with respect to one output."""


@dataclass(repr=False)
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

    def __repr__(self) -> str:
        quantities = {tag.partition("/")[0] for tag in self.scalars}
        span = f" ({self.layers[0]} to {self.layers[-1]})" if self.layers else ""
        return (
            f"Measurement: {len(quantities)} quantities of {len(self.layers)} layers{span}\n"
            "  .quantity(name)  .scalars  .layers  .arrays"
        )

    def _repr_html_(self) -> str:
        """A row per layer with every quantity of layers, for a notebook."""
        columns = list(
            dict.fromkeys(tag.partition("/")[0] for tag in self.scalars if tag.partition("/")[2] in self.layers)
        )
        values = {name: self.quantity(name) for name in columns}
        head = "".join(f"<th>{escape(name)}</th>" for name in ("layer", *columns))
        rows = [
            f"<tr><th>{escape(layer)}</th>"
            + "".join(
                f"<td>{values[name][layer]:.3g}</td>" if layer in values[name] else "<td></td>" for name in columns
            )
            + "</tr>"
            for layer in self.layers
        ]
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


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

    The gradients of variables carry the prefix `probe_`. `arrays` names the subjects whose arrays to return. The model
    keeps what was traced, so that the next call with a batch of the same shapes costs a forward and a backward pass.
    """
    options = (tuple(statistics), tuple(arrays), training, layers, variables)
    batch = (x, y, sample_weight)
    unknown = why_unknown(model) if loss is None and getattr(model, "compiled", False) else None
    if unknown is not None:
        warnings.warn(f"no gradients, the rest is measured: {unknown}; give loss=", stacklevel=2)
    known: dict[Any, Probe] = vars(model).get(CACHE, {})
    probe = known.get((options, loss))
    if probe is None or not probe.is_current():
        probe = Probe(
            model,
            batch,
            statistics,
            arrays,
            training=training,
            layers=layers,
            variables=variables,
            loss=loss,
            gradients=unknown is None,
        )
        known = dict([*known.items(), ((options, loss), probe)][-MAX_CACHED:])
        object.__setattr__(model, CACHE, known)  # bypasses Keras' attribute tracking
    else:
        probe.batch = as_tensors(batch, model)
    return probe.measure(arrays=True)


CACHE = "_mnist_depth_probes"
"""Where a model keeps the probes of `measure`, so that they live as long as it does."""

MAX_CACHED = 4


class Probe:
    """A fixed batch and the function that measures a model on it."""

    def __init__(
        self,
        model: keras.Model,
        batch: Any,
        statistics: Collection[str],
        arrays: Collection[str] = (),
        *,
        training: bool = False,
        layers: str | None = None,
        variables: str | None = None,
        loss: Loss | None = None,
        gradients: bool = True,
        eager: bool = False,
    ) -> None:
        """`eager` runs the pass without tracing it: faster for a single measurement."""
        self.model = model
        self._eager = eager
        self.batch = as_tensors(batch, model)
        self._arrays = tuple(arrays)
        self._training, self._loss, self._gradients = training, loss, gradients
        self._of_variables = choose(statistics, ("gradient", "weight"))
        self._of_layers = choose(statistics, LAYER_SUBJECTS)
        self._layers, self._variables = layers, variables
        self._function: Callable[..., Any] | None = None
        self._written: dict[Any, list[tuple[Any, Any]]] = {}
        self._signature: dict[str, Any] = {}
        self._tags: list[str] = []
        self._order: dict[str, int] = {}
        self._found: tuple[str, ...] = ()
        self._warned = False

    def measure(self, arrays: bool = False) -> Measurement:
        """Every chosen statistic, and the chosen arrays if asked for."""
        self._guard()
        with random_streams():
            values, tensors = self._run_unchanged()
        self._signature = self._found_signature()  # a first call may have created variables
        scalars = dict(zip(self._tags, np.asarray(values).tolist(), strict=True))
        wanted = tensors if arrays else {}
        return Measurement(
            {tag: scalars[tag] for tag in self._in_order(scalars)},
            self._found,
            {subject: {name: np.asarray(tensor) for name, tensor in of.items()} for subject, of in wanted.items()},
        )

    def _run_unchanged(self) -> tuple[Any, dict[str, dict[str, Any]]]:
        """Run the pass once and undo its writes to variables that a StatelessScope cannot hold."""
        if self._eager or getattr(self.model, "run_eagerly", False):
            with unchanged(plain_variables(self.model)):
                return self._run(*self.batch)
        if self._function is None:
            # Not XLA-compiled: it rarely runs, and compiling takes longer than a short training. Each probe wraps its
            # own partial: TensorFlow would count the `_run` of all probes as one function and warn of retracing.
            self._function = tf.function(partial(self._run), autograph=False)
            self._written = {}
        concrete = cast(Any, self._function).get_concrete_function(*self.batch)
        if id(concrete) not in self._written:
            # Known only now that the pass is traced; the search is worth keeping, one list for every batch shape.
            self._written[id(concrete)] = written_variables(concrete.graph)
        with unchanged(self._written[id(concrete)]):
            return cast(Any, self._function)(*self.batch)

    def must_trace(self) -> bool:
        """Whether the next measurement traces the model, which takes about as long as Keras' own first step."""
        return self._function is None or not self.is_current()

    def is_current(self) -> bool:
        """Whether the model is unchanged since it was traced."""
        return not self._signature or self._signature == self._found_signature()

    def _found_signature(self) -> dict[str, Any]:
        return {
            "trainable variables": tuple(id(v) for v in self.model.trainable_variables),
            "layers": tuple(id(layer) for layer in self.model._flatten_layers()),
            "optimizer": id(getattr(self.model, "optimizer", None)),
            "loss": id(getattr(self.model, "_compile_loss", None)),
        }

    def _guard(self) -> None:
        """Trace again if the model has changed, with a warning: every new trace costs seconds."""
        found = self._found_signature()
        changed = [what for what, value in self._signature.items() if found[what] != value]
        if changed:
            warnings.warn(f"the probe is traced anew: the model's {', '.join(changed)} changed", stacklevel=4)
            self._function = None

    def _in_order(self, scalars: Mapping[str, float]) -> list[str]:
        """Tags by layer in depth order, then by variable in the model's: they come grouped by shape."""
        return sorted(scalars, key=lambda tag: self._order.get(tag.partition("/")[2], -1))

    def _run(self, x: Any, y: Any, sample_weight: Any) -> tuple[tf.Tensor, dict[str, dict[str, tf.Tensor]]]:
        variables = names.trainable_variables(self.model)
        # The variables themselves are watched, not copies of their values: layers under @tf.function or keras.remat
        # read the variables directly.
        sources = [variable.value for variable in variables.values()]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for source in sources:
                tape.watch(source)
            # Only Keras' regularization losses ask the scope for values.
            penalized = [variable for variable in variables.values() if variable.regularizer is not None]
            state = [(variable, tf.convert_to_tensor(variable.value)) for variable in penalized]
            scope = keras.StatelessScope(state, collect_losses=True)
            layers = self._chosen_layers()
            with scope, catching(layers, tape.watch) as found, catching_sequences(self._recurrent(layers)) as sequences:
                predicted = predict(self.model, x, self._training)
                loss = self._loss_of(x, y, predicted, sample_weight)
            # As in training: a half-precision gradient underflows unless the loss is scaled before the backward pass.
            scale = _loss_scale(self.model)
            scaled = loss if loss is None or scale is None else tf.cast(loss, tf.float32) * scale
        sources = [*sources, *(c.output for c in found), *(c.pre_activation for c in found)]
        # One backward pass for everything: `gradients` is in the order of variables, outputs, pre-activations.
        gradients = _gradients(tape, scaled, sources, scale)
        values = {name: tf.convert_to_tensor(variable.value) for name, variable in variables.items()}
        of_variables = self._variable_subjects(values, gradients)
        of_layers = _layer_subjects(found, gradients[len(values) :])
        self._found = tuple(of_layers)
        self._order = {name: place for place, name in enumerate([*of_layers, *variables])}
        if loss is not None and self._gradients:
            self._warn_of_missing([name for name, of in of_variables.items() if "gradient" not in of])
        of_time = time_subjects(sequences)
        return self._evaluate(loss, of_layers, of_time, of_variables), self._wanted(of_layers, of_time, of_variables)

    def _loss_of(self, x: Any, y: Any, predicted: Any, sample_weight: Any) -> Any:
        if not self._gradients:
            return None
        return loss_of(self.model, self._loss, x, y, predicted, sample_weight, self._training)

    def _warn_of_missing(self, missing: Sequence[str]) -> None:
        """Warn about variables that the loss on the probe does not depend on."""
        if missing and not self._warned:
            self._warned = True
            shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            warnings.warn(
                f"no gradient on the probe for {shown}: its loss does not depend on them; if training changes them, "
                "gradients='applied' in fit shows how",
                stacklevel=2,
            )

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

    def _recurrent(self, chosen: Mapping[str, keras.Layer]) -> dict[str, keras.Layer]:
        """The layers that match, and those inside them, if gradients through time are wanted."""
        if "time_gain" not in self._of_layers and "time_gradient" not in self._arrays:
            return {}
        return {
            name: layer
            for name, layer in names.all_layers(self.model).items()
            if any(name == outer or name.startswith(f"{outer}/") for outer in chosen)
        }

    def _evaluate(
        self, loss: Any, of_layers: dict[str, Any], of_time: dict[str, Any], of_variables: dict[str, Any]
    ) -> tf.Tensor:
        layer_tags, layer_values = evaluate(self._of_layers, of_layers)
        time_tags, time_values = evaluate(self._of_layers, of_time)
        variable_tags, variable_values = evaluate(self._of_variables, of_variables)
        losses = [] if loss is None else [tf.reshape(loss, [1])]
        self._tags = ["probe_loss"] * len(losses) + layer_tags + time_tags + self._own_tags(variable_tags)
        # One vector [tags] for all statistics: a single copy from the device, whatever their number.
        groups = [*losses, layer_values, time_values, variable_values]
        widest = tf.float64 if any(group.dtype == tf.float64 for group in groups) else tf.float32
        return tf.concat([tf.cast(group, widest) for group in groups], axis=0)

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
    """What to multiply the loss with, so that half-precision gradients neither underflow nor overflow.

    That of training at most: it grows until gradients overflow, a step that `fit` skips and that is no fault.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or (not hasattr(optimizer, "inner_optimizer") and optimizer.loss_scale_factor is None):
        return None
    return tf.minimum(tf.cast(optimizer.scale_loss(tf.ones([])), tf.float32), MAX_LOSS_SCALE)


def _gradients(tape: tf.GradientTape, loss: Any, sources: Sequence[Any], scale: tf.Tensor | None) -> list[Any]:
    """Gradient at each source, dense and unscaled; None where the loss does not depend on it."""
    if loss is None:
        return [None] * len(sources)
    # The tape takes no None (a layer without a pre-activation), so leave these out and put them back in place.
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
