"""Schedules: a table of the steps and epochs that each one holds, from Python and from the compiled step alike."""

from __future__ import annotations

import pytest
import tensorflow as tf

from mnist_depth.instrument import Schedule, at_most, at_steps, every_epochs, every_steps, log_spaced, never

CASES: dict[str, tuple[Schedule, list[int]]] = {
    "never": (never(), []),
    "every_steps": (every_steps(4), [0, 4, 8, 12, 16]),
    "every_step": (every_steps(1), list(range(17))),
    "at_steps": (at_steps([9, 0, 3, 3]), [0, 3, 9]),
    "no_steps": (at_steps([]), []),
    "log_spaced": (log_spaced(16, points=5), [0, 1, 2, 4, 8, 16]),
    "union": (every_steps(8) | at_steps([1, 2]) | every_epochs(1), [0, 1, 2, 8, 16]),
    "at_most": (at_most(4, 16), [0, 4, 8, 12, 16]),
    "at_most_of_few": (at_most(1000, 16), list(range(17))),
}


@pytest.mark.parametrize("name", CASES)
def test_steps(name: str) -> None:
    schedule, expected = CASES[name]
    assert [step for step in range(17) if schedule.due_between(step - 1, step)] == expected


@pytest.mark.parametrize("name", CASES)
def test_steps_in_graph(name: str) -> None:
    schedule, expected = CASES[name]
    due = tf.function(lambda step: tf.convert_to_tensor(schedule.due_in_graph(step - 1, step)), jit_compile=True)
    found = [step for step in range(17) if due(tf.constant(step, tf.int64)).numpy()]
    assert found == expected


def test_a_due_step_inside_a_block_is_due() -> None:
    assert every_steps(10).due_between(5, 25)
    assert not every_steps(10).due_between(10, 19)
    assert at_steps([7]).due_between(5, 25)


def test_epochs() -> None:
    assert [epoch for epoch in range(7) if every_epochs(3).due_epoch(epoch)] == [0, 3, 6]
    assert [epoch for epoch in range(7) if (every_epochs(3) | every_epochs(2)).due_epoch(epoch)] == [0, 2, 3, 4, 6]
    assert not any(every_steps(1).due_epoch(epoch) for epoch in range(3))


@pytest.mark.parametrize(
    ("schedule", "start"),
    [(every_steps(3), True), (every_epochs(3), True), (at_steps([3]), False), (at_steps([0]), True), (never(), False)],
)
def test_the_untrained_model(schedule: Schedule, start: bool) -> None:
    assert schedule.due_at_start() is start


@pytest.mark.parametrize(("points", "total"), [(1000, 12_000), (1000, 999), (7, 100), (1, 5)])
def test_at_most_keeps_its_promise(points: int, total: int) -> None:
    schedule = at_most(points, total)
    assert 1 <= sum(schedule.due_between(step - 1, step) for step in range(1, total + 1)) <= points


@pytest.mark.parametrize("make", [lambda: every_steps(0), lambda: every_epochs(-1), lambda: at_steps([-1, 3])])
def test_impossible_schedules(make: object) -> None:
    with pytest.raises(ValueError, match=r"must be at least 1|from 0 on"):
        make()  # pyright: ignore[reportCallIssue]
