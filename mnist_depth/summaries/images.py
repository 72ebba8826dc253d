"""The picture of a study for the Images tab, as uint8 [height, width, 3], drawn with Matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mnist_depth.figures.arrangement import Profile
from mnist_depth.figures.data import QUANTITIES
from mnist_depth.figures.style import Line
from mnist_depth.summaries.pictures import DRAWABLE, Pixels

WIDTH, HEIGHT, DOTS_PER_INCH = 350, 240, 100
"""Pixels: TensorBoard shows a picture 350 pixels wide and drops pixels where it has to shrink."""

LEGEND_LINE, LEGEND_COLUMNS = 12, 2
"""Pixels of a line of the legend below, and its columns."""

MAX_LINES = 20
"""Maximum number of configurations in one picture, limited by its legend."""
STYLE: Any = {"font.size": 7, "axes.titlesize": 8}


def profile(of_layers: Profile, configurations: Sequence[Line]) -> Pixels:
    """A quantity against the layer at the last moment: a line per configuration, the mean over its seeds."""
    places, shown = np.arange(1, len(of_layers.layers) + 1), configurations[:MAX_LINES]
    height = HEIGHT + LEGEND_LINE * math.ceil(len(shown) / LEGEND_COLUMNS)
    with matplotlib.style.context(["default", STYLE]):
        size = (WIDTH / DOTS_PER_INCH, height / DOTS_PER_INCH)
        figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained")
        axes = figure.add_subplot()
        for line in shown:
            values = np.array([of_layers.values[member][-1] for member in line.members])
            mean = np.exp(np.log(np.where(values > DRAWABLE[0], values, np.nan)).mean(axis=0))
            axes.plot(places, mean, color=line.color, marker=".", label=line.label)
        axes.set(xlabel="layer (1 is next to the input)", ylabel=QUANTITIES[of_layers.quantity].title, yscale="log")
        axes.grid(color="0.9", linewidth=0.6)
        figure.legend(loc="outside lower center", ncols=LEGEND_COLUMNS, frameon=False, fontsize=6)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
