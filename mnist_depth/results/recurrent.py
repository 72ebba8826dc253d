"""How a recurrent layer changes the gradient from time step to time step, toward the first one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_depth.instrument.capture import shadowed
from mnist_depth.instrument.forward import predict

MAX_STEPS = 48
"""Time steps, counted from the last, over which the factor is fitted."""

MAX_EXAMPLES = 16


def recurrent_layers(layers: Mapping[str, keras.Layer]) -> dict[str, keras.layers.RNN]:
    """The layers with a cell, by name; both directions of a bidirectional one."""
    found: dict[str, keras.layers.RNN] = {}
    for name, layer in layers.items():
        if isinstance(layer, keras.layers.Bidirectional):
            found.update({f"{name}/forward": layer.forward_layer, f"{name}/backward": layer.backward_layer})
        elif isinstance(layer, keras.layers.RNN):
            found[name] = layer
    return found


def time_gains(model: keras.Model, layers: Mapping[str, keras.Layer], x: Any) -> dict[str, tuple[float, int]]:
    """Layer -> (factor of the gradient per time step, number of time steps)."""
    recurrent = recurrent_layers(layers)
    if not recurrent:
        return {}
    few = tf.nest.map_structure(lambda part: part[:MAX_EXAMPLES], x)
    sequences = _inputs(model, recurrent, few)
    found = {name: _time_gain(recurrent[name], sequence) for name, sequence in sequences.items()}
    return {name: gain for name, gain in found.items() if gain is not None}


def _inputs(model: keras.Model, recurrent: Mapping[str, keras.layers.RNN], x: Any) -> dict[str, Any]:
    """What goes into every recurrent layer, from one call of the model."""
    import contextlib

    caught: dict[str, Any] = {}

    def catching(name: str, call: Any) -> Any:
        def inside(sequence: Any, *args: Any, **kwargs: Any) -> Any:
            caught[name] = sequence
            return call(sequence, *args, **kwargs)

        return inside

    with contextlib.ExitStack() as stack:
        stack.enter_context(keras.StatelessScope())
        for name, layer in recurrent.items():
            stack.enter_context(shadowed(layer, "call", catching(name, layer.call)))
        predict(model, x, training=False)
    return caught


def _time_gain(layer: keras.layers.RNN, sequence: Any) -> tuple[float, int] | None:
    """Unroll the cell over the last steps and fit log ||d(last state)/d(state)|| over the time step."""
    steps = int(sequence.shape[1])
    if layer.go_backwards:
        sequence = sequence[:, ::-1]
    used = min(steps, MAX_STEPS)
    try:
        norms = _norms(layer, sequence[:, steps - used :])
    except Exception:  # a cell of the user's may need more than an input and its states
        return None
    good = [(index, np.log(norm)) for index, norm in enumerate(norms) if norm > 0 and np.isfinite(norm)]
    if len(good) < 3:
        return None
    slope = np.polyfit(*zip(*good, strict=True), deg=1)[0]
    return float(np.exp(-slope)), steps


def _norms(layer: keras.layers.RNN, sequence: Any) -> list[float]:
    """||gradient|| of a random direction of the last states at the states before every step, first step first."""
    cell = layer.cell
    generator = np.random.default_rng(0)
    with keras.StatelessScope(), tf.GradientTape(persistent=False) as tape:
        states: Any = layer.get_initial_state(sequence.shape[0])
        seen = []
        for index in range(sequence.shape[1]):
            tape.watch(states)
            seen.append(states)
            _, states = cell(sequence[:, index], states, training=False)
        direction = [tf.constant(generator.standard_normal(part.shape), part.dtype) for part in tf.nest.flatten(states)]
        target = tf.add_n([tf.reduce_sum(p * d) for p, d in zip(tf.nest.flatten(states), direction, strict=True)])
    gradients = tape.gradient(target, seen)
    return [float(tf.linalg.global_norm([g for g in tf.nest.flatten(part) if g is not None])) for part in gradients]
