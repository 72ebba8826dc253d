"""What helps is offered by verdict, unless it is in place."""

from __future__ import annotations

import math
from dataclasses import replace

from mnist_depth.diagnosis import KINDS, Data, Diagnosis, Layer, Measurements, Output, Trial, judge
from mnist_depth.diagnosis.remedies import RULES
from mnist_depth.studies import STUDIES

from .fabricated_measurements import geometric, measured


def studies(diagnosis: Diagnosis) -> list[str]:
    return [remedy.study for remedy in diagnosis.remedies]


def test_vanishing_sigmoid_network_is_offered_what_rescues_it() -> None:
    traits = {"activation": "sigmoid", "initializer": "glorot_normal", "optimizer": "sgd", "wiring": "plain"}
    diagnosis = judge(measured(geometric(0.236), traits))
    assert studies(diagnosis) == ["initializers", "batch_norm", "lego", "rescues", "optimizers", "dbn"]


def test_what_is_in_place_is_not_offered_again() -> None:
    traits = {
        "activation": "relu",
        "initializer": "he_normal",
        "optimizer": "adam",
        "wiring": "residual:2",
        "batch_norm": "before",
    }
    assert judge(measured(geometric(0.236), traits)).remedies == ()


def test_rectifier_with_a_fixed_scale_is_offered_he_first() -> None:
    traits = {"activation": "relu", "initializer": "normal_1"}
    diagnosis = judge(measured(geometric(11.3), traits))
    assert studies(diagnosis)[:2] == ["initializers", "batch_norm"]


def test_zeros_are_offered_random_weights_first() -> None:
    diagnosis = judge(measured([0.0] * 8 + [1.0], {"activation": "relu", "initializer": "zeros"}))
    assert diagnosis.remedies[0].action.startswith("random initial weights")


def test_a_network_without_hidden_layers_is_offered_one() -> None:
    trials = (Trial(1.0, (0.7,) * 24),)
    state = replace(measured([1.0], {"hidden": "none", "optimizer": "sgd"}), trials=trials, constant_loss=0.7)
    assert [remedy.action for remedy in judge(state).remedies] == ["a hidden layer with ReLU before the output", "Adam"]


def test_a_wrong_setup_is_to_be_corrected_before_its_consequences() -> None:
    """A Poisson loss of negative outputs is NaN, and batch normalization would not help."""
    output = Output(1, "", "poisson", minimum=-0.5, maximum=0.5)
    state = replace(measured([1.0]), loss=math.nan, data=Data(8), output=output)
    diagnosis = judge(state)
    assert [finding.kind for finding in diagnosis.findings] == ["output and loss", "not finite"]
    assert diagnosis.remedies == ()
    assert judge(replace(state, output=None)).remedies != ()


def test_healthy_network_needs_nothing() -> None:
    assert judge(measured(geometric(1.0))).remedies == ()


def test_every_remedy_names_a_study_that_exists() -> None:
    assert {rule.remedy.study for rules in RULES.values() for rule in rules} <= {"", *STUDIES}


def test_a_loss_that_does_not_fall_is_offered_rates_and_checks_before_structure() -> None:
    stuck = replace(measured(geometric(1.0)), loss=0.69, constant_loss=0.69, updates=500)
    assert [remedy.action for remedy in judge(stuck).remedies] == [
        "a learning rate ten times larger, then ten times smaller",
        "train on 32 examples alone: their loss must go to zero",
        "more updates",
    ]


def test_warnings_beside_a_loss_that_does_not_fall_are_offered_first() -> None:
    stuck = replace(measured(geometric(1.0), dead_share=0.5), loss=0.69, constant_loss=0.69, updates=500)
    assert judge(stuck).remedies[0].action.startswith("a leaky rectifier")


def actions(gain: float, traits: dict[str, str]) -> str:
    """The remedies of a recurrent layer over 100 steps whose loss does not fall."""
    layers = (Layer("rnn", 1.0, time_gain=gain, time_steps=100), Layer("out", 1.0, is_output=True))
    stuck = Measurements("fabricated", layers, traits=traits, loss=0.69, constant_loss=0.69, updates=500)
    diagnosis = judge(stuck)
    assert diagnosis.verdict.endswith("through time")
    return "; ".join(remedy.action for remedy in diagnosis.remedies)


def test_recurrent_networks_are_offered_what_suits_them() -> None:
    simple = actions(0.9, {"hidden": "none", "recurrent": "simple", "recurrent_initializer": "orthogonal"})
    gated = actions(0.7, {"hidden": "none", "recurrent": "gated", "attention": "used"})
    exploding = actions(1.3, {"hidden": "none", "recurrent": "simple"})
    for offered in (simple, gated, exploding):
        assert "hidden layers" not in offered
        assert "batch normalization" not in offered
        assert "residual" not in offered
        assert "shorter sequences" in offered
    assert "LSTM or GRU" in simple
    assert "orthogonal" not in simple
    assert "LSTM or GRU" not in gated
    assert "forget gate" in gated
    assert "attention" not in gated
    assert exploding.startswith("clipping")


def test_a_recurrent_layer_that_learns_is_not_an_error() -> None:
    layers = (Layer("rnn", 1.0, time_gain=0.7, time_steps=100), Layer("out", 1.0, is_output=True))
    diagnosis = judge(Measurements("fabricated", layers, loss=0.1, constant_loss=0.69, updates=500))
    assert not diagnosis.has_errors


def test_remedies_belong_to_kinds() -> None:
    assert set(RULES) < set(KINDS)


def test_a_finding_states_no_remedy_that_is_in_place() -> None:
    normalized = {"activation": "relu", "initializer": "glorot_uniform", "batch_norm": "used"}
    (vanishing,) = (one for one in judge(measured(geometric(0.236), normalized)).findings if one.severity == "error")
    assert vanishing.kind == "vanishing"
    assert vanishing.remedy == "He initialization (variance 2 / fan_in), or residual wiring"
    everything = {**normalized, "initializer": "he_normal", "wiring": "residual", "optimizer": "adam"}
    assert "batch normalization" not in judge(measured(geometric(0.236), everything)).findings[0].remedy
    assert judge(measured(geometric(0.236))).findings[0].remedy == KINDS["vanishing"].remedy
