"""Errors are one line, whatever they contain."""

from __future__ import annotations

import pickle

import pytest

from mnist_depth import translation
from mnist_depth.errors import MAX_LENGTH, UserError, unknown


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "a\u2028b", "\udcff", "\t"])
def test_what_does_not_print_is_spelled_out(name: str) -> None:
    line = str(UserError(f"no file {name}"))
    assert line.isprintable()
    assert ascii(name)[1:-1] in line


def test_letters_of_any_language_stay() -> None:
    assert str(UserError("기울기 läuft")) == "기울기 läuft"


def test_a_long_line_loses_its_middle() -> None:
    line = str(UserError(f"begin {'x' * 10 * MAX_LENGTH} end"))
    assert len(line) < MAX_LENGTH + 10
    assert line.startswith("begin x")
    assert line.endswith("x end")


def test_an_unknown_name_is_reported_with_the_valid_ones_and_the_nearest() -> None:
    assert str(unknown("optimizer", "adma", ["sgd", "adam"])).endswith("valid: sgd, adam; did you mean adam?")
    assert str(unknown("optimizer", "frobnicate", ["sgd", "adam"])).endswith("valid: sgd, adam")
    assert len(str(unknown("optimizer", "a" * 1_000_000, ["sgd"]))) < MAX_LENGTH + 10


def test_errors_and_the_names_in_them_are_translated_and_stay_one_line() -> None:
    error = unknown("activation", "re\nlu", ["tanh", "relu"])
    translation.activate("ko")
    try:
        text = error.text(translation.translate)
    finally:
        translation.activate("en")
    assert text.startswith("활성화 함수 ")
    assert "\n" not in text
    assert text.endswith("혹시 relu인가요?")
    assert str(error).startswith("unknown activation ")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
