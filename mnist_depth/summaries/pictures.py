"""Pictures of one run for the Images tab, as uint8 [height, width, 3], drawn with Pillow.

Importing Matplotlib and drawing these pictures with it takes longer than training a small network.
TensorBoard shows a picture 350 pixels wide and drops pixels where it has to shrink, so they are made that wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]

WIDTH, BORDER = 350, 2
MAP_HEIGHT = 200
MAX_FILTERS = 64
DRAWABLE = (1e-60, 1e60)
"""Norms of float32 lie well between these."""

VIRIDIS = "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725"
BLUES = "f7fbff deebf7 c6dbef 9ecae1 6baed6 4292c6 2171b5 08519c 08306b"
BLUE_TO_RED = "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f"
"""Color scales as evenly spaced colors."""

BLACK, GRAY, WHITE = (0, 0, 0), (128, 128, 128), (255, 255, 255)
SIZE = 10
"""Height of letters, in pixels."""
MAX_TICKS = 6


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
    finite = np.isfinite(weights)
    largest = np.percentile(np.abs(weights[finite]), 99) if finite.any() else 0.0
    colors = _colors(np.where(finite, weights, np.nan) / (2 * (largest or 1.0)) + 0.5, BLUE_TO_RED, GRAY)
    for unit in range(weights.shape[1]):
        top, left = unit // columns * cell, unit % columns * cell
        tile = Image.fromarray(colors[:, unit].reshape(side, side, 3)).resize((cell - BORDER, cell - BORDER))
        picture[top : top + cell - BORDER, left : left + cell - BORDER] = np.asarray(tile)
    return picture


def heat_map(steps: Sequence[float], values: ArrayLike, title: str) -> Pixels:
    """Layer x step, logarithmic color: `values` is [layers, steps], layer 1 at the bottom.

    Zeros, negative and non-finite values have no logarithm and are left white, as are those beyond float32.
    """
    table = np.asarray(values, float)
    usable = (table > DRAWABLE[0]) & (table < DRAWABLE[1])
    axes = _Axes(MAP_HEIGHT, _Box(40, 18, 278, MAP_HEIGHT - 30))
    box, edges = axes.box, _edges(steps)
    # The table's column of every column of pixels, and its row of every row of pixels from the top.
    at = edges[0] + (np.arange(box.width) + 0.5) / box.width * (edges[-1] - edges[0])
    columns = np.clip(np.searchsorted(edges, at) - 1, 0, table.shape[1] - 1)
    rows = ((np.arange(box.height)[::-1] + 0.5) / box.height * len(table)).astype(int)
    if usable.any():
        logarithms = np.log10(np.where(usable, table, np.nan))
        low, high = float(np.nanmin(logarithms)), float(np.nanmax(logarithms))
        axes.fill(_colors((logarithms - low) / ((high - low) or 1.0), VIRIDIS, WHITE)[np.ix_(rows, columns)])
        axes.color_bar(low, high)
    span = edges[-1] - edges[0]
    axes.x_axis("step", ((f"{tick:g}", (tick - edges[0]) / span) for tick in _ticks(edges[0], edges[-1])))
    layers = range(1, len(table) + 1, math.ceil(len(table) / 12))
    axes.y_axis("layer", ((str(layer), 1 - (layer - 0.5) / len(table)) for layer in layers))
    axes.title(title)
    return axes.pixels()


def confusion(counts: ArrayLike) -> Pixels:
    """A confusion matrix: `counts` is [classes, classes], rows the true class, columns the predicted one.

    Color is the share of the true class; the numbers are images.
    """
    table = np.asarray(counts, float)
    classes = len(table)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axes = _Axes(WIDTH, _Box(40, 20, 340, 320))
    place = (np.arange(axes.box.width) * classes // axes.box.width).astype(int)
    axes.fill(_colors(shares, BLUES, WHITE)[np.ix_(place, place)])
    for (row, column), count in np.ndenumerate(table):
        if count:
            color = WHITE if shares[row, column] > 0.5 else BLACK
            axes.text_inside((column + 0.5) / classes, (row + 0.5) / classes, f"{count:.0f}", color)
    names = [(str(index), (index + 0.5) / classes) for index in range(classes)]
    axes.x_axis("predicted", names)
    axes.y_axis("true", names)
    axes.title("test images")
    return axes.pixels()


def _colors(shares: NDArray[np.float64], scale: str, missing: tuple[int, int, int]) -> Pixels:
    """The colors of shares of a scale; those that are NaN get the color `missing`."""
    anchors = np.array([list(bytes.fromhex(color)) for color in scale.split()], float)
    places = np.linspace(0, 1, len(anchors))
    known = np.nan_to_num(shares, nan=0.0)
    colors = np.stack([np.interp(known, places, channel) for channel in anchors.T], axis=-1).round().astype(np.uint8)
    colors[np.isnan(shares)] = missing
    return colors


def _edges(steps: Sequence[float]) -> NDArray[np.float64]:
    """Borders half-way between the steps."""
    centers = np.asarray(steps, float)
    if len(centers) == 1:
        return np.array([centers[0] - 0.5, centers[0] + 0.5])
    middles = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - middles[0]], middles, [2 * centers[-1] - middles[-1]]])


def _ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two numbers, at most MAX_TICKS."""
    power = 10.0 ** math.floor(math.log10((high - low) / MAX_TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10) if (high - low) / (factor * power) < MAX_TICKS)
    return [count * step for count in range(math.ceil(low / step), math.floor(high / step) + 1)]


class _Box(NamedTuple):
    """A rectangle of pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


class _Axes:
    """A white picture with a framed box for data and labels around it; places in the box are shares of it."""

    def __init__(self, height: int, box: _Box) -> None:
        self.box = box
        self._image = Image.new("RGB", (WIDTH, height), WHITE)
        self._draw = ImageDraw.Draw(self._image)
        self._frame(box)

    def pixels(self) -> Pixels:
        return np.asarray(self._image)

    def title(self, text: str) -> None:
        self._text((self.box.left + self.box.right) / 2, self.box.top - 4, text, "mb")

    def fill(self, colors: Pixels) -> None:
        """Colors [height, width, 3] of the whole box."""
        self._image.paste(Image.fromarray(colors), self.box[:2])
        self._frame(self.box)

    def text_inside(self, x: float, y: float, text: str, color: tuple[int, int, int]) -> None:
        self._text(self.box.left + x * self.box.width, self.box.top + y * self.box.height, text, "mm", color)

    def x_axis(self, label: str, ticks: Iterable[tuple[str, float]]) -> None:
        for text, share in ticks:
            x = self.box.left + share * self.box.width
            self._draw.line((x, self.box.bottom, x, self.box.bottom + 3), BLACK)
            self._text(x, self.box.bottom + 5, text, "mt")
        self._text((self.box.left + self.box.right) / 2, self._image.height - 2, label, "mb")

    def y_axis(self, label: str, ticks: Iterable[tuple[str, float]]) -> None:
        for text, share in ticks:
            y = self.box.top + share * self.box.height
            self._draw.line((self.box.left - 4, y, self.box.left - 1, y), BLACK)
            self._text(self.box.left - 6, y, text, "rm")
        width = int(_font().getlength(label)) + 2
        turned = Image.new("RGB", (width, SIZE + 4), WHITE)
        ImageDraw.Draw(turned).text((1, 1), label, BLACK, _font())
        place = (2, (self.box.top + self.box.bottom - width) // 2)
        self._image.paste(turned.transpose(Image.Transpose.ROTATE_90), place)

    def color_bar(self, low: float, high: float) -> None:
        """The scale beside the box, from 10**low to 10**high, with its powers of ten or its ends."""
        bar = _Box(self.box.right + 12, self.box.top, self.box.right + 22, self.box.bottom)
        shares = np.linspace(1, 0, bar.height)[:, None].repeat(bar.width, axis=1)
        self._image.paste(Image.fromarray(_colors(shares, VIRIDIS, WHITE)), bar[:2])
        self._frame(bar)
        every = max(1, math.ceil((high - low) / MAX_TICKS))
        powers = [power for power in range(math.ceil(low), math.floor(high) + 1) if power % every == 0]
        ticks = [(f"1e{power}", power) for power in powers] if len(powers) > 1 else [
            (f"{10**power:.2g}", power) for power in sorted({low, high})
        ]  # fmt: skip
        for text, power in ticks:
            y = bar.bottom - (power - low) / ((high - low) or 1.0) * bar.height
            self._draw.line((bar.right + 1, y, bar.right + 4, y), BLACK)
            self._text(bar.right + 6, y, text, "lm")

    def _frame(self, box: _Box) -> None:
        self._draw.rectangle((box.left - 1, box.top - 1, box.right, box.bottom), outline=BLACK)

    def _text(self, x: float, y: float, text: str, anchor: str, color: tuple[int, int, int] = BLACK) -> None:
        self._draw.text((x, y), text, color, _font(), anchor)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that pictures are the same on every machine."""
    return ImageFont.load_default(SIZE)
