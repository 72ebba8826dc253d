"""Export figures: PNG, PDF, SVG, and SVG inside a page with a light or dark theme."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, wraps
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from mnist_depth.errors import UserError
from mnist_depth.results.style import GRID, INK
from mnist_depth.translation import language

NARROW, WIDE = 4.8, 7.6
"""Inches. Narrow figures keep 9-point text readable on a phone; wide ones scroll there."""

CHARACTERS, LEGEND_LINE = 14.5, 0.19
"""Characters of a legend in an inch, and inches for one line of it."""

HANGUL = ("NanumGothic", "Noto Sans CJK KR", "Noto Sans CJK JP", "Noto Sans KR", "Malgun Gothic", "Apple SD Gothic Neo")
"""Fonts with Korean letters; the first one installed draws what Matplotlib's own font lacks."""

LEGEND = "legend"
"""The id of a chart's legend in its SVG."""

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mnist_depth",
    "pdf.fonttype": 42,
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
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
}


def style() -> Any:
    """Matplotlib's settings for the active language."""
    if language() == "en":
        return STYLE
    return {**STYLE, "font.family": ["sans-serif", *_installed(HANGUL)[:1]]}


@cache
def _installed(names: Sequence[str]) -> list[str]:
    from matplotlib.font_manager import fontManager

    known = {font.name for font in fontManager.ttflist}
    return [name for name in names if name in known]


@dataclass(frozen=True)
class Picture:
    """A figure, its file name, a caption, and an alternative text for screen readers."""

    name: str
    caption: str
    alt: str
    figure: Figure
    wide: bool = False

    @cached_property
    def svg(self) -> str:
        """The <svg> element with a transparent background; drawn once, because layout is half of the work."""
        stream = io.StringIO()
        with matplotlib.style.context(["default", style()]):
            self.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        self.figure.set_layout_engine("none")
        text = stream.getvalue()
        return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)


def styled(draw: Callable[..., Picture]) -> Callable[..., Picture]:
    """Draw in the report's style, independent of the caller's Matplotlib settings, which stay unchanged."""

    @wraps(draw)
    def drawn(*args: Any, **options: Any) -> Picture:
        with matplotlib.style.context(["default", style()]):
            return draw(*args, **options)

    return drawn


def canvas(width: float, height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure of `rows` stacked axes, not registered with pyplot."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(rows, 1, row + 1) for row in range(rows)]


def plain_decades(axis: Axis) -> None:
    """Label a logarithmic axis `1e-5`: text that can be selected and read aloud, where powers are pictures of it."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")))
    axis.set_minor_formatter(NullFormatter())


def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """One legend under the whole figure, which grows by its height; with as many columns as fit the labels."""
    if not labels:
        return
    columns = max(1, min(len(labels), int(figure.get_figwidth() * CHARACTERS / (max(map(len, labels)) + 8))))
    lines = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * lines)
    legend = figure.legend(handles, labels, loc="outside lower left", ncols=columns, handlelength=3.0)
    legend.set_gid(LEGEND)


def save(picture: Picture, folder: Path) -> None:
    """Write `<name>.svg`, `<name>.png` and `<name>.pdf`, with a white background."""
    head, rest = _labeled(picture.svg, picture).split(">", 1)
    white = '<rect width="100%" height="100%" fill="white"/>'
    try:
        (folder / f"{picture.name}.svg").write_text(f"{head}>{white}{rest}", encoding="utf-8")
        with matplotlib.style.context(["default", style()]):
            metadata = {"Title": picture.caption, "Description": picture.alt}
            picture.figure.savefig(folder / f"{picture.name}.png", dpi=160, facecolor="white", metadata=metadata)
            undated = {"Title": picture.caption, "CreationDate": None}
            picture.figure.savefig(folder / f"{picture.name}.pdf", facecolor="white", metadata=undated)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from None


def inline_svg(picture: Picture, *, legend: bool = True) -> str:
    """The figure as an <svg> element for a page: text stays text, ink and grid take the page's colors.

    Ids are made unique to the figure, the size is left to the page, and the alternative text is the element's label.
    Without `legend`, the legend below the axes is cut off: for charts of a page that has it already.
    """
    svg = picture.svg if legend else _without_legend(picture)
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{picture.name}-", svg)
    for color, name in ((INK, "currentColor"), (GRID, "var(--grid)")):
        svg = svg.replace(color, name)
    head, rest = _labeled(svg, picture).split(">", 1)
    return re.sub(r'\s(?:width|height)="[^"]*"', "", head) + ">" + rest


def _without_legend(picture: Picture) -> str:
    """The SVG without the group of the legend and without the height that it takes."""
    svg, legends = picture.svg, picture.figure.legends
    if not legends:
        return svg
    inches = legends[0].get_window_extent().height / picture.figure.dpi
    points = 72 * (picture.figure.get_figheight() - inches)
    svg = re.sub(rf'<g id="{LEGEND}">.*</g>(?=\s*</g>\s*(?:<defs>|</svg>))', "", svg, flags=re.DOTALL)
    return re.sub(r'viewBox="0 0 (\S+) \S+"', rf'viewBox="0 0 \g<1> {points:g}"', svg, count=1)


def _labeled(svg: str, picture: Picture) -> str:
    """Give the root element a label for screen readers."""
    head, rest = svg.split(">", 1)
    label = escape(picture.alt, {'"': "&quot;"})
    return f'{head} role="img" aria-label="{label}"><title>{escape(picture.caption)}</title>{rest}'
