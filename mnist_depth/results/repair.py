"""Change a model so that it can learn: a new model by cloning, verified by measuring it again.

Remedies are tried in the order that the benchmark shows (docs/diagnosis.md); the first is returned whose trial steps
learn and whose diagnosis has no error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_depth.diagnosis import Diagnosis, Measurements, judge, summary_line
from mnist_depth.diagnosis.learning import learning_factors
from mnist_depth.errors import UserError
from mnist_depth.results.lsuv import lsuv, weight_layers
from mnist_depth.results.model_measurements import ACTIVATION_LAYERS, activation_name, from_model

LINEAR_TAILED = ("relu", "leaky_relu", "elu", "selu", "swish", "silu", "gelu", "mish")
"""Activations that do not saturate for large inputs; all others are replaced."""

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
        """What was changed, and the verdicts before and after."""
        changed = "\n".join(f"- {change}" for change in self.changes) or "- nothing"
        return f"{changed}\nBefore: {summary_line(self.before)}\nAfter:  {summary_line(self.after)}"


def repair(model: Any, x: Any, y: Any, *, before: Diagnosis | None = None) -> Repaired:
    """A new model with the first remedy that removes the errors of `model` on this batch; the model stays unchanged.

    Sequential and functional models of Keras layers are cloned with another learning rate, fresh weights, another
    activation, batch normalization or residual connections. Weights that are kept are copied. Any other model is copied
    where Keras can (`get_config`) and rescaled with `lsuv`. Errors of data, labels or loss are not repaired: the text
    says so. Raises UserError when the model cannot be measured or copied.
    """
    measured = from_model(model, x, y)
    before = before or judge(measured)
    if not before.has_errors:
        return Repaired(model, (), before, before)
    best: Repaired | None = None
    for attempt in _attempts(model, measured):
        try:
            candidate, changes = attempt(x)
        except UserError:
            raise
        except Exception:  # a user's layer may not support this kind of cloning; the next kind may work
            continue
        for repaired in _with_rates(candidate, changes, before, x, y):
            if repaired.is_better:
                return repaired
            best = best or repaired
    if best is None:
        raise UserError("the model cannot be copied: its class needs get_config, or a Sequential or functional model")
    return Repaired(model, (), before, before)


def _with_rates(candidate: Any, changes: Sequence[str], before: Diagnosis, x: Any, y: Any) -> list[Repaired]:
    """The candidate, at the rate at which its trial steps learn."""
    measured = from_model(candidate, x, y)
    found = judge(measured)
    if found.has_errors and (factors := learning_factors(measured)):
        best = min(factors, key=lambda factor: abs(np.log(factor)))
        changes = (*changes, _scale_rate(candidate, best))
        found = judge(from_model(candidate, x, y))
    return [Repaired(candidate, tuple(changes), before, found)]


Attempt = Callable[[Any], tuple[Any, tuple[str, ...]]]


def _attempts(model: Any, measured: Measurements) -> list[Attempt]:
    """Remedies, the least change first."""
    factors = [factor for factor in learning_factors(measured) if factor != 1]
    return [
        *([lambda x: _other_rate(model, factors)] if factors else []),
        lambda x: _fresh(model),
        lambda x: _rescaled(model, x),
        lambda x: _rebuilt(model, activation=REPLACEMENT),
        lambda x: _rebuilt(model, activation=REPLACEMENT, batch_norm=True),
        lambda x: _rebuilt(model, activation=REPLACEMENT, residual=True),
        lambda x: _rebuilt(model, activation=REPLACEMENT, batch_norm=True, residual=True),
    ]


def _other_rate(model: Any, factors: Sequence[float]) -> tuple[Any, tuple[str, ...]]:
    clone = _copy(model)
    best = min(factors, key=lambda factor: abs(np.log(factor)))
    return clone, (_scale_rate(clone, best),)


def _scale_rate(model: Any, factor: float) -> str:
    import keras

    optimizer = model.optimizer
    schedule = getattr(optimizer, "_learning_rate", None)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        raise ValueError("the learning rate is a schedule")
    old = float(np.asarray(optimizer.learning_rate))
    optimizer.learning_rate = old * factor
    return f"learning rate {old:.3g} -> {old * factor:.3g}"


def _fresh(model: Any) -> tuple[Any, tuple[str, ...]]:
    """The same layers with initializers that fit their activations, and biases of zero."""
    return _rebuilt(model)


def _rescaled(model: Any, x: Any) -> tuple[Any, tuple[str, ...]]:
    clone = _copy(model)
    done = lsuv(clone, x)
    return clone, (f"{len(done)} kernels rescaled to unit variance across samples (LSUV)",)


def _copy(model: Any) -> Any:
    """The same model with the same weights and settings."""
    import keras

    clone = keras.models.clone_model(model)
    if not clone.built and model.built:
        raise ValueError("the copy is not built")
    clone.set_weights(model.get_weights())
    return _compiled_like(model, clone)


def _compiled_like(model: Any, clone: Any) -> Any:
    if model.compiled:
        config = model.get_compile_config()
        clone.compile_from_config(config)
    return clone


# Rebuilding


def _rebuilt(
    model: Any, *, activation: str | None = None, batch_norm: bool = False, residual: bool = False
) -> tuple[Any, tuple[str, ...]]:
    """A clone whose hidden weight layers have new weights and the requested changes."""
    import keras

    last = _last_weight_layer(model)
    changed: dict[str, list[str]] = {}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if activation is not None and layer is not last and _replaceable(layer):
            config = _with_activation(layer, config, activation, changed)
        if isinstance(layer, weight_layers()):
            name = activation if activation is not None and layer is not last else activation_name(layer)
            config = _with_initializer(layer, config, name or "linear", layer is last, changed)
        return _made(layer, config, activation)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name not in hidden:
            return layer(*args, **kwargs)
        return _wrapped_call(layer, args, kwargs, batch_norm=batch_norm, residual=residual)

    hidden = {layer.name for layer in model.layers if isinstance(layer, weight_layers()) and layer is not last}
    functional = model
    if isinstance(model, keras.Sequential):
        functional = keras.Model(model.inputs, model.outputs)
    copy = keras.models.clone_model(functional, clone_function=clone, call_function=call)
    changes = [f"{what}: {', '.join(dict.fromkeys(names))}" for what, names in _grouped(changed).items()]
    if batch_norm and hidden:
        changes.append(f"batch normalization before the activation of {len(hidden)} layers")
    if residual and hidden:
        changes.append("residual connections around hidden layers of equal shape")
    return _compiled_like(model, copy), tuple(changes)


def _grouped(changed: dict[str, list[str]]) -> dict[str, list[str]]:
    """Change -> layers; many layers are counted."""
    return {what: names if len(names) <= 3 else [f"{len(names)} layers"] for what, names in changed.items()}


def _last_weight_layer(model: Any) -> Any:
    return next((layer for layer in reversed(model.layers) if isinstance(layer, weight_layers())), None)


def _replaceable(layer: Any) -> bool:
    name = activation_name(layer)
    is_layer = type(layer).__name__ in ACTIVATION_LAYERS
    return bool(name) and name != "softmax" and (is_layer or isinstance(layer, weight_layers()))


def _with_activation(
    layer: Any, config: dict[str, Any], activation: str, changed: dict[str, list[str]]
) -> dict[str, Any]:
    old = activation_name(layer)
    if old == activation:
        return config
    changed.setdefault(f"activation {old} -> {activation}", []).append(layer.name)
    return {**config, "activation": activation}


def _with_initializer(
    layer: Any, config: dict[str, Any], activation: str, is_last: bool, changed: dict[str, list[str]]
) -> dict[str, Any]:
    name = "he_normal" if activation in LINEAR_TAILED and not is_last else "glorot_uniform"
    old = type(layer.kernel_initializer).__name__
    changed.setdefault(f"weights drawn anew, initializer {old} -> {name}, biases zero", []).append(layer.name)
    return {**config, "kernel_initializer": name, "bias_initializer": "zeros"}


def _made(layer: Any, config: dict[str, Any], activation: str | None) -> Any:
    import keras

    if activation is not None and type(layer).__name__ in ACTIVATION_LAYERS and _replaceable(layer):
        return keras.layers.Activation(activation, name=layer.name)
    return type(layer).from_config(config)


def _wrapped_call(layer: Any, args: Any, kwargs: Any, *, batch_norm: bool, residual: bool) -> Any:
    """Call a hidden weight layer with normalization before its activation, and a shortcut around it."""
    import keras

    activation = layer.activation
    if batch_norm:
        layer.activation = keras.activations.linear
    outputs = layer(*args, **kwargs)
    if batch_norm:
        outputs = keras.layers.BatchNormalization(name=f"{layer.name}_norm")(outputs)
        if activation is not keras.activations.linear:
            outputs = keras.layers.Activation(activation, name=f"{layer.name}_activation")(outputs)
    if residual and args[0].shape == outputs.shape:
        outputs = keras.layers.Add(name=f"{layer.name}_add")([args[0], outputs])
    return outputs
