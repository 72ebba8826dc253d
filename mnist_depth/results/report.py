"""Write what a folder of runs shows as one self-contained HTML page, with its figures and all metrics beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mnist_depth.errors import UserError
from mnist_depth.files import write_atomic
from mnist_depth.records import RunRecord
from mnist_depth.results import exports, figures, html_page, rendering, tables
from mnist_depth.results.diagnosis import Diagnosis
from mnist_depth.results.groups import Group, Labeler, group_runs, read_runs
from mnist_depth.results.rendering import Picture
from mnist_depth.results.tables import Table

MOST_DETAILS = 24
"""With more configurations than this, tables are folded and the diagnosis is not spelled out."""

MOST_COMMANDS = 30

GAIN = "gradient per layer toward the input (95 % interval of the fit over the first seed's layers)"

Answer = tuple[str, str, str]
"""(statement, verdict, detail)."""


@dataclass(frozen=True)
class Story:
    """What a study adds to its runs: the question, the answers, and which figures count.

    `columns` and `rank_by` are the figures of the table and the one that orders it; `label` and `published` give a
    configuration's name and the figure to compare it with, empty where there is none.
    """

    title: str = ""
    question: str = ""
    why: str = ""
    answers: Sequence[Answer] = ()
    columns: Sequence[str] = ()
    rank_by: str | None = None
    label: Labeler | None = None
    published: Labeler | None = None


def write_report(
    root: Path, out: Path | None = None, story: Story = Story(), only: Collection[Path] | None = None
) -> Path:
    """Report on the runs at or below `root`, all or those whose folders are in `only`; the path of the HTML file.

    `out` is a folder, or an .html file; default `<root>/report`. Figures (PNG, SVG and PDF) and the numbers (see
    `exports`) stand beside a page in a folder of its own, and in `NAME_files` beside a NAME.html. Raises UserError
    where there is no readable run or nothing can be written.
    """
    if not root.exists():
        raise UserError(f"{root} does not exist; name a folder that holds runs, such as logs/depth9")
    runs, notes = read_runs(root)
    if only is not None:
        runs, notes = _chosen(runs, only, notes)
    if not runs:
        found = f" ({notes[0]})" if notes else ""
        raise UserError(f"no readable run at or below {root}{found}; train one first, or name another folder")
    target, files = _places(root, out)
    story = replace(story, title=story.title or root.resolve().name)
    groups = group_runs(runs, story.label)
    table = tables.summary(groups, story.columns, story.rank_by, story.published)
    exports.write_tables(runs, table, files)
    beside = "" if files == target.parent else f"{quote(files.name)}/"
    data = _data(exports.write_metrics(runs, files), beside)
    parts, shown = _parts(story, groups, table, notes, data, beside)
    for picture in shown:
        rendering.save(picture, files / "figures")
    write_atomic(target, html_page.page(story.title, parts))
    return target


def _chosen(
    runs: Sequence[RunRecord], only: Collection[Path], notes: Sequence[str]
) -> tuple[list[RunRecord], list[str]]:
    wanted = {folder.resolve() for folder in only}
    chosen = [run for run in runs if run.folder.resolve() in wanted]
    others = len(runs) - len(chosen)
    about = f"not on this page: {others} more in this folder; the report command shows all of them"
    return chosen, [*notes, *([about] if others else [])]


def _places(root: Path, out: Path | None) -> tuple[Path, Path]:
    """The HTML file to write and the folder for what it links to, which is made, and the figures' in it."""
    out = root / "report" if out is None else out
    if out.suffix not in ("", ".html") and not out.is_dir():
        raise UserError(f"the page is HTML: name a folder, or a file that ends in .html, not {out}")
    target, files = (out, out.with_name(f"{out.stem}_files")) if out.suffix == ".html" else (out / "report.html", out)
    try:
        (files / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {files} ({error.strerror or error}); name another folder") from None
    return target, files


def _parts(
    story: Story, groups: Sequence[Group], table: Table, notes: Sequence[str], data: str, beside: str
) -> tuple[list[str], list[Picture]]:
    """The page from top to bottom, and the figures in it."""
    runs = [run for group in groups for run in group.runs]
    shown = figures.representatives(groups)
    start, end = (figures.diagnose_groups(groups, moment) for moment in ("start", "end"))
    curves = figures.training_curves(shown)
    gradients = [
        *figures.gradients_by_layer(shown, start, "start"),
        *figures.gradients_by_layer(shown, end, "end"),
    ]
    spreads = [*figures.gradient_distributions(shown), *figures.activation_distributions(shown)]
    grids = figures.grids(groups)
    missing = "" if len(shown) == len(groups) else _shown_of(shown, groups)
    parts = [
        _head(story, runs),
        html_page.section("Answer", html_page.paragraph(story.why), _answers(story.answers)),
        html_page.section("Grid", html_page.figures(grids, beside)),
        html_page.section("Results", _results(table), _legend(groups)),
        html_page.section("Gradient against layer", *_charts(gradients, beside, missing, READING)),
        html_page.section("Training", *_charts(curves, beside, missing)),
        html_page.section("Distributions", *_charts(spreads, beside, missing)),
        html_page.section("Diagnosis", _diagnoses(groups, start, end)),
        html_page.section(
            "How this was made", _commands(runs), html_page.table(_provenance(runs), prose=[1]), _hashes(runs)
        ),
        html_page.section("Data", data),
        html_page.section("Notes", html_page.bullets(notes)),
    ]
    return parts, [*grids, *gradients, *curves, *spreads]


def _head(story: Story, runs: Sequence[RunRecord]) -> str:
    counts = Counter(run.status for run in runs)
    words = ", ".join(f"{number} {status}" for status, number in counts.items())
    datasets = ", ".join(sorted({run.config.dataset for run in runs}))
    return "\n".join(
        [
            f"<h1>{escape(story.title)}</h1>",
            html_page.paragraph(story.question, "question"),
            html_page.paragraph(f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} ({words}) on {datasets}", "muted"),
        ]
    )


def _answers(answers: Sequence[Answer]) -> str:
    rows = [[statement, verdict, detail] for statement, verdict, detail in answers]
    return html_page.table(Table(["expectation", "verdict", "measured"], rows), verdicts=[1], prose=[2]) if rows else ""


def _results(table: Table) -> str:
    content, rows = html_page.table(table), len(table.rows)
    return content if rows <= MOST_DETAILS else html_page.details(f"Table of {rows} configurations", content)


def _legend(groups: Sequence[Group]) -> str:
    one = all(len(group.runs) == 1 for group in groups)
    text = "One seed each." if one else "Mean ± sample standard deviation over seeds."
    if any(group.spread("gradient_ratio") for group in groups):
        text += (
            " Gradient norms are those of the first and the last kernel as applied, and the ratio is that of the two "
            "at each step; each is the median over training, so the ratio is not quite that of the two columns."
        )
    return html_page.paragraph(text, "muted")


def _charts(charts: Sequence[Picture], beside: str, *words: str) -> list[str]:
    """Figures and, under them, what is to be said of them; nothing where there is none."""
    return (
        [html_page.figures(charts, beside), *(html_page.paragraph(text, "muted") for text in words)] if charts else []
    )


def _shown_of(shown: Sequence[Group], groups: Sequence[Group]) -> str:
    return f"These charts show {len(shown)} of the {len(groups)} configurations, from the best to the worst."


READING = (
    "A straight line that falls toward layer 1 is a gradient that vanishes by one factor per layer. Theory is "
    "mean-field theory from initialization and activation alone."
)


# Diagnosis


def _diagnoses(groups: Sequence[Group], start: figures.Diagnoses, end: figures.Diagnoses) -> str:
    known = [group for group in groups if start.get(group.label)]
    if not known:
        return ""
    rows = [
        [g.label, _verdicts(start[g.label]), _verdicts(end.get(g.label, [])), _gain(start[g.label][0])] for g in known
    ]
    header = [
        "",
        "before training",
        "after training",
        "gradient per layer toward the input (95 % interval of the fit over the first seed's layers)",
    ]
    spelled = [_spelled(group.label, start[group.label][0], end.get(group.label, [])) for group in known]
    content = html_page.table(Table(header, rows), verdicts=[1, 2])
    if len(known) > MOST_DETAILS:
        return html_page.details(f"Verdicts on {len(known)} configurations", content)
    return content + "".join(spelled)


def _verdicts(diagnoses: Sequence[Diagnosis]) -> str:
    counts = Counter(diagnosis.verdict for diagnosis in diagnoses)
    if not counts:
        return "not measured"
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{verdict} ({number} of {len(diagnoses)})" for verdict, number in counts.most_common())


def _gain(diagnosis: Diagnosis) -> str:
    if diagnosis.gain is None:
        return "–"
    value, low, high = diagnosis.gain
    text = f"× {value:.3g} ({low:.3g} to {high:.3g})"
    return text if diagnosis.predicted_gain is None else f"{text}, theory × {diagnosis.predicted_gain:.3g}"


def _spelled(label: str, start: Diagnosis, end: Sequence[Diagnosis]) -> str:
    """The first seed's diagnosis in words."""
    moments = [("Before training", start), *[("After training", diagnosis) for diagnosis in end[:1]]]
    parts = []
    for words, diagnosis in moments:
        parts.append(
            f"<p>{escape(words)} ({escape(diagnosis.source)}): {html_page.verdict(diagnosis.verdict)}, "
            f"{escape(diagnosis.sentence)}.</p>"
        )
        parts.append(html_page.bullets([*diagnosis.notes, *(finding.sentence for finding in diagnosis.findings)]))
    remedies = next((diagnosis.remedies for _, diagnosis in moments if diagnosis.remedies), ())
    if remedies:
        parts.append(html_page.paragraph("What helps, most effective first:"))
        parts.append(
            html_page.bullets((f"{r.action}: {r.evidence} (study {r.study})" for r in remedies), numbered=True)
        )
    return html_page.details(label, *parts)


# Where it comes from


def _commands(runs: Sequence[RunRecord]) -> str:
    given = [run.metadata.get("command") for run in runs]
    commands = list(dict.fromkeys(text for text in given if isinstance(text, str) and text))
    return "".join(html_page.code(text) for text in commands[:MOST_COMMANDS])


def _provenance(runs: Sequence[RunRecord]) -> Table:
    """Versions, commit, dataset and machine; values that differ between runs stand side by side."""
    seen: dict[str, Counter[str]] = {}
    for run in runs:
        for part in ("environment", "dataset"):
            for name, value in _flat(run.metadata.get(part), part if part == "dataset" else ""):
                seen.setdefault(name, Counter())[value] += 1
    rows = [[name.replace("_", " "), _several(values)] for name, values in seen.items()]
    return Table(["", ""], rows)


def _hashes(runs: Sequence[RunRecord]) -> str:
    """The final weights' hash of every run: the same command on the same kind of machine gives the same."""
    lines = [f"{run.done.get('weights_sha256')}  {run.slug}/seed_{run.seed}" for run in runs if run.done]
    return html_page.details("SHA-256 of the final weights", html_page.code("\n".join(lines))) if lines else ""


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


def _data(rows: int, beside: str) -> str:
    def links(name: str, *kinds: str) -> str:
        return ", ".join(f'<a href="{escape(beside)}{name}.{kind}">{name}.{kind}</a>' for kind in kinds)

    told = (
        f"<p>{links('table', 'csv', 'tex')}: the table above. {links('runs', 'csv', 'parquet')}: one row per run, its "
        f"config and final figures. {links('metrics', 'csv', 'parquet')}: every recorded number, {rows:,} rows, one "
        "per run, step and tag.</p>"
    )
    return told + html_page.paragraph(
        "This page is complete by itself; its links need the folder that it came with.", "muted"
    )
