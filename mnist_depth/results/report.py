"""Write what a folder of runs shows as one self-contained HTML page, with its figures and all metrics beside it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from mnist_depth import records
from mnist_depth.errors import UserError
from mnist_depth.records import RunRecord
from mnist_depth.results import gallery, page, pictures, tables
from mnist_depth.results.diagnosis import Diagnosis
from mnist_depth.results.groups import Group, Labeler, group_runs, read_runs
from mnist_depth.results.pictures import Picture
from mnist_depth.results.tables import Table

MOST_DETAILS = 24
"""With more configurations than this, tables are folded and the diagnosis is not spelled out."""

MOST_COMMANDS = 30

Answer = tuple[str, str, str]
"""(statement, verdict, detail)."""


@dataclass(frozen=True)
class Story:
    """What a study adds to its runs: the question, the answers, and which figures count."""

    title: str = ""
    question: str = ""
    answers: Sequence[Answer] = ()
    columns: Sequence[str] = ()
    rank_by: str | None = None
    label: Labeler | None = None
    published: Labeler | None = None


def write_report(
    root: Path,
    out: Path | None = None,
    *,
    title: str = "",
    question: str = "",
    answers: Sequence[Answer] = (),
    columns: Sequence[str] = (),
    rank_by: str | None = None,
    label: Labeler | None = None,
    published: Labeler | None = None,
) -> Path:
    """Report on every run at or below `root` and return the path of the HTML file.

    `out` is a folder, or an .html file; default `<root>/report`. Beside the page stand `figures/*.png` and `*.svg`,
    `metrics.csv` and `metrics.parquet`. `answers` are (statement, verdict, detail), `columns` and `rank_by` the figures
    of the table and the one that orders it, `label` and `published` a configuration's name and the figure to compare it
    with, empty where there is none. Raises UserError where there is no readable run or nothing can be written.
    """
    if not root.exists():
        raise UserError(f"{root} does not exist; name a folder that holds runs, such as logs/depth9")
    runs, notes = read_runs(root)
    if not runs:
        found = f" ({notes[0]})" if notes else ""
        raise UserError(f"no readable run at or below {root}{found}; train one first, or name another folder")
    target = _target(root, out)
    story = Story(title or root.resolve().name, question, answers, columns, rank_by, label, published)
    rows = tables.write_metrics(runs, target.parent)
    parts, shown = _parts(story, runs, notes, rows)
    for picture in shown:
        pictures.save(picture, target.parent / "figures")
    records.write_atomic(target, page.page(story.title, parts))
    return target


def _target(root: Path, out: Path | None) -> Path:
    """The HTML file to write; its folder and the figures' are made."""
    out = root / "report" if out is None else out
    target = out if out.suffix == ".html" else out / "report.html"
    try:
        (target.parent / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {target.parent} ({error.strerror or error}); name another folder") from None
    return target


def _parts(story: Story, runs: Sequence[RunRecord], notes: list[str], rows: int) -> tuple[list[str], list[Picture]]:
    """The page from top to bottom, and the figures in it."""
    groups = group_runs(runs, story.label)
    shown = gallery.representatives(groups)
    start, end = (gallery.diagnose_groups(groups, moment) for moment in ("start", "end"))
    labels = {group.label for group in shown}
    curves = gallery.training_curves(shown)
    gradients = [
        *gallery.gradients_by_layer({k: v for k, v in start.items() if k in labels}, "start"),
        *gallery.gradients_by_layer({k: v for k, v in end.items() if k in labels}, "end"),
    ]
    spreads = [*gallery.gradient_distributions(shown), *gallery.activation_distributions(shown)]
    grids = gallery.grids(groups)
    if len(shown) < len(groups):
        notes.append(f"the charts show {len(shown)} of the {len(groups)} configurations, from the best to the worst")
    parts = [
        _head(story, runs),
        page.section("Answer", _answers(story.answers)),
        page.section("Grid", page.figures(grids)),
        page.section("Results", _results(groups, story), _legend(groups)),
        page.section("Gradient against layer", page.figures(gradients), _reading(gradients)),
        page.section("Training", page.figures(curves)),
        page.section("Distributions", page.figures(spreads)),
        page.section("Diagnosis", _diagnoses(groups, start, end)),
        page.section("How this was made", _commands(runs), page.table(_provenance(runs), prose=[1]), _hashes(runs)),
        page.section("Data", _data(rows)),
        page.section("Notes", page.bullets(notes)),
    ]
    return parts, [*grids, *gradients, *curves, *spreads]


def _head(story: Story, runs: Sequence[RunRecord]) -> str:
    counts = Counter(run.status for run in runs)
    words = ", ".join(f"{number} {status}" for status, number in counts.items())
    datasets = ", ".join(sorted({run.config.dataset for run in runs}))
    return "\n".join(
        [
            f"<h1>{escape(story.title)}</h1>",
            page.paragraph(story.question, "question"),
            page.paragraph(f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} ({words}) on {datasets}", "muted"),
        ]
    )


def _answers(answers: Sequence[Answer]) -> str:
    rows = [[statement, verdict, detail] for statement, verdict, detail in answers]
    return page.table(Table(["expectation", "verdict", "measured"], rows), verdicts=[1], prose=[2]) if rows else ""


def _results(groups: Sequence[Group], story: Story) -> str:
    content = page.table(tables.summary(groups, story.columns, story.rank_by, story.published))
    return content if len(groups) <= MOST_DETAILS else page.details(f"Table of {len(groups)} configurations", content)


def _legend(groups: Sequence[Group]) -> str:
    if all(len(group.runs) == 1 for group in groups):
        return page.paragraph("One seed each.", "muted")
    return page.paragraph("Mean ± standard deviation over seeds.", "muted")


def _reading(gradients: Sequence[Picture]) -> str:
    if not gradients:
        return ""
    text = "A straight line that falls toward layer 1 is a gradient that vanishes by one factor per layer."
    return page.paragraph(f"{text} Theory is mean-field theory from initialization and activation alone.", "muted")


# Diagnosis


def _diagnoses(groups: Sequence[Group], start: gallery.Diagnoses, end: gallery.Diagnoses) -> str:
    known = [group for group in groups if start.get(group.label)]
    if not known:
        return ""
    rows = [
        [g.label, _verdicts(start[g.label]), _verdicts(end.get(g.label, [])), _gain(start[g.label][0])] for g in known
    ]
    header = ["", "before training", "after training", "gradient per layer toward the input (95 % interval)"]
    spelled = [_spelled(group.label, start[group.label][0], end.get(group.label, [])) for group in known]
    content = page.table(Table(header, rows), verdicts=[1, 2])
    if len(known) > MOST_DETAILS:
        return page.details(f"Verdicts on {len(known)} configurations", content)
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
            f"<p>{escape(words)} ({escape(diagnosis.source)}): {page.verdict(diagnosis.verdict)}, "
            f"{escape(diagnosis.reason)}.</p>"
        )
        parts.append(page.bullets(diagnosis.findings))
    remedies = next((diagnosis.remedies for _, diagnosis in moments if diagnosis.remedies), ())
    if remedies:
        parts.append(page.paragraph("What helps, most effective first:"))
        parts.append(page.bullets((f"{r.action}: {r.evidence} (study {r.study})" for r in remedies), numbered=True))
    return page.details(label, *parts)


# Where it comes from


def _commands(runs: Sequence[RunRecord]) -> str:
    given = [run.record.get("command") for run in runs]
    commands = list(dict.fromkeys(text for text in given if isinstance(text, str) and text))
    return "".join(page.code(text) for text in commands[:MOST_COMMANDS])


def _provenance(runs: Sequence[RunRecord]) -> Table:
    """Versions, commit, dataset and machine; values that differ between runs stand side by side."""
    seen: dict[str, Counter[str]] = {}
    for run in runs:
        for part in ("environment", "dataset"):
            for name, value in _flat(run.record.get(part), part if part == "dataset" else ""):
                seen.setdefault(name, Counter())[value] += 1
    rows = [[name.replace("_", " "), _several(values)] for name, values in seen.items()]
    return Table(["", ""], rows)


def _hashes(runs: Sequence[RunRecord]) -> str:
    """The final weights' hash of every run: the same command on the same kind of machine gives the same."""
    lines = [f"{run.done.get('weights_sha256')}  {run.slug}/seed_{run.seed}" for run in runs if run.done]
    return page.details("SHA-256 of the final weights", page.code("\n".join(lines))) if lines else ""


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


def _data(rows: int) -> str:
    links = " and ".join(f'<a href="metrics.{kind}">metrics.{kind}</a>' for kind in ("csv", "parquet"))
    return f"<p>{links} hold every recorded number: {rows:,} rows, one per run, step and tag.</p>"
