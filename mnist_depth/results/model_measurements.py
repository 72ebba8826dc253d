"""Measure a live Keras model of any kind on one batch, as training sees it, and leave it unchanged.

One pass in training mode gives gradients and activations by layer; a few trial steps on copies of the weights show
whether the loss falls, and at which learning rates.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mnist_depth.diagnosis import Layer, Measurements, Message, Output, Trial, judge, next_factor
from mnist_depth.diagnosis.from_tags import ACTIVATION_LAYERS, NOT_KERNELS, OF_LAYERS
from mnist_depth.errors import UserError
from mnist_depth.results import batch_facts
from mnist_depth.results.keras_errors import cause_of

OF_OUTPUTS = {field: quantity for field, quantity in OF_LAYERS.items() if field != "pre_activation_gradient"}

STATISTICS = ("gradient_norm", "weight_nonfinite_share", *OF_LAYERS.values())

LARGE = 500_000
"""Parameters from which on trial steps are few and at the model's own learning rate only."""

Progress = Callable[[str], None]


def from_model(
    model: Any, x: Any, y: Any, *, source: str = "", loss: Any = None, progress: Progress | None = None
) -> Measurements:
    """Measure a built Keras model of any kind on one batch, without changing it.

    Weight layers are those with a kernel, in the order of their calls. A model that is not compiled is measured with
    cross-entropy for whole-number labels, else with the mean squared error; `loss(y_true, y_pred)` replaces either.
    Raises UserError when there is no weight layer or the batch does not fit.
    """
    return ModelMeasurer(model, loss=loss, progress=progress).measure(x, y, source=source)


class ModelMeasurer:
    """Measures one model, also again after its weights have changed: everything is traced once."""

    def __init__(self, model: Any, *, loss: Any = None, progress: Progress | None = None) -> None:
        self.model = model
        self._given_loss = loss
        self._progress = progress or (lambda line: None)
        self._probe: Any = None
        self._trial: Any = None

    def measure(self, x: Any, y: Any, *, source: str = "") -> Measurements:
        """All measurements on one batch. Raises UserError as `from_model` does."""
        model = self.model
        data = batch_facts.batch_data(model, x, y)
        loss = self._given_loss or (None if model.compiled else _usual_loss(y))
        self._progress(f"measuring gradients and activations of {model.name}, {model.count_params():,} parameters")
        name = source or f"model {model.name!r} on a batch of {data.examples}"
        try:
            measured = self._measure_once(x, y, loss)
        except UserError:  # the error about labels that the loss rejects is clear enough
            unmeasured = Measurements(name, (), data=data, output=_output_of_last_layer(model, self._given_loss))
            if judge(unmeasured).has_errors:
                return unmeasured
            raise
        layers = _model_layers(model, measured)
        if not any(layer.kernel_gradient is not None or not layer.trainable for layer in layers):
            advice = "; the labels are one-hot: give y.argmax(axis=1), or a loss for them" if is_one_hot(y) else ""
            raise UserError(f"no weight layer of the model has a gradient on this batch{self._reason}{advice}")
        output = _output(model, layers, x, y, self._given_loss)
        found = Measurements(
            source=name,
            layers=_with_time(model, layers, x),
            loss=measured.scalars.get("probe_loss"),
            traits=model_traits(model),
            constant_loss=batch_facts.constant_loss(output, y),
            data=data,
            output=output,
            is_linear=_is_linear(model, layers, x),
            updates=_updates(model),
            learning_rate=_learning_rate(model),
        )
        return self._with_trials(found, x, y, loss)

    # The pass

    def _measure_once(self, x: Any, y: Any, loss: Any) -> Any:
        from mnist_depth.instrument.probe import Probe
        from mnist_depth.instrument.probe_batch import as_tensors

        self._reason = ""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                if self._probe is None:
                    self._probe = Probe(self.model, (x, y), STATISTICS, training=True, loss=loss)
                self._probe.batch = as_tensors((x, y))
                measured = self._probe.measure()
            except Exception as error:  # the model is user code
                raise UserError(f"the model cannot be measured on this batch ({cause_of(error)})") from error
        if caught:
            self._reason = f" ({cause_of(caught[0].message)})"
        return measured

    # Trial steps

    def _with_trials(self, measured: Measurements, x: Any, y: Any, loss: Any) -> Measurements:
        """The measurements with trial steps at the own rate and, where these do not learn, at other rates."""
        from mnist_depth.instrument.probe_batch import as_tensors
        from mnist_depth.results import trial_steps

        large = self.model.count_params() > LARGE
        self._progress("trying optimizer steps on a copy of the weights")
        tensors = as_tensors((x, y))[:2]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self._trial is None:
                    count = trial_steps.FEW_STEPS if large else trial_steps.STEPS
                    self._trial = trial_steps.TrialSteps(self.model, _optimizer(self.model), loss, count)
                steps = self._trial(*tensors, 1.0)
                measured = replace(_moved(self.model, measured, steps), trials=(Trial(1.0, steps.losses),))
                while not large and (factor := next_factor(measured)) is not None:
                    trial = Trial(factor, self._trial(*tensors, factor).losses)
                    measured = replace(measured, trials=(*measured.trials, trial))
        except Exception as error:  # an optimizer or loss of the user's may not work on copies of the weights
            measured = replace(measured, unseen=(Message("trial steps: {reason}", reason=cause_of(error)),))
        return measured


def is_one_hot(y: Any) -> bool:
    """Whether labels [n, classes] hold a single one per row."""
    labels = np.asarray(y)
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "iufb":
        return False
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def _usual_loss(y: Any) -> Any:
    """(y_true, y_pred) -> loss for a model without one of its own."""
    import keras

    whole, one_hot = np.asarray(y).dtype.kind in "iu", is_one_hot(y)

    def loss(y_true: Any, y_pred: Any) -> Any:
        if one_hot and y_pred.shape[-1] == np.shape(y)[1]:
            return keras.losses.categorical_crossentropy(y_true, y_pred, from_logits=not _probabilities(y_pred))
        if not whole or y_pred.shape[-1] == 1:
            return keras.losses.mean_squared_error(y_true, y_pred)
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=not _probabilities(y_pred))

    return loss


def _probabilities(y_pred: Any) -> bool:
    """Whether an output layer's values are already shares: a softmax made them."""
    return getattr(getattr(y_pred, "op", None), "type", "") == "Softmax"


def _optimizer(model: Any) -> Any:
    import keras

    return getattr(model, "optimizer", None) or keras.optimizers.Adam()


def _updates(model: Any) -> int:
    optimizer = getattr(model, "optimizer", None)
    return 0 if optimizer is None else int(np.asarray(optimizer.iterations))


def _learning_rate(model: Any) -> float | None:
    optimizer = getattr(model, "optimizer", None)
    return None if optimizer is None else float(np.asarray(optimizer.learning_rate))


# Layers


def _model_layers(model: Any, measured: Any) -> tuple[Layer, ...]:
    from mnist_depth.instrument import names

    layers = names.outer_layers(model)
    variables = names.variables(model)
    signals = measured.quantity("pre_activation_gradient_norm")
    statistics = {key: measured.quantity(quantity) for key, quantity in OF_OUTPUTS.items()}
    gradients, broken = measured.quantity("probe_gradient_norm"), measured.quantity("weight_nonfinite_share")
    joined = _joined_activations(layers, measured.layers, variables)
    last = _last_weight_layer(measured.layers, variables)
    found = []
    for name in measured.layers:
        kernels = kernels_of(name, variables)
        if not kernels or name not in layers:
            continue
        own = [gradients[variable] for variable in kernels if variable in gradients]
        activation = joined.get(name)
        numbers = {key: values.get(activation or name) for key, values in statistics.items()}
        numbers["nonfinite_share"] = statistics["nonfinite_share"].get(name)
        layer = Layer(
            name,
            pre_activation_gradient=signals.get(name),
            kernel_gradient=math.hypot(*own) if own else None,
            kind=type(layers[name]).__name__,
            units=_units(kernels),
            parameters=int(layers[name].count_params()),
            shape=_shape(layers[name]),
            activation=activation_name(layers[name]) or (activation_name(layers[activation]) if activation else ""),
            trainable=bool(own) or any(variable.trainable for variable in kernels.values()),
            nonfinite_weights=any(broken.get(variable, 0.0) > 0 for variable in kernels),
            is_output=name == last,
            **numbers,
        )
        found.append(_without_softmax(layer))
    return tuple(found)


def kernels_of(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a layer that multiply the signal by a matrix."""
    return {
        path: variable
        for path, variable in variables.items()
        if path.startswith(f"{name}/") and path.rpartition("/")[2] not in NOT_KERNELS and len(variable.shape) > 1
    }


def _last_weight_layer(called: Any, variables: Mapping[str, Any]) -> str | None:
    return next((name for name in reversed(called) if kernels_of(name, variables)), None)


def _units(kernels: Mapping[str, Any]) -> int | None:
    plain = [variable for path, variable in kernels.items() if path.endswith("/kernel")]
    return int(plain[0].shape[-1]) if len(plain) == 1 else None


def _shape(layer: Any) -> tuple[int | None, ...]:
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # a layer of a subclassed model, or one that is called several times
        return ()
    return tuple(shape) if isinstance(shape, tuple) else ()


def activation_name(layer: Any) -> str:
    """The activation of a layer in Keras' words; empty for none or a linear one."""
    known = ACTIVATION_LAYERS.get(type(layer).__name__, "")
    name = known or getattr(getattr(layer, "activation", None), "__name__", "")
    return "" if name == "linear" else name


def _without_softmax(layer: Layer) -> Layer:
    """Softmax outputs are shares of one: neither dead nor saturated."""
    return replace(layer, dead_share=None, saturated_share=None) if layer.activation == "softmax" else layer


def _joined_activations(layers: Mapping[str, Any], called: Any, variables: Mapping[str, Any]) -> dict[str, str]:
    """Weight layer without an activation -> the layer that applies one to its output, past normalization and the like.

    In a functional model by following the graph; in a subclassed one the next activation layer that is called.
    """
    names = {id(layer): name for name, layer in layers.items()}
    found: dict[str, str] = {}
    before = None
    for name in called:
        layer = layers.get(name)
        if layer is None:
            continue
        if type(layer).__name__ in ACTIVATION_LAYERS:
            sources = _sources(layer, names, variables) or ({before} if before else set())
            for source in sources:
                if not activation_name(layers[source]):
                    found.setdefault(source, name)
            before = None
        elif kernels_of(name, variables):
            before = name
    return found


def _sources(layer: Any, names: Mapping[int, str], variables: Mapping[str, Any]) -> set[str]:
    """The nearest weight layers before a layer of a functional graph."""
    found: set[str] = set()
    waiting, seen = [layer], {id(layer)}
    while waiting:
        nodes = getattr(waiting.pop(), "_inbound_nodes", [])
        for parent in (parent.operation for node in nodes for parent in node.parent_nodes):
            if id(parent) in seen:
                continue
            seen.add(id(parent))
            name = names.get(id(parent))
            if name is not None and kernels_of(name, variables):
                found.add(name)
            elif type(parent).__name__ not in ACTIVATION_LAYERS:
                waiting.append(parent)
    return found


def _moved(model: Any, measured: Measurements, steps: Any) -> Measurements:
    """The layers with what the trial steps did to their kernels."""
    from mnist_depth.instrument import names
    from mnist_depth.results.trial_steps import identical_share, movement

    variables = names.trainable_variables(model)
    layers = []
    for layer in measured.layers:
        kernels = kernels_of(layer.name, variables)
        if kernels:
            before = [np.asarray(variable) for variable in kernels.values()]
            after = [steps.weights[path] for path in kernels]
            ratios = [steps.update_ratios[path] for path in kernels if math.isfinite(steps.update_ratios[path])]
            layer = replace(layer, moved=movement(before, after), update_ratio=max(ratios, default=None))
            if layer.kind.startswith(("Dense", "Conv")) and len(kernels) == 1 and layer.units:
                layer = replace(layer, identical_share=identical_share(after[0]))
        layers.append(layer)
    return replace(measured, layers=tuple(layers))


def _with_time(model: Any, layers: tuple[Layer, ...], x: Any) -> tuple[Layer, ...]:
    from mnist_depth.instrument import names
    from mnist_depth.instrument.probe_batch import as_tensors
    from mnist_depth.results.recurrent import time_gains

    gains = time_gains(model, names.outer_layers(model), as_tensors((x,))[0])
    found = []
    for layer in layers:
        own = [gain for name, gain in gains.items() if name == layer.name or name.startswith(f"{layer.name}/")]
        worst = max(own, key=lambda gain: abs(math.log(gain[0])), default=None)
        found.append(layer if worst is None else replace(layer, time_gain=worst[0], time_steps=worst[1]))
    return tuple(found)


# The whole


def _output_of_last_layer(model: Any, given_loss: Any) -> Output:
    """Properties of output and loss that need no measurement."""
    name, logits = batch_facts.loss_name(given_loss or getattr(model, "loss", None))
    last = model.layers[-1] if model.layers else None
    shape: Any = last.output.shape if last is not None and hasattr(last, "output") else ()
    units = shape[-1] if shape and isinstance(shape[-1], int) else None
    return Output(units=units, activation=activation_name(last), loss=name, from_logits=logits)


def _output(model: Any, layers: tuple[Layer, ...], x: Any, y: Any, given_loss: Any) -> Output:
    compiled = getattr(model, "loss", None) if given_loss is None else given_loss
    single = not isinstance(compiled, (dict, list, tuple))
    name, logits = batch_facts.loss_name(compiled) if single and compiled is not None else ("", False)
    last = next((layer for layer in layers if layer.is_output), None)
    if last is None:
        return Output(loss=name, from_logits=logits)
    units = _output_units(model, last)
    found = Output(units=units, activation=last.activation, loss=name, from_logits=logits)
    if name.endswith("crossentropy") and not logits and last.activation in ("", "linear"):
        values = np.asarray(model(_first(x), training=False))
        found = replace(found, minimum=float(np.min(values)), maximum=float(np.max(values)))
    return found


def _first(x: Any, count: int = 256) -> Any:
    import tensorflow as tf

    from mnist_depth.instrument.probe_batch import as_tensors

    return tf.nest.map_structure(lambda part: part[:count], as_tensors((x,))[0])


def _output_units(model: Any, last: Layer) -> int | None:
    shape = getattr(model, "output_shape", None) if hasattr(model, "outputs") else None
    if isinstance(shape, tuple) and shape and isinstance(shape[-1], int):
        return shape[-1]
    return last.units


def _is_linear(model: Any, layers: tuple[Layer, ...], x: Any) -> bool | None:
    """Whether f((a + b) / 2) = (f(a) + f(b)) / 2 before the last activation, of a model with several weight layers."""
    if len(layers) < 2 or any(layer.activation for layer in layers if not layer.is_output):
        return False
    from mnist_depth import instrument

    inputs = np.asarray(x) if hasattr(x, "shape") else None
    if inputs is None or inputs.dtype.kind not in "fiu" or len(inputs) < 2 or not np.isfinite(inputs).all():
        return None
    count = min(len(inputs) // 2, 16)
    first, second = np.float32(inputs[:count]), np.float32(inputs[count : 2 * count])
    mixed = np.concatenate([first, second, (first + second) / 2])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = instrument.measure(model, mixed, statistics=(), arrays=("pre_activation", "activation")).arrays
    except Exception:  # a model that takes no floating-point inputs is no linear one
        return None
    values = found["pre_activation"].get(layers[-1].name)
    if values is None or not np.isfinite(values).all():
        return None
    a, b, middle = np.split(np.float64(values), 3)
    return bool(np.abs((a + b) / 2 - middle).max() <= 1e-4 * max(float(np.abs(values).max()), 1e-30))


def model_traits(model: Any) -> dict[str, str]:
    """Visible traits in RunConfig's vocabulary; the activation is the most frequent hidden one."""
    layers = list(model._flatten_layers(include_self=False))
    kinds = [type(layer).__name__ for layer in layers]
    hidden = [name for name in map(activation_name, layers) if name not in ("", "softmax")]
    optimizer = getattr(model, "optimizer", None)
    initializers = [type(layer.kernel_initializer).__name__ for layer in layers if hasattr(layer, "kernel_initializer")]
    traits = {
        "activation": max(hidden, key=hidden.count) if hidden else None,
        "initializer": _initializer(max(initializers, key=initializers.count)) if initializers else None,
        "batch_norm": "used" if "BatchNormalization" in kinds else None,
        "wiring": "residual" if "Add" in kinds else None,
        "optimizer": None if optimizer is None else type(optimizer).__name__.lower(),
    }
    return {name: value for name, value in traits.items() if value}


INITIALIZERS = {
    "RandomNormal": "normal",
    "RandomUniform": "normal",
    "TruncatedNormal": "normal",
    "Zeros": "zeros",
    "Constant": "zeros",
    "Ones": "zeros",
    "HeNormal": "he_normal",
    "HeUniform": "he_uniform",
    "GlorotNormal": "glorot_normal",
    "GlorotUniform": "glorot_uniform",
    "OrthogonalInitializer": "orthogonal",
    "Orthogonal": "orthogonal",
}
"""Keras' classes -> RunConfig's words; those with a fixed scale are one kind, and so are those without randomness."""


def _initializer(name: str) -> str | None:
    return INITIALIZERS.get(name)
