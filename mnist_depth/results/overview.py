"""The overview of a folder of runs, computed once for the terminal and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mnist_depth.errors import UserError
from mnist_depth.records import TrainingRecord
from mnist_depth.results import tables
from mnist_depth.results.diagnosis import Diagnosis, diagnose_run
from mnist_depth.results.groups import Axis, Group, Labeler, group_runs
from mnist_depth.results.measurements import Moment
from mnist_depth.results.tables import Table
from mnist_depth.translation import plural
from mnist_depth.translation import translate as _

Answer = tuple[str, str, str]
"""(statement, verdict, detail)."""

REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE = "reproduced", "not reproduced", "not comparable"

RANKINGS = ("best_test_accuracy", "test_accuracy", "best_validation_accuracy", "validation_accuracy")
"""Figures that rank configurations: the first of these that the runs have."""

Diagnoses = Mapping[str, Sequence[Diagnosis]]
"""Group label -> the diagnosis of every seed that can be diagnosed."""


@dataclass(frozen=True)
class Story:
    """What a study adds to its runs: the question, the answers, and the relevant figures.

    `answer` is the expected answer in one sentence, `why` the reason.
    `columns` and `rank_by` are the figures of the table and the one that orders it; `label` and `published` give a
    configuration's name and the figure to compare it with, empty where there is none. `axes` are what the
    configurations vary on, `picture` the name of the figure that answers the question.
    """

    name: str = ""
    question: str = ""
    answer: str = ""
    why: str = ""
    answers: Sequence[Answer] = ()
    columns: Sequence[str] = ()
    rank_by: str | None = None
    label: Labeler | None = None
    published: Labeler | None = None
    axes: Sequence[Axis] | None = None
    picture: str = ""


@dataclass(frozen=True)
class Overview:
    """The runs of a report in groups, with their story."""

    runs: Sequence[TrainingRecord]
    story: Story

    @cached_property
    def groups(self) -> list[Group]:
        return group_runs(self.runs, self.story.label, self.story.axes)

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
        """The answer in one sentence: the study's if all its expectations hold, else one from the figures."""
        held, count = self._verdicts[REPRODUCED], len(self.story.answers)
        if not self.story.answer or not held + self._verdicts[NOT_REPRODUCED]:
            return self._figures()
        if held == count:
            return _(self.story.answer)
        found = plural(
            "{held} of {count} expectation holds here.",
            "{held} of {count} expectations hold here.",
            count,
            held=held,
        )
        return f"{found} {_('Expected: {answer}', answer=_(self.story.answer))}"

    @property
    def reason(self) -> str:
        """The study's reason for its answer; empty where runs have other settings than those that it speaks of."""
        is_about_these_runs = self._verdicts[REPRODUCED] and not self._verdicts[NOT_COMPARABLE]
        return _(self.story.why) if is_about_these_runs else ""

    @cached_property
    def _verdicts(self) -> Counter[str]:
        """Verdict -> the number of expectations with it."""
        return Counter(verdict for _statement, verdict, _detail in self.story.answers)

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
        return _("Gradients: {verdict}.", verdict=verdicts(found)) if found else ""


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
