"""Measure networks as `diagnose` does, before and after training, and keep the numbers to fit thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from mnist_depth.diagnosis import Data, Layer, Measurements, Output, Trial, next_factor
from mnist_depth.diagnosis.trials import FACTORS
from mnist_depth.model_diagnosis.examples import minibatches
from mnist_depth.model_diagnosis.measuring import ModelMeasurer
from mnist_depth.model_diagnosis.trial_steps import STEPS
from scripts.diagnosis_benchmark.networks import BATCH as TRAINING_BATCH
from scripts.diagnosis_benchmark.networks import EPOCHS, EXAMPLES, Network, build, compiled, inputs
from scripts.diagnosis_benchmark.training import Trainer, shapes, start_weights


def to_record(measured: Measurements) -> dict[str, Any]:
    """Plain data that JSON can hold."""
    return asdict(measured)


def from_record(record: dict[str, Any]) -> Measurements:
    """The inverse of `to_record`."""
    fields = dict(record)
    lists = [{"shape": layer["shape"], "networks": layer.get("networks", [])} for layer in record["layers"]]
    fields["layers"] = tuple(
        Layer(**{**layer, **{name: tuple(value) for name, value in found.items()}})
        for layer, found in zip(record["layers"], lists, strict=True)
    )
    fields["trials"] = tuple(Trial(trial["factor"], tuple(trial["losses"])) for trial in record["trials"])
    fields["history"] = tuple(record["history"])
    fields["start"] = ()
    fields["unseen"] = tuple(record.get("unseen", ()))
    fields["data"] = Data(**{**record["data"], "label_shape": tuple(record["data"]["label_shape"])})
    fields["output"] = Output(**record["output"])
    return Measurements(**fields)


def measure_structure(
    networks: Sequence[Network], trained: Sequence[np.ndarray], examples: int
) -> list[dict[str, Any]]:
    """For every network of one structure: its measurements on some examples, before and after training.

    Those before training hold trials at all learning rates; `as_diagnosed` keeps those that `diagnose` would make.
    """
    model = compiled(networks[0], build(networks[0]))
    measurer = ModelMeasurer(model, try_rates=False)
    found = []
    for network, weights, trials in zip(networks, trained, all_trials(networks, examples), strict=True):
        model.set_weights(build(network).get_weights())
        model.optimizer.learning_rate = network.rate
        model.optimizer.iterations.assign(0)
        x, y = inputs(network)
        start = replace(measurer.measure(x[:examples], y[:examples]), trials=trials)
        set_trainable(model, network, weights)
        model.optimizer.iterations.assign(EPOCHS * EXAMPLES // TRAINING_BATCH)
        end = measurer.measure(x[:examples], y[:examples])
        found.append({"start": to_record(start), "end": to_record(end)})
    return found


def all_trials(networks: Sequence[Network], examples: int) -> list[tuple[Trial, ...]]:
    """For every network the trial at every multiple of its rate, all side by side (a test compares with TrialSteps)."""
    copies = [(network, factor) for network in networks for factor in FACTORS]
    starts = {network: start_weights(network) for network in networks}
    losses = Trainer(networks[0].structure).trial(
        np.stack([starts[network] for network, _ in copies]),
        np.array([network.rate * factor for network, factor in copies]),
        np.array([network.input_scale for network, _ in copies]),
        minibatches(examples, STEPS),
        examples,
    )
    trials = [Trial(factor, tuple(row.tolist())) for (_, factor), row in zip(copies, losses, strict=True)]
    return [tuple(trials[at : at + len(FACTORS)]) for at in range(0, len(trials), len(FACTORS))]


def as_diagnosed(measured: Measurements) -> Measurements:
    """Only the trials that `diagnose` would have made, in its order."""
    known = {trial.factor: trial for trial in measured.trials}
    found = replace(measured, trials=())
    while known and (factor := next_factor(found)) is not None:
        found = replace(found, trials=(*found.trials, known[factor]))
    return found


def set_trainable(model: Any, network: Network, weights: np.ndarray) -> None:
    """Put a flat vector of trainable weights into the model."""
    parts = shapes(network.structure)
    sizes = np.cumsum([int(np.prod(shape)) for shape in parts])[:-1]
    for variable, part, shape in zip(model.trainable_variables, np.split(weights, sizes), parts, strict=True):
        variable.assign(part.reshape(shape))
