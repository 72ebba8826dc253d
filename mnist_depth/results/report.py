"""Write what a folder of runs shows as one self-contained HTML page, with its figures and all metrics beside it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mnist_depth import records
from mnist_depth.errors import UserError
from mnist_depth.files import write_atomic
from mnist_depth.records import GaugeRecord, RunRecord, TrainingRecord, is_inside
from mnist_depth.results import exports, figures, rendering
from mnist_depth.results.diagnosis import Diagnosis, localized
from mnist_depth.results.frames import Runs
from mnist_depth.results.groups import read_runs
from mnist_depth.results.overview import REPRODUCED, Overview, Story, verdicts
from mnist_depth.results.rendering import Picture
from mnist_depth.results.style import INK, Look
from mnist_depth.results.tables import Table, compact
from mnist_depth.translation import language, plural
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_ROWS = 24
"""With more configurations than this, tables are folded and findings are not spelled out."""

MAX_COMMANDS = 30

GOOD = ("reproduced", "healthy", "finished")
OPEN = ("not tested", "not comparable", "unfinished", "not measured")
"""Verdicts that are neither good nor bad; all that are in neither list are bad."""


NO_STORY = Story()


def write_report(
    root: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    story: Story = NO_STORY,
    runs: Sequence[TrainingRecord] | None = None,
) -> Path:
    """Report on the runs at or below `root`, or on `runs` where these have been read; the path of the HTML file.

    `out` is a folder, or an .html file; default `<root>/report`. Figures (PNG, SVG and PDF) and the numbers (see
    `exports`) are written beside a page in a folder of its own, and into `NAME_files` beside a NAME.html. Raises
    UserError where there is no readable run or nothing can be written.
    """
    folder = Path(root)
    if runs is None:
        runs, notes = read(folder)
    else:
        notes = left_out(folder, runs)
    return write_overview(Overview(runs, story), folder, None if out is None else Path(out), notes)


def read(root: Path) -> tuple[list[TrainingRecord], list[str]]:
    """The readable runs at or below a folder and a note about each other one. Raises UserError where there is none."""
    if not root.exists():
        raise UserError(f"{root} does not exist; name a folder that holds runs, such as logs/depth9")
    runs, notes = read_runs(root)
    if not runs:
        found = f" ({notes[0]})" if notes else ""
        raise UserError(f"no readable run at or below {root}{found}; train one first, or name another folder")
    return runs, notes


def left_out(root: Path, runs: Sequence[TrainingRecord]) -> list[str]:
    """A note about the runs of the folder that are not on the page."""
    others = len(records.folders_with(records.CONFIG, root)) - len(runs)
    text = _("Not on this page: {count} more in this folder; the report command shows all of them.", count=others)
    return [text] if others > 0 else []


def write_overview(
    overview: Overview,
    root: Path,
    out: Path | None = None,
    notes: Sequence[str] = (),
    table: exports.TableOptions = exports.NO_OPTIONS,
) -> Path:
    """Write the page of an overview, its figures and its data; the path of the HTML file. Raises UserError."""
    target, files = _places(root, out)
    if not overview.story.name:
        overview = replace(overview, story=replace(overview.story, name=root.resolve().name))
    runs = Runs(overview.runs)
    exports.write_tables(runs, files, table)
    rows = exports.write_metrics(runs, files)
    page = _figures(overview)
    for picture in [*page["grids"], *page["gradients"], *page["curves"], *page["spreads"], *page["first"]]:
        rendering.save(picture, files / "figures")
    folder = "" if files == target.parent else f"{quote(files.name)}/"
    write_atomic(target, _render(overview, page, notes, rows, folder))
    return target


def _places(root: Path, out: Path | None) -> tuple[Path, Path]:
    """The HTML file to write and the folder for what it links to, which is made, and the figures' in it."""
    given, out = out, root / "report" if out is None else out
    if out.suffix not in ("", ".html") and not out.is_dir():
        raise UserError(f"the page is HTML: name a folder, or a file that ends in .html, not {out}")
    target, files = (out, out.with_name(f"{out.stem}_files")) if out.suffix == ".html" else (out / "report.html", out)
    if not is_inside(files / "figures", files if given else root):
        raise UserError(f"{files / 'figures'} leads elsewhere through a link; remove the link or name another folder")
    try:
        (files / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {files} ({error.strerror or error}); name another folder") from None
    return target, files


# Figures


def _figures(overview: Overview) -> dict[str, list[Picture]]:
    """The page's figures by section; `first` holds the one that answers the question, which is in no other section."""
    shown, styles = overview.shown, overview.styles
    page = {
        "grids": figures.grids(overview.groups),
        "gradients": [
            *figures.gradients_by_layer(shown, overview.start, "start", styles),
            *figures.gradients_by_layer(shown, overview.end, "end", styles),
        ],
        "curves": figures.training_curves(shown, styles),
        "spreads": [
            *figures.gradient_distributions(shown, styles),
            *figures.activation_distributions(shown, styles),
        ],
    }
    found = [picture for section in page.values() for picture in section]
    first = _first(found, overview.story.picture)
    for section, pictures in page.items():
        page[section] = [picture for picture in pictures if picture not in first]
    return {**page, "first": first}


def _first(found: Sequence[Picture], wanted: str) -> list[Picture]:
    """The figure that the study names, else gradient against layer, else the first one."""
    for name in (wanted, "gradient_by_layer_start", "test_accuracy", ""):
        chosen = [picture for picture in found if picture.name.startswith(name) and (name or not wanted)]
        if name and chosen:
            return chosen[:1]
    return list(found[:1])


# The page


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("mnist_depth.results"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(_=_, svg=_svg, swatch=_swatch, kind_of=kind_of)
    return environment


def _render(overview: Overview, page: Mapping[str, list[Picture]], notes: Sequence[str], rows: int, folder: str) -> str:
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
            main=page["first"][0] if page["first"] else None,
            answers=[
                {"statement": statement, "verdict": _(verdict), "kind": kind_of(verdict), "detail": detail}
                for statement, verdict, detail in story.answers
            ],
            verdict_count=_verdict_count(story),
            why=_(story.why),
            results=compact(overview.table),
            table_rows=len(overview.table.rows),
            max_rows=MAX_ROWS,
            table_title=_("Table of {count} configurations", count=len(groups)),
            summary=_summary(overview),
            styles=overview.styles,
            **{section: page[section] for section in ("grids", "gradients", "curves", "spreads")},
            diagnoses=_diagnoses(overview),
            remedies=_remedies(overview),
            findings=_findings(overview),
            commands=_commands(overview.runs),
            provenance=_provenance(overview.runs),
            hashes=_hashes(overview.runs),
            files=_files(rows),
            notes=[*notes, *_sampled(overview)],
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


def _swatch(look: Look) -> Any:
    """A short line with its marker, for the legend that all charts of a section share."""
    from markupsafe import Markup

    color = "currentColor" if look.color == INK else look.color
    return Markup(
        f'<svg viewBox="0 0 36 14" aria-hidden="true"><path d="M1 7H35" stroke="{color}" stroke-width="2"'
        f"{_dashes(look.line)}/>{MARKER_SHAPES.get(look.marker, '')}</svg>".replace("COLOR", color)
    )


MARKER_SHAPES = {
    "o": '<circle cx="18" cy="7" r="4" fill="COLOR"/>',
    "s": '<rect x="14" y="3" width="8" height="8" fill="COLOR"/>',
    "^": '<path d="M18 2L23 11H13Z" fill="COLOR"/>',
    "D": '<path d="M18 2L23 7L18 12L13 7Z" fill="COLOR"/>',
    "v": '<path d="M18 12L23 3H13Z" fill="COLOR"/>',
    "P": '<path d="M16 2h4v3h3v4h-3v3h-4v-3h-3v-4h3Z" fill="COLOR"/>',
    "X": '<path d="M14 3L22 11M22 3L14 11" stroke="COLOR" stroke-width="3"/>',
}
"""Matplotlib's marker -> its shape in a swatch."""


def _dashes(line: Any) -> str:
    named = {"-": (), "--": (6, 3), "-.": (7, 2, 2, 2), ":": (2, 2)}
    lengths = named[line] if isinstance(line, str) else [2 * length for length in line[1]]
    return f' stroke-dasharray="{" ".join(map(str, lengths))}"' if lengths else ""


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


def _sampled(overview: Overview) -> list[str]:
    shown, count = len(overview.shown), len(overview.groups)
    if shown == count:
        return []
    text = _(
        "The charts show {shown} of the {count} configurations, from the best to the worst.", shown=shown, count=count
    )
    return [text]


# Diagnosis


def _diagnoses(overview: Overview) -> Table:
    rows = [
        [
            group.label,
            verdicts(overview.start[group.label]),
            verdicts(overview.end.get(group.label, [])),
            _gain(overview.start[group.label][0]),
        ]
        for group in overview.groups
        if overview.start.get(group.label)
    ]
    header = ["", _("before training"), _("after training"), _("gradient per layer toward the input")]
    return Table(header, rows, _("In brackets: 95 % interval of the fit over the first seed's layers."))


def _gain(diagnosis: Diagnosis) -> str:
    if diagnosis.gain is None:
        return "–"
    value, low, high = diagnosis.gain
    text = f"× {value:.3g} ({low:.3g}–{high:.3g})"
    if diagnosis.predicted_gain is None:
        return text
    return _("{measured}, theory × {predicted:.3g}", measured=text, predicted=diagnosis.predicted_gain)


def _firsts(overview: Overview) -> Iterable[tuple[str, list[Diagnosis]]]:
    """Label -> the first seed's diagnoses before and after training."""
    for group in overview.groups:
        found = [of_groups.get(group.label, [])[:1] for of_groups in (overview.start, overview.end)]
        if found[0]:
            yield group.label, [diagnosis for one in found for diagnosis in one]


def _remedies(overview: Overview) -> list[tuple[dict[str, Any], str]]:
    """Remedies for each verdict, listed once for all configurations with it: (text, their labels)."""
    labels: dict[str, list[str]] = {}
    found: dict[str, list[Any]] = {}
    study = _("study")
    for label, diagnoses in _firsts(overview):
        diagnosis = next((one for one in diagnoses if one.remedies), None)
        if diagnosis:
            labels.setdefault(diagnosis.verdict, []).append(label)
            known = found.setdefault(diagnosis.verdict, [])
            known += [remedy for remedy in diagnosis.remedies if remedy not in known]
    return [
        (
            {
                "title": _("What to try against {verdict} gradients, most effective first:", verdict=_(verdict)),
                "lines": [f"{_(remedy.action)}: {_(remedy.evidence)} ({study} {remedy.study})" for remedy in remedies],
            },
            ", ".join(labels[verdict]),
        )
        for verdict, remedies in found.items()
    ]


def _findings(overview: Overview) -> list[tuple[str, list[tuple[str, str, Sequence[str]]]]]:
    """Label -> (moment, verdict, reason and findings) of the first seed; nothing where there are very many."""
    known = list(_firsts(overview))
    if len(known) > MAX_ROWS:
        return []
    titles = (_("Before training:"), _("After training:"))
    return [
        (
            label,
            [
                (
                    title,
                    _(one.verdict),
                    [
                        f"{localized(one.sentence)} ({localized(one.source)})",
                        *map(localized, [*one.notes, *(found.sentence for found in one.findings)]),
                    ],
                )
                for title, one in zip(titles, diagnoses, strict=False)
            ],
        )
        for label, diagnoses in known
    ]


# Where it comes from


def _commands(runs: Sequence[TrainingRecord]) -> list[str]:
    given = [run.metadata.get("command") for run in runs if isinstance(run, RunRecord)]
    return list(dict.fromkeys(text for text in given if isinstance(text, str) and text))[:MAX_COMMANDS]


def _provenance(runs: Sequence[TrainingRecord]) -> Table:
    """Versions, commit, dataset and machine; values that differ between runs are listed side by side."""
    seen: dict[str, Counter[str]] = {}
    for run in runs:
        for part in ("environment", "dataset"):
            for name, value in _flat(_metadata(run).get(part), part if part == "dataset" else ""):
                seen.setdefault(name, Counter())[value] += 1
    rows = [[name.replace("_", " "), _several(values)] for name, values in seen.items()]
    return Table(["", ""], rows)


def _metadata(run: TrainingRecord) -> Mapping[str, Any]:
    return run.metadata if isinstance(run, RunRecord | GaugeRecord) else {}


def _hashes(runs: Sequence[TrainingRecord]) -> str:
    """The final weights' hash of every run: the same command on the same kind of machine gives the same."""
    return "\n".join(
        f"{run.done.get('weights_sha256')}  {run.name}" for run in runs if isinstance(run, RunRecord) and run.done
    )


def _flat(value: Any, prefix: str) -> Iterable[tuple[str, str]]:
    """(name, text) of everything in nested JSON objects."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix} {key}".strip())
    elif value is not None:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def _several(values: Counter[str]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({number} runs)" for value, number in values.most_common())


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
