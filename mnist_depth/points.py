"""The measurements in a folder, read from its JSON lines once and indexed by split and tag."""

from __future__ import annotations

import contextlib
import io
import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from mnist_depth.errors import UserError, printable
from mnist_depth.files import MAX_LINES_BYTES, open_regular

METRICS = "metrics.jsonl"
SPLITS = ("train", "validation", "test")

T = TypeVar("T")


class Point(NamedTuple):
    """One scalar; `split` is `train`, `validation`, `test` or another stream of a run, such as `pretraining`."""

    split: str
    tag: str
    step: int
    wall_time: float
    value: float


@dataclass
class Series:
    """The points of one tag of one split in the order of steps, as flat arrays: 24 bytes a point."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    wall_times: array[float] = field(default_factory=lambda: array("d"))

    def add(self, step: int, value: float, wall_time: float) -> None:
        self.steps.append(step)
        self.values.append(value)
        self.wall_times.append(wall_time)

    def nearest(self, step: int) -> int:
        """The index of the point nearest to `step`, the earlier of two."""
        return min(range(len(self.steps)), key=lambda index: abs(self.steps[index] - step))

    def sort(self) -> None:
        """Sort the points by step; points with equal steps keep their order."""
        if any(later < earlier for earlier, later in zip(self.steps, self.steps[1:], strict=False)):
            order = sorted(range(len(self.steps)), key=self.steps.__getitem__)
            self.steps = array("q", [self.steps[index] for index in order])
            self.values = array("d", [self.values[index] for index in order])
            self.wall_times = array("d", [self.wall_times[index] for index in order])


class Points(dict[tuple[str, str], Series]):
    """Every scalar of a folder: (split, tag) -> Series, in the order in which tags were first written."""

    @classmethod
    def of(cls, points: Iterable[Point]) -> Points:
        """An index of points in memory."""
        found = cls()
        for split, tag, step, wall_time, value in points:
            found._series(split, tag).add(step, value, wall_time)
        return found._sorted()

    @classmethod
    def read(cls, folder: Path) -> Points:
        """The index of a folder's `metrics.jsonl`; empty where there is none. Raises UserError like `read_lines`."""
        found = cls()
        for _ in read_lines(folder / METRICS, found._add_line):
            pass
        return found._sorted()

    def _add_line(self, line: Mapping[str, Any]) -> None:
        split, step, wall_time = name_of(line["run"]), step_of(line["step"]), float(line["wall_time"])
        for tag, value in line["scalars"].items():
            number = value if type(value) is float else number_or_nan(value)
            self._series(split, name_of(tag)).add(step, number, wall_time)

    def _series(self, split: str, tag: str) -> Series:
        series = self.get((split, tag))
        if series is None:
            series = self[split, tag] = Series()
        return series

    def _sorted(self) -> Points:
        for series in self.values():
            series.sort()
        return self

    def flat(self) -> list[Point]:
        """Every point, tag by tag."""
        return [
            Point(split, tag, step, wall_time, value)
            for (split, tag), series in self.items()
            for step, wall_time, value in zip(series.steps, series.wall_times, series.values, strict=True)
        ]

    @property
    def last_wall_time(self) -> float:
        """When the last point was measured; 0 without points."""
        return max((series.wall_times[-1] for series in self.values()), default=0.0)


def read_lines(path: Path, convert: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """What `convert` makes of every line of a JSON lines file; nothing where there is no file.

    A line that a killed writer left half written is left out. Raises UserError that names the file when it is damaged
    in another way.
    """
    with damage_named(path), text_of(path) as file:
        yield from parsed(file, convert)


def text_of(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_regular(path, MAX_LINES_BYTES), "utf-8")


def parsed(lines: Iterable[str], convert: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    for text in lines:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        yield convert(line)


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into a UserError; a missing file ends the block."""
    try:
        yield
    except FileNotFoundError:
        return
    except (OSError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = type(error).__name__
        raise UserError(
            "{path} is damaged ({reason}); remove the run folder to train it again", path=path, reason=reason
        ) from None


name_of = lru_cache(10_000)(printable)


def step_of(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError(f"{value!r} is no step")
    return value


def number_or_nan(value: Any) -> float:
    """What `float()` reads of a JSON value; NaN for what is no number."""
    return float(value) if is_number(value) else math.nan


def is_number(value: Any) -> bool:
    """Whether `float()` reads a JSON value."""
    try:
        float(value)
    except (OverflowError, TypeError, ValueError):
        return False
    return True
