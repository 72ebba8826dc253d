"""The page of a report: one self-contained HTML file, rendered with Jinja2."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from mnist_depth.results import page_diagnosis, provenance, rendering
from mnist_depth.results.overview import REPRODUCED, Overview, Story
from mnist_depth.results.pictures import Drawn
from mnist_depth.results.rendering import Picture
from mnist_depth.results.shown import Entry
from mnist_depth.results.tables import compact
from mnist_depth.translation import language, plural
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_ROWS = 24
"""With more configurations than this, tables are folded."""

GOOD = ("reproduced", "healthy", "finished")
OPEN = ("not tested", "not comparable", "unfinished", "not measured")
"""Verdicts that are neither good nor bad; all that are in neither list are bad."""


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("mnist_depth.results"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(_=_, svg=_svg, swatch=_swatch, kind_of=kind_of)
    return environment


def render(overview: Overview, drawn: Drawn, notes: Sequence[str], rows: int, folder: str) -> str:
    """The HTML; `rows` is the number of recorded values, `folder` leads from the page to its files."""
    from markupsafe import Markup

    story, groups = overview.story, overview.groups
    css = resources.files("mnist_depth.results").joinpath("templates/report.css").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            language=language(),
            css=Markup(css),
            folder=folder,
            title=_(story.question) or story.name,
            answer=overview.sentence,
            main=drawn.first,
            answers=[
                {"statement": statement, "verdict": _(verdict), "kind": kind_of(verdict), "detail": detail}
                for statement, verdict, detail in story.answers
            ],
            verdict_count=_verdict_count(story),
            why=story.why,
            results=compact(overview.table),
            table_rows=len(overview.table.rows),
            max_rows=MAX_ROWS,
            table_title=_("Table of {count} configurations", count=len(groups)),
            summary=_summary(overview),
            legend=drawn.legend,
            **drawn.sections,
            diagnoses=page_diagnosis.diagnoses(overview),
            remedies=page_diagnosis.remedies(overview),
            findings=page_diagnosis.findings(overview),
            commands=provenance.commands(overview.runs),
            provenance=provenance.environment(overview.runs),
            hashes=provenance.hashes(overview.runs),
            files=_files(rows),
            notes=[*notes, *_sampled(drawn.configurations, len(overview.groups))],
        )
    )


def kind_of(verdict: str) -> str:
    """`good`, `bad` or `open`: the color that repeats what a verdict says; English or translated."""
    known = verdict.partition(" (")[0]
    if known in (*GOOD, *map(_, GOOD)):
        return "good"
    return "open" if known in (*OPEN, *map(_, OPEN)) else "bad"


def _svg(picture: Picture, legend: bool) -> Any:
    from markupsafe import Markup

    return Markup(rendering.inline_svg(picture, legend=legend))


def _swatch(entry: Entry) -> Any:
    """A short line with its marker, for the legend that all charts of a section share."""
    from markupsafe import Markup

    color = entry.color or "currentColor"
    shape = MARKER_SHAPES.get(entry.marker, "").replace("COLOR", color)
    line = f'<path d="M1 7H35" stroke="{color}" stroke-width="2"/>'
    return Markup(f'<svg viewBox="0 0 36 14" aria-hidden="true">{line}{shape}</svg>')


def _polygon(points: str) -> str:
    return f'<path d="M{points}Z" fill="COLOR"/>'


MARKER_SHAPES = {
    "circle": '<circle cx="18" cy="7" r="4" fill="COLOR"/>',
    "square": _polygon("14 3H22V11H14"),
    "diamond": _polygon("18 2L23 7L18 12L13 7"),
    "triangle-up": _polygon("18 2L23 11H13"),
    "x": '<path d="M14 3L22 11M22 3L14 11" stroke="COLOR" stroke-width="3"/>',
    "cross": _polygon("16 2h4v3h3v4h-3v3h-4v-3h-3v-4h3"),
    "star": _polygon("18 1L19.6 5L23.5 5L20.5 7.8L21.7 12L18 9.5L14.3 12L15.5 7.8L12.5 5L16.4 5"),
    "triangle-down": _polygon("18 12L23 3H13"),
    "pentagon": _polygon("18 2L23 5.8L21 11.5H15L13 5.8"),
    "hexagon": _polygon("18 1.5L22.8 4.2V9.8L18 12.5L13.2 9.8V4.2"),
    "triangle-left": _polygon("13 7L22 2V12"),
    "triangle-right": _polygon("23 7L14 2V12"),
}
"""Marker -> its shape in a swatch."""


def _verdict_count(story: Story) -> str:
    verdicts = [verdict for _statement, verdict, _detail in story.answers]
    held = verdicts.count(REPRODUCED)
    return _("{held} of {count} expectations reproduced", held=held, count=len(verdicts))


def _summary(overview: Overview) -> str:
    """`depth9: 6 runs (6 finished) on mnist`."""
    runs = overview.runs
    counts = Counter(run.status for run in runs)
    words = ", ".join(_("{count} {verdict}", count=number, verdict=_(status)) for status, number in counts.items())
    own, count = _("your own"), len(runs)
    datasets = ", ".join(sorted({str(run.fields.get("dataset", own)) for run in runs}))
    return plural(
        "{name}: {count} run ({statuses}), data: {datasets}",
        "{name}: {count} runs ({statuses}), data: {datasets}",
        count,
        name=overview.story.name,
        statuses=words,
        datasets=datasets,
    )


def _sampled(shown: int, count: int) -> list[str]:
    if shown == count:
        return []
    text = _(
        "The charts show {shown} of the {count} configurations, from the best to the worst.", shown=shown, count=count
    )
    return [text]


def _files(rows: int) -> list[tuple[str, list[str]]]:
    """(what they hold, names) of the data files beside the page."""
    return [
        (_("the table above"), ["table.csv", "table.tex"]),
        (_("one row per run, its config and final figures"), ["runs.csv", "runs.parquet"]),
        (
            _("every recorded number, {rows:,} rows, one per run, step and tag", rows=rows),
            ["metrics.csv", "metrics.parquet"],
        ),
    ]
