"""Layer-sequential unit variance: a data-dependent initialization of a built network.

Mishkin & Matas 2015, "All you need is a good init": orthogonal kernels, each divided by the standard deviation of its
own output until that is one, from the first layer to the last.

With sigmoid units the variance of all entries is mostly the spread of the units' means, and stays one while the part
that depends on the image vanishes from layer to layer. The scope `samples` therefore takes the variance across images,
and moves each unit's mean into its bias, as Kraehenbuehl et al. 2016 ("Data-dependent initializations") do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from mnist_depth.instrument.writers.protocol import Writer
from mnist_depth.networks.pretraining.settings import Settings
from mnist_depth.networks.weight_layer import WeightLayer, weight_layers
from mnist_depth.seeds import derive

TOLERANCE = 0.1
"""How far from one the variance may stay, as in the paper."""

MAX_ITERATIONS = 10
"""Rescalings of one layer at most, as in the paper."""

EXAMPLES = 1000
"""Images whose outputs are measured."""


@dataclass(frozen=True)
class Scaled:
    """The result for one layer; not `converged` if no scale gives unit variance, for example if every input is zero."""

    layer: str
    iterations: int
    variance: float

    @property
    def converged(self) -> bool:
        return abs(self.variance - 1) <= TOLERANCE


def initialize(
    model: keras.Model,
    config: Settings,
    images: np.ndarray,
    scope: str = "all",
    *,
    writer: Writer | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Scaled]:
    """Set the kernels of every weight layer of `model`; `images` are training inputs [n, features].

    The output of a layer is its kernel's product plus bias, before batch normalization and activation. `writer` gets
    `lsuv_variance` and `lsuv_iterations` with the layer's index as step.
    """
    generator = np.random.default_rng(derive(config.seed, "pretraining"))
    chosen = generator.choice(len(images), min(EXAMPLES, len(images)), replace=False)
    sample = images[np.sort(chosen)]
    results = []
    for index, layer in enumerate(weight_layers(model), 1):
        inputs = np.asarray(keras.Model(model.input, layer.input)(sample, training=False), np.float64)
        orthogonal = keras.initializers.Orthogonal(seed=derive(config.seed, "pretraining", index))
        result = _scale(layer, np.asarray(orthogonal((inputs.shape[1], layer.units)), np.float64), inputs, scope)
        results.append(result)
        if writer is not None:
            writer.write_scalars(index, {"lsuv_variance": result.variance, "lsuv_iterations": result.iterations})
        if progress:
            end = "" if result.converged else ", not converged"
            progress(f"lsuv {layer.name}: variance {result.variance:.3f} after {result.iterations} iterations{end}")
    return results


def _scale(layer: WeightLayer, kernel: np.ndarray, inputs: np.ndarray, scope: str) -> Scaled:
    """Put `kernel` [fan_in, units] into the layer, scaled so that its outputs for `inputs` [n, fan_in] vary by one."""
    bias = np.asarray(layer.bias, np.float64)
    iterations = 0
    while True:
        if scope == "samples":
            bias = -(inputs @ kernel).mean(axis=0)
        outputs = inputs @ kernel + bias
        variance = float(outputs.var(axis=0).mean() if scope == "samples" else outputs.var())
        result = Scaled(layer.name, iterations, variance)
        if result.converged or iterations == MAX_ITERATIONS or not 0 < variance < np.inf:
            layer.assign(kernel, bias)
            return result
        kernel = kernel / np.sqrt(variance)
        iterations += 1
