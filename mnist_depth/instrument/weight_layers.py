"""The weight layers of a live model with what was measured of them, for a diagnosis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mnist_depth.diagnosis import Layer
from mnist_depth.diagnosis.from_tags import ACTIVATION_LAYERS, OF_LAYERS, through_time, with_outputs
from mnist_depth.instrument.names import is_kernel
from mnist_depth.instrument.towers import towers_of
from mnist_depth.instrument.traits import activation_name

OF_OUTPUTS = {field: quantity for field, quantity in OF_LAYERS.items() if field != "pre_activation_gradient"}


def model_layers(model: Any, measured: Any) -> tuple[Layer, ...]:
    from mnist_depth.instrument import names

    layers = names.outer_layers(model)
    variables = names.variables(model)
    signals = measured.quantity("pre_activation_gradient_norm")
    statistics = {key: measured.quantity(quantity) for key, quantity in OF_OUTPUTS.items()}
    gradients, broken = measured.quantity("probe_gradient_norm"), measured.quantity("weight_nonfinite_share")
    joined = _joined_activations(layers, measured.layers, variables)
    networks = towers_of(model)
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
            networks=tuple(network for network, members in networks.items() if name in members),
            **numbers,
            **through_time(measured.scalars, name),
        )
        found.append(_without_softmax(layer))
    return with_outputs(found)


def kernels_of(name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a layer that multiply the signal by a matrix."""
    return {
        path: variable
        for path, variable in variables.items()
        if path.startswith(f"{name}/") and is_kernel(path, variable)
    }


def _units(kernels: Mapping[str, Any]) -> int | None:
    plain = [variable for path, variable in kernels.items() if path.endswith("/kernel")]
    return int(plain[0].shape[-1]) if len(plain) == 1 else None


def _shape(layer: Any) -> tuple[int | None, ...]:
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):  # a layer of a subclassed model, or one that is called several times
        return ()
    return tuple(shape) if isinstance(shape, tuple) else ()


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
