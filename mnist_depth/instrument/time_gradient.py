"""How the gradient changes from time step to time step inside a recurrent layer.

The recurrent loop hides its states from the gradient tape, so the cell is applied again, step by step, to what went
into the layer.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from mnist_depth.instrument.capture import shadowed
from mnist_depth.instrument.error_text import cause
from mnist_depth.instrument.forward import accepts

MAX_EXAMPLES = 16
"""Examples of the batch that are followed through time."""


@dataclass
class Sequence:
    """What went into a recurrent layer."""

    layer: keras.layers.RNN
    inputs: tf.Tensor
    """[n, time, ...]."""
    mask: tf.Tensor | None
    """bool [n, time]; the state passes unchanged through steps where it is False."""
    states: Any
    """At the beginning; None for the layer's own."""


@contextlib.contextmanager
def catching_sequences(layers: Mapping[str, keras.Layer]) -> Iterator[dict[str, Sequence]]:
    """Within the context, the first call of every recurrent layer notes what goes into it."""
    caught: dict[str, Sequence] = {}
    with contextlib.ExitStack() as stack:
        for name, layer in layers.items():
            if isinstance(layer, keras.layers.RNN):
                stack.enter_context(shadowed(layer, "call", _catching(name, layer, caught)))
        yield caught


def _catching(name: str, layer: keras.layers.RNN, caught: dict[str, Sequence]) -> Callable[..., Any]:
    original, outside = layer.call, _graph()

    def call(sequences: Any, initial_state: Any = None, mask: Any = None, **options: Any) -> Any:
        # A tensor of an inner loop's graph exists only there.
        if name not in caught and isinstance(sequences, tf.Tensor) and _graph() is outside:
            mask_tensor = tf.nest.flatten(mask)[0] if mask is not None else None
            caught[name] = Sequence(layer, sequences, mask_tensor, initial_state)
        return original(sequences, initial_state=initial_state, mask=mask, **options)

    return call


def _graph() -> Any:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def time_subjects(sequences: Mapping[str, Sequence]) -> dict[str, dict[str, tf.Tensor]]:
    """Layer -> `time_gradient`; layers that cannot be followed are left out, with a warning."""
    found = {}
    for name, sequence in sequences.items():
        try:
            with keras.StatelessScope():
                found[name] = {"time_gradient": log_norms(sequence)}
        except Exception as error:  # a cell of the user's may need more than an input and its states
            warnings.warn(f"the gradient through time of {name} is not measured: {cause(error)}", stacklevel=2)
    return found


def log_norms(sequence: Sequence) -> tf.Tensor:
    """log ||gradient of a random direction of the last states at the states before a step||, [time], first step first.

    Its differences are exact far outside of float32: every step back divides by the norm and adds its logarithm.
    """
    inputs, mask = _time_major(sequence)
    start = _start(sequence, tf.shape(inputs)[1])
    step = _step_of(sequence.layer.cell, start)
    flat = [tf.identity(state) for state in tf.nest.flatten(start)]
    # States after every step, [time, n, ...] each; the states before a step are those after the one before it.
    after = tf.scan(lambda states, of: step(states, *of), (inputs, mask), flat)
    before = [tf.concat([first[None], later[:-1]], axis=0) for first, later in zip(flat, after, strict=True)]

    # Reverse mode by hand: tf.scan keeps what each step returns, where a tape over the whole sequence would return only
    # the gradient at the first step. `gradients` has the shapes of the states, and norm one.
    def back(carried: Any, of: Any) -> Any:
        gradients, _ = carried
        x, valid, *states = of
        with tf.GradientTape() as tape:
            tape.watch(states)
            following = step(states, x, valid)
        found = tape.gradient(
            following, states, output_gradients=gradients, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return _normalized(list(found), carried[1])

    # A direction that is fixed (stateless, so that no random stream moves): curves over training steps compare.
    directions = [
        tf.cast(tf.random.stateless_normal(tf.shape(state), seed=(0, index)), state.dtype)
        for index, state in enumerate(flat)
    ]
    _, logs = tf.scan(back, (inputs, mask, *before), _normalized(directions, tf.zeros([])), reverse=True)
    return logs


def _normalized(gradients: list[Any], log: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Gradients of norm one, and the logarithm of their norm added to the sum so far."""
    size = tf.linalg.global_norm([tf.cast(gradient, tf.float32) for gradient in gradients])
    unit = tf.where(size > 0, size, 1.0)
    return [gradient / tf.cast(unit, gradient.dtype) for gradient in gradients], log + tf.math.log(size)


def _time_major(sequence: Sequence) -> tuple[tf.Tensor, tf.Tensor]:
    """Inputs [time, n, ...] and mask [time, n] in the order in which the layer reads them."""
    inputs = sequence.inputs[:MAX_EXAMPLES]
    mask = tf.ones(tf.shape(inputs)[:2], tf.bool) if sequence.mask is None else sequence.mask[:MAX_EXAMPLES]
    inputs, mask = (tf.transpose(part, [1, 0, *range(2, part.shape.rank)]) for part in (inputs, mask))
    axis = [0] if sequence.layer.go_backwards else []
    return tf.reverse(inputs, axis), tf.reverse(tf.cast(mask, tf.bool), axis)


def _start(sequence: Sequence, count: Any) -> Any:
    """The states before the first step, of as many examples as are followed."""
    cell = sequence.layer.cell
    if sequence.states is None:
        states = sequence.layer.get_initial_state(count)
    else:
        states = tf.nest.map_structure(lambda part: part[:MAX_EXAMPLES], sequence.states)
    states = list(states) if tf.nest.is_nested(states) else [states]
    return tf.nest.map_structure(lambda part: tf.cast(part, cell.compute_dtype), states)


def _step_of(cell: Any, structure: Any) -> Callable[..., list[tf.Tensor]]:
    """(states, input, mask) -> states, each a flat list."""
    options = {"training": False} if accepts(cell.call, "training") else {}

    def step(states: list[tf.Tensor], x: tf.Tensor, valid: tf.Tensor) -> list[tf.Tensor]:
        _, following = cell(x, tf.nest.pack_sequence_as(structure, states), **options)
        return [
            tf.where(tf.reshape(valid, [-1, *[1] * (new.shape.rank - 1)]), new, old)
            for new, old in zip(tf.nest.flatten(following), states, strict=True)
        ]

    return step
