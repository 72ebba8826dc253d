"""The HParams tab: every field of every config, best and final figures, seeds grouped by configuration.

The final figures are the last points of the runs' own curves, read by TensorBoard itself; the best ones are scalars
`summary/...` beside them, written by `write_best_figures`. Runs of version 0.1 have their curves in folders of their
own (`train`, `test`, ...), where TensorBoard does not look for them: their last points are written beside the session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tensorboard.plugins.hparams import metadata

from mnist_depth.config import RunConfig
from mnist_depth.instrument.writers.protos import SummaryMetadata
from mnist_depth.points import SPLITS, Points, Series
from mnist_depth.records import RunRecord, event_tag
from mnist_depth.summaries.events import replace_events, scalars, tensor
from mnist_depth.summaries.protos import Message, hparams, hparams_data

BEST = {"accuracy": max, "loss": min}
WHOLE_RUN = ("gradient_ratio", "seconds")
STATUSES = {"finished": hparams.STATUS_SUCCESS, "diverged": hparams.STATUS_FAILURE}
SHOWN = ("best test accuracy", "final test accuracy", "final test loss", "final train loss", "gradient ratio")
SPLIT_FOLDER_0_1 = "train"
"""A folder of every run that version 0.1 wrote."""

MAX_CHOICES = 20
"""Numbers with more values than this are filtered by an interval instead of a list of boxes."""


def write_best_figures(record: RunRecord, series: Points) -> None:
    """Write the best accuracy and loss of each event run, at the step where they were reached, and whole-run figures.

    A loss or accuracy that was never finite has no best value.
    """
    events = []
    for run in SPLITS:
        for tag, choose in BEST.items():
            points = series.get((run, tag), Series())
            finite = [index for index, value in enumerate(points.values) if abs(value) < float("inf")]
            if finite:
                best = choose(finite, key=points.values.__getitem__)
                values = {f"summary/best_{run}_{tag}": points.values[best]}
                events.append(scalars(points.steps[best], values, points.wall_times[best]))
    figures = record.figures
    last = max((event.step for event in events), default=0)
    whole = {f"summary/{name}": figures[name] for name in WHOLE_RUN if name in figures}
    if whole:
        events.append(scalars(last, whole, series.last_wall_time))
    replace_events(record.folder, "best", events)


def write_experiment(records: Sequence[RunRecord]) -> None:
    """Write the columns of the table into the root of every study.

    `records` are all runs of the logdir: TensorBoard takes the columns, and the values to filter by, from the
    first study that it finds, and would hide the runs of the others.
    """
    rows = _rows(records)
    infos = [_hparam(spec.name, spec.metadata["help"], [row[spec.name] for row in rows]) for spec in fields(RunConfig)]
    experiment = hparams.Experiment(name="mnist_depth", hparam_infos=infos, metric_infos=_metrics())
    event = _event(metadata.EXPERIMENT_TAG, experiment=experiment)
    for study in sorted({record.folder.parent.parent for record in records}):
        replace_events(study, "hparams", [event])


def write_sessions(records: Sequence[RunRecord]) -> None:
    """Write a session into every run folder; `records` are all runs of a study.

    The `seed` of a session names every seed of its configuration, because TensorBoard shows one row for the group with
    the values of its first member.
    """
    for record, row in zip(records, _rows(records), strict=True):
        ends = _last_points(record) if (record.folder / SPLIT_FOLDER_0_1).is_dir() else []
        replace_events(record.folder, "hparams", [*_session(record, row), *ends])


def _last_points(record: RunRecord) -> list[Message]:
    """The last loss and accuracy of every split."""
    events = []
    for split in SPLITS:
        for tag in BEST:
            points = record.measured.get((split, tag), Series())
            if len(points.steps):
                value = {event_tag(split, tag): points.values[-1]}
                events.append(scalars(points.steps[-1], value, points.wall_times[-1]))
    return events


def _rows(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    seeds: dict[Path, list[int]] = {}
    for record in records:
        seeds.setdefault(record.folder.parent, []).append(record.seed)
    return [
        {**record.config.to_dict(), "seed": " ".join(map(str, sorted(seeds[record.folder.parent])))}
        for record in records
    ]


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
    if text or len(choices) <= MAX_CHOICES:
        info.domain_discrete.extend(choices)
    elif choices:
        info.domain_interval.min_value, info.domain_interval.max_value = choices[0], choices[-1]
    return info


def _metrics() -> list[Message]:
    """TensorBoard's table shows the first five by default."""
    best = {f"best {run} {tag}": f"summary/best_{run}_{tag}" for run in SPLITS for tag in BEST}
    final = {f"final {run} {tag}": event_tag(run, tag) for run in SPLITS for tag in BEST}
    whole = {name.replace("_", " "): f"summary/{name}" for name in WHOLE_RUN}
    names = {**best, **final, **whole}
    order = [*SHOWN, *(title for title in names if title not in SHOWN)]
    return [hparams.MetricInfo(name=hparams.MetricName(tag=names[title]), display_name=title) for title in order]


def _session(record: RunRecord, values: Mapping[str, Any]) -> list[Message]:
    """Start and, once the run is complete, end; the group carries the configuration's name."""
    start = hparams_data.SessionStartInfo(group_name=f"{record.study}/{record.slug}")
    for name, value in values.items():
        if isinstance(value, str):
            start.hparams[name].string_value = value
        else:
            start.hparams[name].number_value = value
    events = [_event(metadata.SESSION_START_INFO_TAG, session_start_info=start)]
    if record.done:
        end = hparams_data.SessionEndInfo(status=STATUSES.get(record.status, hparams.STATUS_UNKNOWN))
        events.append(_event(metadata.SESSION_END_INFO_TAG, session_end_info=end))
    return events


def _event(tag: str, **content: Message) -> Message:
    """The event of one message of the plugin; equal messages give equal bytes, unlike with its own helper."""
    data = hparams_data.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **content)
    plugin = SummaryMetadata.PluginData(
        plugin_name=metadata.PLUGIN_NAME, content=data.SerializeToString(deterministic=True)
    )
    return tensor(tag, metadata.NULL_TENSOR, SummaryMetadata(plugin_data=plugin), wall_time=0.0)
