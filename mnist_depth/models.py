"""RunConfig -> keras.Model, loss, metrics and optimizer."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import h5py
import keras
from keras.src.saving import saving_lib

from mnist_depth import seeds
from mnist_depth.config import RunConfig, layer_name
from mnist_depth.datasets import DATASETS
from mnist_depth.errors import UserError
from mnist_depth.files import write_atomic
from mnist_depth.networks.activations import ACTIVATIONS
from mnist_depth.networks.initializers import INITIALIZERS
from mnist_depth.networks.metrics import LogitAccuracy, ReluScoredAccuracy
from mnist_depth.networks.optimizers import OPTIMIZERS
from mnist_depth.networks.penalty import WeightPenalty
from mnist_depth.networks.weight_layer import WeightLayer
from mnist_depth.networks.wirings import WIRINGS
from mnist_depth.registry import lookup, split_name

CELLS: dict[str, Any] = {
    "simple": keras.layers.SimpleRNNCell,
    "lstm": keras.layers.LSTMCell,
    "gru": keras.layers.GRUCell,
}


def build(config: RunConfig) -> keras.Model:
    """The network of `config`, not compiled: uint8 pixels [batch, 784], or float32 [batch, features], to logits.

    Logits are [batch, 10], or [batch, 1] for two classes. Weight layers are named `layer_01` ... in depth order.
    """
    layers = LayerFactory(config)
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
    if not entry.decays_weights:
        return entry.build(*arguments, learning_rate=config.learning_rate, **options)
    optimizer = entry.build(*arguments, learning_rate=config.learning_rate, weight_decay=config.weight_decay, **options)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


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


def save_weights(model: keras.Model, path: Path) -> None:
    """Write all weights in Keras' own format, whole or not at all. Raises UserError if the disk fails.

    HDF5 may crash the process if the disk fails while it closes a file, so it writes to memory, for which Keras has no
    public function.
    """
    content = io.BytesIO()
    store = saving_lib.H5IOStore(content, mode="w")
    saving_lib._save_state(model, weights_store=store, assets_store=None, inner_path="", visited_saveables=set())
    store.close()
    write_atomic(path, content.getvalue())


def load_weights(model: keras.Model, path: Path) -> None:
    """Put the weights of a run folder into `model`. Raises UserError where they are missing or of another network.

    Keras stores weights under class names. In version 0.1 the class of the weight layers was called Block, so its
    groups `block`, `block_1`, ... are renamed in a copy.
    """
    try:
        with h5py.File(path, "r") as file, tempfile.TemporaryDirectory() as folder:
            layers: Any = file["layers"]
            if not any(name.startswith("block") for name in layers):
                model.load_weights(path)
                return
            renamed = Path(folder) / path.name
            with h5py.File(renamed, "w") as copy:
                for name in layers:
                    file.copy(layers[name], copy, "layers/" + name.replace("block", "weight_layer"))
            model.load_weights(renamed)
    except (OSError, KeyError, ValueError) as error:
        raise UserError("{path} is missing or damaged; train the run again", path=path) from error


class LayerFactory:
    """Makes the layers of one network: initializers, seeds, regularizers and names (`networks.wirings.Layers`).

    Layer 1 is next to the input, layer `config.depth` gives the logits.

    Every layer draws from its own seed, derived from the run's seed and the layer's index: one Keras initializer shared
    by several layers would give all of them the same kernel.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.hidden = config.depth - 1
        self.width = config.width

    def name(self, kind: str, index: int) -> str:
        """`projection_03`, numbered as `layer_03` is."""
        return layer_name(index, self.config.depth).replace("layer", kind)

    def dense(self, index: int, units: int = 0, branch: str = "") -> WeightLayer:
        """Hidden layer `index` with `units` outputs (0: the config's width)."""
        config = self.config
        return WeightLayer(
            units or config.width,
            batch_norm=config.batch_norm,
            dropout=config.dropout,
            dropout_seed=seeds.derive(config.seed, f"dropout{branch}", index),
            activation=self._activation(),
            name=self.name("layer", index) + branch,
            **self._common(index, branch),
        )

    def output(self) -> WeightLayer:
        """The last layer, which gives the logits."""
        config = self.config
        activation = "relu" if config.logits_activation == "relu" else "linear"
        return WeightLayer(
            DATASETS[config.dataset].outputs,
            activation=activation,
            name=self.name("layer", config.depth),
            **self._common(config.depth),
        )

    def projection(self, index: int, units: int) -> keras.layers.Dense:
        """The linear map on the skip that ends at layer `index`, where shapes differ (He et al. 2016, option B)."""
        return keras.layers.Dense(
            units,
            use_bias=False,
            kernel_initializer=self._initializer("projection", index),
            kernel_regularizer=self._regularizer(),
            name=self.name("projection", index),
        )

    def recurrent(self, index: int, kind: str) -> list[keras.layers.Layer]:
        """Recurrent layer `index`, [batch, time, features] to [batch, time, width], and the dropout after it, if any.

        The last hidden layer gives its last output alone, [batch, width]. Kernel and recurrent kernel are drawn alike,
        from different seeds. LSTM and GRU use the config's activation in place of tanh; their gates stay sigmoid, and
        the LSTM's forget bias starts at one (Keras' defaults).
        """
        config = self.config
        seed = seeds.derive(config.seed, "dropout", index)
        cell = CELLS[kind](
            config.width,
            activation=self._activation(),
            recurrent_initializer=self._initializer("recurrent_kernel", index),
            recurrent_regularizer=self._regularizer(),
            seed=seed,
            name="cell",
            **self._common(index),
        )
        layer = keras.layers.RNN(cell, return_sequences=index < self.hidden, name=self.name("layer", index))
        if not config.dropout:
            return [layer]
        return [layer, keras.layers.Dropout(config.dropout, seed=seed, name=self.name("dropout", index))]

    def _activation(self) -> Any:
        entry, arguments = lookup(ACTIVATIONS, self.config.activation, "activation")
        return entry.build(*arguments)

    def _common(self, index: int, branch: str = "") -> dict[str, Any]:
        return {
            "kernel_initializer": self._initializer(f"kernel{branch}", index),
            "bias_initializer": self._bias(index, branch),
            "kernel_regularizer": self._regularizer(),
        }

    def _initializer(self, stream: str, index: int) -> Any:
        entry, arguments = lookup(INITIALIZERS, self.config.initializer, "initializer")
        return entry.build(*arguments, seed=seeds.derive(self.config.seed, stream, index))

    def _bias(self, index: int, branch: str) -> Any:
        if not self.config.bias_std:
            return "zeros"
        seed = seeds.derive(self.config.seed, f"bias{branch}", index)
        return keras.initializers.RandomNormal(stddev=self.config.bias_std, seed=seed)

    def _regularizer(self) -> Any:
        """The penalty on a kernel, unless the optimizer decays the weights itself."""
        config = self.config
        if not config.weight_decay or OPTIMIZERS[split_name(config.optimizer)[0]].decays_weights:
            return None
        return WeightPenalty(config.weight_decay)
