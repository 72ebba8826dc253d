"""Export figures: PNG, PDF, SVG, and SVG inside a page with a light or dark theme."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.sax.saxutils import escape

from mnist_depth.errors import UserError, refusal
from mnist_depth.figures.canvas import GRID, INK, LEGEND, PrintFigure


@dataclass(frozen=True)
class Picture:
    """A figure, its file name, a caption, and an alternative text for screen readers."""

    name: str
    caption: str
    alt: str
    figure: PrintFigure
    wide: bool = False

    @cached_property
    def svg(self) -> str:
        """The <svg> element with a transparent background; drawn once, because layout is half of the work."""
        stream = io.StringIO()
        self.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        self.figure.set_layout_engine("none")
        text = stream.getvalue()
        return re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)


def save(picture: Picture, folder: Path) -> None:
    """Write `<name>.svg`, `<name>.png` and `<name>.pdf`, with a white background."""
    head, rest = _labeled(picture.svg, picture).split(">", 1)
    white = '<rect width="100%" height="100%" fill="white"/>'
    try:
        (folder / f"{picture.name}.svg").write_text(f"{head}>{white}{rest}", encoding="utf-8")
        for kind, options in (
            ("png", {"dpi": 160, "metadata": {"Title": picture.caption, "Description": picture.alt}}),
            ("pdf", {"metadata": {"Title": picture.caption, "CreationDate": None}}),
        ):
            # Through memory, because Matplotlib's PDF writer raises AttributeError where a disk is full.
            stream = io.BytesIO()
            picture.figure.savefig(stream, format=kind, facecolor="white", **options)
            (folder / f"{picture.name}.{kind}").write_bytes(stream.getvalue())
    except OSError as error:
        raise UserError("cannot write to {folder}: {reason}", folder=folder, reason=refusal(error)) from None


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
