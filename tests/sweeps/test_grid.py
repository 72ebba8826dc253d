"""Every combination of a few words, each once."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mnist_depth.errors import UserError
from mnist_depth.sweeps.grid import grid, parse_choices

DIGITS = {"dataset": "digits"}


def test_every_combination_with_every_seed_counted_from_that_of_the_fields() -> None:
    configs = grid({**DIGITS, "seed": 5}, {"activation": ["tanh", "relu"], "depth": [3, 6]}, seeds=3)
    assert [(config.activation, config.depth, config.seed) for config in configs] == [
        (activation, depth, seed) for activation in ("tanh", "relu") for depth in (3, 6) for seed in (5, 6, 7)
    ]


def test_the_rest_is_as_given_or_usual() -> None:
    (config,) = grid({**DIGITS, "width": 17}, {})
    assert (config.width, config.activation, config.seed) == (17, "relu", 0)


def test_combinations_that_mean_the_same_stand_once() -> None:
    assert len(grid(DIGITS, {"depth": [3, 3], "initializer": ["xavier", "glorot_uniform"]})) == 1


def test_a_combination_that_is_not_valid_is_told() -> None:
    with pytest.raises(UserError, match="depth must be"):
        grid(DIGITS, {"depth": [3, 0]})
    with pytest.raises(UserError, match="did you mean relu"):
        grid(DIGITS, {"activation": ["rleu"]})


def test_choices_may_be_numpy_arrays() -> None:
    configs = grid(DIGITS, {"depth": np.arange(3, 5), "learning_rate": np.logspace(-2, -1, 2)})
    assert [(config.depth, config.learning_rate) for config in configs] == [(3, 0.01), (3, 0.1), (4, 0.01), (4, 0.1)]
    assert {type(config.depth) for config in configs} == {int}
    assert json.loads(configs[0].to_json())["learning_rate"] == 0.01
    with pytest.raises(UserError, match="depth must be a whole number"):
        grid(DIGITS, {"depth": np.linspace(3, 5, 2)})


@pytest.mark.parametrize(
    ("fields", "choices", "message"),
    [
        ({"depht": 3}, {}, "unknown field 'depht'; valid: .*; did you mean depth"),
        ({}, {"depht": [3]}, "unknown field 'depht'; valid: .*; did you mean depth"),
        ({}, {"initializer": "he_normal"}, "choices of initializer must be a list .* not 'he_normal'"),
        ({}, {"depth": 3}, "choices of depth must be a list .* not 3"),
        ({}, {"depth": []}, "choices of depth must be a list with one value or more"),
        ({}, {"seed": [0, 1]}, "pass seeds=N"),
    ],
)
def test_what_makes_no_grid_is_a_user_error(fields: dict[str, Any], choices: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        grid({**DIGITS, **fields}, choices)
    with pytest.raises(UserError, match="seeds must be"):
        grid(DIGITS, {}, seeds=0)


def test_values_have_the_type_of_their_field() -> None:
    assert parse_choices("depth=3,5;dropout=0,.5;initializer=normal:0.1") == {
        "depth": [3, 5],
        "dropout": [0.0, 0.5],
        "initializer": ["normal:0.1"],
    }
    assert parse_choices("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth", "takes FIELD=VALUE,VALUE"),
        ("dpeth=3", "'dpeth=3'"),
        ("seed=1,2", "'seed=1,2'"),
        ("depth=3,x", "each value must be a whole number, not '3,x'"),
        ("dropout=", "each value must be a number, not ''"),
    ],
)
def test_what_is_no_list_of_values_is_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_choices(text)
