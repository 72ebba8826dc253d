"""Grids of configurations: every combination of the values of some fields, with every seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping
from typing import Any

from mnist_depth.config import FIELDS, RunConfig
from mnist_depth.errors import TYPE_NAMES, UserError, unknown

MAX_RUNS = 10_000
"""Runs of one command; a thousand fill gigabytes."""


def parse_choices(text: str) -> dict[str, list[Any]]:
    """Lists of values, by field. Raises UserError for what is not such a list.

    >>> parse_choices("activation=relu,tanh;depth=3,5")
    {'activation': ['relu', 'tanh'], 'depth': [3, 5]}
    """
    choices: dict[str, list[Any]] = {}
    for part in filter(None, text.split(";")):
        name, equals, values = part.partition("=")
        if not equals or name not in FIELDS or name == "seed":
            raise UserError(
                "--choose takes FIELD=VALUE,VALUE;..., with a field of the config, not {part}", part=repr(part)
            )
        kind = {"int": int, "float": float, "str": str}[str(FIELDS[name].type)]
        try:
            choices[name] = [kind(value) for value in values.split(",")]
        except ValueError:
            raise UserError(
                "--choose {name}: each value must be {type}, not {values!r}",
                name=name,
                type=TYPE_NAMES[kind.__name__],
                values=values,
            ) from None
    return choices


def grid(fields: Mapping[str, Any], choices: Mapping[str, Collection[Any]], seeds: int = 1) -> list[RunConfig]:
    """A config for every combination of `choices` and every seed, counted from that of `fields`, which holds the rest.

    Combinations that mean the same are listed once. Raises UserError for an unknown field, for choices that are not a
    list of values, and where a combination is not valid.

    >>> [config.slug for config in grid({"dataset": "digits"}, {"depth": [3, 5]})]
    ['relu-d3-digits', 'relu-d5-digits']
    """
    for name, values in choices.items():
        _check_choices(name, values)
    if seeds < 1:
        raise UserError("seeds must be a whole number of at least 1, not {seeds}", seeds=seeds)
    count = seeds * math.prod(map(len, choices.values()))
    if count > MAX_RUNS:
        raise UserError(
            "these choices make {count:,} combinations, more than {limit:,}; leave some out",
            count=count,
            limit=MAX_RUNS,
        )
    first = fields.get("seed", 0)
    combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    found = [
        RunConfig.from_dict({**fields, **combination, "seed": seed})
        for combination in combinations
        for seed in range(first, first + seeds)
    ]
    return list(dict.fromkeys(found))


def _check_choices(name: str, values: Any) -> None:
    if name == "seed":
        raise UserError("seed takes no list of values: pass seeds=N, counted from the field seed")
    if name not in FIELDS:
        raise unknown("field", name, FIELDS)
    if isinstance(values, (str, Mapping)) or not isinstance(values, Collection) or not len(values):
        raise UserError(
            "the choices of {name} must be a list with one value or more, not {values!r}", name=name, values=values
        )
