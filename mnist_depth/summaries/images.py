"""The picture of a study for the Images tab, as uint8 [height, width, 3], drawn with Matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mnist_depth.figures.data import QUANTITIES, Profile
from mnist_depth.figures.style import Line
from mnist_depth.summaries.pictures import DRAWABLE, Pixels

PROFILE_WIDTH, PROFILE_HEIGHT, DOTS_PER_INCH = 700, 400, 100
MAX_LINES = 20
"""Maximum number of configurations in one picture, limited by its legend."""
STYLE: Any = {"font.size": 7, "axes.titlesize": 8}


def profile(of_layers: Profile, configurations: Sequence[Line]) -> Pixels:
    """A quantity against the layer at the last moment: a line per configuration, the mean over its seeds."""
    places = np.arange(1, len(of_layers.layers) + 1)
    with matplotlib.style.context(["default", STYLE]):
        size = (PROFILE_WIDTH / DOTS_PER_INCH, PROFILE_HEIGHT / DOTS_PER_INCH)
        figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained")
        axes = figure.add_subplot()
        for line in configurations[:MAX_LINES]:
            values = np.array([of_layers.values[member][-1] for member in line.members])
            mean = np.exp(np.log(np.where(values > DRAWABLE[0], values, np.nan)).mean(axis=0))
            axes.plot(places, mean, color=line.color, marker=".", label=line.label)
        axes.set(xlabel="layer (1 is next to the input)", ylabel=QUANTITIES[of_layers.quantity].title, yscale="log")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
