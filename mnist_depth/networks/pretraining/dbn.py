"""Deep belief network: the hidden layers of a built network, pre-trained one by one as RBMs.

Hinton, Osindero & Teh 2006, "A fast learning algorithm for deep belief nets". Each machine learns the hidden
probabilities of the one below; its kernel and hidden biases become those of the layer. Fine-tuning by back-propagation
is the training that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_depth.instrument.histograms import histogram
from mnist_depth.instrument.writers.protocol import Writer
from mnist_depth.networks.pretraining import pictures, rbm
from mnist_depth.networks.pretraining.rbm import RBM
from mnist_depth.networks.pretraining.settings import Settings
from mnist_depth.networks.weight_layer import weight_layers
from mnist_depth.seeds import derive

MAX_HELD_OUT = 1000
"""Images kept from the machines for the free-energy gap; at most a tenth of all."""

Progress = Callable[[str], None]


def pretrain(
    model: keras.Model,
    config: Settings,
    images: np.ndarray,
    gibbs_steps: int,
    *,
    writer: Writer | None = None,
    progress: Progress | None = None,
) -> list[RBM]:
    """Train one RBM per hidden layer by CD-`gibbs_steps` on `images` (uint8 [n, 784]) and put it into `model`.

    After each epoch `progress` gets a line and `writer` what `Report` says. Returns the machines, lowest first.
    """
    scaled = tf.constant(images, tf.float32) / 255
    cut = len(images) - min(MAX_HELD_OUT, len(images) // 10)
    data, held_out = scaled[:cut], scaled[cut:]
    machines: list[RBM] = []
    for index, layer in enumerate(weight_layers(model)[:-1], 1):
        report = Report(layer.name, machines, scaled[: pictures.EXAMPLES], data, held_out, writer, progress)
        machine = _train(data, config, index, gibbs_steps, report)
        layer.assign(machine.kernel, machine.hidden_bias)
        data, held_out = machine.hidden(data), machine.hidden(held_out)
        machines.append(machine)
    return machines


def _train(data: Any, config: Settings, index: int, gibbs_steps: int, report: Report) -> RBM:
    """The machine of hidden layer `index`, trained on `data` [n, visible]."""
    seed = derive(config.seed, "pretraining", index)
    generator = np.random.default_rng(seed)
    machine = rbm.create(np.mean(data, axis=0), config.width, generator)
    velocity = RBM(*map(tf.zeros_like, machine))
    batch = min(config.batch_size, len(data))
    steps = len(data) // batch
    rate = tf.constant(config.pretraining_learning_rate)
    for epoch in range(config.pretraining_epochs):
        order = tf.constant(generator.permutation(len(data))[: steps * batch].reshape(steps, batch), tf.int32)
        draws = tf.constant([seed, epoch * steps], tf.int32)
        momentum = tf.constant(rbm.momentum_of(epoch))
        machine, velocity, error = rbm.train_epoch(machine, velocity, data, order, draws, rate, momentum, gibbs_steps)
        report.epoch(machine, epoch + 1, config.pretraining_epochs, (epoch + 1) * steps, float(error))
    return machine


class Report:
    """Progress of one machine's training: a line of text, and summaries whose step counts the machine's own updates.

    `reconstruction_error` (mean square), `free_energy_gap` (held-out less training data: overfitting when it grows;
    section 6 of Hinton 2010), histograms of the weights, filters and reconstructions as images.
    """

    def __init__(
        self,
        layer: str,
        below: Sequence[RBM],
        examples: Any,
        data: Any,
        held_out: Any,
        writer: Writer | None,
        progress: Progress | None,
    ) -> None:
        self.layer = layer
        self.below = list(below)
        self.examples = examples
        self.data = data[: len(held_out)]
        self.held_out = held_out
        self.writer = writer
        self.progress = progress

    def epoch(self, machine: RBM, epoch: int, epochs: int, step: int, error: float) -> None:
        """Report the end of an epoch, counted from 1."""
        if self.progress:
            self.progress(f"dbn {self.layer} epoch {epoch}/{epochs}: reconstruction error {error:.5f}")
        if self.writer is None:
            return
        scalars = {f"reconstruction_error/{self.layer}": error}
        if len(self.held_out):
            gap = tf.reduce_mean(machine.free_energy(self.held_out)) - tf.reduce_mean(machine.free_energy(self.data))
            scalars[f"free_energy_gap/{self.layer}"] = float(gap)
        self.writer.write_scalars(step, scalars)
        if binned := histogram(machine.kernel.numpy()):
            self.writer.write_histograms(step, {f"rbm_kernel/{self.layer}": binned})
        machines = [*self.below, machine]
        kernels = [part.kernel.numpy() for part in machines]
        copies = _reconstruct(machines, self.examples)
        images = {
            f"filters/{self.layer}": pictures.filters(kernels),
            f"reconstructions/{self.layer}": pictures.pairs(self.examples.numpy(), copies),
        }
        self.writer.write_images(step, images)


def _reconstruct(machines: Sequence[RBM], images: Any) -> np.ndarray:
    """`images` [n, 784] as probabilities up through all machines and down again."""
    for machine in machines:
        images = machine.hidden(images)
    for machine in reversed(machines):
        images = machine.visible(images)
    return images.numpy()
