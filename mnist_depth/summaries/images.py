"""Pictures for the Images tab, as uint8 [height, width, 3].

TensorBoard shows a picture 350 pixels wide and drops pixels where it has to shrink, so they are made that wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mnist_depth.figures.data import QUANTITIES, Profile
from mnist_depth.figures.style import Line

Pixels = NDArray[np.uint8]

WIDTH, BORDER, DOTS_PER_INCH = 350, 2, 100
PROFILE_WIDTH, PROFILE_HEIGHT = 700, 400
MAX_FILTERS = 64
MAX_LINES = 20
"""Maximum number of configurations in one picture, limited by its legend."""
DRAWABLE = (1e-60, 1e60)
"""Norms of float32 lie well between these, and Matplotlib's color bars overflow further out."""
STYLE: Any = {"font.size": 7, "axes.titlesize": 8}


def filters(kernel: ArrayLike, side: int) -> Pixels:
    """The incoming weights of the first units as small pictures: red positive, blue negative, white zero.

    `kernel` is [side * side, units]; all pictures share one scale, which ends at the 99th percentile of |weight|, so
    that one large weight does not hide the others. Weights that are not finite are gray.
    """
    weights = np.asarray(kernel, float)[:, :MAX_FILTERS]
    columns = math.ceil(math.sqrt(weights.shape[1]))
    rows = math.ceil(weights.shape[1] / columns)
    cell = WIDTH // columns
    picture = np.full((rows * cell, columns * cell, 3), 255, np.uint8)
    colored = _diverging(weights)
    for unit in range(weights.shape[1]):
        top, left = unit // columns * cell, unit % columns * cell
        tile = Image.fromarray(colored[:, unit].reshape(side, side, 3)).resize((cell - BORDER, cell - BORDER))
        picture[top : top + cell - BORDER, left : left + cell - BORDER] = np.asarray(tile)
    return picture


def _diverging(weights: NDArray[np.float64]) -> Pixels:
    finite = np.isfinite(weights)
    largest = np.percentile(np.abs(weights[finite]), 99) if finite.any() else 0.0
    scaled = np.where(finite, weights, 0.0) / (2 * (largest or 1.0)) + 0.5
    colors = matplotlib.colormaps["RdBu_r"](np.clip(scaled, 0, 1), bytes=True)[..., :3].copy()
    colors[~finite] = 128
    return colors


def heat_map(steps: Sequence[float], values: ArrayLike, title: str) -> Pixels:
    """Layer x step, logarithmic color: `values` is [layers, steps], layer 1 at the bottom.

    Zeros, negative and non-finite values have no logarithm and are left white, as are those beyond float32.
    """
    table = np.asarray(values, float)
    usable = (table > DRAWABLE[0]) & (table < DRAWABLE[1])
    with _figure(200) as (axes, result):
        if usable.any():
            norm = LogNorm(table[usable].min(), table[usable].max() * (1 + 1e-6))
            layers = np.arange(len(table) + 1) + 0.5
            mesh = axes.pcolormesh(_edges(steps), layers, np.where(usable, table, np.nan), norm=norm, cmap="viridis")
            axes.figure.colorbar(mesh)
        ticks = range(1, len(table) + 1, math.ceil(len(table) / 12))
        axes.set(title=title, xlabel="step", ylabel="layer", yticks=ticks)
    return result[0]


def profile(of_layers: Profile, configurations: Sequence[Line]) -> Pixels:
    """A quantity against the layer at the last moment: a line per configuration, the mean over its seeds."""
    places = np.arange(1, len(of_layers.layers) + 1)
    with _figure(PROFILE_HEIGHT, PROFILE_WIDTH) as (axes, result):
        for line in configurations[:MAX_LINES]:
            values = np.array([of_layers.values[member][-1] for member in line.members])
            mean = np.exp(np.log(np.where(values > DRAWABLE[0], values, np.nan)).mean(axis=0))
            axes.plot(places, mean, color=line.color, marker=".", label=line.label)
        axes.set(xlabel="layer (1 is next to the input)", ylabel=QUANTITIES[of_layers.quantity].title, yscale="log")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return result[0]


def _edges(steps: Sequence[float]) -> NDArray[np.float64]:
    """Borders half-way between the steps."""
    centers = np.asarray(steps, float)
    if len(centers) == 1:
        return np.array([centers[0] - 0.5, centers[0] + 0.5])
    middles = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - middles[0]], middles, [2 * centers[-1] - middles[-1]]])


def confusion(counts: ArrayLike) -> Pixels:
    """A confusion matrix: `counts` is [classes, classes], rows the true class, columns the predicted one.

    Color is the share of the true class; the numbers are images.
    """
    table = np.asarray(counts, float)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    with _figure(WIDTH) as (axes, result):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), count in np.ndenumerate(table):
            if count:
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=color)
        classes = range(len(table))
        axes.set(title="test images", xlabel="predicted", ylabel="true", xticks=classes, yticks=classes)
    return result[0]


@contextmanager
def _figure(height: int, width: int = WIDTH) -> Iterator[tuple[Axes, list[Pixels]]]:
    """Axes to draw on; the picture is in the list after the block."""
    result: list[Pixels] = []
    with matplotlib.style.context(["default", STYLE]):
        size = (width / DOTS_PER_INCH, height / DOTS_PER_INCH)
        figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained")
        yield figure.add_subplot(), result
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        result.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
