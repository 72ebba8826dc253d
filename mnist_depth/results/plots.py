"""The report's figures: every function takes numbers and returns a Picture with its alternative text.

Matplotlib's objects only: no pyplot, so no global state and no window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mnist_depth.results.groups import Curve
from mnist_depth.results.rendering import NARROW, WIDE, Picture, canvas, legend_below, plain_decades, styled
from mnist_depth.results.style import INK, Styles
from mnist_depth.translation import translate as _

Array = NDArray[np.float64]

MAX_LINES = 12
"""Maximum number of distinguishable lines in one chart; callers choose which."""

MAX_POINTS = 240
"""Points of a curve that a chart of this size can show; longer ones are averaged over neighbors."""

MAX_LABELED_CELLS = 150
"""Heat maps with more cells than this show colors only."""

PERCENT = (0.0, 100.0)
"""The color scale of every share and accuracy: one color means one figure in all maps of all reports."""

COLOR_MAP = "cividis"


class Profile(NamedTuple):
    """Gradient norm against layer of one group: means of log10 over seeds, their deviation, and theory's line."""

    layers: list[str]
    mean: Array
    deviation: Array
    theory: Array | None
    """log10 of the predicted norm, set to the measured one at the last layer; None where theory says nothing."""


class Density(NamedTuple):
    """A distribution: `edges` has one entry more than `density`, whose integral is one but for what lies outside."""

    edges: Array
    density: Array


# Curves


@styled
def curves(
    name: str,
    lines: Mapping[str, Curve],
    styles: Styles,
    *,
    ylabel: str,
    percent: bool = False,
    epoch: Mapping[str, int | None] | None = None,
) -> Picture:
    """Means over seeds against epochs, with a band of one standard deviation where values can lie.

    `epoch` is the number of optimizer steps of one epoch per line; steps are on a second axis where it is the same for
    all lines, and on the only axis where it is unknown.
    """
    figure, (axes,) = canvas(NARROW, 3.4)
    factor = 100.0 if percent else 1.0
    lengths = [(epoch or {}).get(label) for label in lines]
    for (label, full), length in zip(lines.items(), lengths, strict=True):
        curve, look = thin(full), styles.looks[label].options()
        # In epochs only if every line has a known epoch length; otherwise the lines would not share an axis.
        x = curve.steps / (length if length and all(lengths) else 1)
        mean, deviation = factor * curve.mean, factor * curve.deviation
        axes.plot(x, mean, label=label, markevery=max(1, len(mean) // 8), **look)
        band = np.nan_to_num(deviation)
        if band.any():
            low, high = np.maximum(mean - band, 0), np.minimum(mean + band, 100 if percent else np.inf)
            axes.fill_between(x, low, high, color=look["color"], alpha=0.2, linewidth=0)
    _label_time(axes, lengths)
    axes.set_ylabel(f"{ylabel} (%)" if percent else ylabel)
    _legend(figure, styles, lines)
    ends = "; ".join(
        _("{label} ends at {value}", label=label, value=_number(factor * line.mean[-1]))
        for label, line in lines.items()
    )
    seeded = any(np.isfinite(line.deviation).any() for line in lines.values())
    caption = _("{quantity}, mean over seeds and one standard deviation", quantity=ylabel) if seeded else ylabel
    alt = _("Line chart of {quantity} over training: {ends}.", quantity=ylabel, ends=ends)
    return Picture(name, _capital(caption), alt, figure)


def _label_time(axes: Axes, lengths: Sequence[int | None]) -> None:
    """Name the x axis, and add one in steps above it where every line has epochs of the same length."""
    if not all(lengths):
        axes.set_xlabel(_("optimizer steps"))
        return
    axes.set_xlabel(_("epochs"))
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=axes.dataLim.x1 >= 3))
    if len(set(lengths)) == 1:
        length = lengths[0] or 1
        above = axes.secondary_xaxis("top", functions=(_times(length), _times(1 / length)))
        above.xaxis.set_major_locator(MaxNLocator(4))
        above.set_xlabel(_("optimizer steps"))


def _times(factor: float) -> Callable[[Any], Any]:
    return lambda values: np.asarray(values) * factor


def _legend(figure: Any, styles: Styles, labels: Iterable[str]) -> None:
    """The legend of the whole report; where every entry is one configuration, of those that the chart shows."""
    shown = set(labels)
    entries = [(text, look) for text, look in styles.legend if text in shown or text not in styles.looks]
    keys = [Line2D([], [], **look.options()) for text, look in entries]
    legend_below(figure, keys, [text for text, look in entries])


def thin(curve: Curve, most: int = MAX_POINTS) -> Curve:
    """The curve with neighboring points averaged, first and last kept, so that at most `most` remain."""
    count = len(curve.steps)
    if count <= most:
        return curve
    # `starts` [most]: the first point alone, most - 2 groups of neighbors, the last point alone. `reduceat` sums from
    # each start to the next; an axis that is NaN everywhere (the deviation of one seed) stays NaN.
    inner = np.linspace(1, count - 1, most - 1).astype(int)
    starts = np.concatenate([[0], inner[:-1], [count - 1]])
    sizes = np.diff([*starts, count])
    with np.errstate(invalid="ignore"):
        return Curve(*(np.add.reduceat(axis, starts) / sizes for axis in curve))


# Gradient against layer


@styled
def gradient_by_layer(
    name: str, profiles: Mapping[str, Profile], styles: Styles, *, ylabel: str, title: str
) -> Picture:
    """Measured norms as dots with the deviation over seeds, theory as lines, on a log scale."""
    figure, (axes,) = canvas(NARROW, 3.3)
    layers = list(dict.fromkeys(layer for profile in profiles.values() for layer in profile.layers))
    place = {layer: index for index, layer in enumerate(layers, start=1)}
    for label, profile in profiles.items():
        _draw_profile(axes, [place[layer] for layer in profile.layers], profile, styles.looks[label].options())
    axes.set_yscale("log")
    plain_decades(axes.yaxis)
    # Matplotlib labels few ticks on a log axis of less than a decade: show two decades around the data.
    if _decades(axes) < 1:
        middle = math.sqrt(math.prod(axes.dataLim.intervaly))
        axes.set_ylim(middle / 10, middle * 10)
    axes.set_xticks(list(place.values()), [_short(layer) for layer in place])
    _spare_ticks(axes, len(place))
    axes.set_xlabel(_("layer (1 is next to the input)"))
    axes.set_ylabel(ylabel)
    _legend(figure, styles, profiles)
    described = "; ".join(_profile_words(label, profile) for label, profile in profiles.items())
    if any(profile.theory is not None for profile in profiles.values()):
        title = _("{title}: dots measured, lines theory", title=title)
    alt = _("Chart with a log scale, {title}: {values}.", title=title, values=described)
    return Picture(name, _capital(title), alt, figure)


def _draw_profile(axes: Axes, x: Sequence[int], profile: Profile, look: dict[str, Any]) -> None:
    if profile.theory is not None:
        axes.plot(x, 10**profile.theory, color=look["color"], linestyle=look["linestyle"], linewidth=1.4)
    # Mean and deviation are in decades, the axis is logarithmic: error bars are asymmetric in the norm itself. With one
    # seed the deviation is NaN and the bar has no length.
    spread = np.nan_to_num(profile.deviation)
    middle, low, high = (10 ** (profile.mean + sign * spread) for sign in (0, -1, 1))
    axes.errorbar(
        x,
        middle,
        yerr=np.array([middle - low, high - middle]),
        fmt=look["marker"],
        color=look["color"],
        markersize=5,
        capsize=2,
    )


def _profile_words(label: str, profile: Profile) -> str:
    finite = profile.mean[np.isfinite(profile.mean)]
    if not len(finite):
        return _("{label} has no finite gradient", label=label)
    text = _(
        "{label} goes from {first:.1e} at the first to {last:.1e} at the last layer",
        label=label,
        first=10 ** finite[0],
        last=10 ** finite[-1],
    )
    if profile.theory is None:
        return text
    apart = 10 ** np.nanmax(np.abs(profile.mean - profile.theory))
    return _("{text}, theory is within a factor of {factor:.2g}", text=text, factor=apart)


# Distributions


@styled
def distributions(
    name: str, panels: Mapping[str, Mapping[str, Density]], styles: Styles, *, xlabel: str, caption: str
) -> Picture:
    """Overlaid densities, one panel per layer, one outline per group."""
    figure, rows = canvas(NARROW, 0.9 + 1.3 * len(panels), len(panels))
    for axes, (layer, densities) in zip(rows, panels.items(), strict=True):
        for label, density in densities.items():
            look = styles.looks[label]
            axes.stairs(
                density.density, density.edges, label=label, color=look.color, linestyle=look.line, linewidth=1.6
            )
        axes.set_title(layer, loc="left", color=INK)
        axes.set_ylabel(_("density"))
        axes.sharex(rows[-1])
    rows[-1].set_xlabel(xlabel)
    _legend(figure, styles, next(iter(panels.values())))
    described = "; ".join(
        f"{layer}: "
        + ", ".join(
            _("{label} peaks at {value}", label=label, value=_peak(density)) for label, density in densities.items()
        )
        for layer, densities in panels.items()
    )
    alt = _("Distributions of {quantity}. {values}.", quantity=xlabel, values=described)
    return Picture(name, caption, alt, figure)


def _peak(density: Density) -> str:
    at = int(np.argmax(density.density))
    return _number((density.edges[at] + density.edges[at + 1]) / 2)


# Grids


@styled
def heat_map(
    name: str,
    values: Array,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    row_name: str,
    column_name: str,
    quantity: str,
    scale: tuple[float, float] = PERCENT,
) -> Picture:
    """A grid of shares [rows, columns] in percent as colored cells with the numbers in them; nan is crossed out.

    `scale` is the range of the colors, the same for all maps of one quantity.
    """
    wide = len(columns) > 6
    width = WIDE if wide else NARROW
    figure, (axes,) = canvas(width, 1.6 + 0.34 * len(rows))
    shown, norm = 100 * values, Normalize(*scale)
    mesh = axes.pcolormesh(np.ma.masked_invalid(shown), cmap=COLOR_MAP, norm=norm, edgecolors="face", linewidth=0.3)
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if max(map(len, columns)) > 5 else {}
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, **slanted)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.invert_yaxis()
    axes.grid(False)
    axes.set_xlabel(column_name)
    axes.set_ylabel(row_name)
    if values.size <= MAX_LABELED_CELLS:
        _label_cells(axes, shown, norm)
    _color_bar(figure, mesh, axes, f"{quantity} (%)")
    caption = _("{quantity} over {rows} and {columns}", quantity=quantity, rows=row_name, columns=column_name)
    extremes = _extremes(values, rows, columns)
    alt = _(
        "Heat map of {caption}, {rows} by {columns}: {extremes}.",
        caption=caption,
        rows=len(rows),
        columns=len(columns),
        extremes=extremes,
    )
    return Picture(name, _capital(caption), alt, figure, wide)


def _label_cells(axes: Axes, shown: Array, norm: Normalize) -> None:
    """Write numbers in a color that contrasts with the cell, and a cross if there is no number."""
    for (row, column), value in np.ndenumerate(shown):
        finite = np.isfinite(value)
        dark = finite and float(norm(value)) < 0.55  # the lower half of cividis is dark
        text = _cell_number(value) if finite else "×"
        color = "white" if dark else "black" if finite else INK
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7.5, color=color)


def _color_bar(figure: Any, mesh: Any, axes: Axes, label: str) -> None:
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, shrink=0.9)
    bar.set_label(label)
    bar.outline.set_visible(False)


def _extremes(values: Array, rows: Sequence[str], columns: Sequence[str]) -> str:
    if not np.isfinite(values).any():
        return _("no finite value")
    # The flat index of the largest and the smallest entry -> (row, column).
    places = [divmod(int(pick(values)), values.shape[1]) for pick in (np.nanargmax, np.nanargmin)]
    words = [f"{_number(100 * values[row, column])} ({rows[row]}, {columns[column]})" for row, column in places]
    return _("largest {largest}, smallest {smallest}", largest=words[0], smallest=words[1])


@styled
def phase_diagram(
    name: str,
    values: Array,
    *,
    depths: Sequence[float],
    sigmas: Sequence[float],
    quantity: str,
    activation: str,
    trainable_depth: Callable[[float], float] | None,
) -> Picture:
    """Accuracy over the initial scale sigma_w and depth, [depths, sigmas], with theory's 6 xi drawn over it.

    As figure 5 of Schoenholz et al. 2017. Cells are centered on their sigma_w and depth.
    """
    figure, (axes,) = canvas(NARROW, 3.9)
    x, y = np.asarray(sigmas, float), np.asarray(depths, float)
    shown = np.ma.masked_invalid(100 * values)
    mesh = axes.pcolormesh(
        _edges(x), _edges(y), shown, cmap=COLOR_MAP, norm=Normalize(*PERCENT), edgecolors="face", linewidth=0.3
    )
    border_text = ""
    if trainable_depth is not None:
        # The runs' own scales are among the points of the line, so that its peak at the critical scale is not cut off.
        line_x = np.unique(np.concatenate([x, np.linspace(x.min(), x.max(), 61)]))
        line_y = np.array([trainable_depth(sigma) for sigma in line_x])
        axes.plot(
            line_x,
            np.minimum(line_y, 1e6),  # infinite at criticality, which Matplotlib would leave out
            color="white",
            linestyle="--",
            linewidth=1.8,
            label=_("theory: 6 ξ"),
            path_effects=[withStroke(linewidth=3.6, foreground="black")],
        )
        top = line_x[int(np.argmax(line_y))]
        border_text = " " + _("Theory's trainable depth, 6 xi, is largest at sigma_w {sigma:.3g}.", sigma=top)
        legend_below(figure, *axes.get_legend_handles_labels())
    axes.grid(False)
    axes.set_xlim(*_edges(x)[[0, -1]])
    axes.set_ylim(*_edges(y)[[0, -1]])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(_("initial scale σ_w"))
    axes.set_ylabel(_("depth (weight layers)"))
    _color_bar(figure, mesh, axes, f"{quantity} (%)")
    extremes = _extremes(values, [f"depth {d:g}" for d in depths], [f"sigma_w {s:g}" for s in sigmas])
    alt = _(
        "Heat map of {quantity} in percent over initial scale and depth for {activation}: {extremes}.",
        quantity=quantity,
        activation=activation,
        extremes=extremes,
    )
    caption = _(
        "Where {activation} networks train: {quantity} over initial scale and depth",
        activation=activation,
        quantity=quantity,
    )
    return Picture(name, caption, alt + border_text, figure)


def _edges(centers: Array) -> Array:
    """Cell borders half way between sorted centers."""
    if len(centers) == 1:
        return centers[0] + np.array([-0.5, 0.5])
    middle = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - middle[0]], middle, [2 * centers[-1] - middle[-1]]])


# Shared


def _decades(axes: Axes) -> float:
    """Powers of ten that the positive data span."""
    low, high = axes.dataLim.intervaly
    return math.log10(high / low) if 0 < low < high < math.inf else 0.0


def _spare_ticks(axes: Axes, count: int) -> None:
    """Keep every n-th layer label if all of them would overlap."""
    every = math.ceil(count / 12)
    for index, label in enumerate(axes.get_xticklabels()):
        label.set_visible(index % every == 0)


def _short(layer: str) -> str:
    return layer.removeprefix("layer_").lstrip("0").replace("_", " ")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return _("a value that is not finite")
    return f"{value:.3g}"


def _cell_number(value: float) -> str:
    return f"{value:.1f}" if 1 <= abs(value) < 1000 else f"{value:.2g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
