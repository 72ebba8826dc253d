"""The benchmark's own training makes the updates of `fit`, its records survive a file, and its scores count right."""

from __future__ import annotations

import json
from dataclasses import astuple, replace

import numpy as np
import pytest
import tensorflow as tf

from mnist_depth.diagnosis import Data, Finding, Layer, Measurements, Output, Trial, judge
from mnist_depth.model_diagnosis.trial_steps import TrialSteps
from scripts.diagnosis_benchmark.measuring import all_trials, from_record, to_record
from scripts.diagnosis_benchmark.networks import Network, Structure, build, compiled, inputs, order
from scripts.diagnosis_benchmark.scoring import TOO_HIGH, TOO_LOW, Case, score
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


def _case(cures: list[str], kinds: list[str], *, rate: float = 1e-5, learns: bool = False) -> Case:
    structure = {"optimizer": "sgd", "activation": "tanh"}
    truth = {"learns": learns, "cures": cures, "network": {"structure": structure, "rate": rate}}
    findings = tuple(Finding(kind, "error", "found", None, 0.0, 0.0, "the benchmark", "remedy") for kind in kinds)
    return Case(1, truth, "start", replace(judge(Measurements("fabricated", ())), findings=findings))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param(_case(["rate+2"], [TOO_LOW]), (1, 0, 0, 0), id="the rate alone helps"),
        pytest.param(_case(["rate+2"], []), (0, 0, 1, 0), id="not found"),
        pytest.param(_case(["relu", "relu+rate"], [TOO_LOW]), (0, 1, 0, 0), id="another change helps at its own rate"),
        pytest.param(_case(["relu+rate"], [TOO_LOW]), (0, 0, 0, 0), id="another change and a larger rate: left out"),
        pytest.param(_case(["relu+rate"], [TOO_LOW], rate=5.0), (0, 1, 0, 0), id="another change and a smaller rate"),
        pytest.param(_case([], [TOO_LOW]), (0, 1, 0, 0), id="nothing helps"),
        pytest.param(_case(["rate+2", "rate-1"], [TOO_HIGH]), (0, 0, 0, 0), id="both directions help, one is found"),
        pytest.param(_case(["rate+2", "rate-1"], []), (0, 0, 1, 0), id="both directions help, none is found"),
        pytest.param(_case([], [TOO_LOW], learns=True), (0, 1, 0, 0), id="learns as it is"),
        pytest.param(_case([], [], learns=True), (0, 0, 0, 1), id="learns, nothing found"),
    ],
)
def test_answers_about_a_rate_that_is_too_low(case: Case, expected: tuple[int, int, int, int]) -> None:
    assert astuple(score([case], TOO_LOW)) == expected


def test_measurements_survive_a_file() -> None:
    measured = Measurements(
        "fabricated",
        (Layer("a", 1.0, shape=(None, 3)),),
        trials=(Trial(1.0, (2.0, 1.0)),),
        data=Data(5, label_shape=(5, 1)),
        output=Output(3, "softmax"),
    )
    assert from_record(json.loads(json.dumps(to_record(measured)))) == measured
