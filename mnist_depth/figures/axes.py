"""Axes, panels and titles that the figures of `interactive` share, as the plain data that plotly's JSON is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mnist_depth.figures.data import Training, epoch_of
from mnist_depth.figures.style import plain
from mnist_depth.translation import translate as _

Figure = dict[str, Any]

MAX_LAYER_NAMES = 40
"""Layers of which each has its name on the axis."""

MAX_TITLE = 90
"""Characters of the titles of all panels in one line."""


def moment_title(step: int, steps_per_epoch: int) -> str:
    """A moment in steps and epochs.

    >>> moment_title(0, 550), moment_title(1100, 550), moment_title(30, 0)
    ('step 0, before training', 'step 1,100, epoch 2', 'step 30')
    """
    if step == 0:
        return _("step 0, before training")
    epoch = epoch_of(step, steps_per_epoch)
    if epoch is None:
        return _("step {step:,}", step=step)
    return _("step {step:,}, epoch {epoch}", step=step, epoch=epoch)


def common_epoch(trainings: Sequence[Training]) -> int:
    """The steps of an epoch, the same for all trainings; 0 where they differ."""
    found = {training.steps_per_epoch for training in trainings}
    return found.pop() if len(found) == 1 else 0


def empty_layout() -> Figure:
    """Margins, and hover and zoom that survive an update."""
    return {"margin": {"l": 70, "r": 10, "t": 24, "b": 44}, "hovermode": "closest", "uirevision": "kept"}


def layer_axis(layers: Sequence[str], title: str | None = None, named: bool = True) -> Figure:
    """Ticks at layers: numbers for `layer_01` and the like or where there are many, names otherwise.

    Without `named` there are ticks only.
    """
    numbered = are_numbers(layers) or len(layers) > MAX_LAYER_NAMES
    every = max(1, math.ceil(len(layers) / 12)) if numbered else 1
    places = list(range(1, len(layers) + 1))[::every]
    axis: Figure = {
        "title": {"text": _("layer (1 is next to the input)") if title is None else title},
        "range": [0.5, len(layers) + 0.5],
        "tickvals": places,
        "ticktext": [str(place) if numbered else plain(layers[place - 1]) for place in places],
        "zeroline": False,
    }
    if not named:
        return axis | {"showticklabels": False}
    if numbered:
        return axis
    # Names are long: without a distance of its own plotly puts the title where numbers would end, and it hides a
    # slanted name that ends beyond the figure.
    return axis | {
        "automargin": True,
        "title": axis["title"] | {"standoff": 10},
        "autotickangles": [0, -35, -90],
        "ticklabeloverflow": "allow",
    }


def are_numbers(layers: Sequence[str]) -> bool:
    """Whether an axis numbers these layers: those of a study by their names, and places of models that differ."""
    return all(name.startswith("layer_") or name.isdigit() for name in layers)


def value_axis(title: str, logarithmic: bool, low: float, high: float) -> Figure:
    """From `low` to `high`, with powers of ten where it is logarithmic."""
    axis: Figure = {"title": {"text": title.replace(", ", ",<br>")}, "automargin": True}
    if not logarithmic:
        return axis | {"range": [low, high], "zeroline": False}
    ends = [math.log10(low), math.log10(high)]
    return axis | {"type": "log", "range": ends, "exponentformat": "power", "dtick": decades(ends)}


def decades(ends: Sequence[float]) -> int:
    """Powers of ten between ticks, so that there are about eight."""
    return max(1, math.ceil((ends[1] - ends[0]) / 8))


def axis_name(name: str, number: int) -> str:
    """`xaxis`, `xaxis2`, ... or `x`, `x2`, ...: plotly's name of the axis of a panel."""
    return name if number == 1 else f"{name}{number}"


def panel_axes(number: int) -> Figure:
    """The entries of a trace that put it on the axes of a panel."""
    return {"xaxis": axis_name("x", number), "yaxis": axis_name("y", number)}


def panel(layout: Figure, number: int, count: int, title: str = "", rows: bool = False) -> None:
    """The axes of panel `number` of `count`, side by side with a title above or one below the other."""
    gap = 0.12 if rows else 0.03
    size = (1 - gap * (count - 1)) / count
    start = (number - 1) * (size + gap)
    span = [start, start + size] if not rows else [max(0.0, 1 - start - size), 1 - start]
    across, along = ([0, 1], span) if rows else (span, [0, 1])
    layout[axis_name("xaxis", number)] = {"domain": across, "anchor": axis_name("y", number), "zeroline": False}
    layout[axis_name("yaxis", number)] = {"domain": along, "anchor": axis_name("x", number), "zeroline": False}
    if title:
        text = _wrapped(title, MAX_TITLE // count)
        note = {"text": text, "showarrow": False, "xref": "paper", "yref": "paper", "x": sum(span) / 2, "y": 1.0}
        layout.setdefault("annotations", []).append(note | {"xanchor": "center", "yanchor": "bottom"})
        layout["margin"]["t"] = max(layout["margin"]["t"], 10 + 15 * (1 + text.count("<br>")))


def _wrapped(title: str, width: int) -> str:
    """A title in lines of about `width` characters, broken behind commas.

    >>> _wrapped("relu, depth 9, he_normal", 14)
    'relu, depth 9,<br>he_normal'
    """
    lines = [""]
    for part in title.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += f"{part}, "
    return "<br>".join(line.strip() for line in lines).removesuffix(",")
