"""One weight layer of a network, with everything that belongs to it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mnist_depth.networks.functions import Maxout

MOMENTUM, EPSILON = 0.9, 1e-6
"""Of batch normalization. Keras' own epsilon of 1e-3 drowns the variance behind small kernels (1e-6 at a standard
deviation of 1e-4), and averages of momentum 0.99 lag behind the few hundred steps that many studies take."""


@keras.saving.register_keras_serializable(package="mnist_depth")
class WeightLayer(keras.layers.Dense):
    """activation(inputs @ kernel + bias), with batch normalization before or after the activation, then dropout.

    Maps [batch, fan_in] to [batch, outputs]. A Maxout activation with k pieces makes the kernel [fan_in, k * outputs].
    One Keras layer, so that one box of the graph and one tag hold `layer_03/kernel` and `layer_03/batch_norm/gamma`.
    """

    def __init__(
        self,
        outputs: int,
        batch_norm: str = "none",
        dropout: float = 0.0,
        dropout_seed: int | None = None,
        activation: Any = None,
        **options: Any,
    ) -> None:
        activation = keras.activations.get(activation)
        pieces = activation.pieces if isinstance(activation, Maxout) else 1
        super().__init__(outputs * pieces, activation=activation, **options)
        self.outputs = outputs
        self.batch_norm = batch_norm
        self.dropout = dropout
        self.dropout_seed = dropout_seed
        self._norm = self._drop = None
        if batch_norm != "none":
            self._norm = keras.layers.BatchNormalization(
                momentum=MOMENTUM, epsilon=EPSILON, dtype=self.dtype_policy, name="batch_norm"
            )
        if dropout:
            self._drop = keras.layers.Dropout(dropout, seed=dropout_seed, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape: Any) -> None:
        """Make kernel, bias and the batch normalization's variables."""
        super().build(input_shape)
        if self._norm is not None:
            self._norm.build((input_shape[0], self.units if self.batch_norm == "before" else self.outputs))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Return the layer's output [batch, outputs]."""
        x = ops.add(ops.matmul(inputs, self.kernel), self.bias)
        if self._norm is not None and self.batch_norm == "before":
            x = self._norm(x, training=training)
        x = self.activation(x)
        if self._norm is not None and self.batch_norm == "after":
            x = self._norm(x, training=training)
        return x if self._drop is None else self._drop(x, training=training)

    def assign(self, kernel: Any, bias: Any) -> None:
        """Replace kernel [fan_in, units] and bias [units]."""
        variables: Any = (self._kernel, self.bias)
        for variable, value in zip(variables, (kernel, bias), strict=True):
            variable.assign(value)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.outputs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["units"]
        own = ("outputs", "batch_norm", "dropout", "dropout_seed")
        return {**config, **{name: getattr(self, name) for name in own}}


def weight_layers(model: keras.Model) -> list[WeightLayer]:
    """The weight layers of `model` in depth order, the output layer last."""
    return sorted((layer for layer in model.layers if isinstance(layer, WeightLayer)), key=lambda layer: layer.name)
