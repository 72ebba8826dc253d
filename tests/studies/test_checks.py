"""The checks that studies share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.studies.checks import at_chance, beats, learns, stays_below
from mnist_depth.studies.expectation import Check
from mnist_depth.studies.selection import Runs

from .fabricate import finished, learned, stuck


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (learns(0.9), [learned(0.9), learned(0.99)], [learned(0.99), learned(0.89)]),
        (stays_below(0.5), [stuck(), stuck()], [stuck(), learned()]),
        (at_chance(), [stuck(), stuck(best_test_accuracy=0.098)], [stuck(), stuck(test_loss=2.1)]),
        (at_chance(), [stuck()], [stuck(best_test_accuracy=0.2)]),
        (at_chance(), [stuck()], [stuck(test_loss=math.inf)]),
    ],
)
def test_checks_look_at_every_seed(
    check: Check, good: Sequence[Mapping[str, float]], bad: Sequence[Mapping[str, float]]
) -> None:
    for figures, holds in ((good, True), (bad, False)):
        runs = Runs(finished(RunConfig(seed=seed), **metrics) for seed, metrics in enumerate(figures))
        assert check(runs)[0] is holds


def test_beats_counts_losses_downward() -> None:
    runs = Runs([finished(RunConfig(depth=2), **learned(0.97)), finished(RunConfig(depth=3), **stuck())])
    assert beats({"depth": 2}, {"depth": 3}, "test_loss")(runs)[0]
    assert beats({"depth": 2}, {"depth": 3}, "test_accuracy")(runs)[0]
    assert not beats({"depth": 3}, {"depth": 2}, "test_loss")(runs)[0]
