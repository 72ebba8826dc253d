"""Runs over seeds: `mean`, `p10` and `p90` beside the seeds of one configuration, with the same event runs and tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce

import numpy as np
from numpy.typing import NDArray

from mnist_depth.records import RunRecord
from mnist_depth.summaries.events import replace_events, scalars, text
from mnist_depth.summaries.protos import Message
from mnist_depth.summaries.series import RUNS, Series, series_of

KIND = "seeds"

STATISTICS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "mean": partial(np.mean, axis=0),
    "p10": partial(np.percentile, q=10, axis=0),
    "p90": partial(np.percentile, q=90, axis=0),
}
"""Name of the derived run -> statistic over the seeds: [seeds, points] -> [points]."""


def write_seed_bands(records: Sequence[RunRecord]) -> None:
    """Rebuild the derived runs of one configuration; `records` are all its members, whatever their state.

    Finished members count; the text `members` says which they are and which were left out. With fewer than two there
    is nothing to average and earlier derived runs are removed.
    """
    finished = [record for record in records if record.status == "finished"]
    folder = records[0].folder.parent
    members = [series_of(record) for record in finished] if len(finished) > 1 else []
    for name, statistic in STATISTICS.items():
        for run in RUNS:
            replace_events(folder / name / run, KIND, _events(members, run, statistic))
    about = [text("members", _about(finished, records), 0.0)] if members else []
    replace_events(folder / "mean", KIND, about)


def _events(
    members: Sequence[Mapping[tuple[str, str], Series]],
    run: str,
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> list[Message]:
    """One event per step, at the steps that all members have, with every tag that all members have there."""
    by_step: dict[int, tuple[dict[str, float], float]] = {}
    for name, tag in members[0] if members else ():
        if name == run and all((run, tag) in member for member in members):
            of_tag = [member[run, tag] for member in members]
            for step, value, wall_time in _over_members(of_tag, statistic):
                values, latest = by_step.get(step, ({}, 0.0))
                by_step[step] = (values | {tag: value}, max(latest, wall_time))
    return [scalars(step, *by_step[step]) for step in sorted(by_step)]


def _over_members(
    members: Sequence[Series], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]]
) -> list[tuple[int, float, float]]:
    """(step, statistic, wall time) at the common steps."""
    steps = sorted(reduce(set.intersection, (set(series.steps) for series in members)))
    at = [dict(zip(series.steps, series.values, strict=True)) for series in members]
    when = dict(zip(members[0].steps, members[0].wall_times, strict=True))
    if not steps:
        return []
    result = statistic(np.array([[values[step] for step in steps] for values in at]))
    return [(step, value, when[step]) for step, value in zip(steps, result.tolist(), strict=True)]


def _about(finished: Sequence[RunRecord], records: Sequence[RunRecord]) -> str:
    left_out = [f"{record.seed} ({record.status})" for record in records if record not in finished]
    line = f"seeds {', '.join(str(record.seed) for record in finished)}"
    return f"{line}; left out: {', '.join(left_out)}" if left_out else line
