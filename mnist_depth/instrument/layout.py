"""The Custom Scalars tab: one chart per quantity, with a line for every layer or kernel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tensorboard.plugins.custom_scalar import metadata

from mnist_depth.instrument.by_layer import KERNEL
from mnist_depth.instrument.writers.protos import (
    STRING,
    Category,
    Chart,
    Layout,
    MultilineChartContent,
    Summary,
    TensorProto,
)

CATEGORY = "all layers"

CHARTS: dict[str, str] = {
    "gradient norm (log axis)": f"gradient_norm/.*{KERNEL}",
    "gradient norm on the probe (log axis)": f"probe_gradient_norm/.*{KERNEL}",
    "update / weight (log axis)": f"update_ratio/.*{KERNEL}",
    "activation standard deviation": "activation_std/",
    "activation standard deviation across samples (log axis)": "activation_std_across_samples/",
    "saturated share": "saturated_share/",
}
"""Chart title -> regular expression that TensorBoard matches from the start of a tag.

A layout cannot choose a logarithmic axis, so the title says where the button below the chart helps.
"""


def charts_of(tags: Iterable[str]) -> Mapping[str, str]:
    """The charts that have a line to show."""
    known = [*tags]
    return {title: pattern for title, pattern in CHARTS.items() if any(re.match(pattern, tag) for tag in known)}


def layout_value(charts: Mapping[str, str]) -> Any:
    """The summary in which TensorBoard looks for a layout."""
    lines = [Chart(title=title, multiline=MultilineChartContent(tag=[tags])) for title, tags in charts.items()]
    layout = Layout(category=[Category(title=CATEGORY, chart=lines)])
    content = TensorProto(dtype=STRING, string_val=[layout.SerializeToString(deterministic=True)])
    return Summary.Value(tag=metadata.CONFIG_SUMMARY_TAG, tensor=content, metadata=metadata.create_summary_metadata())
