"""What a study is: a question, the runs that answer it, and what a correct reproduction shows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mnist_depth.config import RunConfig
from mnist_depth.datasets import DATASETS
from mnist_depth.records import RunRecord

REPRODUCED, NOT_REPRODUCED, NOT_TESTED = "reproduced", "not reproduced", "not tested"


class Answer(NamedTuple):
    """The verdict on one expectation, with the measured figures or the reason why it was not tested."""

    statement: str
    verdict: str
    detail: str


class NotTested(Exception):
    """Raised by a check whose runs are missing or whose premise an override removed; the text says why."""


class Runs:
    """The finished runs of a study, chosen by the values of their config's fields."""

    def __init__(self, records: Iterable[RunRecord]) -> None:
        self.records = [record for record in records if record.done]

    def where(self, **wanted: Any) -> Runs:
        """The runs whose config has these values. Raises NotTested when there is none."""
        chosen = [
            record
            for record in self.records
            if all(getattr(record.config, name) == value for name, value in wanted.items())
        ]
        if not chosen:
            raise NotTested(f"no finished run with {', '.join(f'{name} {value}' for name, value in wanted.items())}")
        return Runs(chosen)

    def values(self, metric: str) -> list[float]:
        """One value per run. Raises NotTested when a run does not record the metric."""
        missing = [record for record in self.records if metric not in record.done["metrics"]]
        if missing:
            raise NotTested(f"{missing[0].folder.parent.name} does not record {metric}")
        return [float(record.done["metrics"][metric]) for record in self.records]

    def mean(self, metric: str) -> float:
        values = self.values(metric)
        return math.fsum(values) / len(values)


Check = Callable[[Runs], tuple[bool, str]]
"""Whether an expectation holds, and the figures; raises NotTested when the runs cannot tell."""


@dataclass(frozen=True)
class Expectation:
    """One thing that a correct reproduction shows, with the published or theoretical figure and its source.

    `premise` names the config fields that the figure depends on: overriding one of them marks it not tested.
    """

    statement: str
    source: str
    check: Check
    premise: frozenset[str] = frozenset()

    def answer(self, runs: Runs, overridden: Iterable[str]) -> Answer:
        """Judge finished runs, given the names of the fields the user overrode."""
        if broken := sorted(self.premise & set(overridden)):
            return Answer(self.statement, NOT_TESTED, f"--{' and --'.join(broken)} changed what it is about")
        try:
            holds, detail = self.check(runs)
        except NotTested as reason:
            return Answer(self.statement, NOT_TESTED, str(reason))
        return Answer(self.statement, REPRODUCED if holds else NOT_REPRODUCED, detail)


@dataclass(frozen=True)
class Study:
    """A named set of runs with a question.

    `variants` holds one mapping of RunConfig fields per configuration; each is trained with every seed. `columns` are
    the metrics of the table, `rank_by` the one that orders its rows, best first (as written when None). `quick` is what
    the small version changes.
    """

    question: str
    source: str
    variants: Sequence[Mapping[str, Any]]
    expectations: Sequence[Expectation]
    columns: Sequence[str] = ("test_loss", "test_accuracy", "best_test_accuracy", "seconds")
    rank_by: str | None = None
    seeds: int = 1
    quick: Mapping[str, Any] = field(default_factory=dict)

    def configs(
        self,
        dataset: str,
        *,
        seeds: int | None = None,
        quick: bool = False,
        overrides: Mapping[str, Any] | None = None,
    ) -> list[RunConfig]:
        """Every run of the study, each once; `dataset` is used by the variants that do not name their own."""
        chosen = {**(self.quick if quick else {}), **(overrides or {})}
        configs = {}
        for variant in self.variants:
            fields: dict[str, Any] = {"dataset": dataset, **variant, **chosen}
            if fields["dataset"] == "digits" and "epochs" not in (overrides or {}):
                fields["epochs"] = DATASETS["digits"].epochs
            first = fields.pop("seed", 0)
            for seed in range(first, first + (seeds or self.seeds)):
                configs[RunConfig(**fields, seed=seed)] = None
        return list(configs)

    def answers(self, records: Iterable[RunRecord], overridden: Iterable[str] = ()) -> list[Answer]:
        """The verdict on every expectation."""
        runs, names = Runs(records), list(overridden)
        return [expectation.answer(runs, names) for expectation in self.expectations]


def product(**axes: Sequence[Any]) -> list[dict[str, Any]]:
    """Every combination of the axes' values, the last axis fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
