"""The report's figures: every function takes numbers and returns a Picture with its alternative text.

Matplotlib's objects only: no pyplot, so no global state and no window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mnist_depth.results.groups import Curve
from mnist_depth.results.rendering import (
    COLORS,
    INK,
    LINES,
    MARKERS,
    NARROW,
    WIDE,
    Picture,
    canvas,
    legend_below,
    plain_decades,
    styled,
)

Array = NDArray[np.float64]

MOST_LINES = 12
"""Lines that one chart can keep apart; callers choose which."""

MOST_POINTS = 240
"""Points of a curve that a chart of this size can show; longer ones are averaged over neighbors."""

MOST_LABELED_CELLS = 150
"""Heat maps with more cells than this show colors only."""


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
    name: str, lines: Mapping[str, Curve], *, ylabel: str, percent: bool = False, order: Sequence[str] = ()
) -> Picture:
    """Means over seeds against optimizer steps, with a band of one standard deviation where values can lie.

    Here and below, `order` names all lines of a page, so that each looks the same on every chart of it.
    """
    figure, (axes,) = canvas(NARROW, 3.4)
    factor = 100.0 if percent else 1.0
    styles = _line_styles(lines, order)
    for label, full in lines.items():
        curve, style = thin(full), styles[label]
        mean, deviation = factor * curve.mean, factor * curve.deviation
        axes.plot(curve.steps, mean, label=label, markevery=max(1, len(mean) // 8), **style)
        band = np.nan_to_num(deviation)
        if band.any():
            low, high = np.maximum(mean - band, 0), np.minimum(mean + band, 100 if percent else np.inf)
            axes.fill_between(curve.steps, low, high, color=style["color"], alpha=0.2, linewidth=0)
    axes.set_xlabel("optimizer steps")
    axes.set_ylabel(f"{ylabel} (%)" if percent else ylabel)
    legend_below(figure, *axes.get_legend_handles_labels())
    ends = "; ".join(f"{label} ends at {_number(factor * line.mean[-1])}" for label, line in lines.items())
    seeded = any(np.isfinite(line.deviation).any() for line in lines.values())
    caption = f"{ylabel}, mean over seeds and one standard deviation" if seeded else ylabel
    return Picture(name, _capital(caption), f"Line chart of {ylabel} against optimizer steps: {ends}.", figure)


def thin(curve: Curve, most: int = MOST_POINTS) -> Curve:
    """The curve with neighboring points averaged, first and last kept, so that at most `most` remain."""
    count = len(curve.steps)
    if count <= most:
        return curve
    inner = np.linspace(1, count - 1, most - 1).astype(int)
    starts = np.concatenate([[0], inner[:-1], [count - 1]])
    sizes = np.diff([*starts, count])
    with np.errstate(invalid="ignore"):
        return Curve(*(np.add.reduceat(axis, starts) / sizes for axis in curve))


# Gradient against layer


@styled
def gradient_by_layer(
    name: str, profiles: Mapping[str, Profile], *, ylabel: str, moment: str, order: Sequence[str] = ()
) -> Picture:
    """Measured norms as dots with the deviation over seeds, theory as lines, on a log scale."""
    figure, (axes,) = canvas(NARROW, 3.6)
    layers = list(dict.fromkeys(layer for profile in profiles.values() for layer in profile.layers))
    place = {layer: index for index, layer in enumerate(sorted(layers), start=1)}
    styles = _line_styles(profiles, order)
    for label, profile in profiles.items():
        _draw_profile(axes, [place[layer] for layer in profile.layers], profile, styles[label])
    axes.set_yscale("log")
    plain_decades(axes.yaxis)
    if _decades(axes) < 1:
        middle = math.sqrt(math.prod(axes.dataLim.intervaly))
        axes.set_ylim(middle / 10, middle * 10)
    axes.set_xticks(list(place.values()), [_short(layer) for layer in place])
    _spare_ticks(axes, len(place))
    axes.set_xlabel("layer (1 is next to the input)")
    axes.set_ylabel(ylabel)
    predicted = any(profile.theory is not None for profile in profiles.values())
    dots: dict[str, Any] = {} if predicted else {"linestyle": ""}
    keys = [Line2D([], [], **(styles[label] | dots)) for label in profiles]
    legend_below(figure, keys, list(profiles))
    said = "; ".join(_profile_words(label, profile) for label, profile in profiles.items())
    caption = f"{_capital(ylabel)} against layer, {moment}{': dots measured, lines theory' if predicted else ''}"
    return Picture(name, caption, f"Chart with a log scale, {ylabel} against layer, {moment}: {said}.", figure)


def _draw_profile(axes: Axes, x: Sequence[int], profile: Profile, style: dict[str, Any]) -> None:
    if profile.theory is not None:
        axes.plot(x, 10**profile.theory, color=style["color"], linestyle=style["linestyle"], linewidth=1.4)
    spread = np.nan_to_num(profile.deviation)
    middle, low, high = (10 ** (profile.mean + sign * spread) for sign in (0, -1, 1))
    axes.errorbar(
        x,
        middle,
        yerr=np.array([middle - low, high - middle]),
        fmt=style["marker"],
        color=style["color"],
        markersize=5,
        capsize=2,
    )


def _profile_words(label: str, profile: Profile) -> str:
    finite = profile.mean[np.isfinite(profile.mean)]
    if not len(finite):
        return f"{label} has no finite gradient"
    text = f"{label} goes from {10 ** finite[0]:.1e} at the first to {10 ** finite[-1]:.1e} at the last layer"
    if profile.theory is None:
        return text
    apart = np.nanmax(np.abs(profile.mean - profile.theory))
    return f"{text}, theory is within a factor of {10**apart:.2g}"


# Distributions


@styled
def distributions(
    name: str, panels: Mapping[str, Mapping[str, Density]], *, xlabel: str, caption: str, order: Sequence[str] = ()
) -> Picture:
    """Overlaid densities, one panel per layer, one outline per group."""
    figure, rows = canvas(NARROW, 0.9 + 1.5 * len(panels), len(panels))
    for axes, (layer, densities) in zip(rows, panels.items(), strict=True):
        styles = _line_styles(densities, order)
        for label, density in densities.items():
            axes.stairs(
                density.density,
                density.edges,
                label=label,
                color=styles[label]["color"],
                linestyle=styles[label]["linestyle"],
                linewidth=1.6,
            )
        axes.set_title(layer, loc="left", color=INK)
        axes.set_ylabel("density")
        axes.sharex(rows[-1])
    rows[-1].set_xlabel(xlabel)
    legend_below(figure, *rows[0].get_legend_handles_labels())
    said = "; ".join(
        f"{layer}: " + ", ".join(f"{label} peaks at {_peak(density)}" for label, density in densities.items())
        for layer, densities in panels.items()
    )
    return Picture(name, caption, f"Distributions of {xlabel}. {said}.", figure)


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
    percent: bool = False,
    log: bool = False,
) -> Picture:
    """A grid of numbers [rows, columns] as colored cells with the numbers in them; nan cells are crossed out."""
    wide = len(columns) > 6
    width = WIDE if wide else NARROW
    figure, (axes,) = canvas(width, 1.6 + 0.34 * len(rows))
    shown = 100 * values if percent else values
    norm = _norm(shown, log)
    mesh = axes.pcolormesh(np.ma.masked_invalid(shown), cmap="cividis", norm=norm, edgecolors="face", linewidth=0.3)
    slanted = {"rotation": 40, "ha": "right"} if max(map(len, columns)) > 5 else {}
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, **slanted)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.invert_yaxis()
    axes.grid(False)
    axes.set_xlabel(column_name)
    axes.set_ylabel(row_name)
    if values.size <= MOST_LABELED_CELLS:
        _label_cells(axes, shown, norm)
    label = f"{quantity} (%)" if percent else quantity
    _color_bar(figure, mesh, axes, label)
    caption = f"{quantity} over {row_name} and {column_name}"
    extremes = _extremes(values, rows, columns, percent)
    alt = f"Heat map of {caption}, {len(rows)} by {len(columns)}: {extremes}."
    return Picture(name, _capital(caption), alt, figure, wide)


def _norm(shown: Array, log: bool) -> Normalize:
    finite = shown[np.isfinite(shown)]
    if not len(finite):
        return Normalize(0, 1)
    if log and finite.min() > 0:
        return LogNorm(finite.min(), max(finite.max(), finite.min() * 1.01))
    return Normalize(finite.min(), finite.max() if finite.max() > finite.min() else finite.min() + 1)


def _label_cells(axes: Axes, shown: Array, norm: Normalize) -> None:
    """Numbers in ink that stands out from the cell; a cross where there is none."""
    for (row, column), value in np.ndenumerate(shown):
        finite = np.isfinite(value)
        dark = finite and float(norm(value)) < 0.55
        text = _cell_number(value) if finite else "×"
        color = "white" if dark else "black" if finite else INK
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7.5, color=color)


def _color_bar(figure: Any, mesh: Any, axes: Axes, label: str) -> None:
    bar = figure.colorbar(mesh, ax=axes, pad=0.02, shrink=0.9)
    bar.set_label(label)
    bar.outline.set_visible(False)


def _extremes(values: Array, rows: Sequence[str], columns: Sequence[str], percent: bool) -> str:
    if not np.isfinite(values).any():
        return "no finite value"
    factor = 100.0 if percent else 1.0
    places = [divmod(int(pick(values)), values.shape[1]) for pick in (np.nanargmax, np.nanargmin)]
    words = [f"{_number(factor * values[row, column])} at {rows[row]}, {columns[column]}" for row, column in places]
    return f"largest {words[0]}, smallest {words[1]}"


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
    mesh = axes.pcolormesh(
        _edges(x), _edges(y), np.ma.masked_invalid(100 * values), cmap="cividis", edgecolors="face", linewidth=0.3
    )
    said = ""
    if trainable_depth is not None:
        line_x = np.unique(np.concatenate([x, np.linspace(x.min(), x.max(), 61)]))
        line_y = np.array([trainable_depth(sigma) for sigma in line_x])
        axes.plot(
            line_x,
            np.minimum(line_y, 1e6),
            color="white",
            linestyle="--",
            linewidth=1.8,
            label="theory: 6 ξ",
            path_effects=[withStroke(linewidth=3.6, foreground="black")],
        )
        top = line_x[int(np.argmax(line_y))]
        said = f" Theory's trainable depth, 6 xi, is largest at sigma_w {top:.3g}."
        legend_below(figure, *axes.get_legend_handles_labels())
    axes.grid(False)
    axes.set_xlim(*_edges(x)[[0, -1]])
    axes.set_ylim(*_edges(y)[[0, -1]])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel("initial scale σ_w")
    axes.set_ylabel("depth (weight layers)")
    _color_bar(figure, mesh, axes, f"{quantity} (%)")
    extremes = _extremes(values, [f"depth {d:g}" for d in depths], [f"sigma_w {s:g}" for s in sigmas], True)
    alt = f"Heat map of {quantity} in percent over initial scale and depth for {activation}: {extremes}.{said}"
    return Picture(name, f"Where {activation} networks train: {quantity} over initial scale and depth", alt, figure)


def _edges(centers: Array) -> Array:
    """Cell borders half way between sorted centers."""
    if len(centers) == 1:
        return centers[0] + np.array([-0.5, 0.5])
    middle = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - middle[0]], middle, [2 * centers[-1] - middle[-1]]])


# Shared


def _line_styles(labels: Iterable[str], order: Sequence[str]) -> dict[str, dict[str, Any]]:
    labels = list(labels)
    places = list(order or labels)
    return {label: _line_style(places.index(label)) for label in labels}


def _line_style(index: int) -> dict[str, Any]:
    """Behind the last color the colors come again, with the next line and marker."""
    color, shape = index % len(COLORS), (index + index // len(COLORS)) % len(LINES)
    return {
        "color": COLORS[color],
        "linestyle": LINES[shape],
        "marker": MARKERS[shape],
        "linewidth": 1.6,
        "markersize": 4,
    }


def _decades(axes: Axes) -> float:
    """Powers of ten that the positive data span."""
    low, high = axes.dataLim.intervaly
    return math.log10(high / low) if 0 < low < high < math.inf else 0.0


def _spare_ticks(axes: Axes, count: int) -> None:
    """Keep every n-th layer label where all of them would collide."""
    every = math.ceil(count / 12)
    for index, label in enumerate(axes.get_xticklabels()):
        label.set_visible(index % every == 0)


def _short(layer: str) -> str:
    return layer.removeprefix("layer_").lstrip("0").replace("_", " ")


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "a value that is not finite"
    return f"{value:.3g}"


def _cell_number(value: float) -> str:
    return f"{value:.1f}" if 1 <= abs(value) < 1000 else f"{value:.2g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
