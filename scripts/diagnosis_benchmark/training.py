"""Train many networks of one structure side by side: one graph, weights [networks, parameters].

The same updates as `model.fit` makes (a test compares), at a small part of its cost: with a network of ten layers of 16
units nearly all of `fit` is overhead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from scripts.diagnosis_benchmark.networks import BATCH, DATASETS, EXAMPLES, Network, Structure, build, data, order

BN_EPSILON = 1e-3


@dataclass(frozen=True)
class Trained:
    """One network after training."""

    accuracy: float
    """On the whole training set."""
    start_loss: float
    loss: float
    """Mean over the last epoch."""
    dead_start: float
    """Largest share, over the hidden layers, of units that are zero for every training example; before training."""
    dead: float
    weights: np.ndarray


def shapes(structure: Structure) -> list[tuple[int, ...]]:
    """The shapes of all trainable variables in Keras' order."""
    features, classes = DATASETS[structure.dataset]
    found: list[tuple[int, ...]] = []
    fan = 1 if structure.convolutional else features
    for _ in range(1, structure.depth):
        kernel = (3, 3, fan, structure.width) if structure.convolutional else (fan, structure.width)
        found += [kernel, (structure.width,), *([(structure.width,)] * 2 if structure.batch_norm else [])]
        fan = structure.width
    flat = 64 * fan if structure.convolutional else fan
    return [*found, (flat, classes), (classes,)]


def start_weights(network: Network) -> np.ndarray:
    """float32 [parameters]: what Keras starts from."""
    model = build(network)
    return np.concatenate([np.ravel(variable) for variable in model.trainable_variables]).astype(np.float32)


def forward(structure: Structure, parts: Sequence[Any], x: Any) -> tuple[Any, list[Any]]:
    """[R, B, features] -> logits [R, B, classes] and the outputs of the hidden layers [R, B(*64), units]."""
    activation: Any = keras.activations.get(structure.activation)
    count, batch = x.shape[0], x.shape[1]
    remaining, hidden, outputs = list(parts), x, []
    if structure.convolutional:
        hidden = tf.reshape(x, [count, batch * 64, 1])
    for _ in range(1, structure.depth):
        kernel, bias = remaining.pop(0), remaining.pop(0)
        before = hidden
        if structure.convolutional:
            images = tf.reshape(hidden, [count * batch, 8, 8, hidden.shape[-1]])
            patches = tf.image.extract_patches(images, [1, 3, 3, 1], [1, 1, 1, 1], [1, 1, 1, 1], "SAME")
            hidden = tf.reshape(patches, [count, batch * 64, patches.shape[-1]])
            kernel = tf.reshape(kernel, [count, hidden.shape[-1], structure.width])
        hidden = tf.matmul(hidden, kernel) + bias[:, None]
        if structure.batch_norm:
            gamma, beta = remaining.pop(0), remaining.pop(0)
            mean, variance = tf.nn.moments(hidden, axes=[1], keepdims=True)
            hidden = (hidden - mean) * tf.math.rsqrt(variance + BN_EPSILON) * gamma[:, None] + beta[:, None]
        hidden = activation(hidden)
        outputs.append(hidden)
        if structure.residual and before.shape == hidden.shape:
            hidden = before + hidden
    kernel, bias = remaining
    hidden = tf.reshape(hidden, [count, batch, -1])
    return tf.matmul(hidden, kernel) + bias[:, None], outputs


class Trainer:
    """The compiled training of all networks of one structure."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self._shapes = shapes(structure)
        self._sizes = [int(np.prod(shape)) for shape in self._shapes]
        self._train = tf.function(self._loop, autograph=False)
        self._evaluate = tf.function(self._score, autograph=False)

    def train(self, weights: np.ndarray, rates: np.ndarray, scales: np.ndarray, seed: int = 0) -> list[Trained]:
        """`weights` [R, parameters], `rates` and `scales` [R] -> what became of each; `seed` orders the examples."""
        x, y = (tf.constant(array) for array in data(self.structure.dataset))
        theta, rate, scale = (tf.constant(array, tf.float32) for array in (weights, rates, scales))
        _, start_loss, start_dead = self._evaluate(theta, scale, x, y)
        final, losses = self._train(theta, rate, scale, x, y, tf.constant(order(seed)))
        loss = np.asarray(losses)[-(EXAMPLES // BATCH) :].mean(axis=0)
        accuracy, _, dead = self._evaluate(final, scale, x, y)
        columns = zip(*(np.asarray(c) for c in (accuracy, start_loss, loss, start_dead, dead, final)), strict=True)
        return [
            Trained(float(right), float(first), float(last), float(dead_first), float(dead_last), row)
            for right, first, last, dead_first, dead_last, row in columns
        ]

    def trial(
        self, weights: np.ndarray, rates: np.ndarray, scales: np.ndarray, batches: np.ndarray, examples: int
    ) -> np.ndarray:
        """[R, steps]: the minibatch losses of trial steps on the first examples; `batches` [steps, 32] orders them."""
        x, y = (tf.constant(array[:examples]) for array in data(self.structure.dataset))
        theta, rate, scale = (tf.constant(array, tf.float32) for array in (weights, rates, scales))
        _, losses = self._train(theta, rate, scale, x, y, tf.constant(batches))
        return np.asarray(losses).T

    def _parts(self, theta: Any) -> list[Any]:
        count = theta.shape[0]
        return [
            tf.reshape(part, [count, *shape])
            for part, shape in zip(tf.split(theta, self._sizes, axis=1), self._shapes, strict=True)
        ]

    def _losses(self, theta: Any, scale: Any, x: Any, y: Any) -> Any:
        logits, _ = forward(self.structure, self._parts(theta), x[None] * scale[:, None, None])
        labels = tf.broadcast_to(y[None], logits.shape[:2])
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), axis=1)

    def _score(self, theta: Any, scale: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
        logits, outputs = forward(self.structure, self._parts(theta), x[None] * scale[:, None, None])
        labels = tf.broadcast_to(y[None], logits.shape[:2])
        right = tf.reduce_mean(tf.cast(tf.argmax(logits, -1, tf.int32) == labels, tf.float32), axis=1)
        finite = tf.reduce_all(tf.math.is_finite(logits), axis=(1, 2))
        losses = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), axis=1)
        dead = [tf.reduce_mean(tf.cast(tf.reduce_all(o == 0.0, axis=1), tf.float32), axis=1) for o in outputs]
        return tf.where(finite, right, 0.0), losses, tf.reduce_max(tf.stack([tf.zeros_like(right), *dead]), axis=0)

    def _loop(self, theta: Any, rate: Any, scale: Any, x: Any, y: Any, batches: Any) -> tuple[Any, Any]:
        """The weights after a step on each of the batches, and the losses [steps, R] before every step."""

        def step(index: Any, theta: Any, first: Any, second: Any, losses: Any) -> tuple[Any, ...]:
            chosen = batches[index]
            with tf.GradientTape() as tape:
                tape.watch(theta)
                loss = self._losses(theta, scale, tf.gather(x, chosen), tf.gather(y, chosen))
            gradient = tape.gradient(loss, theta)
            theta, first, second = self._update(theta, gradient, rate[:, None], first, second, index + 1)
            return index + 1, theta, first, second, losses.write(index, loss)

        zeros, losses = tf.zeros_like(theta), tf.TensorArray(tf.float32, batches.shape[0])
        state = (tf.constant(0), theta, zeros, zeros, losses)
        _, theta, _, _, losses = tf.while_loop(lambda index, *_: index < batches.shape[0], step, state)
        return theta, losses.stack()

    def _update(self, theta: Any, g: Any, rate: Any, first: Any, second: Any, step: Any) -> tuple[Any, Any, Any]:
        """Keras' formulas with Keras' defaults."""
        name = self.structure.optimizer
        if name == "sgd":
            return theta - rate * g, first, second
        if name == "momentum":
            first = 0.9 * first - rate * g
            return theta + first, first, second
        if name == "rmsprop":
            second = 0.9 * second + 0.1 * g * g
            return theta - rate * g * tf.math.rsqrt(second + 1e-7), first, second
        count = tf.cast(step, tf.float32)
        first, second = first + 0.1 * (g - first), second + 0.001 * (g * g - second)
        size = rate * tf.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        return theta - size * first / (tf.sqrt(second) + 1e-7), first, second
