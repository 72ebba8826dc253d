"""Legends of the figures for print: below a figure of their own, inside axes of the caller as far as there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mnist_depth.figures.canvas import INK, legend_below, styled
from mnist_depth.figures.static import MARKERS
from mnist_depth.figures.style import Line

MAX_ENTRIES = 12
"""Entries of a legend that names every line; with more, it names colors and markers."""

MAX_WIDTH, MAX_HEIGHT = 0.7, 0.5
"""Shares of the axes that a legend inside may cover."""


def legend(figure: Figure | None, axes: Axes, lines: Sequence[Line] = ()) -> None:
    """Name what has a label on these axes: below the package's own figure, or inside axes of the caller, if it fits.

    A legend that does not fit is left out; `axes.get_legend_handles_labels()` has its entries.
    """
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > MAX_ENTRIES:
        handles, labels = _by_look(handles, lines) or (handles, labels)
    if figure is not None:
        legend_below(figure, handles, labels)
    elif labels:
        _inside(axes, handles, labels)


@styled
def _inside(axes: Axes, handles: Sequence[Any], labels: Sequence[str]) -> None:
    made = axes.legend(handles, labels, fontsize="small")
    box, frame = made.get_window_extent(), axes.get_window_extent()
    if box.width > MAX_WIDTH * frame.width or box.height > MAX_HEIGHT * frame.height:
        made.remove()


@styled
def _by_look(handles: Sequence[Any], lines: Sequence[Line]) -> tuple[list[Any], list[str]] | None:
    """An entry per color, per marker and per line style; None where only lines as a whole have a name."""
    colors = {line.color_text: line.color for line in lines}
    markers = {line.marker_text: line.marker for line in lines}
    if not 1 < len(markers) <= len(MARKERS):
        return None
    entries = {text: Line2D([], [], color=color) for text, color in colors.items() if len(colors) > 1}
    entries |= {text: Line2D([], [], color=INK, marker=MARKERS[marker]) for text, marker in markers.items()}
    # What follows the name of a configuration in a label names the line style: `relu, depth 3, theory`.
    names = sorted((line.label for line in lines), key=len)
    styles: dict[str, Any] = {}
    for handle in handles:
        name = next((name for name in reversed(names) if handle.get_label().startswith(name)), "")
        styles[handle.get_label().removeprefix(name).removeprefix(", ")] = handle.get_linestyle()
    entries |= {text: Line2D([], [], color=INK, linestyle=style) for text, style in styles.items() if text}
    return list(entries.values()), list(entries)
