"""Text for the terminal: the answer, a small chart, tables, verdicts, the address of the board.

Every function takes the width of the terminal in columns; None is a pipe or a file, which gets one line per fact.
Commands and paths are never broken, so that they can be copied.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_depth.cli import pictures
from mnist_depth.cli.layout import GAP, cells, pad, paragraph, wrap
from mnist_depth.records import RunRecord
from mnist_depth.runtime import shell
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    from mnist_depth.results.overview import Overview, Story
    from mnist_depth.results.tables import Table
    from mnist_depth.studies.expectation import Answer

MIN_WIDTH = 40
"""Narrower terminals are treated as this wide."""


def terminal_width() -> int | None:
    """The columns of the terminal that standard output goes to; None where it is a pipe or a file."""
    return max(MIN_WIDTH, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


# Tables


def table(content: Table, width: int | None = None) -> str:
    """Columns aligned by spaces, text to the left, figures to the right; columns that do not fit are named below."""
    content, left_out = _fitted(content, width)
    label = max(cells(row[0]) for row in content.rows) if content.rows else 0
    if width is not None and _total(content, label, folded=True) > width:
        label = max(12, width - _total(content, 0, folded=True))
    folded = width is not None and _total(content, label, folded=False) > width
    widths = [label, *(_column(content, place, folded) for place in range(1, len(content.header)))]
    lines = [
        line
        for row in [content.header, *content.rows]
        for line in _row(row, widths, is_header=row is content.header and folded)
    ]
    if left_out:
        text = _("Not shown at this width: {columns}; the report has them.", columns=", ".join(left_out))
        lines += wrap(text, width)
    return "\n".join(lines)


def _fitted(content: Table, width: int | None) -> tuple[Table, list[str]]:
    """The table without the last columns, as many as do not fit even with folded headers, and their names."""
    left_out: list[str] = []
    if width is None:
        return content, left_out
    label = min(max((cells(row[0]) for row in content.rows), default=0), max(12, width // 3))
    while len(content.header) > 2 and _total(content, label, folded=True) > width:
        left_out.insert(0, content.header[-1])
        content = content._replace(header=content.header[:-1], rows=[row[:-1] for row in content.rows])
    return content, left_out


def _total(content: Table, label: int, *, folded: bool) -> int:
    figures = sum(len(GAP) + _column(content, place, folded) for place in range(1, len(content.header)))
    return label + figures


def _column(content: Table, place: int, folded: bool) -> int:
    """The width of a column whose header is, or is not, folded at its spaces."""
    header = content.header[place]
    words = header.split() if folded else [header]
    return max(map(cells, [*words, *(row[place] for row in content.rows)]), default=0)


def _row(row: Sequence[str], widths: Sequence[int], *, is_header: bool) -> list[str]:
    """The lines of one row: headers end on its last line, names of rows begin on its first."""
    columns = [
        wrap(cell, width) if is_header or place == 0 else [cell]
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    height = max(map(len, columns))
    above = [
        [""] * (height - len(lines)) + lines if is_header else lines + [""] * (height - len(lines)) for lines in columns
    ]
    return [
        GAP.join(
            pad(lines[number], width, right=place > 0)
            for place, (lines, width) in enumerate(zip(above, widths, strict=True))
        ).rstrip()
        for number in range(height)
    ]


def overview_of(runs: Sequence[RunRecord], story: Story | None = None) -> Overview:
    """The overview of these runs, for the terminal and for the report."""
    from mnist_depth.results.overview import Overview, Story

    return Overview(runs, story or Story(rank_by="best_test_accuracy"))


def results_table(overview: Overview, width: int | None) -> str:
    """One row per configuration: mean and deviation over seeds, the published figure beside it where there is one."""
    from mnist_depth.results.tables import compact

    content = compact(overview.table)
    return "\n".join([table(content, width), *wrap(content.note, width)])


# Verdicts


def answers_text(answers: Sequence[Answer], width: int | None = None) -> str:
    """One paragraph per expectation, then how many came true."""
    from mnist_depth.studies.expectation import REPRODUCED

    heads = [_(answer.verdict) for answer in answers]
    indent = max(map(cells, heads), default=0)
    lines = [
        line
        for answer, head in zip(answers, heads, strict=True)
        for line in wrap(f"{answer.statement} ({answer.detail})", width, pad(head, indent) + GAP)
    ]
    held = sum(answer.verdict == REPRODUCED for answer in answers)
    verdict = _("Verdict: {held} of {count} expectations reproduced", held=held, count=len(answers))
    others = [(name, sum(answer.verdict == name for answer in answers)) for name in UNDECIDED]
    counts = [_("{count} {verdict}", count=count, verdict=_(name)) for name, count in others if count]
    return "\n".join([*lines, ", ".join([verdict, *counts])])


UNDECIDED = (mark("not tested"), mark("not comparable"))


def conclusion(overview: Overview, answers: Sequence[Answer], width: int | None) -> str:
    """The answer, the picture, the table, the verdicts and the reason."""
    encoding = sys.stdout.encoding or "ascii"
    parts = [
        paragraph(overview.sentence, width, _("Answer:") + " "),
        pictures.picture(overview, width, encoding),
        results_table(overview, width),
        answers_text(answers, width),
    ]
    text = "\n\n".join(part for part in parts if part)
    return "\n".join([text, *reasons_text(overview.story.why, width)])


def reasons_text(why: str, width: int | None) -> list[str]:
    """The lines of a reason in parts, one per line, below each other."""
    head = _("Why:") + " "
    heads = [head, *[pad("", cells(head))] * why.count("\n")]
    return [line for part, start in zip(why.splitlines(), heads, strict=False) for line in wrap(part, width, start)]


def scores_of(run: RunRecord) -> str:
    """The final figures of one run in a line; nan for one that its record does not hold."""
    figures = defaultdict(lambda: math.nan, run.figures)
    return _(
        "test loss {loss:.4f}, test accuracy {accuracy:.2%} (best {best:.2%}), {seconds:.1f} s",
        loss=figures["test_loss"],
        accuracy=figures["test_accuracy"],
        best=figures["best_test_accuracy"],
        seconds=figures["seconds"],
    )


# Where to look


def where_to_look(logdir: Path, look: str = "", width: int | None = None) -> str:
    """The command that opens the board, and the address of the tab that answers the question."""
    board = shell.join([*python(), "board", "--logdir", str(logdir)])
    tensorboard = shell.join([tensorboard_program(), "--logdir", str(logdir)])
    indent = max(map(cells, (_("Look:"), _("At:")))) + len(GAP)
    head = pad(_("Look:"), indent)
    if width is None or indent + len(board) + len(tensorboard) + 9 <= width:
        either = _("or {tensorboard}", tensorboard=tensorboard)
        lines = [f"{head}{board}    ({either})"]
    else:
        either = _("or {tensorboard}", tensorboard=tensorboard)
        lines = [f"{head}{board}", " " * indent + either]
    return "\n".join([*lines, *(wrap(_(look), width, pad(_("At:"), indent)) if look else [])])


def python() -> list[str]:
    """The words that start this program from the shell it was started in: `python` may be another one there."""
    return ["python" if _is_found("python") else _relative(Path(sys.executable)), "-m", "mnist_depth"]


def tensorboard_program() -> str:
    """TensorBoard of this environment, as the shell finds it: another one may have no Depth tab."""
    return "tensorboard" if _is_found("tensorboard") else _relative(Path(sys.executable).with_name("tensorboard"))


def _is_found(program: str) -> bool:
    """Whether the shell finds this program in the folder of this Python."""
    found = shutil.which(program)
    return found is not None and Path(found).parent.resolve() == Path(sys.executable).parent.resolve()


def _relative(path: Path) -> str:
    """Relative to the working folder where it is below it."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
