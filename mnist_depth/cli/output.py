"""Text for the terminal: tables of runs, verdicts, where to look."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import shutil
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from mnist_depth.records import RunRecord
from mnist_depth.studies.study import NOT_TESTED, REPRODUCED, Answer, Study


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


def runs_table(runs: Sequence[RunRecord]) -> str:
    """One row per configuration: mean and sample standard deviation over seeds."""
    from mnist_depth.results import tables
    from mnist_depth.results.groups import group_runs

    return table(*tables.summary(group_runs(runs), rank_by="best_test_accuracy"))


def study_table(study: Study, runs: Sequence[RunRecord]) -> str:
    """One row per configuration: mean and deviation over seeds, the published figure beside it where there is one."""
    from mnist_depth.results import tables
    from mnist_depth.results.groups import group_runs

    groups = tables.ranked(group_runs(runs), study.rank_by)
    header, rows = tables.summary(groups, study.columns)
    published = [study.published(group.config) for group in groups]
    named = [[study.label(group.config) or row[0], *row[1:]] for group, row in zip(groups, rows, strict=True)]
    if any(published):
        header = [*header, "published"]
        named = [[*row, figure] for row, figure in zip(named, published, strict=True)]
    return table(header, named)


def write_study_report(
    study: Study,
    folder: Path,
    answers: Sequence[Answer],
    out: Path | None = None,
    only: Collection[Path] | None = None,
) -> Path:
    """The report on a study's runs, all or those in `only`, told with its question and its answers."""
    from mnist_depth.results.report import Story, write_report

    title = os.path.basename(os.path.realpath(folder))
    told = (study.question, study.why, answers, study.columns, study.rank_by, study.label, study.published)
    return write_report(folder, out, Story(title, *told), only)


def scores_of(run: RunRecord) -> str:
    """The final figures of one run in a line; nan for one that its record does not hold."""
    from mnist_depth.results.groups import final_metrics

    figures = defaultdict(lambda: math.nan, final_metrics(run))
    return (
        f"test loss {figures['test_loss']:.4f}, test accuracy {figures['test_accuracy']:.2%} "
        f"(best {figures['best_test_accuracy']:.2%}), {figures['seconds']:.1f} s"
    )


def answers_text(answers: Sequence[Answer]) -> str:
    """One line per expectation, then how many came true."""
    lines = [f"{answer.verdict:<14}  {answer.statement} ({answer.detail})" for answer in answers]
    held, left = (sum(answer.verdict == verdict for answer in answers) for verdict in (REPRODUCED, NOT_TESTED))
    untested = f", {left} not tested" if left else ""
    return "\n".join([*lines, f"Verdict: {held} of {len(answers)} expectations reproduced{untested}"])


def where_to_look(logdir: Path, look: str = "") -> str:
    """The command that opens the board, and the chart that answers the question."""
    board = shlex.join([*python(), "board", "--logdir", str(logdir)])
    lines = [f"Look:  {board}    (or tensorboard --logdir {shlex.quote(str(logdir))})", f"At:    {look}"]
    return "\n".join(lines if look else lines[:1])


def python() -> list[str]:
    """The words that start this program from the shell it was started in: `python` may be another one there."""
    found = shutil.which("python")
    same = found is not None and Path(found).parent.resolve() == Path(sys.executable).parent.resolve()
    return ["python" if same else _short(Path(sys.executable)), "-m", "mnist_depth"]


def _short(path: Path) -> str:
    """Relative to the working folder where it is below it."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
