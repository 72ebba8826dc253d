"""Sentences of a diagnosis keep their templates, so that they are shown in the active language."""

from __future__ import annotations

import math
import pickle
import re
from dataclasses import replace

import pytest

from mnist_depth import translation
from mnist_depth.diagnosis import Data, Layer, Measurements, Message, Output, Trial, judge
from mnist_depth.results.diagnosis import localized

from .fabricated_measurements import geometric, measured

HEALTHY = measured(geometric(1.0))


def steps(factor: float, start: float, end: float) -> Trial:
    return Trial(factor, (start,) * 8 + (end,) * 8)


DIAGNOSED = {
    "vanishing": measured(geometric(0.2)),
    "loss that stays": replace(HEALTHY, history=(2.3,) * 5, updates=500, constant_loss=2.3, loss=2.3),
    "nothing arrives": measured([0.0] * 4),
    "not finite": measured([1.0, math.nan, 1.0]),
    "labels and output": replace(
        HEALTHY,
        data=Data(examples=8, input_rms=90.0, input_min=0.0, input_max=255.0, label_min=-1.0, label_max=10.0),
        output=Output(units=10, activation="relu", loss="sparse_categorical_crossentropy"),
    ),
    "units": Measurements(
        "a batch",
        (
            Layer("layer_01", 1.0, units=2, dead_share=1.0, activation="relu", activation_std=1.0, identical_share=1.0),
            Layer("layer_02", 1.0, saturated_share=0.9, activation_std=1e4, across_samples_std=1.0, trainable=False),
            Layer("layer_03", 1.0, update_ratio=0.5, time_gain=9.0, time_steps=28),
        ),
    ),
    "trial steps": replace(HEALTHY, trials=(steps(1.0, 2.3, 2.3), steps(10.0, 2.3, 0.1)), constant_loss=2.3),
    "slow steps": replace(HEALTHY, trials=(steps(1.0, 3.2, 2.3), steps(10.0, 3.2, 1.6)), constant_loss=2.3),
    "unseen": replace(HEALTHY, unseen=(Message("trial steps: {reason}", reason="out of memory"),)),
}
"""What is wrong -> measurements of it."""

ENGLISH = re.compile(r"\b(the|and|is|are|with|than|to|no|steps?|not)\b")


@pytest.mark.parametrize("wrong", DIAGNOSED)
def test_every_sentence_and_note_is_korean(wrong: str) -> None:
    diagnosis = judge(DIAGNOSED[wrong])
    found = [diagnosis.sentence, *diagnosis.notes, *(finding.sentence for finding in diagnosis.findings)]
    assert all(isinstance(text, Message) for text in found)
    translation.activate("ko")
    shown = [localized(text) for text in found]
    shown += [f"{localized(remedy.action)}: {localized(remedy.evidence)}" for remedy in diagnosis.remedies]
    for korean in shown:
        assert re.search("[가-힣]", korean)
        assert not ENGLISH.search(korean), korean


def test_rules_of_all_kinds_are_among_them() -> None:
    kinds = {finding.kind for measurements in DIAGNOSED.values() for finding in judge(measurements).findings}
    assert len(kinds) >= 12, kinds


def test_a_value_that_is_a_message_is_translated_with_its_sentence() -> None:
    found = judge(DIAGNOSED["labels and output"]).findings
    sentence = next(finding.sentence for finding in found if finding.kind == "output and loss")
    assert sentence.endswith("or from_logits=True")
    translation.activate("ko")
    assert localized(sentence).endswith("또는 from_logits=True를 쓰세요")


def test_figures_are_the_same_in_both_languages() -> None:
    numbers = re.compile(r"\d+(?:\.\d+)?(?:e[-+]\d+)?")
    sentence = judge(DIAGNOSED["vanishing"]).sentence
    translation.activate("ko")
    assert sorted(numbers.findall(sentence)) == sorted(numbers.findall(localized(sentence)))


def test_names_with_braces_are_shown_as_they_are() -> None:
    layers = (Layer("{odd}", 0.0), Layer("b", 1.0), Layer("c", 1.0))
    sentence = judge(Measurements("a batch", layers)).sentence
    translation.activate("ko")
    assert "{odd}" in sentence
    assert "{odd}" in localized(sentence)


def test_a_message_survives_pickling() -> None:
    sentence = judge(DIAGNOSED["vanishing"]).sentence
    again = pickle.loads(pickle.dumps(sentence))
    assert again == sentence
    translation.activate("ko")
    assert localized(again) == localized(sentence) != sentence
