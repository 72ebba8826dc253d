"""The figure of a comparison: grouped bars."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import PercentFormatter

from mnist_depth.figures.canvas import canvas, legend_below, styled
from mnist_depth.figures.style import COLORS
from mnist_depth.results.captions import capital
from mnist_depth.results.comparison import Bars
from mnist_depth.results.rendering import Picture
from mnist_depth.translation import translate as _

WIDTH, HEIGHT = 4.8, 3.4
"""Inches."""

MAX_NUMBERED = 8
"""With more bars than this, they carry no numbers."""

MAX_LEVEL = 5
"""With more categories than this, their names are turned."""


@styled
def picture_of(bars: Bars) -> Picture:
    """The figure of a page."""
    figure, (axes,) = canvas(width=WIDTH, height=HEIGHT, color="none")
    places, count = np.arange(len(bars.categories)), len(bars.series)
    width = 0.8 / count
    for number, name in enumerate(bars.series):
        heights = np.array([row[number] for row in bars.values])
        drawn = axes.bar(places + (number - (count - 1) / 2) * width, heights, width, color=COLORS[number], label=name)
        if len(bars.categories) * count <= MAX_NUMBERED:
            axes.bar_label(drawn, [bars.number(value).removesuffix(" %") for value in heights], fontsize=7.5)
    turned = len(bars.categories) > MAX_LEVEL
    names = bars.categories if turned else [name.replace(", ", ",\n") for name in bars.categories]
    axes.set_xticks(places, names, rotation=45 if turned else 0, ha="right" if turned else "center")
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(bars.words)
    if bars.is_share:
        axes.set_ylim(0, 1.08)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    if count > 1:
        legend_below(figure, *axes.get_legend_handles_labels())
    values = "; ".join(
        f"{category}: "
        + ", ".join(f"{name} {bars.number(value)}".strip() for name, value in zip(bars.series, row, strict=True))
        for category, row in zip(bars.categories, bars.values, strict=True)
    )
    caption = _("{quantity} after training", quantity=bars.words)
    alt = _("Bar chart of {quantity}: {values}.", quantity=bars.words, values=values)
    return Picture("comparison", capital(caption), alt, figure)
