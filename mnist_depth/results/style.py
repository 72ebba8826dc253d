"""How each configuration looks on every chart of a report: color is its value on one axis, marker on another.

With one axis, every value has its own color and its own marker; with two, color is the first and marker (with the line
style) the second, so that black and white print tells the lines apart and one short legend serves all charts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple

from mnist_depth.figures.style import COLOR_OF, COLORS
from mnist_depth.results.groups import Group

INK, GRID = "#1b1f24", "#c9ced7"
"""Text and axes, and grid lines; in a page they are replaced by the page's own colors, dark or light."""

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
    firsts = [_text(names[0], group.places[names[0]]) if names else group.label for group in groups]
    colors = _colors(firsts)
    if len(names) < 2:
        looks = {
            group.label: _look(colors[first], place + place // len(COLORS))
            for place, (group, first) in enumerate(zip(groups, firsts, strict=True))
        }
        return Styles(looks, list(looks.items()))
    rests = [", ".join(_text(name, group.places[name]) for name in names[1:]) for group in groups]
    shapes = {rest: place for place, rest in enumerate(dict.fromkeys(rests))}
    looks = {
        group.label: _look(colors[first], shapes[rest])
        for group, first, rest in zip(groups, firsts, rests, strict=True)
    }
    by_color = [(first, _look(color, 0)._replace(marker="")) for first, color in colors.items()]
    by_marker = [(rest, _look(INK, shape)) for rest, shape in shapes.items()]
    return Styles(looks, by_color + by_marker)


def _colors(texts: Sequence[str]) -> dict[str, str]:
    """Text -> color: the usual one of an activation, as in the Depth tab, the next free one otherwise."""
    usual = {COLOR_OF[text] for text in texts if text in COLOR_OF}
    free = cycle([color for color in COLORS if color not in usual] or COLORS)
    return {text: COLOR_OF.get(text) or next(free) for text in dict.fromkeys(texts)}


def _text(name: str, value: Any) -> str:
    """`relu`, `depth 9`: words explain themselves, numbers need the name of what they are."""
    return value if isinstance(value, str) else f"{name.replace('_', ' ')} {value:g}"


def _look(color: str, shape: int) -> Look:
    """A color with the marker and line style at a place; behind the last marker they repeat with the next line."""
    line = LINES[(shape + shape // len(MARKERS)) % len(LINES)]
    return Look(color, line, MARKERS[shape % len(MARKERS)])
