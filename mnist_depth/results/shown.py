"""What all charts of a page show: some configurations, their trainings, and a look and a legend entry for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mnist_depth.figures.data import Training
from mnist_depth.figures.style import MARKERS, Line, looks_of
from mnist_depth.figures.trainings import from_record, last_histograms
from mnist_depth.results.groups import Group
from mnist_depth.results.tables import ranked

MAX_LINES = len(MARKERS)
"""Maximum number of distinguishable lines in one chart."""

RANKING = "best_test_accuracy"


class Entry(NamedTuple):
    """A line of the legend; an empty color is that of text, an empty marker is none."""

    text: str
    color: str
    marker: str


class Shown(NamedTuple):
    """The configurations of a page's charts, in one order."""

    trainings: Sequence[Training]
    lines: Sequence[Line]
    """One per configuration; their members are places in `trainings`."""
    legend: Sequence[Entry]


def representatives(groups: Sequence[Group], count: int = MAX_LINES) -> list[Group]:
    """Choose groups for one chart, in the given order: the best, the worst, and evenly spaced ones between."""
    if len(groups) <= count:
        return list(groups)
    ranking = ranked(groups, RANKING)
    chosen = {ranking[round(place)].label for place in np.linspace(0, len(ranking) - 1, count)}
    return [group for group in groups if group.label in chosen]


def shown_of(groups: Sequence[Group]) -> Shown:
    """Lines whose color is the groups' first axis and whose marker is all others; own ones where there is one axis."""
    names = list(groups[0].places) if groups else []
    firsts = [_text(names[0], group.places[names[0]]) if names else group.label for group in groups]
    rests = [", ".join(_text(name, group.places[name]) for name in names[1:]) for group in groups]
    looks = looks_of(firsts, rests)
    trainings: list[Training] = []
    lines = []
    for group, (color, marker) in zip(groups, looks, strict=True):
        members = tuple(range(len(trainings), len(trainings) + len(group.runs)))
        # Distributions are drawn of the first seed.
        trainings += [from_record(run, () if place else last_histograms(run)) for place, run in enumerate(group.runs)]
        lines.append(Line(group.label, color, marker, members))
    if len(set(rests)) < 2:
        return Shown(trainings, lines, [Entry(line.label, line.color, line.marker) for line in lines])
    colors = dict(zip(firsts, (line.color for line in lines), strict=True))
    markers = dict(zip(rests, (line.marker for line in lines), strict=True))
    legend = [Entry(text, color, "") for text, color in colors.items()]
    return Shown(trainings, lines, [*legend, *(Entry(text, "", marker) for text, marker in markers.items())])


def _text(name: str, value: Any) -> str:
    """`relu`, `depth 9`: words explain themselves, numbers need the name of what they are."""
    return value if isinstance(value, str) else f"{name.replace('_', ' ')} {value:g}"
