"""Capture the output of every layer during one call of a model.

The `call` and `activation` of every layer instance are shadowed for the duration of one call of the model. This works
for Sequential, functional, subclassed and nested models, traced or eager, and is fully undone afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf


@dataclass
class Caught:
    """One output of one call of a layer."""

    name: str
    layer: keras.Layer
    output: tf.Tensor
    pre_activation: tf.Tensor | None
    """What went into the layer's own `activation`."""


def _place() -> Any:
    """The graph under construction, None when eager. Tensors of an inner loop's graph must not leave it."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def _usable(value: Any) -> bool:
    return isinstance(value, tf.Tensor) and value.dtype.is_floating and bool(value.shape.rank)


@contextlib.contextmanager
def shadowed(instance: Any, attribute: str, replacement: Any) -> Iterator[None]:
    """Replace an attribute of one instance, past Keras' own attribute tracking."""
    own = vars(instance)
    before = own.get(attribute)
    object.__setattr__(instance, attribute, replacement)
    try:
        yield
    finally:
        if before is None:
            object.__delattr__(instance, attribute)
        else:
            object.__setattr__(instance, attribute, before)


def untraced(call: Any) -> Callable[..., Any]:
    """The function without the traces of its `@tf.function`: training must not reuse a trace made while measuring."""
    inner = getattr(call, "python_function", None)
    return call if inner is None else tf.function(inner)


class _Catcher:
    """Collects in the order in which calls end."""

    def __init__(self, watch: Callable[[tf.Tensor], None]) -> None:
        self.caught: list[Caught] = []
        self._watch = watch
        self._home = _place()
        self._calls: dict[str, int] = {}
        self._inputs: dict[str, list[tf.Tensor]] = {}

    def call(self, name: str, layer: keras.Layer, original: Callable[..., Any]) -> Callable[..., Any]:
        original = untraced(original)

        def call(*args: Any, **kwargs: Any) -> Any:
            # `activation` below appends what the layer's own activation receives during this call.
            self._inputs[name] = []
            result = original(*args, **kwargs)
            if _place() is self._home:
                self._collect(name, layer, result)
            return result

        return call

    def activation(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def activation(x: Any, *args: Any, **kwargs: Any) -> Any:
            # The tape must watch z before the activation uses it, or dL/dz would be None.
            if _place() is self._home and _usable(x):
                self._watch(x)
                self._inputs.setdefault(name, []).append(x)
            return original(x, *args, **kwargs)

        return activation

    def _collect(self, name: str, layer: keras.Layer, result: Any) -> None:
        self._calls[name] = call = self._calls.get(name, 0) + 1
        base = name if call == 1 else f"{name}/call_{call}"
        outputs = [value for value in tf.nest.flatten(result) if _usable(value)]
        inputs = self._inputs.pop(name)
        for index, output in enumerate(outputs, start=1):
            self._watch(output)
            # A gated layer applies its activation several times: no single input of it is the pre-activation.
            pre_activation = inputs[0] if len(inputs) == 1 and index == 1 else None
            self.caught.append(Caught(base if index == 1 else f"{base}/output_{index}", layer, output, pre_activation))


@contextlib.contextmanager
def catching(layers: Mapping[str, keras.Layer], watch: Callable[[tf.Tensor], None]) -> Iterator[list[Caught]]:
    """Within the context, calls of `layers` (by name) append to the list; `watch` gets every tensor caught.

    A second call of a shared layer is named `name/call_2`, a second output `name/output_2`. Calls inside a traced loop
    (the cell of a recurrent layer) are left out: their tensors exist only there.
    """
    catcher = _Catcher(watch)
    with contextlib.ExitStack() as stack:
        for name, layer in layers.items():
            stack.enter_context(shadowed(layer, "call", catcher.call(name, layer, layer.call)))
            if getattr(layer, "quantization_mode", None) is not None:  # Keras calls this in place of `call`
                stack.enter_context(shadowed(layer, "quantized_call", catcher.call(name, layer, layer.quantized_call)))
            activation = vars(layer).get("activation")
            if callable(activation):
                stack.enter_context(shadowed(layer, "activation", catcher.activation(name, activation)))
        yield catcher.caught
