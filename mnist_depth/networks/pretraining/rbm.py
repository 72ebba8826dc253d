"""A restricted Boltzmann machine with binary hidden units, trained by contrastive divergence.

Hinton 2010, "A practical guide to training restricted Boltzmann machines". All randomness is stateless: the same seed
gives the same machine.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

KERNEL_STD = 0.01
"""Standard deviation of the first weights (section 8)."""

WEIGHT_DECAY = 0.0002
"""L2 penalty on the weights, not on the biases (section 10; the value of the 2006 experiments)."""

FIRST_MOMENTUM, LATER_MOMENTUM, FIRST_EPOCHS = 0.5, 0.9, 5
"""Momentum: low during the first large gradients, then high (section 9; the values of the 2006 experiments)."""


class RBM(NamedTuple):
    """Parameters of one machine, or an update of them: kernel [visible, hidden] and the two biases."""

    kernel: Any
    visible_bias: Any
    hidden_bias: Any

    def hidden(self, visible: Any) -> Any:
        """Probabilities [batch, hidden] that the hidden units are on."""
        return tf.sigmoid(visible @ self.kernel + self.hidden_bias)

    def visible(self, hidden: Any) -> Any:
        """Probabilities [batch, visible] that the visible units are on."""
        return tf.sigmoid(hidden @ tf.transpose(self.kernel) + self.visible_bias)

    def free_energy(self, visible: Any) -> Any:
        """F(v) [batch] with exp(-F(v)) proportional to the probability of v (section 16.1)."""
        softplus = tf.reduce_sum(tf.nn.softplus(visible @ self.kernel + self.hidden_bias), axis=1)
        return -tf.linalg.matvec(visible, self.visible_bias) - softplus


def create(mean: np.ndarray, hidden: int, generator: np.random.Generator) -> RBM:
    """A machine with small random weights; the visible biases are the log odds of the data's `mean` [visible] (8.1)."""
    odds = np.clip(mean, 1e-4, 1 - 1e-4)
    kernel = generator.normal(0, KERNEL_STD, (len(mean), hidden))
    return RBM(*(tf.constant(part, tf.float32) for part in (kernel, np.log(odds / (1 - odds)), np.zeros(hidden))))


def contrastive_divergence(rbm: RBM, data: Any, uniforms: Any) -> tuple[RBM, Any]:
    """The CD-k estimate of the log-likelihood's gradient and the mean squared reconstruction error.

    `data` [batch, visible] in 0 ... 1; `uniforms` [k, batch, hidden] are the draws that switch the hidden units. Hidden
    states are sampled, visible units and the last hidden ones stay probabilities (sections 3.1 to 3.3).
    """
    first = hidden = rbm.hidden(data)
    visible = data
    for draws in tf.unstack(uniforms):
        visible = rbm.visible(tf.cast(draws < hidden, data.dtype))
        hidden = rbm.hidden(visible)
    batch = tf.cast(tf.shape(data)[0], data.dtype)
    gradient = RBM(
        (tf.matmul(data, first, transpose_a=True) - tf.matmul(visible, hidden, transpose_a=True)) / batch,
        tf.reduce_mean(data - visible, axis=0),
        tf.reduce_mean(first - hidden, axis=0),
    )
    return gradient, tf.reduce_mean(tf.square(data - visible))


def update(rbm: RBM, velocity: RBM, gradient: RBM, rate: Any, momentum: Any) -> tuple[RBM, RBM]:
    """One step uphill with momentum and weight decay: the new machine and the new velocity."""
    gradient = gradient._replace(kernel=gradient.kernel - WEIGHT_DECAY * rbm.kernel)
    velocity = RBM(*(momentum * v + rate * g for v, g in zip(velocity, gradient, strict=True)))
    return RBM(*(p + v for p, v in zip(rbm, velocity, strict=True))), velocity


def momentum_of(epoch: int) -> float:
    """Momentum of a 0-based epoch."""
    return FIRST_MOMENTUM if epoch < FIRST_EPOCHS else LATER_MOMENTUM


@partial(tf.function, jit_compile=True)
def train_epoch(
    rbm: RBM, velocity: RBM, data: Any, order: Any, seed: Any, rate: Any, momentum: Any, gibbs_steps: int
) -> tuple[RBM, RBM, Any]:
    """One pass over `data` [n, visible] in minibatches of the indices `order` [steps, batch], compiled.

    `seed` [2] int32 is advanced by one in its second place for each minibatch. Returns the machine, its velocity and
    the mean reconstruction error of the pass.
    """
    steps, batch = order.shape

    def body(step: Any, rbm: RBM, velocity: RBM, total: Any) -> tuple[Any, RBM, RBM, Any]:
        shape = (gibbs_steps, batch, rbm.hidden_bias.shape[0])
        uniforms = tf.random.stateless_uniform(shape, tf.stack([seed[0], seed[1] + step]), alg="philox")
        gradient, error = contrastive_divergence(rbm, tf.gather(data, order[step]), uniforms)
        return step + 1, *update(rbm, velocity, gradient, rate, momentum), total + error

    start = (tf.constant(0), rbm, velocity, tf.constant(0.0))
    _, rbm, velocity, total = tf.while_loop(lambda step, *_: step < steps, body, start)
    return rbm, velocity, total / steps
