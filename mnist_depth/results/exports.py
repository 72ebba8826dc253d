"""Files for a paper or another program: the table over seeds as CSV and LaTeX, every run and every measurement."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mnist_depth.errors import UserError
from mnist_depth.files import write_atomic
from mnist_depth.results.frames import Runs
from mnist_depth.results.points_frame import POINT_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

RUNS_AT_ONCE = 25
"""Runs whose measurements are in memory as a frame."""

TYPES = {"seed": "int64", "step": "int64", "epoch": "float64", "value": "float64"}
"""Columns of the measurements that are numbers."""

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
}


LEFT_ALONE = r"\\(?:\w*(?:ref|cite\w*|label|url))\{[^}]*\}|\\.|\$[^$]*\$"
"""Parts of a caption that are LaTeX already: references, commands and escaped characters, formulas."""


class TableOptions(NamedTuple):
    """What a user asks of table.csv and table.tex: final figures (default: the usual ones), caption and label."""

    columns: Sequence[str] = ()
    caption: str = ""
    label: str = ""


NO_OPTIONS = TableOptions()


def write_tables(runs: Runs, folder: Path, options: TableOptions = NO_OPTIONS) -> None:
    """Write table.csv, table.tex, runs.csv and runs.parquet. Raises UserError if that cannot be done."""
    columns = options.columns or None
    table, frame = runs.summary(columns=columns), runs.to_frame()
    try:
        write_atomic(folder / "table.csv", table.to_csv(index=table.index.names[0] is not None))
        write_atomic(folder / "table.tex", latex_of(table, options.caption, options.label))
        frame.to_csv(folder / "runs.csv", index=False)
        frame.to_parquet(folder / "runs.parquet", index=False)
    except OSError as error:
        raise UserError("cannot write the tables to {folder}: {reason}", folder=folder, reason=error) from None


def write_metrics(runs: Runs, folder: Path) -> int:
    """Write metrics.csv and metrics.parquet, one row per measurement (`Runs.points`), and return their number.

    A few runs at a time, because the frame of all would take hundreds of megabytes.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    schema = pa.schema([(name, getattr(pa, TYPES.get(name, "string"))()) for name in POINT_COLUMNS])
    unquoted, rows = csv.WriteOptions(quoting_style="needed"), 0
    try:
        with (
            csv.CSVWriter(folder / "metrics.csv", schema, write_options=unquoted) as text,
            parquet.ParquetWriter(folder / "metrics.parquet", schema) as columns,
        ):
            for start in range(0, len(runs), RUNS_AT_ONCE):
                table = pa.Table.from_pandas(runs[start : start + RUNS_AT_ONCE].points(), schema, preserve_index=False)
                text.write_table(table)
                columns.write_table(table)
                rows += len(table)
    except OSError as error:
        raise UserError("cannot write the metrics to {folder}: {reason}", folder=folder, reason=error) from None
    return rows


def latex(
    runs: Runs,
    by: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    caption: str = "",
    label: str = "",
) -> str:
    """Mean and sample standard deviation over seeds as a `tabular` with the rules of the booktabs package.

    Accuracies and shares are in percent. A caption or a label puts it into a `table`. The caption is LaTeX, in which
    `%`, `&`, `#` and `_` outside of formulas are escaped.
    """
    return latex_of(runs.summary(by, columns), caption, label)


def latex_of(table: pd.DataFrame, caption: str = "", label: str = "") -> str:
    """`latex` of a summary."""
    fields = [name for name in table.index.names if name]
    figures = [name.removesuffix("_mean") for name in table if name.endswith("_mean")]
    head = [*map(_heading, fields), *(_heading(name) + (r" (\%)" if _is_share(name) else "") for name in figures)]
    rows = []
    for key, found in table.iterrows():
        row: Mapping[str, Any] = found.to_dict()
        values = key if isinstance(key, tuple) else (key,)
        cells = [_cell(float(row[f"{name}_mean"]), float(row[f"{name}_sd"]), _is_share(name)) for name in figures]
        rows.append([*(_escaped(str(value)) for value in values[: len(fields)]), *cells])
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(fields)}{'r' * len(figures)}}}",
        r"\toprule",
        *_lines([head]),
        r"\midrule",
        *_lines(rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if caption or label:
        inside = [r"\centering", *([rf"\caption{{{_caption(caption)}}}"] if caption else [])]
        inside += [rf"\label{{{label}}}"] if label else []
        lines = [r"\begin{table}", *inside, *lines, r"\end{table}"]
    return "\n".join([*lines, ""])


def _lines(rows: Sequence[Sequence[str]]) -> list[str]:
    return [" & ".join(row) + r" \\" for row in rows]


def _heading(name: str) -> str:
    return _escaped(name.replace("_", " "))


def _is_share(name: str) -> bool:
    return name.endswith(("accuracy", "share"))


def _cell(mean: float, deviation: float, percent: bool) -> str:
    r"""A mean with its deviation, to the digit that the deviation (two significant digits) determines.

    >>> print(_cell(0.9761, 0.0012, True), _cell(1.153e-5, 4.3e-7, False), _cell(0.25, float("nan"), False))
    $97.61 \pm 0.12$ $(1.153 \pm 0.043) \times 10^{-5}$ $0.25$
    """
    if not math.isfinite(mean):
        return "--"
    scale = 100 if percent else 1
    mean, deviation = scale * mean, scale * deviation
    power = math.floor(math.log10(abs(mean))) if mean else 0
    power = power if not -3 < power < 5 else 0
    mean, deviation = mean / 10**power, deviation / 10**power
    if not math.isfinite(deviation):
        text = f"{mean:.2f}" if percent else f"{mean:.4g}"
    else:
        digits = max(0, 1 - math.floor(math.log10(deviation))) if deviation else 2
        text = rf"{mean:.{digits}f} \pm {deviation:.{digits}f}"
    if not power:
        return f"${text}$"
    return rf"$({text}) \times 10^{{{power}}}$" if r"\pm" in text else rf"${text} \times 10^{{{power}}}$"


def _caption(text: str) -> str:
    r"""A caption, its special characters escaped as far as they are not LaTeX.

    >>> print(_caption(r"50% of A & B, $\sigma_w$, see \ref{tab:a_b}, 3\%"))
    50\% of A \& B, $\sigma_w$, see \ref{tab:a_b}, 3\%
    """
    return re.sub(rf"({LEFT_ALONE})|([%&#_])", lambda found: found[1] or LATEX[found[2]], text, flags=re.DOTALL)


def _escaped(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
