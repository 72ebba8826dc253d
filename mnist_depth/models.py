"""RunConfig -> keras.Model, loss, metrics and optimizer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mnist_depth.config import RunConfig
from mnist_depth.datasets import DATASETS
from mnist_depth.networks.layers import WeightLayers
from mnist_depth.networks.optimizers import DECOUPLED, OPTIMIZERS
from mnist_depth.networks.wirings import WIRINGS
from mnist_depth.registry import lookup, split_name


def build(config: RunConfig) -> keras.Model:
    """The network of `config`, not compiled: uint8 pixels [batch, 784], or float32 [batch, features], to logits.

    Logits are [batch, 10], or [batch, 1] for two classes. Weight layers are named `layer_01` ... in depth order.
    """
    layers = WeightLayers(config)
    dataset = DATASETS[config.dataset]
    if dataset.is_image:
        inputs = keras.Input((dataset.features,), dtype="uint8", name="pixels")
        x = keras.layers.Rescaling(1 / 255, name="scaling")(inputs)
    else:
        x = inputs = keras.Input((dataset.features,), name="inputs")
    entry, arguments = lookup(WIRINGS, config.wiring, "wiring")
    x = entry.build(x, layers, *arguments)
    return keras.Model(inputs, layers.output()(x), name="network")


def build_optimizer(config: RunConfig) -> keras.optimizers.Optimizer:
    """The optimizer of `config`, with clipping by global norm when `clip_norm` is above zero."""
    entry, arguments = lookup(OPTIMIZERS, config.optimizer, "optimizer")
    options: dict[str, Any] = {"global_clipnorm": config.clip_norm or None}
    if split_name(config.optimizer)[0] in DECOUPLED:
        options["weight_decay"] = config.weight_decay
    return entry.build(*arguments, learning_rate=config.learning_rate, **options)


def loss(config: RunConfig) -> keras.losses.Loss:
    """Cross-entropy of the logits, binary for two classes, as a mean over the batch."""
    if DATASETS[config.dataset].outputs == 1:
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def metrics(config: RunConfig) -> list[keras.metrics.Metric]:
    """The accuracy of the hypothesis that is scored, under the name `accuracy`."""
    if DATASETS[config.dataset].outputs == 1:
        return [LogitAccuracy(name="accuracy")]
    if config.logits_activation == "relu_scored":
        return [ReluScoredAccuracy(name="accuracy")]
    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]


@keras.saving.register_keras_serializable(package="mnist_depth")
class LogitAccuracy(keras.metrics.BinaryAccuracy):
    """Share of labels [batch] that the sign of the logits [batch, 1] gets right."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(y_true, ops.sigmoid(y_pred), sample_weight)


@keras.saving.register_keras_serializable(package="mnist_depth")
class ReluScoredAccuracy(keras.metrics.SparseCategoricalAccuracy):
    """Accuracy of relu(logits): where all logits are negative, all hypotheses are 0 and class 0 wins the tie."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(y_true, ops.relu(y_pred), sample_weight)
