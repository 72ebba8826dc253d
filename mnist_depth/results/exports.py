"""What leaves a report for a paper or a notebook: the table over seeds, one row for every run, and every number."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_depth.errors import UserError, printable
from mnist_depth.files import write_atomic
from mnist_depth.records import RunRecord
from mnist_depth.results.groups import final_metrics
from mnist_depth.results.tables import Table

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
}


def write_tables(runs: Sequence[RunRecord], table: Table, folder: Path) -> None:
    """Write table.csv, table.tex, runs.csv and runs.parquet. Raises UserError where that cannot be done."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    rows = pa.Table.from_pylist(_aligned([_row(run) for run in runs]))
    try:
        write_atomic(folder / "table.csv", _csv(table))
        write_atomic(folder / "table.tex", latex(table))
        pyarrow.csv.write_csv(rows, folder / "runs.csv")
        pyarrow.parquet.write_table(rows, folder / "runs.parquet")
    except OSError as error:
        raise UserError(f"cannot write the tables to {folder}: {error}") from None


def write_metrics(runs: Sequence[RunRecord], folder: Path) -> int:
    """Write metrics.csv and metrics.parquet, one row per (run, step, tag), and return the number of rows.

    Columns: study, slug, seed, run, tag, step, wall_time, value.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    schema = pa.schema(
        [(name, pa.string()) for name in ("study", "slug")]
        + [("seed", pa.int64()), ("run", pa.string()), ("tag", pa.string()), ("step", pa.int64())]
        + [("wall_time", pa.float64()), ("value", pa.float64())]
    )
    table = pa.concat_tables([schema.empty_table(), *[pa.table(_columns(run), schema) for run in runs]])
    try:
        pyarrow.csv.write_csv(table, folder / "metrics.csv")
        pyarrow.parquet.write_table(table, folder / "metrics.parquet")
    except OSError as error:
        raise UserError(f"cannot write the metrics to {folder}: {error}") from None
    return table.num_rows


def _columns(record: RunRecord) -> dict[str, list[object]]:
    points = record.points
    return {
        "study": [record.study] * len(points),
        "slug": [record.slug] * len(points),
        "seed": [record.seed] * len(points),
        "run": [point.split for point in points],
        "tag": [point.tag for point in points],
        "step": [point.step for point in points],
        "wall_time": [point.wall_time for point in points],
        "value": [point.value for point in points],
    }


def latex(table: Table) -> str:
    r"""A `tabular` with the rules of the booktabs package.

    >>> print(latex(Table(["", "seeds"], [["he_normal", "3"]])))
    \begin{tabular}{lr}
    \toprule
     & seeds \\
    \midrule
    he\_normal & 3 \\
    \bottomrule
    \end{tabular}
    <BLANKLINE>
    """
    columns = "l" + "r" * (len(table.header) - 1)
    head, *rows = [" & ".join(map(_escaped, line)) + r" \\" for line in [table.header, *table.rows]]
    lines = [
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)


def _csv(table: Table) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([table.header, *table.rows])
    return stream.getvalue()


def _row(run: RunRecord) -> dict[str, Any]:
    """What a run was told, how it ended, and its final figures."""
    named = {"study": run.study, "slug": run.slug, "folder": printable(str(run.folder)), "status": run.status}
    return {**named, **run.config.to_dict(), **final_metrics(run)}


def _aligned(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every column in every row, empty where a run has no such figure."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in columns} for row in rows]
