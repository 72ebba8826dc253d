"""Captions of the report's figures and the alternative texts that hold their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mnist_depth.figures.arrangement import Profile, distributions, over_seeds
from mnist_depth.figures.data import Floats, Training
from mnist_depth.figures.grids import Grid
from mnist_depth.figures.style import Line
from mnist_depth.translation import translate as _

MAX_DECADES = 100
"""Distances from theory beyond this many powers of ten are damage."""

Caption = tuple[str, str]
"""(caption, alternative text)."""


def of_curves(words: str, ends: Mapping[str, float], *, percent: bool, seeded: bool) -> Caption:
    """`ends` are the last values by label."""
    factor = 100 if percent else 1
    described = "; ".join(
        _("{label} ends at {value}", label=label, value=number(factor * value)) for label, value in ends.items()
    )
    caption = _("{quantity}, mean over seeds and their range", quantity=words) if seeded else words
    return capital(caption), _("Line chart of {quantity} over training: {ends}.", quantity=words, ends=described)


def of_profile(title: str, drawn: Profile, lines: Sequence[Line], *, with_theory: bool) -> Caption:
    """`drawn` has one moment."""
    described, covered = [], False
    for line in lines:
        values = np.array([drawn.values[place] for place in line.members])
        mean = over_seeds(values, logarithmic=True)[0][0]
        theory = drawn.theory_of(line)
        covered = covered or (with_theory and theory is not None)
        described.append(_of_line(line.label, mean, theory if with_theory else None))
    alt = _("Chart with a log scale, {title}: {values}.", title=title, values="; ".join(described))
    caption = _("{title}, dashed: mean-field theory", title=title) if covered else title
    return capital(caption), alt


def _of_line(label: str, mean: Floats, theory: Floats | None) -> str:
    finite = mean[np.isfinite(mean)]
    if not len(finite):
        return _("{label} has no finite gradient", label=label)
    text = _(
        "{label} goes from {first:.1e} at the first to {last:.1e} at the last layer",
        label=label,
        first=finite[0],
        last=finite[-1],
    )
    if theory is None:
        return text
    with np.errstate(all="ignore"):
        apart = np.abs(np.log10(mean / theory))
    apart = apart[apart < MAX_DECADES]
    if not len(apart):
        return text
    return _("{text}, theory is within a factor of {factor:.2g}", text=text, factor=10 ** float(apart.max()))


def of_distributions(title: str, trainings: Sequence[Training], lines: Sequence[Line], subject: str) -> Caption:
    described = []
    for line in lines:
        found = distributions(trainings[line.members[0]], subject)
        bars = [(layer, one) for layer, one in zip(found.layers, found.bars[-1], strict=True) if one is not None]
        peaks = [(layer, one.edges[int(np.argmax(one.counts / np.diff(one.edges)))]) for layer, one in bars]
        if peaks:
            words = [_("{label} peaks at {value}", label=layer, value=number(value)) for layer, value in peaks]
            described.append(f"{line.label}: " + ", ".join(dict.fromkeys([words[0], words[-1]])))
    return title, _("Distributions of {quantity}. {values}.", quantity=title, values="; ".join(described))


def of_grid(words: str, grid: Grid, names: tuple[str, str]) -> Caption:
    caption = _("{quantity} over {rows} and {columns}", quantity=words, rows=names[0], columns=names[1])
    alt = _(
        "Heat map of {caption}, {rows} by {columns}: {extremes}.",
        caption=caption,
        rows=len(grid.rows),
        columns=len(grid.columns),
        extremes=_extremes(grid, [str(value) for value in grid.rows], [str(value) for value in grid.columns]),
    )
    if not np.isfinite(grid.values).all():
        caption = _("{caption}; ×: not run, or not finite", caption=caption)
    return capital(caption), alt


def of_phases(words: str, grid: Grid, activation: str, border: tuple[Floats, Floats] | None) -> Caption:
    rows, columns = [f"depth {depth:g}" for depth in grid.rows], [f"sigma_w {sigma:g}" for sigma in grid.columns]
    alt = _(
        "Heat map of {quantity} in percent over initial scale and depth for {activation}: {extremes}.",
        quantity=words,
        activation=activation,
        extremes=_extremes(grid, rows, columns),
    )
    if border is not None:
        top = border[0][int(np.argmax(border[1]))]
        alt += " " + _("Theory's trainable depth, 6 xi, is largest at sigma_w {sigma:.3g}.", sigma=top)
    caption = _(
        "Where {activation} networks train: {quantity} over initial scale and depth",
        activation=activation,
        quantity=words,
    )
    return caption, alt


def _extremes(grid: Grid, rows: Sequence[str], columns: Sequence[str]) -> str:
    values = grid.values
    if not np.isfinite(values).any():
        return _("no finite value")
    # The flat index of the largest and the smallest entry -> (row, column).
    places = [divmod(int(pick(values)), values.shape[1]) for pick in (np.nanargmax, np.nanargmin)]
    factor = 100 if grid.is_share else 1
    words = [f"{number(factor * values[row, column])} ({rows[row]}, {columns[column]})" for row, column in places]
    return _("largest {largest}, smallest {smallest}", largest=words[0], smallest=words[1])


def number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else _("a value that is not finite")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
