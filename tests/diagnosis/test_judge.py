"""The verdict on fabricated measurements: which layers learn, how gradients change from layer to layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_depth.config import RunConfig
from mnist_depth.diagnosis import (
    Data,
    Layer,
    Measurements,
    Output,
    Trial,
    fit_gain,
    judge,
    next_factor,
    render,
    summary_line,
)
from mnist_depth.errors import UserError
from mnist_depth.records import read_run
from mnist_depth.results.diagnosis import diagnose_run, render_pair
from tests.results.fabricated_runs import write_run

from .fabricated_measurements import geometric, measured


@pytest.mark.parametrize(
    ("gradients", "verdict"),
    [
        (geometric(0.236), "vanishing"),
        (geometric(1.0), "healthy"),
        (geometric(0.6), "healthy"),
        (geometric(11.3), "exploding"),
        (geometric(0.236, depth=3), "healthy"),
        ([0.0] * 8 + [1.0], "cut"),
        ([0.0] * 9, "cut"),
        ([0.0, 0.0, 1e-40, 1e-30, 1e-20, 1e-10, 1.0], "vanishing"),
        ([1.0, math.nan, 1.0], "not finite"),
        ([math.inf, 1e30, 1.0], "not finite"),
        ([1.0], "healthy"),
    ],
)
def test_verdict(gradients: Sequence[float | None], verdict: str) -> None:
    assert judge(measured(gradients)).verdict == verdict


def test_loss_that_is_not_finite_is_the_verdict() -> None:
    assert judge(measured(geometric(1.0), loss=math.nan)).verdict == "not finite"
    assert judge(measured(geometric(1.0), diverged=True)).verdict == "not finite"


def kinds(measurements: Measurements) -> list[tuple[str, str]]:
    """Severity and kind of every finding."""
    return [(finding.severity, finding.kind) for finding in judge(measurements).findings]


def test_a_layer_of_dead_units_is_an_error_and_many_dead_units_are_a_warning() -> None:
    assert kinds(measured(geometric(1.0), dead_share=1.0)) == [("error", "dead")]
    assert kinds(measured(geometric(1.0), dead_share=0.5)) == [("warning", "dead units")]
    assert kinds(measured(geometric(1.0), dead_share=0.3)) == []


def test_kernel_gradients_serve_where_pre_activations_were_not_measured() -> None:
    layers = tuple(Layer(f"layer_{i:02d}", kernel_gradient=value) for i, value in enumerate(geometric(0.1, 6), 1))
    diagnosis = judge(Measurements("fabricated", layers))
    assert diagnosis.verdict == "vanishing"
    assert diagnosis.quantity == "kernel gradient"


def test_gain_of_an_exact_geometric_series() -> None:
    gain = judge(measured(geometric(0.25))).gain
    assert gain is not None
    assert gain == pytest.approx((0.25, 0.25, 0.25))


def test_gain_interval_covers_the_true_gain_as_often_as_it_says() -> None:
    """95 % interval: of 400 noisy series, between 92 % and 98 % cover."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        gradients = list(0.5 ** np.arange(9)[::-1] * np.exp(rng.normal(0, 0.2, 9)))
        gain = fit_gain(measured(gradients).layers, gradients)
        assert gain is not None
        covered += gain.low <= 0.5 <= gain.high
    assert 0.92 <= covered / 400 <= 0.98


def test_gain_needs_three_layers() -> None:
    assert judge(measured([0.1, 1.0])).gain is None


def test_prediction_stands_beside_the_fitted_gain() -> None:
    diagnosis = judge(measured(geometric(0.236), predicted_gain=0.24))
    assert diagnosis.predicted_gain == pytest.approx(0.24)
    assert "theory predicts x 0.24" in diagnosis.notes[0]


@pytest.mark.parametrize(
    ("ratio", "words"), [(1e-7, "learning rate is low"), (0.5, "learning rate is high"), (1e-3, "")]
)
def test_updates_far_from_usual_are_a_warning(ratio: float, words: str) -> None:
    findings = judge(measured(geometric(1.0), update_ratio=ratio)).findings
    assert [finding.kind for finding in findings] == (["update size"] if words else [])
    assert all(words in finding.sentence for finding in findings)


def test_inputs_that_look_alike_are_found_although_the_overall_spread_stays() -> None:
    assert kinds(measured(geometric(1.0), activation_std=0.12, across_samples_std=1e-4)) == [
        ("warning", "signal collapses")
    ]


def test_slow_first_layers_are_noted_before_the_gradient_counts_as_vanished() -> None:
    assert kinds(measured(geometric(0.3, depth=5))) == [("note", "slow first layers")]


def test_rendering_holds_every_layer_finding_and_remedy() -> None:
    diagnosis = judge(measured(geometric(0.236), {"activation": "sigmoid"}, predicted_gain=0.236, update_ratio=1e-8))
    text = render(diagnosis)
    assert text.startswith("VANISHING: ")
    flowing = " ".join(text.split())
    for part in [*(layer.name for layer in diagnosis.layers), *(finding.sentence for finding in diagnosis.findings)]:
        assert part in flowing
    for remedy in diagnosis.remedies:
        assert f"Study: {remedy.study}" in flowing
    assert max(map(len, text.splitlines())) <= 100


def test_a_narrow_terminal_gets_shorter_lines_and_every_finding() -> None:
    fields = {"predicted_gain": 0.236, "update_ratio": 1e-8, "parameters": 16_512, "shape": (None, 128)}
    diagnosis = judge(measured(geometric(0.236), {"activation": "sigmoid"}, **fields))
    text = render(diagnosis, 44)
    assert max(map(len, text.splitlines())) <= 44
    flowing = " ".join(text.split())
    assert all(finding.sentence in flowing for finding in diagnosis.findings)
    assert "layer_09  1.00e+00" in text


def test_rendering_shows_what_was_not_measured_as_a_dash() -> None:
    line = next(line for line in render(judge(measured([None, 1.0, 1.0]))).splitlines() if line.startswith("layer_01"))
    assert line.split()[1:] == ["-"]


def test_a_run_is_rendered_before_and_after_training(tmp_path: Path) -> None:
    record = read_run(write_run(tmp_path, RunConfig(initializer="normal_1"), gain=11.0, status="diverged"))
    before, after = render_pair(diagnose_run(record, "start"), diagnose_run(record, "end")).split("AFTER TRAINING")
    assert before.startswith("BEFORE TRAINING\nEXPLODING: ")
    assert after.startswith("\nNOT FINITE: training ended")


def test_a_run_without_instruments_is_a_user_error(tmp_path: Path) -> None:
    folder = write_run(tmp_path, RunConfig())
    (folder / "metrics.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="holds no gradient of any layer; train it with --instruments"):
        diagnose_run(read_run(folder))


def test_a_remedy_is_printed_once(tmp_path: Path) -> None:
    record = read_run(write_run(tmp_path, RunConfig(activation="sigmoid"), gain=0.2))
    assert render_pair(diagnose_run(record, "start"), diagnose_run(record, "end")).count("What helps") == 1


def trial(factor: float, start: float, end: float) -> Trial:
    return Trial(factor, (start,) * 12 + (end,) * 12)


def test_a_rate_at_which_the_loss_falls_is_slow_and_not_an_error() -> None:
    """An error where the own rate removes less than a fifth of the start loss, or ends far above the constant's."""
    trials = (trial(1.0, 1.2, 0.8), trial(10.0, 1.2, 0.6))
    found = judge(replace(measured(geometric(1.0)), trials=trials, constant_loss=0.8)).findings
    assert [(f.severity, f.figure) for f in found if f.kind == "learning rate too low"] == [("warning", 10.0)]
    far = (trial(1.0, 180.0, 90.0), trial(10.0, 180.0, 0.6))
    found = judge(replace(measured(geometric(1.0)), trials=far, constant_loss=0.8)).findings
    assert [f.severity for f in found if f.kind == "learning rate too low"] == ["error"]
    still = (trial(1.0, 1.2, 1.19), trial(10.0, 1.2, 0.6))
    found = judge(replace(measured(geometric(1.0)), trials=still, constant_loss=0.8)).findings
    assert [f.severity for f in found if f.kind == "learning rate too low"] == ["error"]


@pytest.mark.parametrize(
    ("frozen", "update", "end", "severity"),
    [
        (True, 5e-3, 0.67, "warning"),
        (True, 5e-3, 0.699, "error"),
        (True, 1e-5, 0.67, "error"),
        (False, 5e-3, 0.67, "error"),
    ],
)
def test_a_head_on_frozen_features_may_learn_in_small_steady_steps(
    frozen: bool, update: float, end: float, severity: str
) -> None:
    """Steps of usual size whose loss falls by more than its noise, here 0.01 either way."""
    noise = np.tile([0.01, -0.01], 12)
    own = Trial(1.0, tuple(np.linspace(0.7, end, 24) + noise))
    layers = (Layer("base", trainable=not frozen), Layer("head", 1.0, update_ratio=update, is_output=True))
    found = judge(Measurements("", layers, trials=(own, trial(100.0, 0.7, 0.2)), constant_loss=0.7)).findings
    assert [f.severity for f in found if f.kind == "learning rate too low"] == [severity]


@pytest.mark.parametrize(("trainable", "verdict"), [(True, "labels"), (False, "healthy")])
def test_equal_labels_are_meant_for_a_generator_before_a_frozen_discriminator(trainable: bool, verdict: str) -> None:
    """A constant prediction would have no loss at all, so the steps are compared with the start."""
    layers = (Layer("generator", 1.0), Layer("discriminator", 1.0, trainable=trainable, is_output=True))
    data = Data(8, label_identical=True, label_min=1.0, label_max=1.0, label_shape=(8,))
    output = Output(1, "sigmoid", "binary_crossentropy")
    trials = (trial(1.0, 0.7, 0.2),)
    state = Measurements("", layers, trials=trials, data=data, output=output, constant_loss=0.0)
    assert judge(state).verdict == verdict


def test_a_schedule_that_ends_before_the_loss_falls_is_named() -> None:
    state = replace(measured(geometric(1.0)), trials=(trial(1.0, 0.7, 0.69),), constant_loss=0.7, rate_kept=1e-9)
    assert judge(state).verdict == "learning rate too low"
    assert "schedule" in judge(state).findings[0].remedy
    assert judge(replace(state, trials=(trial(1.0, 0.7, 0.2),))).verdict == "healthy"
    assert judge(replace(state, rate_kept=0.5)).verdict == "not learning"


def test_soft_labels_leave_less_to_learn() -> None:
    """From 0.7 to 0.65 is a fourth of the way to 0.5 and a fourteenth of that to zero."""
    state = replace(measured(geometric(1.0)), trials=(trial(1.0, 0.7, 0.65),), constant_loss=0.7)
    assert judge(state).verdict == "not learning"
    assert judge(replace(state, lowest_loss=0.5)).verdict == "healthy"


@pytest.mark.parametrize(
    ("own", "others", "verdict"),
    [
        ((0.7, 0.3), [], "healthy"),
        ((0.7, 0.69), [(10.0, 0.7, 0.2)], "learning rate too low"),
        ((0.7, 40.0), [(0.1, 0.7, 0.2)], "learning rate too high"),
        ((0.7, 0.69), [(10.0, 0.7, 0.69), (0.1, 0.7, 0.69)], "not learning"),
        ((0.62, 0.6), [(10.0, 0.62, 0.2)], "learning rate too low"),
    ],
)
def test_trial_steps_show_the_direction_of_the_rate(own: Any, others: Any, verdict: str) -> None:
    """The last one starts below the constant prediction's 0.7 by luck: what counts is what the steps remove."""
    trials = (trial(1.0, *own), *(trial(*other) for other in others))
    assert judge(replace(measured(geometric(1.0)), trials=trials, constant_loss=0.7)).verdict == verdict


def test_a_rate_at_which_it_learns_can_still_be_too_high() -> None:
    """Asked only where a layer moves by a tenth of its weights or more; a warning, because the network learns."""
    state = replace(measured(geometric(1.0), update_ratio=0.5), trials=(trial(1.0, 0.7, 0.45),), constant_loss=0.7)
    assert next_factor(state) == 0.1
    assert next_factor(replace(state, layers=measured(geometric(1.0), update_ratio=0.01).layers)) is None
    better, alike = (replace(state, trials=(*state.trials, trial(0.1, 0.7, loss))) for loss in (0.1, 0.4))
    assert next_factor(better) is None
    found = [finding for finding in judge(better).findings if finding.kind == "learning rate too high"]
    assert [(finding.severity, finding.figure) for finding in found] == [("warning", 0.1)]
    assert "learning rate too high" in summary_line(judge(better))
    assert "learning rate too high" not in {finding.kind for finding in judge(alike).findings}


def test_rates_are_tried_until_one_learns_and_none_above_an_explosion() -> None:
    """The nearest first; with tiny updates only larger ones."""
    state = replace(measured(geometric(1.0)), constant_loss=0.7)
    exploding = replace(state, trials=(trial(1.0, 0.7, 0.7), trial(10.0, 0.7, 99.0)))
    assert next_factor(state) == 1.0
    assert next_factor(replace(state, trials=(trial(1.0, 0.7, 0.1),))) is None
    assert next_factor(exploding) == 0.1
    assert next_factor(replace(exploding, trials=(*exploding.trials, trial(0.1, 0.7, 0.7)))) == 0.01
    tiny = replace(measured(geometric(1.0), update_ratio=1e-7), constant_loss=0.7, trials=(trial(1.0, 0.7, 0.7),))
    tried = list(tiny.trials)
    while (factor := next_factor(replace(tiny, trials=tuple(tried)))) is not None:
        tried.append(trial(factor, 0.7, 0.7))
    assert [one.factor for one in tried] == [1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7]


@pytest.mark.parametrize(
    ("losses", "kinds"),
    [((2.5, 2.4, 2.3, 1.6), set()), ((2.5, 1.6, 1.5, 2.4, 1.6, 2.5, 1.5, 2.4), {"oscillating"})],
)
def test_a_loss_that_only_falls_does_not_oscillate(losses: tuple[float, ...], kinds: set[str]) -> None:
    found = judge(Measurements("fabricated", (Layer("out", 1.0),), history=losses, updates=80)).findings
    assert {finding.kind for finding in found} & {"oscillating"} == kinds


@pytest.mark.parametrize(("first", "kinds"), [(1e-7, set()), (2e-7, {"update size"})])
def test_an_update_that_was_measured_at_the_start_only_is_not_judged_later(first: float, kinds: set[str]) -> None:
    layers, start = ((Layer("out", 1.0, update_ratio=ratio),) for ratio in (1e-7, first))
    found = judge(Measurements("fabricated", layers, start=start, updates=80)).findings
    assert {finding.kind for finding in found} & {"update size"} == kinds
