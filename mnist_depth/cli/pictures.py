"""Small charts for the terminal: the final figures that a study compares, or gradient against layer."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from mnist_depth.cli.layout import GAP, cells, pad, wrap
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    from mnist_depth.results.comparison import Bars
    from mnist_depth.results.groups import Group
    from mnist_depth.results.overview import Overview

MAX_ROWS, MIN_PANEL, MAX_PANELS = 12, 26, 4
"""Layers of a picture; columns that one configuration takes at least; configurations side by side."""

EIGHTHS = " ▏▎▍▌▋▊▉"
FIGURE = 9
"""Columns of a figure behind its bar."""


def picture(overview: Overview, width: int | None, encoding: str = "utf-8") -> str:
    """What the study compares; gradient against layer where it compares no final figures."""
    if overview.bars:
        return comparison_picture(overview.bars, width, encoding)
    if overview.story.answers and len(overview.groups) < 2:
        return ""  # the question is not about the layers of one network
    return gradient_picture(overview, width, encoding)


def comparison_picture(bars: Bars, width: int | None, encoding: str = "utf-8") -> str:
    """A row for every category and a bar for every network in it, from 0 to 100 %, or to the largest figure."""
    width = width or 80
    finite = [value for row in bars.values for value in row if math.isfinite(value)]
    most = 1.0 if bars.is_share else max(finite, default=1.0)
    if not finite or most <= 0:
        return ""
    label = min(max(map(cells, bars.categories)), width // 3)
    panel = (width - label) // len(bars.series) - len(GAP)
    end = "100 %" if bars.is_share else f"{most:.3g}"
    draw = _block_bar if _encodes(EIGHTHS + "█", encoding) else _plain_bar
    lines = wrap(_("{quantity} after training; bars from 0 to {end}", quantity=bars.words, end=end), width)
    if any(bars.series):
        lines.append((pad("", label) + GAP + GAP.join(pad(_cut(name, panel), panel) for name in bars.series)).rstrip())
    for category, row in zip(bars.categories, bars.values, strict=True):
        cells_of = [pad(_figure_bar(bars, value, most, panel, draw), panel) for value in row]
        lines.append(GAP.join([pad(_cut(category, label), label), *cells_of]).rstrip())
    return "\n".join(lines)


def _figure_bar(bars: Bars, value: float, most: float, panel: int, draw: Callable[[float], str]) -> str:
    if not math.isfinite(value):
        return bars.number(value)
    return f"{draw(max(0.0, value) / most * (panel - FIGURE))} {bars.number(value)}".strip()


def gradient_picture(overview: Overview, width: int | None, encoding: str = "utf-8") -> str:
    """A bar per layer and configuration on one log scale; empty where no gradients were measured."""
    from mnist_depth.figures.data import QUANTITIES

    width = width or 80
    found = _compared(overview, max(1, min(MAX_PANELS, (width - 6) // MIN_PANEL)))
    logs = [log for norms in found.values() for log in norms.values() if log is not None and math.isfinite(log)]
    if not logs:
        return ""
    low, high = math.floor(min(logs) - 0.1), math.ceil(max(logs))
    names = list(dict.fromkeys(name for norms in found.values() for name in norms))
    names = [names[round(place)] for place in _evenly(len(names), MAX_ROWS)]
    panel = (width - 6) // len(found) - 2
    norm = QUANTITIES["pre_activation_gradient_norm"].title
    title = _("{norm} against layer, before training", norm=_(norm))
    scale = _("{title}; bars from {low} to {high}, log scale", title=title, low=f"1e{low}", high=f"1e{high}")
    bar = _block_bar if _encodes(EIGHTHS + "█", encoding) else _plain_bar
    lines = [*wrap(scale, width), "      " + GAP.join(pad(_cut(label, panel), panel) for label in found).rstrip()]
    for name in names:
        bars = [
            _bar(norms[name], low, high, panel, bar) if name in norms else pad("", panel) for norms in found.values()
        ]
        lines.append(f"{_short(name):>4}{GAP}{GAP.join(bars)}".rstrip())
    return "\n".join(lines)


def _compared(overview: Overview, count: int) -> dict[str, dict[str, float | None]]:
    """Label -> layer -> log10 of the first seed's gradient: of all configurations, or of the best to the worst."""
    from mnist_depth.results.tables import ranked

    known = _alike(
        [
            group
            for group in ranked(overview.groups, overview.story.rank_by or "best_test_accuracy")
            if any(one.quantity == "pre-activation gradient" for one in overview.start.get(group.label, [])[:1])
        ]
    )
    return {
        known[round(place)].label: {
            layer.name: _log10(value)
            for one in overview.start[known[round(place)].label][:1]
            for layer, value in zip(one.layers, one.gradients, strict=True)
        }
        for place in _evenly(len(known), count)
    }


def _alike(groups: list[Group]) -> list[Group]:
    """Those with as many layers as the first one; all where no other has."""
    alike = [group for group in groups if group.runs[0].layers == groups[0].runs[0].layers]
    return alike if len(alike) > 1 else groups


def _log10(value: float | None) -> float | None:
    """-inf for a norm of exactly 0; None for one that is not finite."""
    if value == 0:
        return -math.inf
    return math.log10(value) if value and math.isfinite(value) else None


def _evenly(count: int, most: int) -> list[float]:
    """At most `most` places from the first to the last of `count`."""
    shown = min(count, most)
    return [place * (count - 1) / (shown - 1) for place in range(shown)] if shown > 1 else [0.0] * shown


def _bar(log: float | None, low: int, high: int, panel: int, draw: Callable[[float], str]) -> str:
    """A bar and its figure, `panel` columns wide."""
    if log is None or not math.isfinite(log):
        return pad("0" if log == -math.inf else _("not finite"), panel)
    length = (panel - FIGURE) * (log - low) / max(1, high - low)
    return pad(f"{draw(length)} {10**log:.1e}", panel)


def _block_bar(length: float) -> str:
    return "█" * int(length) + EIGHTHS[int(length % 1 * len(EIGHTHS))].strip()


def _plain_bar(length: float) -> str:
    return "#" * round(length)


def _encodes(text: str, encoding: str) -> bool:
    with contextlib.suppress(UnicodeEncodeError, LookupError):
        text.encode(encoding)
        return True
    return False


def _cut(text: str, width: int) -> str:
    from rich.cells import set_cell_size

    return text if cells(text) <= width else set_cell_size(text, width - 1) + "…"


def _short(layer: str) -> str:
    return layer.removeprefix("layer_").lstrip("0")[-4:]
