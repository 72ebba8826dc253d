"""How each configuration looks on every chart of a report: color is its value on one axis, marker on another.

With one axis, every value has its own color and its own marker; with two, color is the first and marker (with the line
style) the second, so that black and white print tells the lines apart and one short legend serves all charts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mnist_depth.results.groups import Group

INK, GRID = "#1b1f24", "#c9ced7"
"""Text and axes, and grid lines; in a page they are replaced by the page's own colors, dark or light."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)
"""Okabe & Ito 2008, safe for color-blind readers, without the yellow that paper swallows."""

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


class Look(NamedTuple):
    """Color, line style and marker of a line."""

    color: str
    line: Any
    marker: str

    def options(self) -> dict[str, Any]:
        """Matplotlib's keywords."""
        return {
            "color": self.color,
            "linestyle": self.line,
            "marker": self.marker,
            "linewidth": 1.6,
            "markersize": 4,
        }


class Styles(NamedTuple):
    """The look of every group, and the legend that explains them."""

    looks: Mapping[str, Look]
    """Group label -> look."""
    legend: Sequence[tuple[str, Look]]
    """(text, look) from top to bottom."""


def styles_of(groups: Sequence[Group]) -> Styles:
    """Color by the groups' first axis and marker by all others; by the groups themselves where they vary on one."""
    names = list(groups[0].places) if groups else []
    if len(names) < 2:
        looks = {group.label: _look(place, place) for place, group in enumerate(groups)}
        return Styles(looks, list(looks.items()))
    firsts = _distinct(_text(names[0], group.places[names[0]]) for group in groups)
    others = _distinct(_rest(group, names[1:]) for group in groups)
    looks = {
        group.label: _look(firsts.index(_text(names[0], group.places[names[0]])), others.index(_rest(group, names[1:])))
        for group in groups
    }
    colors = [(text, _look(place, 0)._replace(marker="")) for place, text in enumerate(firsts)]
    markers = [(text, _look(0, place)._replace(color=INK)) for place, text in enumerate(others)]
    return Styles(looks, colors + markers)


def _rest(group: Group, names: Sequence[str]) -> str:
    return ", ".join(_text(name, group.places[name]) for name in names)


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _text(name: str, value: Any) -> str:
    """`relu`, `depth 9`: words explain themselves, numbers need the name of what they are."""
    return value if isinstance(value, str) else f"{name.replace('_', ' ')} {value:g}"


def _look(color: int, shape: int) -> Look:
    """The look at these places; behind the last color or marker they repeat with the next line style."""
    shape += color // len(COLORS)
    line = LINES[(shape + shape // len(MARKERS)) % len(LINES)]
    return Look(COLORS[color % len(COLORS)], line, MARKERS[shape % len(MARKERS)])
