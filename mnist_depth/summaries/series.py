"""The scalars of a run folder, tag by tag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mnist_depth.records import RunRecord

RUNS = ("train", "validation", "test")


@dataclass
class Series:
    """The points of one tag in one event run, in the order of steps."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    wall_times: list[float] = field(default_factory=list)

    def nearest(self, step: int) -> int:
        """The index of the point that lies nearest to `step`, the earlier of two."""
        return min(range(len(self.steps)), key=lambda index: abs(self.steps[index] - step))


def series_of(record: RunRecord) -> dict[tuple[str, str], Series]:
    """(event run, tag) -> its points. Raises UserError that names the file when the measurements are damaged."""
    found: dict[tuple[str, str], Series] = {}
    for point in sorted(record.points, key=lambda point: point.step):
        series = found.setdefault((point.run, point.tag), Series())
        series.steps.append(point.step)
        series.values.append(point.value)
        series.wall_times.append(point.wall_time)
    return found


def last_wall_time(series: Mapping[tuple[str, str], Series]) -> float:
    """When the last point was measured: the time of derived summaries, so that they come out equal each time."""
    return max((one.wall_times[-1] for one in series.values()), default=0.0)
