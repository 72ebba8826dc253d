"""Figures for print (matplotlib): the data, colors and markers of the interactive ones, as PDF, SVG, PNG or PGF.

Nothing here touches pyplot or another global state: every function draws on the given axes, or on a new `PrintFigure`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from mnist_depth.figures.data import (
    QUANTITIES,
    SUBJECTS,
    Bars,
    Floats,
    Grid,
    Training,
    distributions,
    layer_by_step,
    mean_curve,
    over_seeds,
    profile,
)
from mnist_depth.figures.style import Line, lines

MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "x": "x",
    "cross": "P",
    "star": "*",
    "triangle-down": "v",
    "pentagon": "p",
    "hexagon": "h",
}
"""plotly's marker -> matplotlib's."""

DASHES = {"train": "-", "validation": ":", "test": "--"}
WIDTH, HEIGHT = 5.5, 3.6
"""Inches; a text column of most journals is 3.3 to 6.9 inches wide."""

MAX_PANELS = 6
RIDGE = 0.9
"""Height of the tallest bar of a histogram, as a share of the distance between two layers."""

STYLE: Any = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#d9dde3",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # TrueType, which journals ask for
    "svg.fonttype": "none",
}


class PrintFigure(Figure):
    """A matplotlib figure that notebooks show and `savefig` writes, not registered with pyplot."""

    def savefig(self, *args: Any, **options: Any) -> None:
        """As matplotlib's, with text as text and fonts that journals take."""
        with mpl.rc_context(STYLE):
            super().savefig(*args, **options)

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        FigureCanvasAgg(self).print_figure(stream, format="png", dpi=120)
        return stream.getvalue()


def canvas(panels: int = 1, width: float = WIDTH, height: float = HEIGHT) -> tuple[PrintFigure, list[Axes]]:
    """A new figure with panels side by side."""
    with mpl.rc_context(STYLE):
        figure = PrintFigure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)
    return figure, list(axes[0])


def draw_profile(
    axes: Axes, trainings: Sequence[Training], quantity: str, step: int | None, color_by: str = "activation"
) -> None:
    """A quantity against the layer at one step: mean over seeds, their range as a band, theory dashed."""
    found, spec = profile(trainings, quantity), QUANTITIES[quantity]
    if not found.steps:
        return
    moment = len(found.steps) - 1 if step is None else int(np.abs(np.array(found.steps) - step).argmin())
    # Layers without the quantity, such as additions of a residual network, take no place; lines cross those of which
    # only this training has no value.
    kept = np.array([np.isfinite(table[moment]) for table in found.values]).any(axis=0)
    places = np.arange(1, kept.sum() + 1)
    for line in lines(trainings, color_by):
        values = np.array([found.values[place] for place in line.members])[:, :, kept]
        mean, least, most = (table[moment] for table in over_seeds(values, spec.logarithmic))
        known = np.isfinite(mean)
        axes.plot(places[known], mean[known], **_options(line), label=line.label)
        if len(line.members) > 1:
            axes.fill_between(places, least, most, color=line.color, alpha=0.2, linewidth=0)
        theory = next((found.predicted[place] for place in line.members if found.predicted[place] is not None), None)
        if theory is not None:
            axes.plot(
                places, theory[kept], color=line.color, linestyle="--", linewidth=1.0, label=f"{line.label}, theory"
            )
    _layer_axis(axes, [found.layers[place] for place in np.flatnonzero(kept)])
    axes.set_ylabel(spec.title)
    if spec.logarithmic:
        axes.set_yscale("log")
    axes.set_title(f"step {found.steps[moment]:,}", fontsize="medium")
    _legend(axes)


def draw_map(axes: Axes, training: Training, quantity: str, limits: tuple[float, float], title: str) -> Any:
    """A quantity of one training over step (across) and layer (up); log10 of those that span decades."""
    found, values = layer_by_step(training, quantity), map_values(training, quantity)
    mesh = axes.pcolormesh(
        edges(np.asarray(found.steps, float)),
        np.arange(len(found.layers) + 1) + 0.5,
        np.ma.masked_invalid(values),
        cmap="viridis",
        vmin=limits[0],
        vmax=limits[1],
        rasterized=True,
    )
    axes.grid(False)
    axes.set_xlabel("step")
    axes.set_title(title, fontsize="medium")
    axes.set_yticks(*_layer_ticks(found.layers))
    return mesh


def map_values(training: Training, quantity: str) -> Floats:
    """[layers, steps]: what `draw_map` colors."""
    values = layer_by_step(training, quantity).values
    if not QUANTITIES[quantity].logarithmic:
        return values
    with np.errstate(all="ignore"):
        return np.where(values > 0, np.log10(values), math.nan)


def draw_distributions(
    axes: Axes, trainings: Sequence[Training], subject: str, step: int | None, color_by: str = "activation"
) -> None:
    """How a subject's entries spread, a ridge per layer, the first seed of each configuration over each other."""
    layers: list[str] = []
    for line in lines(trainings, color_by):
        found = distributions(trainings[line.members[0]], subject)
        if not found.steps:
            continue
        at = len(found.steps) - 1 if step is None else int(np.abs(np.array(found.steps) - step).argmin())
        layers = max(layers, found.layers, key=len)
        for place, bars in enumerate(found.bars[at], 1):
            if bars is not None and bars.counts.sum():
                label = line.label if place == 1 else None
                x, y = outline(bars)
                axes.fill_between(x, place, place + RIDGE * y, color=line.color, alpha=0.35, linewidth=0, label=label)
                axes.plot(x, place + RIDGE * y, color=line.color, linewidth=0.8)
    axes.set_xlabel(SUBJECTS[subject][0])
    axes.set_ylabel("layer (1 is next to the input)")
    axes.set_yticks(*_layer_ticks(layers))
    _legend(axes)


def outline(bars: Bars) -> tuple[Floats, Floats]:
    """The outline of a histogram from left to right, its highest density 1."""
    density = bars.counts / np.diff(bars.edges)
    heights = np.repeat(density / density.max(), 2)
    x = np.concatenate([[bars.edges[0]], np.repeat(bars.edges[1:-1], 2), [bars.edges[-1]]])
    return x, heights


def draw_curves(
    axes: Axes, trainings: Sequence[Training], name: str, splits: Sequence[str], color_by: str = "activation"
) -> None:
    """Loss or accuracy against the step: mean over seeds, their range as a band; a line style per split."""
    for line in lines(trainings, color_by):
        for split in splits:
            series = [trainings[place].curve(name, split) for place in line.members]
            steps, mean, least, most = mean_curve([one for one in series if len(one.steps)])
            if not len(steps):
                continue
            axes.plot(steps, mean, color=line.color, linestyle=DASHES[split], label=f"{line.label}, {split}")
            if len(line.members) > 1:
                axes.fill_between(steps, least, most, color=line.color, alpha=0.15, linewidth=0)
    axes.set_xlabel("step")
    axes.set_ylabel(name)
    _legend(axes)


def draw_grid(axes: Axes, grid: Grid) -> Any:
    """A heat map of a final figure over two fields, each cell with its number."""
    mesh = axes.imshow(np.ma.masked_invalid(grid.values), cmap="cividis", aspect="auto")
    axes.grid(False)
    axes.set_xticks(range(len(grid.columns)), [str(value) for value in grid.columns], rotation=30, ha="right")
    axes.set_yticks(range(len(grid.rows)), [str(value) for value in grid.rows])
    axes.set_xlabel(grid.column_name.replace("_", " "))
    axes.set_ylabel(grid.row_name.replace("_", " "))
    for (row, column), value in np.ndenumerate(grid.values):
        if math.isfinite(value):
            dark = float(np.asarray(mesh.norm(value))) < 0.5
            axes.text(column, row, f"{value:.3g}", ha="center", va="center", color="white" if dark else "black", size=8)
    return mesh


def draw_phase_diagram(axes: Axes, grid: Grid, border: tuple[Floats, Floats] | None) -> Any:
    """A final figure over the initial scale sigma_w (columns) and the depth (rows), with theory's border over it.

    As figure 5 of Schoenholz et al. 2017; `border` is (sigma_w, depth up to which networks train).
    """
    sigmas, depths = np.asarray(grid.columns, float), np.asarray(grid.rows, float)
    mesh = axes.pcolormesh(edges(sigmas), edges(depths), np.ma.masked_invalid(grid.values), cmap="cividis")
    axes.grid(False)
    if border is not None:
        axes.plot(*border, color="white", linewidth=3)
        axes.plot(*border, color="black", linestyle="--", label="theory: 6 ξ")
        axes.legend(loc="upper right", frameon=True)
    axes.set_xlim(*edges(sigmas)[[0, -1]])
    axes.set_ylim(*edges(depths)[[0, -1]])
    axes.set_xlabel("initial scale σ_w")
    axes.set_ylabel("depth (weight layers)")
    return mesh


def edges(centers: Floats) -> Floats:
    """Borders of cells around their centers: [n] -> [n + 1]."""
    if len(centers) == 1:
        return centers[0] + np.array([-0.5, 0.5])
    middle = (centers[:-1] + centers[1:]) / 2
    return np.concatenate([[2 * centers[0] - middle[0]], middle, [2 * centers[-1] - middle[-1]]])


def _options(line: Line) -> dict[str, Any]:
    return {"color": line.color, "marker": MARKERS[line.marker]}


def _legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small", frameon=False)


def _layer_axis(axes: Axes, layers: Sequence[str]) -> None:
    places, names = _layer_ticks(layers)
    axes.xaxis.set_major_locator(FixedLocator(places))
    numbered = all(name.isdigit() for name in names)
    axes.set_xticks(places, names, rotation=0 if numbered else 45, ha="center" if numbered else "right")
    axes.set_xlim(0.5, len(layers) + 0.5)
    axes.set_xlabel("layer (1 is next to the input)" if numbered else "layer")


def _layer_ticks(layers: Sequence[str]) -> tuple[list[int], list[str]]:
    """Places and names: numbers for `layer_01` and the like, at most about twelve."""
    numbered = all(name.startswith("layer_") for name in layers)
    every = max(1, math.ceil(len(layers) / (12 if numbered else 40)))
    places = list(range(1, len(layers) + 1))[::every]
    return places, [str(place) if numbered else layers[place - 1] for place in places]
