"""A training whose loss is no better than that of a constant prediction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mnist_depth.diagnosis import judge

from .fabricated_measurements import geometric, measured

FALLING = (5.0, 3.0, 1.5, 1.0)


def found(**fields: Any) -> list[tuple[str, str]]:
    """Severity and sentence of what is found about the loss of a training with 1,600 updates."""
    known = {"loss": 0.69, "constant_loss": 0.69, "updates": 1600, "history": FALLING}
    diagnosis = judge(replace(measured(geometric(1.0)), **{**known, **fields}))
    return [(one.severity, one.sentence) for one in diagnosis.findings if one.kind == "loss not falling"]


def test_a_loss_that_fell_to_the_level_of_a_constant_prediction_has_not_learned() -> None:
    words = "after 1,600 updates the loss is 0.69, at the level of a constant prediction (0.69)"
    assert found() == [("error", words)]


def test_a_loss_above_that_of_a_constant_prediction() -> None:
    ((severity, words),) = found(loss=0.9)
    assert severity == "error"
    assert "above that of a constant prediction" in words


def test_a_loss_that_is_a_little_better_is_a_warning_where_the_training_was_followed() -> None:
    assert [severity for severity, _ in found(loss=0.6)] == ["warning"]
    assert [severity for severity, _ in found(loss=0.6, history=())] == ["error"]


@pytest.mark.parametrize(
    "fields",
    [
        {"loss": 0.3},
        {"updates": 50},
        {"constant_loss": None},
        {"probe_loss": 0.3},
        {"loss": 0.6, "lowest_loss": 0.55},
        {"loss": 0.3, "history": (0.3,) * 6},
    ],
    ids=["learned", "too early", "unknown", "learned on the probe", "near the lowest loss", "converged before"],
)
def test_no_alarm(fields: dict[str, Any]) -> None:
    assert found(**fields) == []


def test_a_flat_loss_at_the_level_of_a_constant_is_found_once() -> None:
    assert len(found(history=(0.69,) * 6)) == 1
