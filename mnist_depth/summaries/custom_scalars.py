"""The Custom Scalars tab: one chart per quantity, with a line for every layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tensorboard.plugins.custom_scalar import metadata
from tensorboard.util.tensor_util import make_tensor_proto

from mnist_depth.summaries.events import replace_events, tensor
from mnist_depth.summaries.protos import Message, layouts

CATEGORY = "all layers"

CHARTS = {
    "gradient norm (log axis)": r"gradient_norm/layer_\d+/kernel$",
    "gradient norm on the probe (log axis)": r"probe_gradient_norm/layer_\d+/kernel$",
    "update / weight (log axis)": r"update_ratio/layer_\d+/kernel$",
    "activation standard deviation": r"activation_std/layer_\d+$",
    "activation standard deviation across samples (log axis)": r"activation_std_across_samples/layer_\d+$",
    "saturated share": r"saturated_share/layer_\d+$",
}
"""Chart title -> regular expression that TensorBoard matches from the start of a tag.

A layout cannot choose a logarithmic axis, so the title says where the button below the chart helps.
"""


def write_layout(study: Path) -> None:
    """Put the layout into the study's root, once; every study has the same, so TensorBoard merges them into one."""
    category = layouts.Category(title=CATEGORY, chart=[_chart(title, tags) for title, tags in CHARTS.items()])
    layout = layouts.Layout(category=[category])
    value = make_tensor_proto(layout.SerializeToString(deterministic=True), dtype=np.object_, shape=())
    event = tensor(metadata.CONFIG_SUMMARY_TAG, value, metadata.create_summary_metadata(), wall_time=0.0)
    replace_events(study, "layout", [event])


def _chart(title: str, tags: str) -> Message:
    return layouts.Chart(title=title, multiline=layouts.MultilineChartContent(tag=[tags]))
