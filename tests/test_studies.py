"""Studies: data that names runs, expectations that can fail."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.records import RunRecord
from mnist_depth.studies import STUDIES
from mnist_depth.studies.study import NOT_REPRODUCED, NOT_TESTED, REPRODUCED, Runs, product


def finished(config: RunConfig, **metrics: Any) -> RunRecord:
    """A run that ended with these metrics, without its files."""
    folder = Path("logs") / "study" / config.slug / f"seed_{config.seed}"
    return RunRecord(folder, config, {}, {"status": "finished", "metrics": metrics})


def test_product_runs_the_last_axis_fastest() -> None:
    assert product(a=[1, 2], b=["x", "y"]) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_names_its_runs_once(name: str) -> None:
    for quick in (False, True):
        configs = STUDIES[name].configs("digits", quick=quick)
        assert configs
        slugs = [(config.slug, config.seed) for config in configs]
        assert len(set(slugs)) == len(slugs) == len(set(configs))
    assert STUDIES[name].question.endswith("?")
    assert STUDIES[name].expectations


def test_seeds_and_overrides_apply_to_every_run() -> None:
    configs = STUDIES["depth9"].configs("mnist", seeds=2, overrides={"width": 32, "seed": 5})
    assert {(config.activation, config.seed, config.width) for config in configs} == {
        (activation, seed, 32) for activation in ("sigmoid", "relu") for seed in (5, 6)
    }
    assert len(STUDIES["depth9"].configs("mnist", overrides={"activation": "tanh"})) == 1


GOOD = {
    "sigmoid": {"test_loss": math.log(10), "best_test_accuracy": 0.1135, "gradient_ratio": 1e-5},
    "relu": {"test_loss": 0.1, "best_test_accuracy": 0.975, "gradient_ratio": 0.8},
}


def _depth9(**changes: dict[str, float]) -> list[RunRecord]:
    return [
        finished(
            RunConfig(activation=activation),
            **{"largest_class_share": 0.1135, **figures, **changes.get(activation, {})},
        )
        for activation, figures in GOOD.items()
    ]


def test_depth9_is_reproduced_by_the_published_figures() -> None:
    assert {answer.verdict for answer in STUDIES["depth9"].answers(_depth9())} == {REPRODUCED}


@pytest.mark.parametrize(
    ("activation", "change", "place"),
    [
        ("sigmoid", {"test_loss": 1.9}, 0),
        ("sigmoid", {"best_test_accuracy": 0.2}, 0),
        ("sigmoid", {"test_loss": math.nan}, 0),
        ("relu", {"best_test_accuracy": 0.96}, 1),
        ("sigmoid", {"gradient_ratio": 0.01}, 2),
        ("relu", {"gradient_ratio": 0.01}, 3),
        ("relu", {"gradient_ratio": 20.0}, 3),
    ],
)
def test_depth9_is_not_reproduced_by_figures_that_violate_it(
    activation: str, change: dict[str, float], place: int
) -> None:
    answers = STUDIES["depth9"].answers(_depth9(**{activation: change}))
    assert answers[place].verdict == NOT_REPRODUCED
    assert [answer.verdict for answer in answers].count(NOT_REPRODUCED) == 1


def test_an_override_of_the_premise_or_a_missing_run_is_not_tested() -> None:
    answers = STUDIES["depth9"].answers(_depth9(), overridden=["depth"])
    assert {answer.verdict for answer in answers} == {NOT_TESTED}
    assert "--depth" in answers[0].detail
    only_relu = STUDIES["depth9"].answers(_depth9()[1:])
    assert [answer.verdict for answer in only_relu] == [NOT_TESTED, REPRODUCED, NOT_TESTED, REPRODUCED]


def test_unfinished_runs_do_not_count() -> None:
    unfinished = RunRecord(Path("x/y/seed_0"), RunConfig(), {}, {})
    assert Runs([unfinished]).records == []
