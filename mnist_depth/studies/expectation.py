"""What a correct reproduction shows: expectations, and the verdict on them from finished runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mnist_depth.config import FIELDS
from mnist_depth.results.tables import heading
from mnist_depth.studies.selection import NotComparable, NotTested, Runs
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _

REPRODUCED, NOT_REPRODUCED = mark("reproduced"), mark("not reproduced")
NOT_TESTED, NOT_COMPARABLE = mark("not tested"), mark("not comparable")
"""Not tested: runs are missing. Not comparable: there are runs, but with other settings than the source's."""


class Answer(NamedTuple):
    """The verdict on one expectation, with the measured figures or the reason why it was not tested."""

    statement: str
    verdict: str
    detail: str


Differences = Mapping[Path, Mapping[str, tuple[Any, Any]]]
"""Run folder -> field in which the run differs from the study -> (the study's value, the run's)."""

Broken = dict[str, tuple[list[Any], list[Any]]]
"""Field of a premise -> (the study's values, those of runs)."""

Check = Callable[[Runs], tuple[bool, str]]
"""Whether an expectation holds, and the figures; raises NotTested when the runs cannot tell."""


Found = Callable[[Runs], str]
"""The answer in the figures of the runs; raises NotTested when the runs cannot tell."""


class Reason(NamedTuple):
    """A part of the reason for an answer, given only where finished runs show what it says."""

    text: str
    check: Check
    """Its figures follow the text in brackets."""

    def words(self, runs: Runs) -> str:
        """The text and the figures; empty where the runs do not show it."""
        try:
            holds, detail = self.check(runs)
        except NotTested:
            return ""
        return f"{_(self.text)} ({detail})." if holds else ""


@dataclass(frozen=True)
class Expectation:
    """One thing that a correct reproduction shows, with the published or theoretical figure and its source.

    `premise` names the config fields that the figure depends on: runs with another value are not comparable.
    """

    statement: str
    source: str
    check: Check
    premise: frozenset[str] = frozenset()
    figure: str = ""

    def answer(self, runs: Runs, differences: Differences) -> Answer:
        """Judge finished runs: those with the settings of the premise, where there are any.

        Without them the figures of the others are given, but no verdict.
        """
        broken = self._broken(runs, differences)
        comparable = [record for record in runs.records if not self.premise & set(differences[record.folder])]
        if not broken or comparable:
            return self._judge(runs.only(comparable) if broken else runs)
        return self._incomparable(runs, broken)

    def _broken(self, runs: Runs, differences: Differences) -> Broken:
        """The fields of the premise in which runs differ from the study: name -> (the study's values, the runs')."""
        broken: Broken = {}
        for record in runs.records:
            for name in self.premise & set(differences[record.folder]):
                known = broken.setdefault(name, ([], []))
                for values, value in zip(known, differences[record.folder][name], strict=True):
                    values += [value] * (value not in values)
        return broken

    def _judge(self, runs: Runs) -> Answer:
        statement = _(self.statement)
        try:
            holds, detail = self.check(runs)
        except NotComparable as reason:
            return Answer(statement, NOT_COMPARABLE, str(reason))
        except NotTested as reason:
            return Answer(statement, NOT_TESTED, str(reason))
        return Answer(statement, REPRODUCED if holds else NOT_REPRODUCED, detail)

    def _incomparable(self, runs: Runs, broken: Broken) -> Answer:
        """The figures of runs with other settings, and which settings these are.

        Where the settings are what the check looks for, as the activation is in a study of activations, they are all
        there is to say.
        """
        try:
            detail = self.check(runs)[1]
        except NotTested as reason:
            wanted = {name: value for name, value in reason.wanted.items() if name in broken}
            detail = "" if wanted else str(reason)
            for name, value in wanted.items():
                broken = {**broken, name: (value if isinstance(value, list) else [value], broken[name][1])}
        text = "; ".join(filter(None, [_asks_for(broken), detail]))
        return Answer(_(self.statement), NOT_COMPARABLE, text)


def _asks_for(broken: Broken) -> str:
    """`asks for 15 epochs, these runs have 4`: the study's settings and those of the runs."""
    names = sorted(broken)
    wanted = ", ".join(_setting(name, broken[name][0]) for name in names)
    found = ", ".join(_values(broken[name][1]) for name in names)
    return _("asks for {wanted}, these runs have {found}", wanted=wanted, found=found)


def _setting(name: str, values: Sequence[Any]) -> str:
    text = _values(values)
    return _("{count} epochs", count=text) if name == "epochs" else f"{heading(name)} {text}"


def _values(values: Sequence[Any]) -> str:
    return " / ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def all_but(*free: str) -> frozenset[str]:
    """Every config field except these, the dataset and the seed: a premise that leaves only them to the user."""
    return frozenset(FIELDS) - {"dataset", "seed", *free}
