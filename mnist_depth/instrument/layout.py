"""The Custom Scalars tab: one chart per quantity, with a line for every layer or kernel."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tensorboard.plugins.custom_scalar import metadata

from mnist_depth.instrument.by_layer import tags_of
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
    "gradient norm (log axis)": "gradient_norm",
    "gradient norm on the probe (log axis)": "probe_gradient_norm",
    "update / weight (log axis)": "update_ratio",
    "activation standard deviation": "activation_std",
    "activation standard deviation across samples (log axis)": "activation_std_across_samples",
    "saturated share": "saturated_share",
}
"""Chart title -> quantity.

A layout cannot choose a logarithmic axis, so the title says where the button below the chart helps.
"""


def charts_of(tags: Iterable[str]) -> list[str]:
    """The titles of the charts that have a line to show."""
    known = [*tags]
    return [title for title, quantity in CHARTS.items() if any(re.match(tags_of(quantity), tag) for tag in known)]


def layout_value(titles: Iterable[str]) -> Any:
    """The summary in which TensorBoard looks for a layout: regular expressions that it matches with all tags."""
    contents = {title: MultilineChartContent(tag=[tags_of(CHARTS[title])]) for title in titles}
    lines = [Chart(title=title, multiline=content) for title, content in contents.items()]
    layout = Layout(category=[Category(title=CATEGORY, chart=lines)])
    content = TensorProto(dtype=STRING, string_val=[layout.SerializeToString(deterministic=True)])
    return Summary.Value(tag=metadata.CONFIG_SUMMARY_TAG, tensor=content, metadata=metadata.create_summary_metadata())
