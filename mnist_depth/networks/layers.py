"""The weight layers of one RunConfig: initializers, seeds, regularizers and names in one place."""

from __future__ import annotations

from typing import Any

import keras

from mnist_depth import seeds
from mnist_depth.config import RunConfig, layer_name
from mnist_depth.datasets import DATASETS
from mnist_depth.networks.activations import ACTIVATIONS
from mnist_depth.networks.block import Block
from mnist_depth.networks.initializers import INITIALIZERS
from mnist_depth.networks.optimizers import DECOUPLED
from mnist_depth.networks.penalty import WeightPenalty
from mnist_depth.registry import lookup, split_name

CELLS: dict[str, Any] = {
    "simple": keras.layers.SimpleRNNCell,
    "lstm": keras.layers.LSTMCell,
    "gru": keras.layers.GRUCell,
}


class WeightLayers:
    """Makes the layers of a network; layer 1 is next to the input, layer `config.depth` gives the logits.

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

    def block(self, index: int, units: int = 0, branch: str = "") -> Block:
        """Hidden layer `index` with `units` outputs (0: the config's width)."""
        config = self.config
        return Block(
            units or config.width,
            batch_norm=config.batch_norm,
            dropout=config.dropout,
            dropout_seed=seeds.derive(config.seed, f"dropout{branch}", index),
            activation=self._activation(),
            name=self.name("layer", index) + branch,
            **self._common(index, branch),
        )

    def output(self) -> Block:
        """The last layer, which gives the logits."""
        config = self.config
        activation = "relu" if config.logits_activation == "relu" else "linear"
        return Block(
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
        """Recurrent layer `index`, [batch, time, features] to [batch, time, width], and the dropout behind it, if any.

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
        if not config.weight_decay or split_name(config.optimizer)[0] in DECOUPLED:
            return None
        return WeightPenalty(config.weight_decay)
