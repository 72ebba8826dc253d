"""One training, read from its folder: what runs of studies and folders of gauges have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from mnist_depth.errors import UserError
from mnist_depth.files import read_json
from mnist_depth.points import Point, Points, Series, is_number
from mnist_depth.records.histograms import HistogramPoint, last_histograms, read_histograms

FORMAT = 1

SHOWN_FIGURES = ("test_accuracy", "best_test_accuracy", "train_loss", "train_accuracy", "validation_accuracy")
"""Final figures in a short representation."""


class TrainingRecord(ABC):
    """One training, read from its folder: what a run of a study and the folder of a gauge have in common."""

    folder: Path

    @property
    @abstractmethod
    def name(self) -> str:
        """The display name in lists."""

    @property
    @abstractmethod
    def study(self) -> str:
        """The study that the training belongs to; empty for none."""

    @property
    @abstractmethod
    def seed(self) -> int | None:
        """None where it is not known."""

    @property
    @abstractmethod
    def status(self) -> str: ...

    @property
    @abstractmethod
    def has_ended(self) -> bool:
        """False while it runs, and after a process that was killed."""

    @property
    @abstractmethod
    def fields(self) -> Mapping[str, Any]:
        """The settings of the training without its seed: trainings with equal fields form one group."""

    @property
    @abstractmethod
    def layers(self) -> list[str]:
        """Names of the layers in model order, as tags have them."""

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """0 where it is not known."""

    @cached_property
    def measured(self) -> Points:
        """Every scalar, by split and tag. Raises UserError that names the file when it is damaged."""
        return Points.read(self.folder)

    @property
    def points(self) -> list[Point]:
        """Every scalar, tag by tag in the order of steps."""
        return self.measured.flat()

    def series(self, split: str, tag: str) -> tuple[list[int], list[float]]:
        """The steps and values of one tag in the order of steps; empty lists where it was not measured."""
        series = self.measured.get((split, tag), Series())
        return series.steps.tolist(), series.values.tolist()

    def tags(self, split: str = "train") -> list[str]:
        """The tags that a split has, in the order in which they were first written."""
        return [tag for found, tag in self.measured if found == split]

    def histograms(self) -> Iterator[HistogramPoint]:
        """Every histogram in the order of writing."""
        return read_histograms(self.folder)

    def last_histograms(self, is_usable: Callable[[HistogramPoint], bool]) -> dict[str, HistogramPoint]:
        """Tag -> its last usable histogram, without reading all of them."""
        return last_histograms(self.folder, is_usable)

    @property
    def figures(self) -> dict[str, float]:
        """Final figures by name, as numbers."""
        return {}

    def __repr__(self) -> str:
        found = {name: self.figures[name] for name in SHOWN_FIGURES if name in self.figures}
        shown = "".join(f", {name.replace('_', ' ')} {value:.4g}" for name, value in found.items())
        return f"{type(self).__name__} {self.study}/{self.name}: {self.status}{shown}\n  {self.folder}"

    def _repr_html_(self) -> str:
        """Its fields and final figures, for a notebook."""
        values = {"status": self.status, "seed": self.seed, **self.fields, **self.figures, "folder": self.folder}
        rows = [f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in values.items()]
        return f"<table>{''.join(rows)}</table>"


def read_format(path: Path) -> dict[str, Any]:
    """A JSON object of the format that this version reads. Raises UserError that names the file."""
    values = read_json(path)
    if values.get("format") != FORMAT:
        raise UserError("{path} was not written by this version of mnist_depth", path=path)
    return values


def numbers_of(values: Any) -> dict[str, Any]:
    """The entries of a JSON object that `float()` reads; none where it is no object."""
    return {name: value for name, value in values.items() if is_number(value)} if isinstance(values, dict) else {}
