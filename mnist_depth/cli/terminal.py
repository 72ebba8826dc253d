"""Text for the terminal: tables of runs, verdicts, where to look."""

from __future__ import annotations

import math
import shutil
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mnist_depth.config import FIELDS
from mnist_depth.records import RunRecord
from mnist_depth.studies.study import REPRODUCED, Answer, Study

MARKS = {REPRODUCED: "+"}


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns aligned by spaces: text to the left, figures to the right."""
    lines = [list(headers), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def study_table(study: Study, runs: Sequence[RunRecord]) -> str:
    """One row per configuration: mean and standard deviation over seeds; best first where the study ranks."""
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(run.slug, []).append(run)
    members = list(groups.values())
    if study.rank_by:
        members.sort(key=lambda group: -_mean(group, str(study.rank_by)))
    varied = _varied([group[0] for group in members])
    rows = [[_label(group[0], varied), *(_cell(group, column) for column in study.columns)] for group in members]
    return table(["run", *(column.replace("_", " ") for column in study.columns)], rows)


def _varied(runs: Sequence[RunRecord]) -> list[str]:
    return [name for name in FIELDS if name != "seed" and len({getattr(run.config, name) for run in runs}) > 1] or [
        "activation"
    ]


def _label(run: RunRecord, varied: Sequence[str]) -> str:
    return " ".join(str(getattr(run.config, name)) for name in varied)


def _figures(group: Sequence[RunRecord], column: str) -> list[float]:
    found = [run.done if column in run.done else run.done.get("metrics", {}) for run in group]
    return [float(figures.get(column, math.nan)) for figures in found]


def _mean(group: Sequence[RunRecord], column: str) -> float:
    mean = statistics.fmean(_figures(group, column))
    return -math.inf if math.isnan(mean) else mean


def _cell(group: Sequence[RunRecord], column: str) -> str:
    values = _figures(group, column)
    text = _number(statistics.fmean(values), column)
    if len(values) > 1 and all(map(math.isfinite, values)):
        text += f" ± {_number(statistics.stdev(values), column)}"
    return text


def _number(value: float, column: str) -> str:
    if not math.isfinite(value):
        return "-" if math.isnan(value) else str(value)
    if column.endswith("accuracy"):
        return f"{100 * value:.2f} %"
    if column == "seconds":
        return f"{value:.1f}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def answers_text(answers: Sequence[Answer]) -> str:
    """One line per expectation, then how many came true."""
    lines = [f"{answer.verdict:<14}  {answer.statement} ({answer.detail})" for answer in answers]
    held = sum(answer.verdict == REPRODUCED for answer in answers)
    return "\n".join([*lines, f"Verdict: {held} of {len(answers)} expectations reproduced"])


def where_to_look(logdir: Path) -> str:
    """The commands that open the board here and from another machine."""
    from mnist_depth.board.server import PORT, ssh_line

    beside = Path(sys.executable).parent / "tensorboard"
    program = "tensorboard" if shutil.which("tensorboard") or not beside.exists() else str(beside)
    return (
        f"Look:  {program} --logdir {logdir}    then open http://127.0.0.1:{PORT}/\n"
        f"From another machine:  {ssh_line(PORT)}    then open the same address there"
    )
