"""What helps is offered by verdict, unless it is in place."""

from __future__ import annotations

from mnist_depth.diagnosis import KINDS, Diagnosis, judge
from mnist_depth.diagnosis.remedies import RULES
from mnist_depth.studies import STUDIES

from .fabricated_measurements import geometric, measured


def studies(diagnosis: Diagnosis) -> list[str]:
    return [remedy.study for remedy in diagnosis.remedies]


def test_vanishing_sigmoid_network_is_offered_what_rescues_it() -> None:
    traits = {"activation": "sigmoid", "initializer": "glorot_normal", "optimizer": "sgd", "wiring": "plain"}
    diagnosis = judge(measured(geometric(0.236), traits))
    assert studies(diagnosis) == ["depth9", "batch_norm", "lego", "rescues", "optimizers", "dbn"]


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


def test_healthy_network_needs_nothing() -> None:
    assert judge(measured(geometric(1.0))).remedies == ()


def test_every_remedy_names_a_study_that_exists() -> None:
    assert {rule.remedy.study for rules in RULES.values() for rule in rules} <= set(STUDIES)


def test_remedies_belong_to_kinds() -> None:
    assert set(RULES) < set(KINDS)
