"""Step arithmetic: counted by hand for runs of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.plan import plan_of

COUNTED: list[tuple[dict[str, Any], tuple[int, int, int]]] = [
    ({"epochs": 2}, (1100, 100, 2)),
    ({"dataset": "digits", "epochs": 60}, (60 * 13, 100, 60)),
    ({"dataset": "xor", "epochs": 10_000}, (10_000, 4, 200)),
    ({"train_examples": 300, "epochs": 300}, (900, 100, 150)),
    ({"train_examples": 300, "batch_size": 1000, "epochs": 5}, (5, 300, 5)),
]
"""Fields of a config; its steps, examples per step and intervals."""


@pytest.mark.parametrize(("fields", "counted"), COUNTED)
def test_full_minibatches_and_scored_intervals_are_counted(
    fields: dict[str, Any], counted: tuple[int, int, int]
) -> None:
    plan = plan_of(RunConfig(**fields))
    assert (plan.steps, plan.minibatch, plan.intervals) == counted
