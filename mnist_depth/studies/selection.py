"""The finished runs of a study: chosen by their configs, grouped, and summed up layer by layer."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from mnist_depth.config import RunConfig, layer_name
from mnist_depth.records import RunRecord


class NotTested(Exception):
    """Raised by a check whose runs are missing or whose premise an override removed; the text says why."""


class Runs:
    """The finished runs of a study, chosen by the values of their config's fields.

    `figures` are numbers about all of them together, such as an ensemble's accuracy.
    """

    def __init__(self, records: Iterable[RunRecord], figures: Mapping[str, float] | None = None) -> None:
        self.records = [record for record in records if record.done]
        self._figures = dict(figures or {})

    def where(self, **wanted: Any) -> Runs:
        """The runs whose config has these values; several values are given as a list, tuple, set or range.

        Raises NotTested when there is none.
        """
        chosen = [record for record in self.records if _matches(record.config, wanted)]
        if not chosen:
            raise NotTested(f"no finished run with {', '.join(f'{name} {value}' for name, value in wanted.items())}")
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
            raise NotTested(f"the runs are on several datasets: {', '.join(names)}")
        return names[0]

    def values(self, metric: str) -> list[float]:
        """One value per run. Raises NotTested when there is no run, or one does not record the metric."""
        missing = [record for record in self._some() if metric not in record.done["metrics"]]
        if missing:
            raise NotTested(f"{missing[0].slug} does not record {metric}")
        return [float(record.done["metrics"][metric]) for record in self.records]

    def mean(self, metric: str) -> float:
        """The mean over all runs; nan where one of them is."""
        values = self.values(metric)
        return math.fsum(values) / len(values)

    def figure(self, name: str) -> float:
        """A number about all runs together. Raises NotTested where the study did not compute it."""
        if name not in self._figures:
            raise NotTested(f"{name.replace('_', ' ')} is not available")
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

    def _some(self) -> list[RunRecord]:
        """The records. Raises NotTested where there is none, lest a check of all of them come out true."""
        if not self.records:
            raise NotTested("no run is finished")
        return self.records


def _hidden(record: RunRecord, quantity: str, suffix: str) -> list[list[float]]:
    """One list of values per hidden layer. Raises NotTested when the run's instruments did not measure them."""
    depth = record.config.depth
    tags = [f"{quantity}/{layer_name(layer, depth)}{suffix}" for layer in range(1, depth)]
    found = [record.series("train", tag)[1] for tag in tags]
    if not all(found):
        raise NotTested(f"{record.slug} does not record {quantity}{suffix} of every hidden layer")
    return found


def _matches(config: RunConfig, wanted: Mapping[str, Any]) -> bool:
    return all(
        value in wish if isinstance(wish, (list, tuple, set, frozenset, range)) else value == wish
        for name, wish in wanted.items()
        for value in [getattr(config, name)]
    )
