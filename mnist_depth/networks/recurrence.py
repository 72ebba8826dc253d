"""Vanishing gradients through time: the gradient of the loss at each time step of a recurrent network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_depth.instrument.writers.protocol import Writer
from mnist_depth.networks.weight_layer import weight_layers


def gradient_by_time_step(
    model: keras.Model, loss: keras.losses.Loss, images: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """For each recurrent layer of `model` the size [time] of the gradient that reaches its state at each time step.

    The size is ||dL/ds_t||, L the loss of one of the `images` [n, 784], averaged over them; s_t is what the layer hands
    from step t to the next: the output of a simple RNN or GRU, the cell state of an LSTM. The cells are unrolled by
    hand, because Keras' own loop hides the states from the gradient tape. Nothing is changed in the model.
    """
    rows = keras.Model(model.input, model.get_layer("rows").output)(images, training=False)
    states: dict[str, list[Any]] = {}
    tape: Any = tf.GradientTape()
    with tape:
        sequence = tf.unstack(rows, axis=1)
        for layer in model.layers:
            if isinstance(layer, keras.layers.RNN):
                sequence, states[layer.name] = _unroll(layer.cell, sequence)
        logits = weight_layers(model)[-1](sequence[-1], training=False)
        value: Any = loss(labels, logits)
    gradients = tape.gradient(value, states)
    return {name: np.array([_mean_norm(gradient) for gradient in steps]) for name, steps in gradients.items()}


def write(writer: Writer, gradients: dict[str, np.ndarray]) -> None:
    """Write `time_gradient_norm/layer_01` ... as curves over time: the step of a point is its time step, from 1."""
    for step, norms in enumerate(zip(*gradients.values(), strict=True), 1):
        tags = (f"time_gradient_norm/{name}" for name in gradients)
        writer.write_scalars(step, dict(zip(tags, map(float, norms), strict=True)))


def _unroll(cell: Any, sequence: list[Any]) -> tuple[list[Any], list[Any]]:
    """Outputs and carried states of `cell` at each time step."""
    state = cell.get_initial_state(batch_size=sequence[0].shape[0])
    outputs, carried = [], []
    for step in sequence:
        output, state = cell(step, state, training=False)
        outputs.append(output)
        carried.append(state[-1])
    return outputs, carried


def _mean_norm(gradient: Any) -> float:
    """Mean norm per example, from the gradient [n, units] of the mean loss; in float64, where tiny squares survive."""
    rows = np.asarray(gradient, np.float64)
    return float(np.linalg.norm(rows, axis=1).sum())
