"""Searching, with runs that end as a formula says instead of being trained."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.sweeps import sweep
from mnist_depth.sweeps.search import (
    DEFAULT_SPACE,
    KEPT_SHARE,
    SearchSettings,
    Space,
    Trial,
    at_the_edge,
    parse_range,
    ranked,
    search,
)

pytestmark = pytest.mark.slow

BASE: dict[str, Any] = {"dataset": "digits", "depth": 2, "width": 8, "epochs": 9}
PEAK = -3.0
"""The decimal exponent of the best learning rate."""


def accuracy_of(config: RunConfig) -> float:
    """Highest at the peak, and higher after more epochs."""
    return 1 / (1 + abs(math.log10(config.learning_rate) - PEAK)) - 0.001 / config.epochs


class Trainer:
    """Leaves a finished run for every config, or a failed one where `fails` says so; keeps the rounds."""

    def __init__(self, logdir: Path, fails: Callable[[RunConfig], bool] = lambda config: False) -> None:
        self.options = sweep.Options(logdir=logdir, study="search", score_test=False)
        self.fails = fails
        self.rounds: list[list[RunConfig]] = []
        self.stop_after = math.inf

    def __call__(self, configs: Sequence[RunConfig]) -> sweep.Result:
        self.rounds.append([*configs])
        return sweep.Result([self._train(config) for config in configs])

    def _train(self, config: RunConfig) -> sweep.Outcome:
        folder = records.run_folder(self.options.logdir, self.options.study, config)
        if len(self.rounds) > self.stop_after:
            return sweep.Outcome(folder, "stopped")
        if self.fails(config):
            return sweep.Outcome(folder, "failed", UserError("no memory"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / records.CONFIG).write_text(json.dumps({"format": records.FORMAT, "config": config.to_dict()}))
        done = {"status": "finished", "metrics": {"validation_accuracy": accuracy_of(config)}}
        (folder / records.DONE).write_text(json.dumps(done))
        return sweep.Outcome(folder, "finished")

    def search(self, plan: SearchSettings, space: Space = DEFAULT_SPACE, **fields: Any) -> list[Trial]:
        return search({**BASE, **fields}, space, plan, self.options, self)


def exponents(configs: Sequence[RunConfig], field: str = "learning_rate") -> list[float]:
    return [math.log10(getattr(config, field)) for config in configs]


def test_trials_come_best_first_and_are_read_from_their_runs(tmp_path: Path) -> None:
    trials = Trainer(tmp_path).search(SearchSettings(trials=20, rounds=1))
    assert len(trials) == 20
    assert [trial.accuracy for trial in trials] == sorted((accuracy_of(t.config) for t in trials), reverse=True)
    distances = [abs(exponent - PEAK) for exponent in exponents([trial.config for trial in trials])]
    assert distances == sorted(distances)


def test_draws_are_uniform_in_the_exponent(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path, fails=lambda config: True)
    trainer.search(SearchSettings(trials=2_000, rounds=1))
    for field, (low, high) in DEFAULT_SPACE.exponents.items():
        found = np.sort(exponents(trainer.rounds[0], field))
        shares = (found - low) / (high - low)
        # Kolmogorov-Smirnov: the largest distance from the uniform distribution, beyond which one in 1,000 falls.
        assert np.abs(shares - np.linspace(0, 1, len(shares))).max() < 1.95 / math.sqrt(len(shares))


def test_the_second_round_stays_around_the_best_fifth_of_the_first(tmp_path: Path) -> None:
    trainer, plan = Trainer(tmp_path), SearchSettings(trials=50, rounds=2)
    trials = trainer.search(plan)
    first, second = trainer.rounds
    best = sorted(first, key=accuracy_of)[-round(KEPT_SHARE * plan.trials) :]
    for field, (low, high) in DEFAULT_SPACE.exponents.items():
        margin = (high - low) / 10
        spanned = exponents(best, field)
        assert max(low, min(spanned) - margin) <= min(exponents(second, field)) + 1e-5
        assert max(exponents(second, field)) <= min(high, max(spanned) + margin) + 1e-5
    assert np.std(exponents(second)) < np.std(exponents(first))
    assert len(trials) == 100


def test_a_seed_gives_the_same_trials_and_another_one_others(tmp_path: Path) -> None:
    def drawn(seed: int) -> list[list[RunConfig]]:
        trainer = Trainer(tmp_path)
        trainer.search(SearchSettings(trials=5, rounds=2, seed=seed))
        return trainer.rounds

    assert drawn(1) == drawn(1) != drawn(2)


def test_choices_are_drawn_from_their_lists_and_the_rest_is_fixed(tmp_path: Path) -> None:
    space = Space({"learning_rate": (-4.0, -2.0)}, {"activation": ["relu", "tanh"], "depth": [2, 3]})
    trainer = Trainer(tmp_path)
    trainer.search(SearchSettings(trials=60, rounds=1), space, weight_decay=0.5)
    drawn = {(config.activation, config.depth) for config in trainer.rounds[0]}
    assert drawn == {("relu", 2), ("relu", 3), ("tanh", 2), ("tanh", 3)}
    assert {config.weight_decay for config in trainer.rounds[0]} == {0.5}


def test_runs_that_failed_come_last_and_do_not_steer(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path, fails=lambda config: config.learning_rate > 1e-4)
    trials = trainer.search(SearchSettings(trials=30, rounds=2))
    failed = [math.isnan(trial.accuracy) for trial in trials]
    assert failed == sorted(failed)
    assert any(failed)
    margin = 0.4
    assert max(exponents(trainer.rounds[1])) <= -4 + margin


def test_a_round_without_a_finished_run_narrows_nothing(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path, fails=lambda config: True)
    trainer.search(SearchSettings(trials=200, rounds=2))
    assert np.ptp(exponents(trainer.rounds[1])) > 3.5


def test_a_stopped_round_is_the_last(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    trainer.stop_after = 1
    trials = trainer.search(SearchSettings(trials=4, rounds=5))
    assert len(trainer.rounds) == 2
    assert [math.isnan(trial.accuracy) for trial in trials] == [False] * 4 + [True] * 4


def test_halving_trains_the_better_third_three_times_as_long(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    trainer.search(SearchSettings(trials=27, rounds=1, halving=True))
    assert [{config.epochs for config in rung} for rung in trainer.rounds] == [{1}, {3}, {9}]
    sizes = [len(rung) for rung in trainer.rounds]
    assert sizes[0] == 27 > sizes[1] > sizes[2] > 0
    for rung, later in zip(trainer.rounds, trainer.rounds[1:], strict=False):
        rates = {config.learning_rate for config in later}
        assert rates < {config.learning_rate for config in rung}
        assert max(rung, key=accuracy_of).learning_rate in rates


def test_the_parzen_estimator_learns_where_to_look(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    trainer.search(SearchSettings(trials=12, rounds=6, sampler="tpe"))
    early, late = (np.abs(np.array(exponents(trainer.rounds[index])) - PEAK) for index in (0, -1))
    assert np.median(late) < np.median(early) / 2


@pytest.mark.parametrize("choices", [{"depth": [2, 3, -1]}, {"activation": ["relu", "rleu"]}])
def test_an_invalid_choice_is_reported_before_anything_is_trained(
    tmp_path: Path, choices: dict[str, list[Any]]
) -> None:
    trainer = Trainer(tmp_path)
    with pytest.raises(UserError, match=next(iter(choices))):
        trainer.search(SearchSettings(trials=1, rounds=50, seed=1), Space({}, choices))
    assert trainer.rounds == []


def test_a_plan_names_what_is_wrong_with_it() -> None:
    with pytest.raises(UserError, match="unknown sampler 'grid'; valid: random, tpe"):
        SearchSettings(sampler="grid")
    with pytest.raises(UserError, match="rounds must be a whole number from 1"):
        SearchSettings(rounds=0)


def test_the_line_of_a_trial_has_the_form_of_the_book() -> None:
    config = RunConfig(learning_rate=0.0092, weight_decay=3.86e-07, activation="tanh")
    assert Trial(config, 0.8).line(1) == "Best-1 (val acc: 0.8) | lr: 0.0092, weight decay: 3.9e-07"
    assert Trial(config, 0.8).line(2, ["activation"]).endswith(", activation: tanh")


def test_infinite_accuracies_are_no_better_than_none() -> None:
    config = RunConfig()
    order = ranked([Trial(config, value) for value in (math.nan, 0.1, math.inf, 0.9)])
    assert [trial.accuracy for trial in order[:2]] == [0.9, 0.1]


@pytest.mark.parametrize("text", ["1e-3", "1,0.1", "0,1", "a,b", "1e-3,inf", "1,2,3", "nan,1"])
def test_what_is_no_range_is_a_user_error(text: str) -> None:
    with pytest.raises(UserError, match="--learning_rate_range takes LOW,HIGH"):
        parse_range("learning_rate", text)


@pytest.mark.parametrize(
    ("rate", "decay", "edges"),
    [(0.0092, 3.9e-7, ["learning_rate"]), (1e-3, 1e-6, []), (1.1e-6, 9e-5, ["learning_rate", "weight_decay"])],
)
def test_a_best_trial_at_the_end_of_a_range_is_noticed(rate: float, decay: float, edges: list[str]) -> None:
    trial = Trial(RunConfig(learning_rate=rate, weight_decay=decay), 0.8)
    assert at_the_edge(trial, DEFAULT_SPACE.exponents) == edges
