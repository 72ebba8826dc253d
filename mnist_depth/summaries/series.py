"""The scalars of a run folder, tag by tag."""

from __future__ import annotations

from collections.abc import Mapping

from mnist_depth.points import SPLITS as RUNS
from mnist_depth.points import Series
from mnist_depth.records import RunRecord

__all__ = ["RUNS", "Series", "last_wall_time", "series_of"]


def series_of(record: RunRecord) -> Mapping[tuple[str, str], Series]:
    return record.measured


def last_wall_time(series: Mapping[tuple[str, str], Series]) -> float:
    """When the last point was measured: the time of derived summaries, so that they come out equal each time."""
    return max((item.wall_times[-1] for item in series.values()), default=0.0)
