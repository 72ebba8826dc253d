"""Statistics over seeds as a pandas frame: a row for each combination of the values of some fields."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mnist_depth.errors import UserError
from mnist_depth.figures.grids import by_size
from mnist_depth.results.statistics import check_confidence, spread

if TYPE_CHECKING:
    import pandas as pd


def summarize(
    rows: Sequence[tuple[Mapping[str, Any], Mapping[str, float]]],
    by: Sequence[str],
    columns: Sequence[str],
    varying: Sequence[str],
    confidence: float,
) -> pd.DataFrame:
    """Statistics of final figures over the trainings that have equal values of `by`, in the order of these values.

    A row holds the fields and the final figures of one training; `varying` are all fields in which the trainings
    differ. Raises UserError where trainings of one row of the result differ in more than their seed.
    """
    import pandas as pd

    check_confidence(confidence)
    groups: dict[str, list[tuple[Mapping[str, Any], Mapping[str, float]]]] = {}
    for row in rows:
        groups.setdefault(repr([row[0].get(name) for name in by]), []).append(row)
    found = []
    for members in sorted(groups.values(), key=lambda members: [by_size(members[0][0].get(name)) for name in by]):
        key = [members[0][0].get(name) for name in by]
        _check_seeds_only([fields for fields, _ in members], by, key, varying)
        statistics = {"runs": len(members)}
        for name in columns:
            values = spread([figures.get(name, math.nan) for _, figures in members], confidence)
            statistics |= {f"{name}_{word}": value for word, value in values.items()}
        found.append({**dict(zip(by, key, strict=True)), **statistics})
    table = pd.DataFrame(found)
    return table.set_index(list(by)) if by else table


def _check_seeds_only(
    members: Sequence[Mapping[str, Any]], by: Sequence[str], key: Sequence[Any], varying: Sequence[str]
) -> None:
    """Raise UserError where these trainings differ in a field: their deviation would not be that over seeds."""
    differing = [name for name in varying if len({repr(fields.get(name)) for fields in members}) > 1]
    if differing:
        place = ", ".join(f"{name} {value}" for name, value in zip(by, key, strict=True)) or "this summary"
        names = ", ".join(differing)
        raise UserError(
            "{place} has {count} runs that differ in {names}, not only in the seed: add {names} to by=, "
            "choose values with .where(), or average over them yourself with .to_frame().groupby()",
            place=place,
            count=len(members),
            names=names,
        )
