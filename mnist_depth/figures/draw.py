"""One call per figure, for runs of a study, folders of gauges, a `Measurement` or a `Diagnosis`.

Every function returns a figure and changes no global state: a plotly figure in a notebook, a matplotlib figure
(`savefig` writes PDF, SVG, PNG and PGF) elsewhere, for `interactive=False` and if `ax` is given. A matplotlib figure
shows as many configurations as look different; its title says so if these are not all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_depth import theory
from mnist_depth.errors import UserError, unknown
from mnist_depth.figures.arrangement import MAX_MAPS, color_limits, layer_by_step
from mnist_depth.figures.axes import common_epoch, moment_title
from mnist_depth.figures.data import CURVES, QUANTITIES, SPLITS, SUBJECTS, Series, Training, quantities_of
from mnist_depth.figures.grids import border_of, grid_of, varying_in_cells
from mnist_depth.figures.style import Line, distinct, drawn
from mnist_depth.figures.trainings import from_record
from mnist_depth.files import local_path
from mnist_depth.records import RunRecord, TrainingRecord, find_trainings
from mnist_depth.registry import split_name
from mnist_depth.runtime.notebook import in_notebook
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIGNAL = "pre_activation_gradient_norm"
"""The norm of dL/dz, the one that theory predicts."""


def by_layer(
    source: Any,
    quantity: str | None = None,
    *,
    step: int | None = None,
    color_by: str = "activation",
    ax: Axes | None = None,
    interactive: bool | None = None,
) -> Any:
    """A quantity against the layer: a line per configuration, the range over seeds as a band, theory dashed.

    `source` is a folder, runs, one run, a `Measurement` or a `Diagnosis`, or a dictionary name -> one of the last two.
    `quantity` is the first part of a tag, default the most informative one that was measured; `step` the optimizer
    step, default the last one. Raises UserError for a quantity that was not measured.
    """
    trainings = _trainings(source)
    quantity = _quantity(quantity, trainings)
    if _is_interactive(interactive, ax):
        from mnist_depth.figures import interactive as plotly

        return plotly.figure(plotly.profile_figure(trainings, quantity, color_by))
    from mnist_depth.figures import static

    own, (figure, ax) = ax is None, _axes(ax)
    few, groups, note = distinct([one for one in trainings if quantity in one.quantities], color_by)
    trainings, groups = (few, groups) if note else drawn(trainings, color_by, lambda one: quantity in one.quantities)
    shown = static.draw_profile(ax, trainings, groups, quantity, step)
    if shown.steps:
        note = "; ".join(filter(None, [moment_title(shown.steps[0], common_epoch(trainings)), note]))
    return _named(figure, ax, groups, note, own=own)


def by_step(
    source: Any, quantity: str | None = None, *, color_by: str = "activation", interactive: bool | None = None
) -> Any:
    """A quantity over layer and step, as colors: the first seed of each configuration, side by side on one scale."""
    trainings = _trainings(source)
    quantity = _quantity(quantity, trainings)
    if _is_interactive(interactive, None):
        from mnist_depth.figures import interactive as plotly

        return plotly.figure(plotly.map_figure(trainings, quantity, color_by))
    from mnist_depth.figures import static
    from mnist_depth.figures.canvas import WIDTH, canvas
    from mnist_depth.figures.static_grids import color_bar

    trainings, groups = drawn(trainings, color_by, lambda one: quantity in one.quantities)
    groups = groups[:MAX_MAPS]
    tables = [layer_by_step(trainings[line.members[0]], quantity) for line in groups]
    limits = color_limits(tables)
    figure, axes = canvas(len(groups), width=WIDTH * max(1.0, len(groups) / 2))
    meshes = [
        static.draw_map(ax, table, limits, line.label) for ax, line, table in zip(axes, groups, tables, strict=True)
    ]
    axes[0].set_ylabel(_("layer (1 is next to the input)"))
    color_bar(figure, meshes[0], axes, tables[0].color_title)
    return figure


def distributions(
    source: Any,
    subject: str = "gradient_log10",
    *,
    step: int | None = None,
    color_by: str = "activation",
    ax: Axes | None = None,
    interactive: bool | None = None,
) -> Any:
    """How the entries of a subject (`gradient_log10`, `activation`, `weight`, ...) spread, a ridge per layer.

    The first seed of each configuration is drawn. Raises UserError for a subject without histograms.
    """
    if subject not in SUBJECTS:
        raise unknown("subject", subject, SUBJECTS)
    trainings = _trainings(source, histograms=True)
    if not any(training.histograms_of(subject) for training in trainings):
        raise UserError(
            "no histogram of {subject} was recorded; use the instruments `standard` or `full`", subject=subject
        )
    if _is_interactive(interactive, ax):
        from mnist_depth.figures import interactive as plotly

        return plotly.figure(plotly.distributions_figure(trainings, subject, color_by))
    from mnist_depth.figures import static

    own, (figure, ax) = ax is None, _axes(ax, tall=1.2)
    trainings, groups, note = distinct(trainings, color_by, markers=False)
    static.draw_distributions(ax, trainings, groups, subject, step)
    return _named(figure, ax, groups, note, own=own)


def curves(
    source: Any,
    name: str = "loss",
    splits: Sequence[str] = SPLITS,
    *,
    color_by: str = "activation",
    ax: Axes | None = None,
    interactive: bool | None = None,
) -> Any:
    """Loss or accuracy over training, mean over seeds with their range as a band.

    The interactive figure shows both, for all splits.
    """
    if name not in CURVES:
        raise unknown("curve", name, CURVES)
    for split in splits:
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
    trainings = _trainings(source)
    if _is_interactive(interactive, ax):
        from mnist_depth.figures import interactive as plotly

        return plotly.figure(plotly.curves_figure(trainings, color_by))
    from mnist_depth.figures import static

    own, (figure, ax) = ax is None, _axes(ax)
    trainings, groups, note = distinct(trainings, color_by)
    static.draw_curves(ax, trainings, groups, name, splits)
    return _named(figure, ax, groups, note, own=own)


def grid(
    source: Any,
    rows: str,
    columns: str,
    figure: str = "best_test_accuracy",
    *,
    ax: Axes | None = None,
    interactive: bool | None = None,
) -> Any:
    """A heat map of a final figure over two fields of the config, mean over seeds; the title names what else varies."""
    records = _records(source)
    found = grid_of([{**one.fields, **one.figures} for one in records], rows, columns, figure)
    others = varying_in_cells([one.fields for one in records], rows, columns)
    title = _("mean over {fields}", fields=", ".join(name.replace("_", " ") for name in others)) if others else ""
    if _is_interactive(interactive, ax):
        from mnist_depth.figures import interactive as plotly
        from mnist_depth.figures.interactive_grids import grid_figure

        return plotly.figure(grid_figure(found, title))
    from mnist_depth.figures.static_grids import color_bar, draw_grid

    own, (drawn, ax) = ax is None, _axes(ax)
    color_bar(drawn, draw_grid(ax, found), ax, figure.replace("_", " "), share=found.is_share)
    return _named(drawn, ax, title=title, own=own)


def phase_diagram(
    source: Any, figure: str = "best_test_accuracy", *, ax: Axes | None = None, interactive: bool | None = None
) -> Any:
    """A final figure over initial scale and depth, with the depth up to which theory says that networks train.

    The runs vary in depth and in an initializer with a scale, as in the study `phase_diagram`. Raises UserError for
    others, and for runs that theory does not cover.
    """
    records = [one for one in _records(source) if isinstance(one, RunRecord)]
    kinds = {(split_name(one.config.initializer)[0], one.config.activation) for one in records}
    if len(kinds) != 1:
        raise UserError("a phase diagram needs runs of one activation and one kind of initializer, such as mean_field")
    rows = [{**one.figures, "depth": one.config.depth, "sigma_w": theory.hidden_sigma_w(one.config)} for one in records]
    found = grid_of(rows, "depth", "sigma_w", figure)
    border = border_of(records[0].config, found.columns)
    if _is_interactive(interactive, ax):
        from mnist_depth.figures import interactive as plotly
        from mnist_depth.figures.interactive_grids import phase_figure

        return plotly.figure(phase_figure(found, border))
    from mnist_depth.figures.static_grids import color_bar, draw_phase_diagram

    own, (drawn, ax) = ax is None, _axes(ax)
    color_bar(drawn, draw_phase_diagram(ax, found, border), ax, figure.replace("_", " "), share=found.is_share)
    return _named(drawn, ax, own=own)


def _axes(ax: Axes | None, tall: float = 1.0) -> tuple[Any, Axes]:
    """The given axes, or those of a new figure, `tall` times as high as usual."""
    if ax is not None:
        return ax.figure, ax
    from mnist_depth.figures.canvas import HEIGHT, canvas

    figure, (made,) = canvas(height=HEIGHT * tall)
    return figure, made


def _named(figure: Any, ax: Axes, groups: Sequence[Line] = (), title: str = "", *, own: bool) -> Any:
    """The figure with a title and a legend; `own` if these are not axes of the caller."""
    from mnist_depth.figures.canvas import own_style
    from mnist_depth.figures.legends import legend

    with own_style():
        if title:
            ax.set_title(title, fontsize="medium")
        legend(figure if own else None, ax, groups)
    return figure


# Sources of a figure


def _records(source: Any) -> list[TrainingRecord]:
    """The trainings of a folder, of runs, or one run."""
    if isinstance(source, (str, os.PathLike)):
        found: list[TrainingRecord] = list(find_trainings(local_path(source, "a figure")))
        if not found:
            raise UserError(
                "no readable run at or below {source}; train one first, or name another folder", source=source
            )
        return found
    return [source] if isinstance(source, TrainingRecord) else list(source)


def _trainings(source: Any, *, histograms: bool = False) -> list[Training]:
    named = source if isinstance(source, dict) else {_name(source): source} if _is_measured(source) else None
    if named is not None:
        return [_of_measured(str(name), found) for name, found in named.items()]
    records: list[Any] = _records(source)
    return [from_record(one, one.histograms() if histograms else ()) for one in records]


def _is_measured(source: Any) -> bool:
    return hasattr(source, "scalars") or hasattr(source, "gradients")


def _name(source: Any) -> str:
    return getattr(source, "source", "") or "measured"


def _of_measured(name: str, found: Any) -> Training:
    """A Measurement (`scalars`, tag -> value) or a Diagnosis (`layers`, `gradients`) as a training of one moment."""
    if hasattr(found, "scalars"):
        scalars, layers = dict(found.scalars), list(found.layers)
    else:
        layers = [layer.name for layer in found.layers]
        known = zip(layers, found.gradients, strict=True)
        scalars = {f"{SIGNAL}/{layer}": value for layer, value in known if value is not None}
    series = {("train", tag): Series(np.zeros(1), np.array([value], float)) for tag, value in scalars.items()}
    return Training(name, series, known_layers=layers)


def _quantity(wanted: str | None, trainings: Sequence[Training]) -> str:
    """The quantity that was asked for, or the most informative one that was measured."""
    if wanted is not None and wanted not in QUANTITIES:
        raise unknown("quantity", wanted, QUANTITIES)
    measured = quantities_of(trainings)
    if not measured or wanted not in (None, *measured):
        raise UserError(
            "{quantity} was not measured; measured: {measured}",
            quantity=wanted or UserError("a quantity of layers"),
            measured=", ".join(measured) or UserError("none"),
        )
    return wanted or measured[0]


def _is_interactive(wanted: bool | None, ax: Any) -> bool:
    """The requested value, else whether this is a notebook; given axes mean matplotlib."""
    if ax is not None:
        return False
    if wanted is not None:
        return wanted
    return in_notebook()
