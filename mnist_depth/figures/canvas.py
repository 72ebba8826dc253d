"""Matplotlib figures that look the same for everybody: no matplotlibrc, no style of the caller, no pyplot."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mnist_depth.errors import UserError
from mnist_depth.translation import language

P = ParamSpec("P")
R = TypeVar("R")

WIDTH, HEIGHT = 5.5, 3.6
"""Inches; a text column of most journals is 3.3 to 6.9 inches wide."""

INK, GRID = "#1b1f24", "#c9ced7"
"""Text and axes, and grid lines; the report replaces both by the page's own colors, dark or light."""

LEGEND = "legend"
"""The id of a legend below the axes in a figure's SVG."""

CHARACTERS, LEGEND_LINE = 14.5, 0.19
"""Columns of text of a legend in an inch, and inches for one line of it."""

HANGUL = ("NanumGothic", "Noto Sans CJK KR", "Noto Sans CJK JP", "Noto Sans KR", "Malgun Gothic", "Apple SD Gothic Neo")
"""Fonts with Korean letters; the first one installed draws what Matplotlib's own font lacks."""

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "mnist_depth",  # the same figure gives the same file
    "pdf.fonttype": 42,  # TrueType, which journals ask for
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def own_style() -> Iterator[None]:
    """Matplotlib's defaults and STYLE for the duration of the block, in the font of the active language."""
    fonts = {} if language() == "en" else {"font.family": ["sans-serif", *_installed(HANGUL)[:1]]}
    with matplotlib.style.context(["default", {**STYLE, **fonts}]):
        yield


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in the package's own style; the caller's settings are unchanged afterwards."""

    @wraps(draw)
    def drawn(*args: P.args, **options: P.kwargs) -> R:
        with own_style():
            return draw(*args, **options)

    return drawn


@cache
def _installed(names: Sequence[str]) -> list[str]:
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return [name for name in names if name in known]


class PrintFigure(Figure):
    """A figure that notebooks show and `savefig` writes (PDF, SVG, PNG, PGF), not registered with pyplot."""

    @styled
    def savefig(self, *args: Any, **options: Any) -> None:
        """As Matplotlib's, in the package's style. Raises UserError for PGF without LaTeX, which measures its text."""
        try:
            super().savefig(*args, **options)
        except (FileNotFoundError, RuntimeError) as error:
            if "latex" not in str(error).lower():
                raise
            raise UserError(
                "a .pgf file needs LaTeX (xelatex) to measure its text; install it, or save a .pdf"
            ) from None

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=120)
        return stream.getvalue()


@styled
def canvas(
    panels: int = 1, width: float = WIDTH, height: float = HEIGHT, *, color: str = "white"
) -> tuple[PrintFigure, list[Axes]]:
    """A new figure of this background with panels side by side."""
    figure = PrintFigure(figsize=(width, height), layout="constrained", facecolor=color)
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    for one in axes:
        one.set_facecolor("none")
    return figure, axes


@styled
def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """One legend under the whole figure, which grows by its height; with as many columns as fit the labels."""
    if not labels:
        return
    columns = max(1, min(len(labels), int(figure.get_figwidth() * CHARACTERS / (max(map(len, labels)) + 8))))
    lines = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * lines)
    legend = figure.legend(handles, labels, loc="outside lower left", ncols=columns, handlelength=3.0)
    legend.set_gid(LEGEND)
