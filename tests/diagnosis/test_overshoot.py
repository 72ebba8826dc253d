"""A training that its first updates ruined is distinguished from one that is slow by how it began."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mnist_depth.diagnosis import Data, Diagnosis, Layer, Measurements, judge


def layers(update: float, dead: float = 0.0, gradient: float = 0.1) -> tuple[Layer, ...]:
    hidden = (
        Layer(name, kernel_gradient=gradient, update_ratio=update, dead_share=dead, activation="relu")
        for name in ("a", "b")
    )
    return (*hidden, Layer("out", kernel_gradient=gradient, update_ratio=update, is_output=True))


SLOW = Measurements(
    "fabricated",
    layers(1e-7),
    loss=2.31,
    history=(2.311, 2.311, 2.31, 2.31),
    updates=400,
    constant_loss=2.302,
    start=layers(1.2e-7),
    start_loss=2.311,
)
DEAD = replace(
    SLOW, layers=layers(0.0, dead=1.0, gradient=0.0), history=(2.6, 2.31, 2.31, 2.31), start=layers(0.5), loss=2.31
)
NAN = replace(SLOW, loss=math.nan, history=(math.nan,) * 4, start=layers(0.4), layers=layers(math.nan))


def errors(found: Diagnosis) -> list[str]:
    return [finding.kind for finding in found.findings if finding.severity == "error"]


def test_a_slow_network_is_slow() -> None:
    found = judge(SLOW)
    assert found.verdict == "loss not falling"
    assert any("the learning rate is low" in finding.sentence for finding in found.findings)


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (DEAD, "changed the weights of out by 50%; 100% of the units of b have become zero for every sample"),
        (replace(DEAD, constant_loss=None), "100% of the units of b have become zero"),
        (replace(SLOW, history=(1e5, 2.31, 2.31, 2.31)), "was 2.311 before training, rose to 1e+05 and is 2.31 now"),
        (replace(SLOW, history=(1e5,), constant_loss=None, start=layers(0.4)), "rose to 1e+05"),
        (replace(SLOW, history=(7.0, 3.2, 3.2, 3.2), loss=3.2, start=layers(0.4)), "by 40%, and is 3.2 now"),
        (NAN, "was 2.311 before the first update, which changed the weights of out by 40%; now values are not finite"),
        (
            replace(SLOW, layers=layers(0.0, gradient=0.0), constant_loss=None, start=layers(0.4)),
            "by 40%; b gets no gradient any more",
        ),
    ],
)
def test_what_the_first_updates_did_is_the_verdict(measured: Measurements, words: str) -> None:
    found = judge(measured)
    assert found.verdict == "learning rate too high"
    assert words in found.sentence
    assert [remedy.action for remedy in found.remedies] == ["a smaller learning rate, searched on a log scale"]
    assert not any("learning rate is low" in finding.sentence for finding in found.findings)


@pytest.mark.parametrize(
    "measured",
    [
        replace(DEAD, start=layers(1e-3)),
        replace(DEAD, start=layers(0.5, dead=1.0, gradient=0.0)),
        replace(NAN, start=layers(1e-3)),
        replace(NAN, data=Data(64, input_nonfinite=1)),
        replace(NAN, start_loss=1e6),
        replace(SLOW, history=(1e5, 1.9, 1.0, 0.4), loss=0.4),
        replace(SLOW, layers=layers(1e-3), start=layers(0.4), history=(2.4, 2.3, 2.31, 2.3)),
        replace(SLOW, history=(1e5, 2.31, 2.31, 2.31), start_loss=None, start=()),
    ],
)
def test_other_causes_are_not_the_rate(measured: Measurements) -> None:
    assert "learning rate too high" not in errors(judge(measured))


def test_a_loss_that_exploded_has_not_fallen_since() -> None:
    found = judge(replace(SLOW, history=(1e5, 2.31, 2.31, 2.31), constant_loss=None, start=layers(0.4)))
    assert "loss not falling" in errors(found)


def test_unscaled_inputs_come_before_the_rate_that_is_too_high_for_them() -> None:
    data = Data(64, input_rms=125.0, input_min=0.0, input_max=255.0)
    found = judge(replace(NAN, start_loss=120.0, data=data))
    assert found.verdict == "input scale"
    assert errors(found) == ["input scale", "learning rate too high", "not finite"]
