"""What a study is: a question, the runs that answer it, and what a correct reproduction shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from mnist_depth.config import FIELDS, RunConfig
from mnist_depth.datasets import DATASETS, SIZES
from mnist_depth.errors import UserError
from mnist_depth.records import RunRecord
from mnist_depth.studies.selection import NotTested, Runs
from mnist_depth.sweeps.search import Plan

REPRODUCED, NOT_REPRODUCED, NOT_TESTED = "reproduced", "not reproduced", "not tested"


class Answer(NamedTuple):
    """The verdict on one expectation, with the measured figures or the reason why it was not tested."""

    statement: str
    verdict: str
    detail: str


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
    figure: str = ""

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
class Variant:
    """One configuration of a study: the fields that it sets, a readable name, and the published figure beside it."""

    fields: Mapping[str, Any]
    label: str = ""
    published: str = ""


@dataclass(frozen=True)
class Quick:
    """What the small version of a study changes: fields of every run, the variants, the seeds, the search."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    variants: Sequence[Variant] = ()
    seeds: int | None = None
    search: Plan | None = None


Analysis = Callable[[Sequence[RunRecord], "str | None"], Mapping[str, float]]
"""Figures about all finished runs together, given the folder of prepared datasets; it may import TensorFlow."""


@dataclass(frozen=True)
class Study:
    """A named set of runs with a question.

    Every variant is trained with every seed. `columns` are the metrics of the table, `rank_by` the one that orders its
    rows, best first (as written when None). `why` is the answer to the question in words, `look` the chart of the board
    that shows it. A study with a `search` is carried out by the search command: its only variant is what the trials
    have in common.
    """

    question: str
    source: str
    variants: Sequence[Variant]
    expectations: Sequence[Expectation]
    why: str = ""
    look: str = ""
    search: Plan | None = None
    columns: Sequence[str] = ("test_loss", "test_accuracy", "best_test_accuracy", "seconds")
    rank_by: str | None = None
    seeds: int = 1
    quick: Quick = Quick()
    analysis: Analysis | None = None

    def configs(
        self,
        dataset: str,
        *,
        seeds: int | None = None,
        quick: bool = False,
        overrides: Mapping[str, Any] | None = None,
    ) -> list[RunConfig]:
        """Every run of the study, each once; `dataset` is used by the variants that do not name their own."""
        return list(self.grid(dataset, seeds=seeds, quick=quick, overrides=overrides))

    def grid(
        self,
        dataset: str,
        *,
        seeds: int | None = None,
        quick: bool = False,
        overrides: Mapping[str, Any] | None = None,
    ) -> dict[RunConfig, Variant]:
        """Every run of the study and the variant that it belongs to; runs that overrides make equal stand once.

        An override of the dataset leaves alone the variants that name their own: XOR is not a choice of data.
        """
        given = dict(overrides or {})
        dataset = given.pop("dataset", dataset)
        variants = self.quick.variants if quick and self.quick.variants else self.variants
        count = seeds or (self.quick.seeds if quick else None) or self.seeds
        found: dict[RunConfig, Variant] = {}
        for variant in variants:
            fields = {"dataset": dataset, **variant.fields, **(self.quick.fields if quick else {}), **given}
            fields = _fitted(fields, given)
            first = fields.pop("seed", 0)
            for seed in range(first, first + count):
                found.setdefault(RunConfig(**fields, seed=seed), variant)
        return found

    def runs(self, dataset: str, *, quick: bool = False) -> int:
        """How many runs the study takes with its own number of seeds."""
        plan = (self.quick.search if quick else None) or self.search
        return plan.trials * plan.rounds if plan else len(self.grid(dataset, quick=quick))

    @property
    def needs_dataset(self) -> bool:
        """Whether a variant leaves the choice of the dataset to the user."""
        return any("dataset" not in variant.fields for variant in self.variants)

    def variant(self, config: RunConfig) -> Variant | None:
        """The variant that a run belongs to, as far as its config tells: the one that agrees with it in most fields.

        None where two agree equally well, as after an override of the field in which they differ.
        """
        scores = [(_agreement(config, wanted), variant) for wanted, variant in self._wanted(config.dataset)]
        best = max(score for score, _ in scores)
        found = {variant.label or repr(variant.fields): variant for score, variant in scores if score == best}
        return next(iter(found.values())) if len(found) == 1 else None

    def _wanted(self, dataset: str) -> list[tuple[RunConfig, Variant]]:
        """Every variant, the quick ones first, and what it makes of the defaults; worked out once per dataset."""
        if dataset not in self._made:
            self._made[dataset] = [
                (RunConfig(**{"dataset": dataset, **variant.fields}), variant)
                for variant in [*self.quick.variants, *self.variants]
            ]
        return self._made[dataset]

    @cached_property
    def _made(self) -> dict[str, list[tuple[RunConfig, Variant]]]:
        return {}

    def label(self, config: RunConfig) -> str:
        """The readable name of a run's variant; empty where it has none."""
        variant = self.variant(config)
        return variant.label if variant else ""

    def published(self, config: RunConfig) -> str:
        """The published figure that stands beside a run; empty where there is none."""
        variant = self.variant(config)
        return variant.published if variant else ""

    def answers(
        self, records: Iterable[RunRecord], overridden: Iterable[str] = (), data_dir: str | None = None
    ) -> list[Answer]:
        """The verdict on every expectation."""
        finished = [record for record in records if record.done]
        runs, names = Runs(finished, self._analyzed(finished, data_dir)), list(overridden)
        return [expectation.answer(runs, names) for expectation in self.expectations]

    def _analyzed(self, records: Sequence[RunRecord], data_dir: str | None) -> Mapping[str, float]:
        """The figures of the analysis; none where the runs do not allow it: expectations of them are not tested."""
        if self.analysis is None or not records:
            return {}
        try:
            return self.analysis(records, data_dir)
        except UserError:
            return {}


def _fitted(fields: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """On the small digits: no more images than there are, and as many epochs as make up for it, unless they are given.

    A number of images that the digits have too is part of the study, and so are its epochs.
    """
    few = SIZES["digits"].train
    if fields["dataset"] != "digits" or "train_examples" in given or fields.get("train_examples", few + 1) <= few:
        return fields
    return {**fields, "train_examples": 0, "epochs": given.get("epochs", DATASETS["digits"].epochs)}


def _agreement(config: RunConfig, wanted: RunConfig) -> int:
    """In how many fields two configs agree."""
    return sum(getattr(config, name) == getattr(wanted, name) for name in FIELDS)


def product(**axes: Collection[Any]) -> list[Variant]:
    """Every combination of the axes' values, the last axis fastest."""
    return [Variant(dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())]


def all_but(*free: str) -> frozenset[str]:
    """Every config field except these, the dataset and the seed: a premise that leaves only them to the user."""
    return frozenset(FIELDS) - {"dataset", "seed", *free}
