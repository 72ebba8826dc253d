"""Every expectation of every study: figures as published come out `reproduced`, figures that violate it do not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.records import RunRecord
from mnist_depth.studies import STUDIES
from mnist_depth.studies.expectation import NOT_COMPARABLE, NOT_REPRODUCED, NOT_TESTED, REPRODUCED
from mnist_depth.studies.phase_diagram import limit
from mnist_depth.studies.study import Study
from tests.studies.fabricate import Choice, Layers, Maker, Measure, finished, learned, matches, stuck

LN_2 = math.log(2)


def _stuck_if(**choice: Any) -> Maker:
    """Runs of this choice are stuck, all others learn."""
    return lambda config: stuck() if matches(config, choice) else learned()


def _gate(config: RunConfig) -> dict[str, float]:
    hopeless = config.depth == 1 or (config.depth == 10 and config.activation == "sigmoid")
    unsolved = config.dataset == "xor" and hopeless
    return {"test_loss": LN_2, "test_accuracy": 0.5} if unsolved else {"test_loss": 0.01, "test_accuracy": 1.0}


def _depth_sweep(config: RunConfig) -> dict[str, float]:
    if config.activation == "sigmoid":
        by_depth = {1: 0.92, 2: 0.95, 3: 0.94, 4: 0.7, 5: 0.3, 6: 0.12}
        return learned(by_depth[config.depth]) if config.depth < 7 else stuck()
    return stuck() if config.activation == "relu" and config.depth == 32 else learned()


def _activations(config: RunConfig) -> dict[str, float]:
    return {"sigmoid": stuck(), "tanh": learned(0.96)}.get(config.activation, learned(0.97))


def _initializers(config: RunConfig) -> dict[str, float]:
    bad = config.initializer in ("zeros", "normal_0_01")
    overflow = config.initializer == "normal_1"
    return stuck(test_loss=math.nan) if overflow else stuck() if bad else learned()


def _rescues(config: RunConfig) -> dict[str, float]:
    slow = ("sgd", "momentum", "nag", "rmsprop", "adagrad")
    plain = config.optimizer in slow and config.wiring == "plain" and config.batch_norm == "none"
    small = config.initializer in ("glorot_normal", "orthogonal") and config.pretraining not in ("dbn", "lsuv:samples")
    return stuck() if config.activation == "sigmoid" and plain and small else learned()


def _flow(config: RunConfig) -> Layers:
    spread = {"normal_1": 0.9, "normal_0_01": 0.1, "xavier_fan_in": 0.8, "he_fan_in": 1.0}[config.initializer]
    if config.activation == "relu" and config.initializer == "xavier_fan_in":
        spread = 0.7
    stds = [0.6 * spread**layer for layer in range(5)]
    if config.activation == "sigmoid" and config.initializer == "normal_0_01":
        stds = [0.02] * 5
    shares = [0.9 if config.initializer == "normal_1" else 0.0] * 5
    return {"activation_std": stds, "saturated_share": shares, "activation_mean": [0.5] * 5}


def _batch_norm(config: RunConfig) -> dict[str, float]:
    if config.activation == "sigmoid":
        return stuck() if config.batch_norm == "none" else learned()
    suits = 0.02 < float(config.initializer.partition(":")[2] or 1) < 0.5
    plain = learned(train_accuracy=0.8) if suits else stuck()
    return plain if config.batch_norm == "none" else learned(train_accuracy=0.95)


def _dropout(config: RunConfig) -> dict[str, float]:
    if config.dropout:
        return learned(0.98, train_accuracy=0.985, test_loss=0.07)
    return learned(0.974, train_accuracy=0.999, test_loss=0.12)


def _optimizers(config: RunConfig) -> dict[str, float]:
    losses = {"sgd": 0.3, "adam": 0.01}
    return learned(train_loss=losses.get(config.optimizer, 0.05))


def _labs(config: RunConfig) -> dict[str, float]:
    if config.depth == 1:
        return learned(0.91 if config.optimizer == "sgd" else 0.9035)
    if config.depth == 3:
        return learned(0.9455 if config.initializer == "normal_1" else 0.9783)
    return learned(0.9826 if config.batch_norm != "none" else 0.9804 if config.dropout else 0.9742)


def _speeds(config: RunConfig) -> Layers:
    norms = [0.3 * 0.2 ** (config.depth - 2 - layer) for layer in range(config.depth - 1)]
    return {"probe_gradient_norm/bias": norms, "gradient_norm/bias": norms}


def _phases(config: RunConfig) -> dict[str, float]:
    return learned() if config.depth <= limit(config) else stuck()


def _search(config: RunConfig) -> dict[str, float]:
    return learned(0.2 + 0.15 * (6 + math.log10(config.learning_rate)))


def _shallow(config: RunConfig) -> dict[str, float]:
    if config.logits_activation == "relu":
        return stuck()
    return learned(0.975 if config.initializer == "glorot_uniform" else 0.93)


GOOD: dict[str, Maker] = {
    "depth9": _stuck_if(activation="sigmoid"),
    "gates": _gate,
    "xor2": _gate,
    "xor9": _gate,
    "depth_sweep": _depth_sweep,
    "activations": _activations,
    "initializers": _initializers,
    "activation_init_grid": _stuck_if(activation="sigmoid"),
    "activation_flow": lambda config: stuck(),
    "dbn": _stuck_if(pretraining="none"),
    "batch_norm": _batch_norm,
    "dropout": _dropout,
    "ensemble": lambda config: learned(),
    "lego": lambda config: (
        stuck() if config.activation == "sigmoid" and config.wiring in ("plain", "split_merge") else learned()
    ),
    "optimizers": _optimizers,
    "labs": _labs,
    "shallow_relu": _shallow,
    "learning_speed": lambda config: learned(),
    "rescues": _rescues,
    "phase_diagram": _phases,
    "search": _search,
}
"""Study -> the metrics of a run as the sources have it."""


def _norms(gain: float) -> list[float]:
    """||dL/dz|| of nine layers that multiply it by `gain` on the way back."""
    return [gain ** (9 - layer) for layer in range(1, 10)]


MEASURED: dict[str, Measure] = {
    "depth9": lambda config: {"pre_activation_gradient_norm": _norms(0.24 if config.activation == "sigmoid" else 0.71)},
    "activation_flow": _flow,
    "learning_speed": _speeds,
    "shallow_relu": lambda config: {"zero_share": [(0.5, 0.6), (0.5, 0.75)]},
}

FIGURES = {
    "ensemble": {
        "ensemble_accuracy": 0.983,
        "mean_member_accuracy": 0.975,
        "best_member_accuracy": 0.98,
        "members": 5.0,
    }
}


NOTHING: Mapping[str, Any] = {}


class Violation(NamedTuple):
    """Runs of `choice` get other metrics, layers or figures, and the expectation at `place` must not come out true."""

    study: str
    place: int
    choice: Choice
    metrics: Mapping[str, float] = NOTHING
    layers: Layers = NOTHING
    figures: Mapping[str, float] = NOTHING


LEARNS, FAILS = learned(), stuck()
EASY = {"test_loss": 0.01, "test_accuracy": 1.0}

VIOLATIONS = [
    Violation("depth9", 0, {"activation": "sigmoid"}, {"test_loss": 1.9}),
    Violation("depth9", 0, {"activation": "sigmoid"}, {"best_test_accuracy": 0.2}),
    Violation("depth9", 0, {"activation": "sigmoid"}, {"test_loss": math.nan}),
    Violation("depth9", 1, {"activation": "relu"}, {"best_test_accuracy": 0.96}),
    Violation("depth9", 2, {"activation": "sigmoid"}, layers={"pre_activation_gradient_norm": _norms(0.5)}),
    Violation("depth9", 2, {"activation": "sigmoid"}, layers={"pre_activation_gradient_norm": [math.nan] * 9}),
    Violation("depth9", 3, {"activation": "relu"}, layers={"pre_activation_gradient_norm": _norms(0.5)}),
    Violation("depth9", 3, {"activation": "relu"}, layers={"pre_activation_gradient_norm": [math.nan] * 9}),
    Violation("gates", 0, {"dataset": "and"}, {"test_accuracy": 0.75}),
    Violation("gates", 1, {"dataset": "or"}, {"test_accuracy": 0.75}),
    Violation("gates", 2, {"dataset": "xor"}, EASY),
    Violation("gates", 2, {"dataset": "xor"}, {"test_loss": 0.4}),
    Violation("xor2", 0, {}, {"test_accuracy": 0.75}),
    Violation("xor9", 0, {"activation": "sigmoid", "seed": 3}, EASY),
    Violation("xor9", 1, {"activation": "relu"}, {"test_accuracy": 0.75}),
    Violation("depth_sweep", 0, {"activation": "sigmoid", "depth": 3}, {"best_test_accuracy": 0.8}),
    Violation("depth_sweep", 1, {"activation": "sigmoid", "depth": 5}, {"best_test_accuracy": 0.9}),
    Violation("depth_sweep", 2, {"activation": "sigmoid", "depth": 9}, LEARNS),
    Violation("depth_sweep", 3, {"activation": "tanh", "depth": 9}, FAILS),
    Violation("depth_sweep", 4, {"activation": "relu", "depth": 9}, FAILS),
    Violation("depth_sweep", 5, {"activation": "relu", "depth": 32}, LEARNS),
    Violation("activations", 0, {"activation": "sigmoid"}, LEARNS),
    Violation("activations", 1, {"activation": "elu"}, FAILS),
    Violation("activations", 2, {"activation": "tanh"}, {"best_test_accuracy": 0.99}),
    Violation("initializers", 0, {"initializer": "zeros"}, LEARNS),
    Violation("initializers", 1, {"initializer": "normal_1"}, LEARNS),
    Violation("initializers", 2, {"initializer": "normal_0_01"}, LEARNS),
    Violation("initializers", 3, {"initializer": "he_uniform"}, FAILS),
    Violation("initializers", 4, {"initializer": "orthogonal"}, FAILS),
    Violation("initializers", 5, {"pretraining": "lsuv"}, FAILS),
    Violation("initializers", 6, {"pretraining": "dbn"}, FAILS),
    Violation("activation_init_grid", 0, {"activation": "sigmoid", "initializer": "orthogonal"}, LEARNS),
    Violation("activation_init_grid", 0, {"activation": "sigmoid", "pretraining": "lsuv"}, LEARNS),
    Violation("activation_init_grid", 1, {"activation": "tanh", "initializer": "he_normal"}, FAILS),
    Violation("activation_init_grid", 2, {"pretraining": "lsuv"}, {"best_test_accuracy": 0.9}),
    Violation("activation_flow", 0, {"activation": "sigmoid"}, layers={"saturated_share": [0.9] * 4 + [0.2]}),
    Violation("activation_flow", 1, {"activation": "tanh"}, layers={"saturated_share": [0.2] * 5}),
    Violation("activation_flow", 2, {"activation": "sigmoid"}, layers={"activation_std": [0.2] * 5}),
    Violation("activation_flow", 2, {"activation": "sigmoid"}, layers={"activation_mean": [0.5] * 4 + [0.8]}),
    Violation("activation_flow", 3, {"activation": "tanh"}, layers={"activation_std": [0.5] * 5}),
    Violation("activation_flow", 4, {"activation": "relu"}, layers={"activation_std": [0.5] * 5}),
    Violation("activation_flow", 5, {"activation": "tanh"}, layers={"activation_std": [0.5, 0.2, 0.1, 0.05, 0.02]}),
    Violation("activation_flow", 6, {"activation": "relu"}, layers={"activation_std": [0.5] * 5}),
    Violation("activation_flow", 7, {"activation": "relu"}, layers={"activation_std": [0.5, 0.4, 0.3, 0.2, 0.1]}),
    Violation("dbn", 0, {"pretraining": "none"}, LEARNS),
    Violation("dbn", 1, {"pretraining": "dbn"}, FAILS),
    Violation("batch_norm", 0, {"batch_norm": "before", "initializer": "normal"}, {"train_accuracy": 0.2}),
    Violation("batch_norm", 1, {"batch_norm": "none", "depth": 6}, {"train_accuracy": 0.9}),
    Violation("batch_norm", 2, {"batch_norm": "none", "depth": 6}, {"train_accuracy": 0.97}),
    Violation("batch_norm", 3, {"activation": "sigmoid", "batch_norm": "none"}, LEARNS),
    Violation("batch_norm", 4, {"activation": "sigmoid", "batch_norm": "before"}, FAILS),
    Violation("dropout", 0, {"depth": 7, "dropout": 0.2}, {"train_accuracy": 1.0, "test_accuracy": 0.9}),
    Violation("dropout", 1, {"depth": 5, "dropout": 0.3}, {"train_accuracy": 1.0, "test_accuracy": 0.9}),
    Violation("dropout", 2, {"depth": 5, "dropout": 0.3}, {"test_loss": 0.2}),
    Violation("ensemble", 0, {}, figures={"ensemble_accuracy": 0.97}),
    Violation("ensemble", 1, {}, figures={"ensemble_accuracy": 0.979}),
    Violation("lego", 0, {"activation": "sigmoid", "wiring": "plain"}, LEARNS),
    Violation("lego", 1, {"activation": "sigmoid", "wiring": "residual"}, FAILS),
    Violation("lego", 2, {"activation": "sigmoid", "wiring": "split_merge"}, LEARNS),
    Violation("lego", 3, {"activation": "relu", "wiring": "split_merge"}, FAILS),
    Violation("lego", 4, {"wiring": "recurrent"}, FAILS),
    Violation("optimizers", 0, {"optimizer": "rmsprop"}, {"train_loss": 0.001}),
    Violation("optimizers", 1, {"optimizer": "momentum"}, {"train_loss": 0.9}),
    Violation("optimizers", 2, {"optimizer": "radam"}, {"best_test_accuracy": 0.9}),
    *(
        Violation("labs", place, choice, {"test_accuracy": 0.8})
        for place, choice in enumerate(
            [
                {"depth": 1, "optimizer": "sgd"},
                {"depth": 1, "optimizer": "adam"},
                {"depth": 3, "initializer": "normal_1"},
                {"depth": 3, "initializer": "glorot_uniform"},
                {"depth": 5, "dropout": 0.0},
                {"dropout": 0.3, "batch_norm": "none"},
                {"batch_norm": "before"},
                {"depth": 3, "initializer": "normal_1"},
                {"depth": 3, "initializer": "glorot_uniform"},
            ]
        )
    ),
    Violation("shallow_relu", 0, {"initializer": "glorot_uniform"}, {"best_test_accuracy": 0.93}),
    Violation("shallow_relu", 1, {"logits_activation": "linear"}, layers={"zero_share": [(0.5, 0.6), (0.5, 0.55)]}),
    Violation("shallow_relu", 2, {"logits_activation": "relu_scored"}, {"best_test_accuracy": 0.85}),
    Violation("shallow_relu", 3, {"logits_activation": "relu"}, {"best_test_accuracy": 0.93}),
    *(
        Violation("learning_speed", place, {"depth": depth}, layers={"probe_gradient_norm/bias": [0.3] * (depth - 1)})
        for place, depth in enumerate([3, 4, 5])
    ),
    Violation("learning_speed", 0, {"depth": 3}, layers={"probe_gradient_norm/bias": [1e-5, 0.3]}),
    Violation("learning_speed", 3, {"depth": 4}, layers={"gradient_norm/bias": [0.3, 0.2, 0.3]}),
    Violation("rescues", 0, {"activation": "relu"}, FAILS),
    Violation("rescues", 1, {"initializer": "glorot_normal", "optimizer": "sgd"}, LEARNS),
    Violation("rescues", 2, {"batch_norm": "before"}, FAILS),
    Violation("rescues", 3, {"batch_norm": "before"}, {"best_test_accuracy": 0.93}),
    Violation("rescues", 4, {"wiring": "residual"}, FAILS),
    Violation("rescues", 5, {"pretraining": "dbn"}, FAILS),
    Violation("rescues", 6, {"initializer": "glorot_4"}, FAILS),
    Violation("rescues", 7, {"initializer": "orthogonal:4"}, FAILS),
    Violation("rescues", 8, {"initializer": "orthogonal"}, LEARNS),
    Violation("rescues", 9, {"pretraining": "lsuv"}, LEARNS),
    Violation("rescues", 10, {"optimizer": "adam"}, FAILS),
    Violation("rescues", 11, {"optimizer": "adagrad"}, LEARNS),
    Violation("rescues", 12, {"optimizer": "rmsprop_tiny_epsilon"}, FAILS),
    Violation("rescues", 13, {"optimizer": "momentum"}, LEARNS),
    *(
        Violation("phase_diagram", place, {"activation": activation}, outcome)
        for place, activation in enumerate(["tanh", "sigmoid", "relu"])
        for outcome in (LEARNS, FAILS)
    ),
    Violation("search", 0, {}, {"validation_accuracy": 0.5}),
    Violation("search", 1, {}, {"validation_accuracy": 0.8}),
]


def _trials() -> list[RunConfig]:
    base = STUDIES["search"].variants[0].fields
    return [RunConfig(dataset="mnist", **base, learning_rate=10 ** (-6 + place / 16)) for place in range(64)]


def _configs(name: str, quick: bool) -> list[RunConfig]:
    return _trials() if name == "search" else STUDIES[name].configs("mnist", quick=quick)


def _study(name: str, figures: Mapping[str, float]) -> Study:
    study = STUDIES[name]
    if study.analysis is None:
        return study
    return dataclasses.replace(study, analysis=lambda records, data_dir: {**FIGURES[name], **figures})


def _run(name: str, config: RunConfig, violation: Violation | None = None) -> RunRecord:
    assert name in GOOD, f"{name} needs runs as its source has them, in GOOD"
    metrics, layers = GOOD[name](config), MEASURED.get(name, lambda config: {})(config)
    if violation and matches(config, violation.choice):
        metrics, layers = {**metrics, **violation.metrics}, {**layers, **violation.layers}
    return finished(config, layers, **metrics)


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", STUDIES)
def test_runs_as_published_reproduce_every_expectation(name: str, quick: bool) -> None:
    answers = _study(name, {}).answers([_run(name, config) for config in _configs(name, quick)])
    assert NOT_REPRODUCED not in [answer.verdict for answer in answers]
    assert quick or {answer.verdict for answer in answers} == {REPRODUCED}
    assert all(answer.detail for answer in answers)


@pytest.mark.parametrize("violation", VIOLATIONS, ids=lambda violation: f"{violation.study}-{violation.place}")
def test_runs_that_violate_an_expectation_do_not_reproduce_it(violation: Violation) -> None:
    name = violation.study
    runs = [_run(name, config, violation) for config in _configs(name, quick=False)]
    assert any(matches(run.config, violation.choice) for run in runs)
    answer = _study(name, violation.figures).answers(runs)[violation.place]
    assert answer.verdict == NOT_REPRODUCED, answer


@pytest.mark.parametrize("name", STUDIES)
def test_every_expectation_has_a_violation_a_source_and_a_premise(name: str) -> None:
    places = {violation.place for violation in VIOLATIONS if violation.study == name}
    assert places == set(range(len(STUDIES[name].expectations)))
    for expectation in STUDIES[name].expectations:
        assert expectation.statement
        assert expectation.source


@pytest.mark.parametrize("name", STUDIES)
def test_without_runs_nothing_is_tested_and_on_a_broken_premise_nothing_is_comparable(name: str) -> None:
    study = _study(name, {})
    assert {answer.verdict for answer in STUDIES[name].answers([])} == {NOT_TESTED}
    changed = "bias_std" if name in ("search", "activation_flow") else "learning_rate"
    runs = [_run(name, dataclasses.replace(config, **{changed: 0.123})) for config in _configs(name, quick=False)]
    answers = [
        answer
        for expectation, answer in zip(study.expectations, study.answers(runs), strict=True)
        if changed in expectation.premise
    ]
    assert {answer.verdict for answer in answers} <= {NOT_COMPARABLE}
    assert all(f"asks for {changed.replace('_', ' ')}" in answer.detail for answer in answers)
    assert answers or name == "ensemble"


@pytest.mark.parametrize("name", ["depth9", "rescues", "depth_sweep"])
def test_bars_without_a_source_for_the_dataset_are_not_comparable(name: str) -> None:
    configs = STUDIES[name].configs("kmnist")
    answers = STUDIES[name].answers([_run(name, config) for config in configs])
    assert NOT_COMPARABLE in [answer.verdict for answer in answers]
    assert any("kmnist" in answer.detail for answer in answers)
