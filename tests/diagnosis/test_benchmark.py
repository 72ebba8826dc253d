"""The benchmark's own training makes the updates of `fit`, and its records survive a file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from mnist_depth.diagnosis import Data, Layer, Measurements, Output, Trial
from mnist_depth.model_diagnosis.trial_steps import TrialSteps
from scripts.diagnosis_benchmark.measuring import all_trials, from_record, to_record
from scripts.diagnosis_benchmark.networks import Network, Structure, build, compiled, inputs, order
from scripts.diagnosis_benchmark.training import Trainer, start_weights


@pytest.mark.slow
@pytest.mark.parametrize(
    "structure",
    [
        Structure("digits", True, 3, 4, "relu", False, "adam"),
        Structure("circles", False, 4, 8, "tanh", True, "momentum"),
        Structure("blobs", False, 4, 8, "selu", False, "rmsprop", residual=True),
    ],
)
def test_networks_side_by_side_are_trained_as_by_fit(structure: Structure) -> None:
    network = Network(structure, "glorot_uniform", 0.0, 0.01, 1.0, 5)
    weights = start_weights(network)
    trained = Trainer(structure).train(np.stack([weights] * 2), np.array([0.01, 1e-5]), np.array([1.0, 1.0]))
    model = compiled(network, build(network))
    x, y = inputs(network)
    examples = order().ravel()
    model.fit(x[examples], y[examples], batch_size=32, shuffle=False, verbose=0)
    expected = np.concatenate([np.ravel(variable) for variable in model.trainable_variables])
    np.testing.assert_allclose(trained[0].weights, expected, atol=1e-5)
    assert np.abs(trained[1].weights - expected).max() > 1e-3


@pytest.mark.slow
def test_trials_side_by_side_are_those_of_diagnose() -> None:
    structure = Structure("blobs", False, 3, 8, "tanh", False, "adam")
    network = Network(structure, "glorot_uniform", 0.0, 0.01, 1.0, 5)
    model, (x, y) = compiled(network, build(network)), inputs(network)
    steps = TrialSteps(model, model.optimizer, None)
    own = {trial.factor: trial.losses for trial in all_trials([network], 128)[0]}
    for factor in (1.0, 10.0):
        found = steps(tf.constant(x[:128]), tf.constant(y[:128]), factor).losses
        np.testing.assert_allclose(found, own[factor], rtol=1e-3, atol=1e-4)


def test_measurements_survive_a_file() -> None:
    measured = Measurements(
        "fabricated",
        (Layer("a", 1.0, shape=(None, 3)),),
        trials=(Trial(1.0, (2.0, 1.0)),),
        data=Data(5, label_shape=(5, 1)),
        output=Output(3, "softmax"),
    )
    assert from_record(json.loads(json.dumps(to_record(measured)))) == measured
