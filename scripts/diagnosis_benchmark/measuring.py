"""Measure networks as `diagnose` does, before and after training, and keep the numbers to fit thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mnist_depth.diagnosis import Data, Layer, Measurements, Output, Trial
from mnist_depth.results.model_measurements import ModelMeasurer
from scripts.diagnosis_benchmark.networks import BATCH as TRAINING_BATCH
from scripts.diagnosis_benchmark.networks import EPOCHS, EXAMPLES, Network, build, compiled, inputs
from scripts.diagnosis_benchmark.training import shapes

BATCH = 128
"""Examples that a diagnosis gets to see."""


def to_record(measured: Measurements) -> dict[str, Any]:
    """Plain data that JSON can hold."""
    return asdict(measured)


def from_record(record: dict[str, Any]) -> Measurements:
    """The inverse of `to_record`."""
    fields = dict(record)
    fields["layers"] = tuple(Layer(**{**layer, "shape": tuple(layer["shape"])}) for layer in record["layers"])
    fields["trials"] = tuple(Trial(trial["factor"], tuple(trial["losses"])) for trial in record["trials"])
    fields["history"] = tuple(record["history"])
    fields["unseen"] = tuple(record.get("unseen", ()))
    fields["data"] = Data(**{**record["data"], "label_shape": tuple(record["data"]["label_shape"])})
    fields["output"] = Output(**record["output"])
    return Measurements(**fields)


def measure_structure(networks: Sequence[Network], trained: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """For every network of one structure: its measurements before and after training, all trials included."""
    model = compiled(networks[0], build(networks[0]))
    measurer = ModelMeasurer(model)
    found = []
    for network, weights in zip(networks, trained, strict=True):
        model.set_weights(build(network).get_weights())
        model.optimizer.learning_rate = network.rate
        model.optimizer.iterations.assign(0)
        x, y = inputs(network)
        start = measurer.measure(x[:BATCH], y[:BATCH])
        set_trainable(model, network, weights)
        model.optimizer.iterations.assign(EPOCHS * EXAMPLES // TRAINING_BATCH)
        end = measurer.measure(x[:BATCH], y[:BATCH])
        found.append({"start": to_record(start), "end": to_record(end)})
    return found


def set_trainable(model: Any, network: Network, weights: np.ndarray) -> None:
    """Put a flat vector of trainable weights into the model."""
    parts = shapes(network.structure)
    sizes = np.cumsum([int(np.prod(shape)) for shape in parts])[:-1]
    for variable, part, shape in zip(model.trainable_variables, np.split(weights, sizes), parts, strict=True):
        variable.assign(part.reshape(shape))
