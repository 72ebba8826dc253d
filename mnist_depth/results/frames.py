"""Trainings as pandas frames: one row per run, one row per measurement, statistics and tests over seeds.

pandas and scipy are imported when a frame is made.
"""

from __future__ import annotations

import html
import math
import os
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from mnist_depth.config import full_name
from mnist_depth.errors import UserError, printable, unknown
from mnist_depth.files import local_path
from mnist_depth.records import SHOWN_FIGURES, RunRecord, TrainingRecord, find_trainings
from mnist_depth.results.groups import figures_of
from mnist_depth.results.points_frame import POINT_COLUMNS, check_measured, is_wanted, points_of
from mnist_depth.results.statistics import Comparison, check_confidence, paired_p_value, spread
from mnist_depth.results.summary_frame import summarize

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("best_test_accuracy", "test_accuracy", "test_loss", "train_loss", "dz_first", "dz_last", "dz_ratio")
"""Final figures of a summary when none are asked for, as far as the runs have them."""

MAX_ROWS = 200
"""Rows of the table that a notebook shows; frames hold all."""

MAX_VALUES = 6
"""Values of a field that the representation in a terminal lists."""

SORT = """<script>
(() => {
  const table = document.getElementById("ID");
  const value = (row, i) => row.cells[i].innerText.trim();
  table.querySelectorAll("th").forEach((head, i) => {
    head.style.cursor = "pointer";
    head.title = "sort";
    head.onclick = () => {
      const sign = head.dataset.sign = head.dataset.sign === "1" ? -1 : 1;
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [value(a, i), value(b, i)];
        const [p, q] = [parseFloat(x), parseFloat(y)];
        return sign * (isNaN(p) || isNaN(q) ? x.localeCompare(y) : p - q);
      });
      table.tBodies[0].append(...rows);
    };
  });
})();
</script>"""


def runs(logdir: str | os.PathLike[str]) -> Runs:
    """Every training at or below a folder, runs of studies and folders of gauges alike, in the order of their paths.

    Raises UserError if the folder does not exist or holds no training.
    """
    root = local_path(logdir, "runs")
    if not root.exists():
        raise UserError("{root} does not exist; name a folder that holds runs, such as logs/depth9", root=root)
    found = find_trainings(root)
    if not found:
        raise UserError(
            "no readable run at or below {root}{found}; train one first, or name another folder", root=root, found=""
        )
    return Runs(found)


class Runs(Sequence[TrainingRecord]):
    """Trainings that were read back. Slices and `where` give `Runs` again."""

    def __init__(self, records: Iterable[TrainingRecord]) -> None:
        self._records = tuple(records)

    @overload
    def __getitem__(self, index: int) -> TrainingRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Runs: ...
    def __getitem__(self, index: int | slice) -> TrainingRecord | Runs:
        return Runs(self._records[index]) if isinstance(index, slice) else self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[TrainingRecord]:
        return iter(self._records)

    @property
    def varying(self) -> list[str]:
        """The fields in which these trainings differ, seed and status left out."""
        values: dict[str, set[str]] = {}
        for record in self:
            for name, value in _described(record).items():
                values.setdefault(name, set()).add(repr(value))
        return [name for name, found in values.items() if len(found) > 1 and name not in ("seed", "status")]

    @cached_property
    def _figures_of(self) -> list[dict[str, float]]:
        """The final figures of every training, in order."""
        return [figures_of(one) if isinstance(one, RunRecord) and one.done else one.figures for one in self]

    @property
    def figures(self) -> list[str]:
        """Names of the final figures that these trainings have."""
        return list(dict.fromkeys(name for figures in self._figures_of for name in figures))

    def where(self, **fields: Any) -> Runs:
        """The trainings whose fields (or study, seed, status) have these values; a list means any of its values.

        Aliases work (`he` is `he_normal`). Without a match the result is empty. Raises UserError for an unknown field.
        """
        for name in fields:
            self._check_field(name)
        wanted = {name: _with_full_names(name, value) for name, value in fields.items()}
        return Runs(record for record in self if _matches(record, wanted))

    def to_frame(self) -> pd.DataFrame:
        """One row per training: study, name, seed, status, every field, every final figure as a number, folder."""
        import pandas as pd

        rows = [
            {**_described(record), "name": record.name, **figures, "folder": printable(str(record.folder))}
            for record, figures in zip(self, self._figures_of, strict=True)
        ]
        frame = pd.DataFrame(rows)
        front = [name for name in ("study", "name", "seed", "status") if name in frame]
        return frame.reindex(columns=[*front, *(name for name in frame if name not in front)])

    def points(
        self, quantity: str | Collection[str] | None = None, split: str | Collection[str] | None = None
    ) -> pd.DataFrame:
        """One row per measured scalar, all of them or those of some quantities and splits; columns: POINT_COLUMNS.

        Raises UserError for a quantity or a split that none of the trainings has.
        """
        import pandas as pd

        check_measured(self, quantity, split)
        parts = [points_of(record, quantity, split) for record in self]
        parts = [part for part in parts if len(part)]
        frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        return frame.reindex(columns=POINT_COLUMNS)

    def summary(
        self,
        by: str | Sequence[str] | None = None,
        columns: str | Sequence[str] | None = None,
        confidence: float = 0.95,
    ) -> pd.DataFrame:
        """Statistics over seeds: a row for each combination of the fields `by` (default: all that vary), sorted.

        For each of `columns` (final figures, default `FIGURES`) it has `_mean`, `_sd` (sample standard deviation),
        `_n` and `_low`, `_high`: the interval that holds the mean with this confidence (Student's t). The column
        `runs` counts the trainings of a row. Values that are missing or not finite are left out, so that n is smaller
        than `runs` for, say, the loss of runs that diverged. Raises UserError where runs of one row differ in a field
        that is not in `by`, because n would not count seeds then.
        """
        fields = self.varying if by is None else [by] if isinstance(by, str) else list(by)
        for name in fields:
            self._check_field(name)
        rows = list(zip(map(_described, self), self._figures_of, strict=True))
        return summarize(rows, fields, self._chosen(columns), self.varying, confidence)

    def to_latex(
        self,
        by: str | Sequence[str] | None = None,
        columns: str | Sequence[str] | None = None,
        caption: str = "",
        label: str = "",
    ) -> str:
        """`summary` as a LaTeX table for a paper, mean ± sample standard deviation; it needs the booktabs package."""
        from mnist_depth.results.exports import latex

        return latex(self, by, columns, caption, label)

    def compare(
        self,
        first: Mapping[str, Any],
        second: Mapping[str, Any],
        column: str = "best_test_accuracy",
        confidence: float = 0.95,
    ) -> Comparison:
        """Test whether a final figure differs between two configurations, paired by seed (paired t-test, two-sided).

        `first` and `second` are fields that select one run per seed each, such as `{"activation": "tanh"}`. Seeds
        that only one of them has, or whose figure is not finite, are left out. Raises UserError where a selection
        holds no run or two runs of one seed, and where fewer than two pairs are left.
        """
        check_confidence(confidence)
        left, right = (self._by_seed(selection, column) for selection in (first, second))
        seeds = sorted(seed for seed in left.keys() & right.keys() if math.isfinite(left[seed] - right[seed]))
        if len(seeds) < 2:
            raise UserError("a paired test needs at least two seeds that both have, not {count}", count=len(seeds))
        pairs = np.array([(left[seed], right[seed]) for seed in seeds])
        difference = pairs[:, 0] - pairs[:, 1]
        found = spread(difference, confidence)
        return Comparison(
            column=column,
            first=_words(first),
            second=_words(second),
            seeds=tuple(seeds),
            difference=found["mean"],
            low=found["low"],
            high=found["high"],
            confidence=confidence,
            p_value=paired_p_value(difference),
        )

    def _by_seed(self, selection: Mapping[str, Any], column: str) -> dict[int, float]:
        """seed -> figure of the runs that a selection names."""
        chosen = self.where(**selection)
        self._chosen(column)
        if not chosen:
            values = "; ".join(f"{name} is {_listed(_described(one).get(name) for one in self)}" for name in selection)
            raise UserError(
                "no run has {selection}; in these runs {values}", selection=_words(selection), values=values
            )
        twice = [seed for seed, count in Counter(record.seed for record in chosen).items() if count > 1]
        if twice:
            raise UserError(
                "{selection} selects {count} runs that differ in {names}; name the values of these fields too",
                selection=_words(selection),
                count=len(chosen),
                names=", ".join(chosen.varying),
            )
        return {
            record.seed: figures.get(column, math.nan)
            for record, figures in zip(chosen, chosen._figures_of, strict=True)
            if record.seed is not None
        }

    def _chosen(self, columns: str | Sequence[str] | None) -> list[str]:
        """The final figures that were asked for, or the usual ones."""
        known = self.figures
        if columns is None:
            return [name for name in FIGURES if name in known]
        if not known:
            raise UserError("no run is finished, so there are no final figures; train the runs to their end first")
        chosen = [columns] if isinstance(columns, str) else list(columns)
        for name in chosen:
            if name not in known:
                raise unknown("figure", name, known)
        return chosen

    def _check_field(self, name: str) -> None:
        known = list(dict.fromkeys(name for record in self for name in _described(record)))
        if name not in known:
            raise unknown("field", name, known)

    def __repr__(self) -> str:
        counts = Counter(record.status for record in self)
        how = ", ".join(f"{count} {status}" for status, count in counts.items())
        lines = [f"Runs: {len(self)} ({how})" if self else "Runs: none"]
        listed = [f"{name} {_listed(_described(record).get(name) for record in self)}" for name in self.varying[:3]]
        seeds = {record.seed for record in self}
        if len(seeds) > 1:
            listed.append(f"{len(seeds)} seeds")
        if listed:
            lines.append(f"  {'; '.join(listed)}")
        return "\n".join([*lines, "  .to_frame()  .points()  .summary()  .compare()  .where()"])

    def _repr_html_(self) -> str:
        """A table that sorts by the column whose head is clicked."""
        frame = self[:MAX_ROWS].to_frame()
        shown = ["study", *self.varying[:6], "seed", "status", *(name for name in SHOWN_FIGURES if name in frame)]
        shown = list(dict.fromkeys(name for name in shown if name in frame))
        if not self.varying:
            shown.insert(1, "name")
        identity = f"runs-{uuid.uuid4().hex[:8]}"
        table = frame[shown].to_html(index=False, border=0, table_id=identity, float_format=lambda x: f"{x:.4g}")
        more = f"<p>{len(self) - MAX_ROWS} more runs: <code>.to_frame()</code></p>" if len(self) > MAX_ROWS else ""
        head = html.escape(repr(self).splitlines()[0])
        return f"<p>{head}</p>{table}{more}{SORT.replace('ID', identity)}"


def _described(record: TrainingRecord) -> dict[str, Any]:
    return {"study": record.study, "seed": record.seed, "status": record.status, **record.fields}


def _matches(record: TrainingRecord, fields: Mapping[str, Any]) -> bool:
    described = _described(record)
    return all(name in described and is_wanted(described[name], value) for name, value in fields.items())


def _with_full_names(name: str, wanted: Any) -> Any:
    """The values that a selection means, with aliases and arguments as configs have them."""
    if isinstance(wanted, str):
        return full_name(name, wanted)
    return [_with_full_names(name, value) for value in wanted] if isinstance(wanted, Collection) else wanted


def _words(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in fields.items())


def _listed(values: Iterable[Any]) -> str:
    found = list(dict.fromkeys(map(str, values)))
    return ", ".join(found[:MAX_VALUES]) + (f" and {len(found) - MAX_VALUES} more" if len(found) > MAX_VALUES else "")
