"""The overview of a folder of runs, computed once for the terminal and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.records import TrainingRecord
from mnist_depth.results import tables
from mnist_depth.results.comparison import Bars, Comparison, bars_of
from mnist_depth.results.diagnosis import Diagnosis, diagnose_run
from mnist_depth.results.groups import Axis, Group, Labeler, group_runs
from mnist_depth.results.measurements import Moment
from mnist_depth.results.tables import Table
from mnist_depth.translation import plural
from mnist_depth.translation import translate as _

Answer = tuple[str, str, str]
"""(statement, verdict, detail)."""

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
UNDECIDED = ("not tested", "not comparable")
"""Verdicts on expectations, of which the last two are none: the runs cannot tell."""

MAX_LISTED = 2
"""Expectations that the answer names as not reproduced; the verdicts below it name all."""

RANKINGS = ("best_test_accuracy", "test_accuracy", "best_validation_accuracy", "validation_accuracy")
"""Figures that rank configurations: the first of these that the runs have."""

Diagnoses = Mapping[str, Sequence[Diagnosis]]
"""Group label -> the diagnosis of every seed that can be diagnosed."""


@dataclass(frozen=True)
class Story:
    """What a study adds to its runs: the question, the answers, and the relevant figures.

    `answer` is the expected answer in one sentence, `found` that of the runs in figures, `why` the reason, a line for
    each of its parts.
    `columns` and `rank_by` are the figures of the table and the one that orders it; `label` and `published` give a
    configuration's name and the figure to compare it with, empty where there is none. `axes` are what the
    configurations vary on, `picture` the name of the figure that answers the question, where it is not a `comparison`.
    `signals` are quantities to draw against layer before training, `place` orders the configurations.
    """

    name: str = ""
    question: str = ""
    answer: str = ""
    found: str = ""
    why: str = ""
    answers: Sequence[Answer] = ()
    columns: Sequence[str] = ()
    rank_by: str | None = None
    label: Labeler | None = None
    published: Labeler | None = None
    axes: Sequence[Axis] | None = None
    picture: str = ""
    comparison: Comparison | None = None
    signals: Sequence[str] = ()
    place: Callable[[RunConfig], int] | None = None


@dataclass(frozen=True)
class Overview:
    """The runs of a report in groups, with their story."""

    runs: Sequence[TrainingRecord]
    story: Story

    @cached_property
    def groups(self) -> list[Group]:
        return group_runs(self.runs, self.story.label, self.story.axes, self.story.place)

    @cached_property
    def bars(self) -> Bars | None:
        """The final figures that the story compares."""
        return bars_of(self.groups, self.story.comparison) if self.story.comparison else None

    @cached_property
    def table(self) -> Table:
        """Mean and deviation over seeds, one row per configuration."""
        return tables.summary(self.groups, self.story.columns, self.story.rank_by, self.story.published)

    @cached_property
    def start(self) -> Diagnoses:
        """The diagnoses before training."""
        return diagnose_groups(self.groups, "start")

    @cached_property
    def end(self) -> Diagnoses:
        """The diagnoses after training."""
        return diagnose_groups(self.groups, "end")

    @property
    def sentence(self) -> str:
        """The answer: that of the runs, else the study's if all its expectations hold, else one from the figures."""
        held, failed = self._with(REPRODUCED), self._with(NOT_REPRODUCED)
        if not self.story.answer or not held + failed:
            return self._figures()
        if len(held) == len(self.story.answers):
            return self.story.found or _(self.story.answer)
        expected = _("Expected: {answer}", answer=_(self.story.answer))
        if self.story.found:
            return f"{self.story.found} {expected}" if failed else self.story.found
        return f"{self._counts(held, failed)} {expected}"

    def _counts(self, held: Sequence[Answer], failed: Sequence[Answer]) -> str:
        """How many expectations hold, which do not, and why the others say nothing."""
        text = plural(
            "{held} of {count} expectation holds here",
            "{held} of {count} expectations hold here",
            len(self.story.answers),
            held=len(held),
        )
        parts = [text, *([_("not: {statements}", statements=_listed(failed, 0, MAX_LISTED))] if failed else [])]
        for verdict in UNDECIDED:
            if found := self._with(verdict):
                text = _("{count} {verdict}", count=len(found), verdict=_(verdict))
                parts.append(f"{text} ({_listed(found, 2, 1)})")
        return f"{'; '.join(parts)}."

    def _with(self, verdict: str) -> list[Answer]:
        """The expectations with this verdict."""
        return [answer for answer in self.story.answers if answer[1] == verdict]

    def _figures(self) -> str:
        """The best and the worst configuration by test accuracy; the diagnosis where there is only one."""
        ranked_by = self.story.rank_by or ""
        names = [*([ranked_by] if ranked_by.endswith("accuracy") else []), *RANKINGS]
        metric = next((name for name in names if any(group.spread(name) for group in self.groups)), None)
        ranking = [group for group in tables.ranked(self.groups, metric) if metric and group.spread(metric)]
        if metric is None or not ranking:
            return self._diagnosed(self.groups[0].label)
        best, worst = ranking[0], ranking[-1]
        first = _(
            "{label} reaches {figure} {metric}",
            label=best.label,
            figure=tables.show(best.spread(metric), metric),
            metric=tables.heading(metric),
        )
        if best is worst:
            return f"{first}. {self._diagnosed(best.label)}"
        last = tables.show(worst.spread(metric), metric)
        return _("{first}, {label} {figure}.", first=first, label=worst.label, figure=last)

    def _diagnosed(self, label: str) -> str:
        found = self.start.get(label) or self.end.get(label)
        return _("Diagnosis: {verdict}.", verdict=verdicts(found)) if found else ""


def _listed(answers: Sequence[Answer], part: int, count: int) -> str:
    """The statements (0) or the details (2) of `count` answers, each once."""
    texts = list(dict.fromkeys(answer[part] for answer in answers if answer[part]))
    return "; ".join([*texts[:count], *(["…"] if len(texts) > count else [])])


def diagnose_groups(groups: Sequence[Group], moment: Moment) -> dict[str, list[Diagnosis]]:
    """The diagnoses of all runs that recorded gradients."""
    found: dict[str, list[Diagnosis]] = {}
    for group in groups:
        for run in group.runs:
            try:
                found.setdefault(group.label, []).append(diagnose_run(run, moment))
            except UserError:
                continue
    return found


def verdicts(diagnoses: Sequence[Diagnosis]) -> str:
    """The verdict of all seeds, or how many have which."""
    counts = Counter(diagnosis.verdict for diagnosis in diagnoses)
    if not counts:
        return _("not measured")
    if len(counts) == 1:
        return _(next(iter(counts)))
    return ", ".join(f"{_(verdict)} ({number}/{len(diagnoses)})" for verdict, number in counts.most_common())
