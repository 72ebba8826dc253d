"""The Custom Scalars tab of a study."""

from __future__ import annotations

from pathlib import Path

from mnist_depth.instrument.layout import CHARTS, layout_value
from mnist_depth.summaries.events import replace_events
from mnist_depth.summaries.protos import Event, Summary


def write_layout(study: Path) -> None:
    """Put the layout into the study's root, once; every study has the same, so TensorBoard merges them into one."""
    summary = Summary(value=[layout_value(CHARTS)])
    replace_events(study, "layout", [Event(wall_time=0.0, summary=summary)])
