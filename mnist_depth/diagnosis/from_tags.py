"""Layers from scalars by tag, as gauges and runs write them: `quantity/layer` and `quantity/layer/variable`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mnist_depth.diagnosis.chains import chains
from mnist_depth.diagnosis.measurements import Layer

NOT_KERNELS = ("bias", "gamma", "beta", "scale")
"""Variables of a weight or normalization layer that do not multiply the signal by a matrix."""

ACTIVATION_LAYERS = {
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "leaky_relu",
    "ELU": "elu",
    "Softmax": "softmax",
    "Activation": "",
}
"""Keras layers that are nothing but an activation -> its name; that of `Activation` is its argument."""

OF_LAYERS = {
    "pre_activation_gradient": "pre_activation_gradient_norm",
    "saturated_share": "saturated_share",
    "dead_share": "dead_share",
    "activation_std": "activation_std",
    "across_samples_std": "activation_std_across_samples",
    "nonfinite_share": "activation_nonfinite_share",
}
"""Field of Layer -> quantity of a layer's outputs."""

OF_ACTIVATIONS = ("saturated_share", "dead_share", "activation_std", "across_samples_std")
"""Fields that are measured behind the activation, also where that is a layer of its own."""

OF_UPDATES = ("update_", "gradient_")
"""How quantities of an update begin; its gradient is that of the weights before it."""

KERNEL_GRADIENTS = ("probe_gradient_norm", "gradient_norm")
"""The preferred one first."""


def layers_from_tags(values: Mapping[str, float], described: Sequence[Mapping[str, Any]]) -> tuple[Layer, ...]:
    """The weight layers that were measured, in the given order.

    `described` holds a mapping for every layer of the model: name, and where known class, activation, parameters,
    networks, and whether it is trainable.
    """
    joined = _joined(values, described)
    found = []
    for layer in described:
        name = str(layer["name"])
        gradients = next((own for quantity in KERNEL_GRADIENTS if (own := _of_kernels(values, quantity, name))), [])
        signal = values.get(f"{OF_LAYERS['pre_activation_gradient']}/{name}")
        if not gradients and (signal is None or _is_activation(layer)):
            continue
        found.append(_layer(values, layer, gradients, joined.get(name)))
    return with_outputs(found)


def with_outputs(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The same layers; the last one of every network is its output."""
    outputs = {id(chain[-1]) for chain in chains(layers).values() if chain}
    return tuple(replace(layer, is_output=True) if id(layer) in outputs else layer for layer in layers)


def is_of_start(tag: str, step: int) -> bool:
    """Whether a value says how training began: the network at step 0, or what the first update applied."""
    return step == 0 or (step == 1 and tag.startswith(OF_UPDATES))


def with_networks(
    described: Sequence[Mapping[str, Any]], networks: Mapping[str, Sequence[str]]
) -> list[Mapping[str, Any]]:
    """The same layers, each with the names of the networks that hold it."""
    return [
        {**layer, "networks": tuple(name for name, layers in networks.items() if layer["name"] in layers)}
        for layer in described
    ]


def _layer(values: Mapping[str, float], layer: Mapping[str, Any], gradients: Sequence[float], joined: Any) -> Layer:
    name = str(layer["name"])
    numbers: dict[str, Any] = {field: values.get(f"{quantity}/{name}") for field, quantity in OF_LAYERS.items()}
    if joined is not None:
        numbers |= {field: values.get(f"{OF_LAYERS[field]}/{joined['name']}") for field in OF_ACTIVATIONS}
    activation = _activation(layer) or (_activation(joined) if joined is not None else "")
    if activation == "softmax":
        numbers |= {"dead_share": None, "saturated_share": None}
    parameters = layer.get("parameters")
    return Layer(
        name,
        kernel_gradient=math.hypot(*gradients) if gradients else None,
        update_ratio=max(_of_kernels(values, "update_ratio", name), default=None),
        kind=str(layer.get("class", "")),
        parameters=parameters if type(parameters) is int else None,
        activation=activation,
        trainable=bool(layer.get("trainable", True)),
        nonfinite_weights=any(share > 0 for share in _of_kernels(values, "weight_nonfinite_share", name)),
        networks=tuple(layer.get("networks", ())),
        **numbers,
        **through_time(values, name),
    )


def through_time(values: Mapping[str, float], name: str) -> dict[str, Any]:
    """Fields of a recurrent layer: of several parts, such as two directions, those of the part furthest from one."""
    found = [
        (gain, values.get(tag.replace("time_gain", "time_steps", 1)))
        for tag, gain in values.items()
        if tag == f"time_gain/{name}" or tag.startswith(f"time_gain/{name}/")
    ]
    known = [(gain, int(steps)) for gain, steps in found if steps and not math.isnan(gain)]
    if not known:
        return {}
    gain, steps = max(known, key=lambda one: one[1] * abs(math.log(one[0])) if 0 < one[0] < math.inf else math.inf)
    return {"time_gain": gain, "time_steps": steps}


def _of_kernels(values: Mapping[str, float], quantity: str, name: str) -> list[float]:
    prefix = f"{quantity}/{name}/"
    return [
        value for tag, value in values.items() if tag.startswith(prefix) and tag.rpartition("/")[2] not in NOT_KERNELS
    ]


def _is_activation(layer: Mapping[str, Any]) -> bool:
    return layer.get("class") in ACTIVATION_LAYERS


def _activation(layer: Mapping[str, Any]) -> str:
    name = ACTIVATION_LAYERS.get(str(layer.get("class")), "") or str(layer.get("activation") or "")
    return "" if name == "linear" else name


def _joined(values: Mapping[str, float], described: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Weight layer without an activation of its own -> the next activation layer, as in Dense, normalization, ReLU."""
    found: dict[str, Mapping[str, Any]] = {}
    before: Mapping[str, Any] | None = None
    for layer in described:
        if _is_activation(layer):
            if before is not None and not _activation(before):
                found[str(before["name"])] = layer
            before = None
        elif any(_of_kernels(values, quantity, str(layer["name"])) for quantity in KERNEL_GRADIENTS):
            before = layer
    return found
