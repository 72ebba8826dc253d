"""Diagnose a finished training: what it recorded at its start and at its end."""

from __future__ import annotations

from dataclasses import replace

from mnist_depth.diagnosis import Diagnosis, judge, localized, render
from mnist_depth.records import TrainingRecord
from mnist_depth.results.measurements import Moment, from_training
from mnist_depth.translation import translate


def diagnose_run(record: TrainingRecord, moment: Moment = "start") -> Diagnosis:
    """Diagnose a training, a run or the folder of a gauge, from what it recorded first (`start`) or last (`end`).

    Raises UserError when it recorded no gradients.
    """
    return judge(from_training(record, moment))


def render_pair(start: Diagnosis, end: Diagnosis, width: int | None = None, *, has_ended: bool = True) -> str:
    """Two moments of one training, for a terminal of `width` columns; remedies that help both are printed once."""
    if start.remedies == end.remedies:
        start = replace(start, remedies=())
    before = translate("before training").upper()
    after = (translate("after training") if has_ended else translate("during training")).upper()
    return f"{before}\n{render(start, width, localized)}\n\n{after}\n{render(end, width, localized)}"
