"""Verdicts, fits, findings and remedies from fabricated measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mnist_depth.results.diagnosis import fit_gain, judge, render
from mnist_depth.results.measurements import Layer, Measurements
from mnist_depth.results.remedies import RULES
from mnist_depth.studies import STUDIES


def measured(gradients: Sequence[float | None], traits: dict[str, str] | None = None, **fields: Any) -> Measurements:
    """Layers with these pre-activation gradients; `fields` go to every layer, `loss` and `diverged` to the whole."""
    whole = {name: fields.pop(name) for name in ("loss", "diverged") if name in fields}
    layers = tuple(
        Layer(f"layer_{index:02d}", pre_activation_gradient=value, **fields)
        for index, value in enumerate(gradients, start=1)
    )
    return Measurements("fabricated", layers, traits=traits or {}, **whole)


def geometric(gain: float, depth: int = 9) -> list[float]:
    return [gain**k for k in range(depth)][::-1]


@pytest.mark.parametrize(
    ("gradients", "verdict"),
    [
        (geometric(0.236), "vanishing"),
        (geometric(1.0), "healthy"),
        (geometric(0.6), "healthy"),
        (geometric(11.3), "exploding"),
        (geometric(0.236, depth=3), "healthy"),
        ([0.0] * 8 + [1.0], "dead"),
        ([0.0] * 9, "dead"),
        ([0.0, 0.0, 1e-40, 1e-30, 1e-20, 1e-10, 1.0], "vanishing"),
        ([1.0, math.nan, 1.0], "not finite"),
        ([math.inf, 1e30, 1.0], "not finite"),
        ([1.0], "healthy"),
    ],
)
def test_verdict(gradients, verdict):
    assert judge(measured(gradients)).verdict == verdict


def test_loss_that_is_not_finite_is_the_verdict():
    assert judge(measured(geometric(1.0), loss=math.nan)).verdict == "not finite"
    assert judge(measured(geometric(1.0), diverged=True)).verdict == "not finite"


def test_a_layer_of_dead_units_is_dead_and_many_dead_units_are_told():
    assert judge(measured(geometric(1.0), dead_share=1.0)).verdict == "dead"
    told = judge(measured(geometric(1.0), dead_share=0.5))
    assert told.verdict == "healthy"
    assert told.findings[-1] == "layer_09: 50% of the units are flat for every sample"


def test_kernel_gradients_serve_where_pre_activations_were_not_measured():
    layers = tuple(Layer(f"layer_{i:02d}", kernel_gradient=value) for i, value in enumerate(geometric(0.1, 6), 1))
    diagnosis = judge(Measurements("fabricated", layers))
    assert diagnosis.verdict == "vanishing"
    assert diagnosis.quantity == "kernel gradient"


def test_gain_of_an_exact_geometric_series():
    gain = judge(measured(geometric(0.25))).gain
    assert gain is not None
    assert gain == pytest.approx((0.25, 0.25, 0.25))


def test_gain_interval_covers_the_true_gain_as_often_as_it_says():
    """95 % interval: of 400 noisy series, between 92 % and 98 % cover."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        gradients = list(0.5 ** np.arange(9)[::-1] * np.exp(rng.normal(0, 0.2, 9)))
        gain = fit_gain(measured(gradients).layers, gradients)
        assert gain is not None
        covered += gain.low <= 0.5 <= gain.high
    assert 0.92 <= covered / 400 <= 0.98


def test_gain_needs_three_layers():
    assert judge(measured([0.1, 1.0])).gain is None


def test_prediction_stands_beside_the_fitted_gain():
    diagnosis = judge(measured(geometric(0.236), predicted_gain=0.24))
    assert diagnosis.predicted_gain == pytest.approx(0.24)
    assert "theory predicts x 0.24" in diagnosis.findings[0]


def test_updates_far_from_usual_are_told():
    assert "usual is about 0.001" in judge(measured(geometric(1.0), update_ratio=1e-7)).findings[-1]
    assert "learning rate is high" in judge(measured(geometric(1.0), update_ratio=0.5)).findings[-1]
    assert len(judge(measured(geometric(1.0), update_ratio=1e-3)).findings) == 1


def test_inputs_that_look_alike_are_told_although_the_overall_spread_stays():
    diagnosis = judge(measured(geometric(1.0), activation_std=0.12, across_samples_std=1e-4))
    assert "inputs look alike" in diagnosis.findings[-1]


def test_slow_first_layers_are_told_before_the_gradient_counts_as_vanished():
    findings = judge(measured(geometric(0.3, depth=5))).findings
    assert "it learns that much slower" in findings[-1]


# Remedies


def studies(diagnosis):
    return [remedy.study for remedy in diagnosis.remedies]


def test_vanishing_sigmoid_network_is_offered_what_rescues_it():
    traits = {"activation": "sigmoid", "initializer": "glorot_normal", "optimizer": "sgd", "wiring": "plain"}
    diagnosis = judge(measured(geometric(0.236), traits))
    assert studies(diagnosis) == ["batch_norm", "depth9", "lego", "rescues", "optimizers", "dbn"]


def test_what_is_in_place_is_not_offered_again():
    traits = {
        "activation": "relu",
        "initializer": "he_normal",
        "optimizer": "adam",
        "wiring": "residual:2",
        "batch_norm": "before",
    }
    assert judge(measured(geometric(0.236), traits)).remedies == ()


def test_rectifier_with_a_fixed_scale_is_offered_he_first():
    traits = {"activation": "relu", "initializer": "normal_1"}
    diagnosis = judge(measured(geometric(11.3), traits))
    assert studies(diagnosis)[:2] == ["initializers", "batch_norm"]


def test_zeros_are_offered_random_weights_first():
    diagnosis = judge(measured([0.0] * 8 + [1.0], {"activation": "relu", "initializer": "zeros"}))
    assert diagnosis.remedies[0].action.startswith("random initial weights")


def test_healthy_network_needs_nothing():
    assert judge(measured(geometric(1.0))).remedies == ()


def test_every_remedy_names_a_study_that_exists():
    assert {rule.remedy.study for rules in RULES.values() for rule in rules} <= set(STUDIES)


def test_every_verdict_has_rules():
    assert set(RULES) == {"vanishing", "exploding", "healthy", "dead", "not finite"}


def test_rendering_holds_every_layer_finding_and_remedy():
    diagnosis = judge(measured(geometric(0.236), {"activation": "sigmoid"}, predicted_gain=0.236, update_ratio=1e-8))
    text = render(diagnosis)
    assert text.startswith("VANISHING: ")
    flowing = " ".join(text.split())
    for part in [*(layer.name for layer in diagnosis.layers), *diagnosis.findings]:
        assert part in flowing
    for remedy in diagnosis.remedies:
        assert f"Study: {remedy.study}" in flowing
    assert max(map(len, text.splitlines())) <= 100


def test_rendering_shows_what_was_not_measured_as_a_dash():
    line = next(line for line in render(judge(measured([None, 1.0, 1.0]))).splitlines() if line.startswith("layer_01"))
    assert line.split()[1:] == ["-"] * 5
