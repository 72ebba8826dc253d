"""The HParams tab: every field of every config, best and final figures, seeds grouped by configuration.

The final figures are the last points of the runs' own curves, read by TensorBoard itself; the best ones are scalars
`summary/...` in the run folder's own event run, written by `best_figures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tensorboard.plugins.hparams import metadata

from mnist_depth.config import RunConfig
from mnist_depth.records import RunRecord
from mnist_depth.summaries.events import replace_events, scalars, tensor
from mnist_depth.summaries.protos import Message, SummaryMetadata, hparams, hparams_data
from mnist_depth.summaries.series import RUNS, Series, last_wall_time

BEST = {"accuracy": max, "loss": min}
WHOLE_RUN = ("gradient_ratio", "seconds")
STATUSES = {"finished": hparams.STATUS_SUCCESS, "diverged": hparams.STATUS_FAILURE}
MOST_CHOICES = 20
"""Numbers with more values than this are filtered by an interval instead of a list of boxes."""


def write_best_figures(record: RunRecord, series: Mapping[tuple[str, str], Series]) -> None:
    """Write the best accuracy and loss of each event run, at the step where they were reached, and whole-run figures.

    A loss or accuracy that was never finite has no best value.
    """
    events = []
    for run in RUNS:
        for tag, choose in BEST.items():
            points = series.get((run, tag), Series())
            finite = [index for index, value in enumerate(points.values) if abs(value) < float("inf")]
            if finite:
                best = choose(finite, key=points.values.__getitem__)
                values = {f"summary/best_{run}_{tag}": points.values[best]}
                events.append(scalars(points.steps[best], values, points.wall_times[best]))
    figures = {"seconds": record.done.get("seconds"), **record.done.get("metrics", {})}
    last = max((event.step for event in events), default=0)
    whole = {f"summary/{name}": float(figures[name]) for name in WHOLE_RUN if figures.get(name) is not None}
    if whole:
        events.append(scalars(last, whole, last_wall_time(series)))
    replace_events(record.folder, "best", events)


def write_hparams(study: Path, records: Sequence[RunRecord]) -> None:
    """Write the experiment into the study's root and a session into every run folder.

    `records` are all runs of the study. The `seed` of a session names every seed of its configuration, because
    TensorBoard shows one row for the group with the values of its first member.
    """
    seeds: dict[str, list[int]] = {}
    for record in records:
        seeds.setdefault(record.slug, []).append(record.seed)
    values = {record.folder: _values(record.config, seeds[record.slug]) for record in records}
    replace_events(study, "hparams", [_event(metadata.EXPERIMENT_TAG, 0.0, experiment=_experiment(values.values()))])
    for record in records:
        replace_events(record.folder, "hparams", _session(record, values[record.folder]))


def _values(config: RunConfig, seeds: Iterable[int]) -> dict[str, Any]:
    return {**config.to_dict(), "seed": " ".join(str(seed) for seed in sorted(seeds))}


def _experiment(values: Iterable[Mapping[str, Any]]) -> Message:
    rows = list(values)
    infos = [_hparam(spec.name, spec.metadata["help"], [row[spec.name] for row in rows]) for spec in fields(RunConfig)]
    return hparams.Experiment(name="mnist_depth", hparam_infos=infos, metric_infos=_metrics())


def _hparam(name: str, help_text: str, values: Sequence[Any]) -> Message:
    """One column: boxes to tick for words and for numbers of few values, an interval otherwise."""
    choices = sorted(set(values))
    text = any(isinstance(value, str) for value in choices)
    info = hparams.HParamInfo(
        name=name,
        description=help_text,
        type=hparams.DATA_TYPE_STRING if text else hparams.DATA_TYPE_FLOAT64,
        differs=len(choices) > 1,
    )
    if text or len(choices) <= MOST_CHOICES:
        info.domain_discrete.extend(choices)
    elif choices:
        info.domain_interval.min_value, info.domain_interval.max_value = choices[0], choices[-1]
    return info


def _metrics() -> list[Message]:
    """Test figures first: they are what a table is sorted by."""
    found = []
    for run in reversed(RUNS):
        for tag in BEST:
            found.append(_metric("", f"summary/best_{run}_{tag}", f"best {run} {tag}"))
            found.append(_metric(run, tag, f"final {run} {tag}"))
    return found + [_metric("", f"summary/{name}", name.replace("_", " ")) for name in WHOLE_RUN]


def _metric(group: str, tag: str, title: str) -> Message:
    return hparams.MetricInfo(name=hparams.MetricName(group=group, tag=tag), display_name=title)


def _session(record: RunRecord, values: Mapping[str, Any]) -> list[Message]:
    """Start and, once the run is complete, end; the group carries the configuration's name."""
    start = hparams_data.SessionStartInfo(group_name=f"{record.study}/{record.slug}")
    for name, value in values.items():
        if isinstance(value, str):
            start.hparams[name].string_value = value
        else:
            start.hparams[name].number_value = value
    events = [_event(metadata.SESSION_START_INFO_TAG, 0.0, session_start_info=start)]
    if record.done:
        end = hparams_data.SessionEndInfo(status=STATUSES.get(record.status, hparams.STATUS_UNKNOWN))
        events.append(_event(metadata.SESSION_END_INFO_TAG, 0.0, session_end_info=end))
    return events


def _event(tag: str, wall_time: float, **content: Message) -> Message:
    """The event of one message of the plugin; equal messages give equal bytes, unlike with its own helper."""
    data = hparams_data.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **content)
    plugin = SummaryMetadata.PluginData(
        plugin_name=metadata.PLUGIN_NAME, content=data.SerializeToString(deterministic=True)
    )
    return tensor(tag, metadata.NULL_TENSOR, SummaryMetadata(plugin_data=plugin), wall_time)
