"""Final figures side by side: a bar for every network of a comparison, in categories of like networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mnist_depth.config import RunConfig
from mnist_depth.results.groups import Group
from mnist_depth.results.tables import heading


class Comparison(NamedTuple):
    """Which final figures of which networks are compared."""

    figures: Sequence[str]
    category: Callable[[RunConfig], str] | None = None
    """Networks of one category are compared with each other, those whose is empty are left out; None is their name."""
    series: Callable[[RunConfig], str] = lambda config: ""
    """What distinguishes the networks of one category; empty where only figures do."""


class Bars(NamedTuple):
    """The figures of a comparison: `values` [categories][series], nan where there is none."""

    words: str
    """What the bars show."""
    categories: Sequence[str]
    series: Sequence[str]
    values: Sequence[Sequence[float]]
    is_share: bool
    """Whether the values lie between 0 and 1 and are shown in percent."""

    def number(self, value: float) -> str:
        """A value as it is shown beside its bar."""
        if not math.isfinite(value):
            return "–"
        return f"{100 * value:.1f} %" if self.is_share else f"{value:.3g}"


def bars_of(groups: Sequence[Group], chosen: Comparison) -> Bars | None:
    """The bars of the groups that have the figures, in their order; None where there are fewer than two."""
    found: dict[tuple[str, str], float] = {}
    for group in groups:
        if group.config is None:
            continue
        category = chosen.category(group.config) if chosen.category else group.label
        for figure in chosen.figures:
            spread = group.spread(figure)
            names = [chosen.series(group.config), heading(figure) if len(chosen.figures) > 1 else ""]
            series = ", ".join(name for name in names if name)
            if category and spread is not None:
                found[category, series] = spread.mean
    if len(found) < 2:
        return None
    categories, series = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    return Bars(
        " / ".join(map(heading, chosen.figures)),
        categories,
        series,
        [[found.get((category, name), math.nan) for name in series] for category in categories],
        all(figure.endswith("accuracy") for figure in chosen.figures),
    )
