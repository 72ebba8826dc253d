"""Which of several bad measurements went bad first: forward, the loss, then backward."""

from __future__ import annotations

import itertools
import math

import pytest

from mnist_depth.instrument.nonfinite import first_nonfinite

pytestmark = pytest.mark.slow

IN_ORDER = [
    "activation_std/layer_01",
    "pre_activation_mean/layer_02",
    "activation_std/layer_03",
    "loss",
    "gradient_norm/layer_03/kernel",
    "gradient_norm/layer_01/kernel",
    "weight_norm/layer_01/kernel",
]
"""Tags as a training step computes them; of gradients the last in the order of the layers comes first."""

LISTED = [*IN_ORDER[:4], *reversed(IN_ORDER[4:6]), IN_ORDER[6]]


@pytest.mark.parametrize(("earlier", "later"), [*itertools.combinations(IN_ORDER, 2)])
def test_the_earlier_of_two(earlier: str, later: str) -> None:
    for bad in (math.nan, math.inf, -math.inf):
        assert first_nonfinite({tag: bad if tag in (earlier, later) else 1.0 for tag in LISTED}) == earlier


def test_finite_numbers_are_not_bad() -> None:
    assert first_nonfinite({"loss": 1e300, "activation_std/layer_01": 0.0}) is None
    assert first_nonfinite({}) is None


@pytest.mark.parametrize("of", ["probe_gradient", "activation_gradient", "pre_activation_gradient"])
def test_gradients_of_every_kind_come_after_the_loss(of: str) -> None:
    assert first_nonfinite({f"{of}_norm/layer_01": math.nan, "loss": math.nan}) == "loss"
