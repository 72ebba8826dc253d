"""A study: a question, the runs that answer it, and what a correct reproduction shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mnist_depth import naming
from mnist_depth.config import FIELDS, RunConfig, default_of
from mnist_depth.datasets import DATASETS, SIZES
from mnist_depth.errors import UserError
from mnist_depth.records import RunRecord
from mnist_depth.results.groups import Axis
from mnist_depth.studies.expectation import NOT_COMPARABLE, REPRODUCED, Answer, Expectation, Found, Reason
from mnist_depth.studies.names import localized
from mnist_depth.studies.selection import NotTested, Runs
from mnist_depth.sweeps.search import DEFAULT_SPACE, SearchSettings
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    from mnist_depth.results.comparison import Comparison
    from mnist_depth.results.overview import Story

DEFAULT_DATASET = default_of("dataset")


@dataclass(frozen=True)
class Variant:
    """One configuration of a study: the fields that it sets, a readable name, and the published figure beside it."""

    fields: Mapping[str, Any]
    label: str = ""
    published: str = ""


@dataclass(frozen=True)
class Quick:
    """Changes of the small version of a study: fields of every run, the variants, the seeds, the search."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    variants: Sequence[Variant] = ()
    seeds: int | None = None
    search: SearchSettings | None = None


Analysis = Callable[[Sequence[RunRecord], "str | None"], Mapping[str, float]]
"""Figures about all finished runs together, given the folder of prepared datasets; it may import TensorFlow."""


@dataclass(frozen=True)
class Study:
    """A named set of runs with a question.

    Every variant is trained with every seed. `columns` are the metrics of the table, `rank_by` the one that orders
    its rows, best first (as written when None). `answer` is the expected answer in one sentence, `found` states that
    of finished runs. `why` is the reason, as a whole, or in parts of which each is given where the runs show it. The
    chart that shows it is a `comparison` of final figures, or the report's `picture` of this name; the report also
    draws `signals`, quantities of its runs, against layer. `view` says how its link opens the Depth tab. `axes` are
    what the variants differ in, where it is not simply config fields. A study with a `search` is carried out by the
    search command: its only variant is what the trials have in common. `folder` is a short name for the folder of its
    runs, where its own is long. With `save_weights` runs keep their final weights, for `analysis`.
    """

    question: str
    source: str
    variants: Sequence[Variant]
    expectations: Sequence[Expectation]
    answer: str = ""
    found: Found | None = None
    why: str | Sequence[Reason] = ""
    picture: str = ""
    comparison: Comparison | None = None
    signals: Sequence[str] = ()
    view: Mapping[str, str] = field(default_factory=dict)
    axes: Sequence[Axis] | None = None
    search: SearchSettings | None = None
    columns: Sequence[str] = ("test_loss", "test_accuracy", "best_test_accuracy", "seconds")
    rank_by: str | None = None
    seeds: int = 1
    quick: Quick = Quick()
    analysis: Analysis | None = None
    folder: str = ""
    save_weights: bool = False

    def slug(self, config: RunConfig, folder: str) -> str:
        """The name of a run in the study's folder: what differs within the study, and from it."""
        return naming.slug(config, self._named_variants(config.dataset), naming.max_length(folder))

    def _named_variants(self, dataset: str) -> tuple[RunConfig, ...]:
        """The config of every variant of the full study; a dataset that the user chose is left to the name."""
        if dataset not in self._named:
            self._named[dataset] = tuple(
                config if "dataset" in variant.fields else replace(config, dataset=DEFAULT_DATASET)
                for config, variant in self.grid(dataset, seeds=1).items()
            )
        return self._named[dataset]

    @cached_property
    def _named(self) -> dict[str, tuple[RunConfig, ...]]:
        return {}

    def configs(self, dataset: str, **options: Any) -> list[RunConfig]:
        """Every run of the study, each once; the options are those of `grid`."""
        return list(self.grid(dataset, **options))

    def grid(
        self,
        dataset: str,
        *,
        seeds: int | None = None,
        quick: bool = False,
        overrides: Mapping[str, Any] | None = None,
    ) -> dict[RunConfig, Variant]:
        """Every run of the study and its variant; runs that become equal through overrides appear once.

        `dataset` is used by the variants that do not name their own, also where it is an override: XOR is not a choice
        of data.
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
        settings = (self.quick.search if quick else None) or self.search
        return settings.trials * settings.rounds if settings else len(self.grid(dataset, quick=quick))

    @property
    def needs_dataset(self) -> bool:
        """Whether a variant leaves the choice of the dataset to the user."""
        return any("dataset" not in variant.fields for variant in self.variants)

    def variant(self, config: RunConfig) -> Variant | None:
        """The variant that a run belongs to, as far as its config tells: the one that agrees with it in most fields.

        None where two agree equally well, as after an override of the field in which they differ.
        """
        scores = [(_agreement(config, wanted), variant) for wanted, variant in self._versions(config.dataset)]
        best = max(score for score, _ in scores)
        found: dict[str, Variant] = {}
        for score, variant in scores:
            if score == best:
                found.setdefault(variant.label or repr(variant.fields), variant)
        return next(iter(found.values())) if len(found) == 1 else None

    def _versions(self, dataset: str) -> list[tuple[RunConfig, Variant]]:
        """Every run of the full and then of the quick version, with its variant; computed once per dataset."""
        if dataset not in self._made:
            grids = (self.grid(dataset, quick=quick, seeds=1) for quick in (False, True))
            self._made[dataset] = [pair for grid in grids for pair in grid.items()]
        return self._made[dataset]

    @cached_property
    def _made(self) -> dict[str, list[tuple[RunConfig, Variant]]]:
        return {}

    def label(self, config: RunConfig) -> str:
        """The readable name of a run's variant; empty where it has none."""
        variant = self.variant(config)
        return variant.label if variant else ""

    def published(self, config: RunConfig) -> str:
        """The published figure for a run; empty if there is none."""
        variant = self.variant(config)
        return variant.published if variant else ""

    def story(self, name: str, answers: Sequence[Answer], records: Iterable[RunRecord]) -> Story:
        """What the study adds to these runs in a report."""
        from mnist_depth.results.overview import Story  # brings Matplotlib, which most commands do not need

        runs = Runs(records)
        return Story(
            name=name,
            question=self.question,
            answer=self.answer,
            found=self._found(runs),
            why=self._reason(runs, answers),
            answers=answers,
            columns=self.columns,
            rank_by=self.rank_by,
            label=self._shown_label,
            published=self.published,
            axes=self.axes or ([Axis("configuration", self._shown_label)] if self._is_named else None),
            picture=self.picture,
            comparison=self.comparison,
            signals=self.signals,
            place=self._place,
        )

    def _place(self, config: RunConfig) -> int:
        """The place of a run's variant among those of the full and then of the quick version."""
        written, variant = [*self.variants, *self.quick.variants], self.variant(config)
        return written.index(variant) if variant else len(written)

    def _shown_label(self, config: RunConfig) -> str:
        return localized(self.label(config))

    def _found(self, runs: Runs) -> str:
        """The answer of these runs; empty where they cannot tell."""
        try:
            return self.found(runs) if self.found and runs.records else ""
        except NotTested:
            return ""

    def _reason(self, runs: Runs, answers: Sequence[Answer]) -> str:
        """What these runs show of the reason; one in one piece where they have the settings that it speaks of."""
        if not isinstance(self.why, str):
            return "\n".join(filter(None, [part.words(runs) for part in self.why]))
        verdicts = {answer.verdict for answer in answers}
        return _(self.why) if REPRODUCED in verdicts and NOT_COMPARABLE not in verdicts else ""

    @property
    def _is_named(self) -> bool:
        """Whether every variant has a name of its own: what the variants differ in is then the name."""
        return all(variant.label for variant in self.variants)

    def answers(self, records: Iterable[RunRecord], data_dir: str | None = None) -> list[Answer]:
        """The verdict on every expectation."""
        finished = [record for record in records if record.done]
        runs = Runs(finished, self._analyzed(finished, data_dir))
        differences = {record.folder: self._difference(record.config) for record in finished}
        return [expectation.answer(runs, differences) for expectation in self.expectations]

    def _difference(self, config: RunConfig) -> dict[str, tuple[Any, Any]]:
        """The fields in which a run differs from the study, full or quick: name -> (the study's value, the run's)."""
        wanted = self._nearest(config)
        pairs = {name: (getattr(wanted, name), getattr(config, name)) for name in FIELDS}
        ignored = ("seed", *(DEFAULT_SPACE.exponents if self.search else ()))
        return {name: pair for name, pair in pairs.items() if name not in ignored and pair[0] != pair[1]}

    def _nearest(self, config: RunConfig) -> RunConfig:
        """The study's run, full or quick, that a run agrees with in most fields; of the full version if equal."""
        return max((wanted for wanted, _ in self._versions(config.dataset)), key=lambda one: _agreement(config, one))

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
