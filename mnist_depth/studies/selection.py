"""The finished runs of a study: selected by their configs, grouped, and summarized by layer."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from mnist_depth.config import RunConfig, layer_name
from mnist_depth.records import RunRecord
from mnist_depth.results.groups import SIGNAL, gradient_figures
from mnist_depth.results.tables import heading
from mnist_depth.translation import translate as _


class NotTested(Exception):
    """Raised by a check whose runs are missing; the text says which, `wanted` holds their config fields if any."""

    def __init__(self, text: str, wanted: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.wanted = dict(wanted or {})


class NotComparable(NotTested):
    """Raised by a check whose runs are there, but say nothing about the claim; the text says why."""


class Runs:
    """The finished runs of a study, chosen by the values of their config's fields.

    `figures` are numbers about all of them together, such as an ensemble's accuracy.
    """

    def __init__(self, records: Iterable[RunRecord], figures: Mapping[str, float] | None = None) -> None:
        self.records = [record for record in records if record.done]
        self._figures = dict(figures or {})

    def only(self, records: Iterable[RunRecord]) -> Runs:
        """These of the runs."""
        return Runs(records, self._figures)

    def where(self, **wanted: Any) -> Runs:
        """The runs whose config has these values; several values are given as a list, tuple, set or range.

        Raises NotTested when there is none.
        """
        chosen = [record for record in self.records if _matches(record.config, wanted)]
        if not chosen:
            raise NotTested(_("no finished run with {choice}", choice=_choice(wanted)), wanted)
        return Runs(chosen, self._figures)

    def by(self, name: str) -> dict[Any, Runs]:
        """The runs in groups of one value of a config field, in ascending or alphabetic order."""
        groups: dict[Any, list[RunRecord]] = {}
        for record in self.records:
            groups.setdefault(getattr(record.config, name), []).append(record)
        return {value: Runs(groups[value], self._figures) for value in sorted(groups)}

    def configs(self) -> list[Runs]:
        """The runs in groups that differ in nothing but the seed."""
        groups: dict[RunConfig, list[RunRecord]] = {}
        for record in self.records:
            groups.setdefault(dataclasses.replace(record.config, seed=0), []).append(record)
        return [Runs(members, self._figures) for members in groups.values()]

    @property
    def config(self) -> RunConfig:
        """The first run's config. Raises NotTested where there is no run."""
        return self._some()[0].config

    @property
    def dataset(self) -> str:
        """The one dataset of all runs. Raises NotTested where there are several or no runs."""
        names = sorted({record.config.dataset for record in self._some()})
        if len(names) != 1:
            raise NotComparable(_("the runs are on several datasets: {names}", names=", ".join(names)))
        return names[0]

    def values(self, metric: str) -> list[float]:
        """One value per run. Raises NotTested when there is no run, or one does not record the metric."""
        missing = [record for record in self._some() if metric not in record.done["metrics"]]
        if missing:
            raise NotTested(_("{run} does not record {metric}", run=missing[0].slug, metric=metric))
        return [float(record.done["metrics"][metric]) for record in self.records]

    def mean(self, metric: str) -> float:
        """The mean over all runs; nan where one of them is."""
        values = self.values(metric)
        return math.fsum(values) / len(values)

    def figure(self, name: str) -> float:
        """A number about all runs together. Raises NotTested where the study did not compute it."""
        if name not in self._figures:
            raise NotTested(_("{figure} is not available", figure=name.replace("_", " ")))
        return self._figures[name]

    def at_start(self, quantity: str, suffix: str = "") -> list[list[float]]:
        """For each run the quantity's first value in hidden layers 1, 2, ...: of the untrained network, if probed."""
        return [[series[0] for series in _hidden(record, quantity, suffix)] for record in self._some()]

    def at_end(self, quantity: str, suffix: str = "") -> list[list[float]]:
        """For each run the quantity's last value in hidden layers 1, 2, ..."""
        return [[series[-1] for series in _hidden(record, quantity, suffix)] for record in self._some()]

    def median(self, quantity: str, suffix: str = "") -> list[list[float]]:
        """For each run the quantity's median over training in hidden layers 1, 2, ..."""
        return [[statistics.median(series) for series in _hidden(record, quantity, suffix)] for record in self._some()]

    def most(self, quantity: str, suffix: str = "") -> list[list[float]]:
        """For each run the quantity's largest value over training in hidden layers 1, 2, ..."""
        return [[max(series) for series in _hidden(record, quantity, suffix)] for record in self._some()]

    def gradient_ratios(self) -> list[float]:
        """For each run ||dL/dz|| of the first layer over that of the last, before training."""
        found = [gradient_figures(record) for record in self._some()]
        missing = [record for record, figures in zip(self.records, found, strict=True) if "dz_ratio" not in figures]
        if missing:
            raise NotTested(_("{run} does not record {metric}", run=missing[0].slug, metric=SIGNAL.rstrip("/")))
        return [figures["dz_ratio"] for figures in found]

    def _some(self) -> list[RunRecord]:
        """The records. Raises NotTested where there are none, so that no check of all of them passes on nothing."""
        if not self.records:
            raise NotTested(_("no run is finished"))
        return self.records


def _hidden(record: RunRecord, quantity: str, suffix: str) -> list[list[float]]:
    """One list of values per hidden layer. Raises NotTested when the run's instruments did not measure them."""
    depth = record.config.depth
    tags = [f"{quantity}/{layer_name(layer, depth)}{suffix}" for layer in range(1, depth)]
    found = [record.series("train", tag)[1] for tag in tags]
    if not all(found):
        raise NotTested(_("{run} does not record {metric}", run=record.slug, metric=f"{quantity}{suffix}"))
    return found


def _choice(wanted: Mapping[str, Any]) -> str:
    """`activation relu, depth 9`."""
    return ", ".join(
        f"{heading(name)} {' / '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in wanted.items()
    )


def _matches(config: RunConfig, wanted: Mapping[str, Any]) -> bool:
    return all(
        value in wish if isinstance(wish, (list, tuple, set, frozenset, range)) else value == wish
        for name, wish in wanted.items()
        for value in [getattr(config, name)]
    )
