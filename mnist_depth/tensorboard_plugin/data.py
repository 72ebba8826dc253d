"""Trainings for the figures, from the event files that TensorBoard has read.

Works for the runs of studies, the folders of gauges and other event files with figures of layers: scalars come from
TensorBoard's data provider, which also serves remote logdirs; settings and the order of layers from `config.json` and
`gauge.json` beside the event files, or else from the HParams of the run.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.data import provider as tensorboard_provider

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.diagnosis import localized
from mnist_depth.errors import UserError
from mnist_depth.figures import trainings as from_folders
from mnist_depth.figures.data import NOTHING, SUBJECTS, Bars, Series, Training, curve_of, layer_of
from mnist_depth.instrument.writers.values import of_table
from mnist_depth.results.diagnosis import diagnose_run
from mnist_depth.summaries import text

SPLIT_FOLDERS = ("train", "validation", "test")
"""Runs of this name belong to the training that is the folder above."""

DERIVED_0_1 = re.compile(r"(^|/)(mean|p10|p90)(/|$)|/depth/[^/]+$|/(pretraining|time)$")
"""Runs that version 0.1 wrote beside those of a training."""

MAX_POINTS, MAX_HISTOGRAMS, MAX_TEXTS = 1000, 100, 10
SECONDS_KEPT = 1.0
"""Seconds for which the list of tags is cached."""


@dataclass
class Found:
    """One training and the runs of TensorBoard's list that it is made of."""

    name: str
    runs: dict[str, str] = field(default_factory=dict)
    """Split -> run."""
    tags: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """(split, tag) -> (run, tag in the event file)."""

    @property
    def home(self) -> str:
        """The run that holds texts, HParams and the graph."""
        return self.runs.get("train") or next(iter(self.runs.values()))


class Source:
    """Reads trainings through a data provider; keeps what has not changed since the last request."""

    def __init__(self, provider: Any, logdir: str) -> None:
        self._provider, self._logdir = provider, logdir
        self._lock = threading.Lock()
        self._listed: tuple[float, str, Mapping[str, Mapping[str, Any]]] = (-1e9, "", {})
        self._scalars: dict[tuple[str, str], tuple[Any, Series]] = {}
        self._verdicts: dict[str, tuple[Any, str]] = {}
        self._folders: dict[str, tuple[Any, records.RunRecord | records.GaugeRecord | None]] = {}

    def find(self, context: Any, experiment: str) -> list[Found]:
        """Every training that this package measured, in the order of names: it has figures of layers or a record."""
        found: dict[str, Found] = {}
        for run, tags in sorted(self._list(context, experiment).items()):
            if DERIVED_0_1.search(run):
                continue
            parent, _, last = run.rpartition("/")
            name, split = (parent or ".", last) if last in SPLIT_FOLDERS else (run, "")
            training = found.setdefault(name, Found(name))
            training.runs.setdefault(split or "train", run)
            if split == "train":
                training.runs["train"] = run
            for tag in tags:
                key = (split, tag) if split else split_of(tag)
                training.tags[key] = (run, tag)
        return [one for one in found.values() if self._is_training(one)]

    def _is_training(self, one: Found) -> bool:
        """Whether this is no folder of another writer, such as Keras' own callback, which counts epochs, not steps."""
        tags = [tag for _, tag in one.tags if not tag.startswith("summary/")]
        return bool(tags) and (any(map(layer_of, tags)) or self._record(one.name) is not None)

    def version(self, context: Any, experiment: str) -> str:
        """Changes when anything was written."""
        listed = self._list(context, experiment)
        latest = max((series.max_wall_time for tags in listed.values() for series in tags.values()), default=0.0)
        return f"{len(listed)}-{sum(map(len, listed.values()))}-{latest}"

    def describe(self, found: Sequence[Found], context: Any, experiment: str) -> list[Training]:
        """The trainings without their points: names, fields, and which tags there are."""
        fields = self._hyperparameters(found, context, experiment)
        return [self._training(one, fields.get(one.home, {})) for one in found]

    def with_points(
        self,
        found: Sequence[Found],
        trainings: Sequence[Training],
        wanted: Callable[[str], bool],
        context: Any,
        experiment: str,
    ) -> list[Training]:
        """The same trainings with the points of the tags that are wanted."""
        keys = {key for one in found for (_, tag), key in one.tags.items() if wanted(tag)}
        points = self._read(keys, context, experiment)
        return [
            replace(training, series={key: points.get(where, NOTHING) for key, where in one.tags.items()})
            for one, training in zip(found, trainings, strict=True)
        ]

    def with_histograms(
        self, found: Sequence[Found], trainings: Sequence[Training], subject: str, context: Any, experiment: str
    ) -> list[Training]:
        """The same trainings with the histograms of one subject."""
        home = {one.home for one in found}
        listed = self._provider.list_tensors(context, experiment_id=experiment, plugin_name="histograms")
        tags = {tag for run in home for tag in listed.get(run, {}) if tag.startswith(f"{subject}/")}
        if not tags:
            return list(trainings)
        tensors = self._tensors("histograms", home, tags, MAX_HISTOGRAMS, context, experiment)
        return [
            replace(
                training,
                histograms={
                    tag: {point.step: _bars(point.numpy) for point in points if point.numpy.ndim == 2}
                    for tag, points in tensors.get(one.home, {}).items()
                },
            )
            for one, training in zip(found, trainings, strict=True)
        ]

    def subjects(self, found: Sequence[Found], context: Any, experiment: str) -> list[str]:
        """The subjects of which there are histograms."""
        listed = self._provider.list_tensors(context, experiment_id=experiment, plugin_name="histograms")
        home = {one.home for one in found}
        names = {tag.partition("/")[0] for run, tags in listed.items() if run in home for tag in tags}
        return [name for name in SUBJECTS if name in names]

    def texts(self, found: Sequence[Found], tag: str, context: Any, experiment: str) -> dict[str, str]:
        """Name of a training -> its last text under a tag."""
        tensors = self._tensors("text", {one.home for one in found}, {tag}, MAX_TEXTS, context, experiment)
        return {
            one.name: bytes(tensors[one.home][tag][-1].numpy.ravel()[0]).decode(errors="replace")
            for one in found
            if tensors.get(one.home, {}).get(tag)
        }

    def verdict(self, one: Found) -> str:
        """The verdict on a training's folder in the active language, judged again when it grows.

        Of a gauge that has finished without one, the reason; else empty.
        """
        record = self._record(one.name)
        if record is None:
            return ""
        with contextlib.suppress(OSError):
            finished = isinstance(record, records.GaugeRecord) and bool(record.metadata.get("finished"))
            stamp = ((record.folder / records.METRICS).stat().st_mtime_ns, finished)
            if self._verdicts.get(one.name, (None, ""))[0] != stamp:
                read = records.read_gauge if isinstance(record, records.GaugeRecord) else records.read_run
                try:
                    record = read(record.folder)
                    judged = diagnose_run(record, "end")
                    words = text.verdict(judged, localized)
                    if not record.has_ended:
                        words = f"{words}\n\n{localized(judged.source)}"
                except UserError as error:
                    words = str(error).replace(str(record.folder), one.name) if finished else ""
                self._verdicts[one.name] = (stamp, words)
            return self._verdicts[one.name][1]
        return ""

    def created(self, one: Found) -> str:
        """When a training began, as ISO 8601; empty where its folder does not contain that."""
        record = self._record(one.name)
        return str(record.metadata.get("created", "")) if record is not None else ""

    # Private

    def _list(self, context: Any, experiment: str) -> Mapping[str, Mapping[str, Any]]:
        with self._lock:
            when, of, listed = self._listed
            if of != experiment or time.monotonic() - when > SECONDS_KEPT:
                listed = self._provider.list_scalars(context, experiment_id=experiment, plugin_name="scalars")
                self._listed = (time.monotonic(), experiment, listed)
            return listed

    def _tensors(
        self, plugin: str, runs: Iterable[str], tags: Iterable[str], most: int, context: Any, experiment: str
    ) -> Mapping[str, Mapping[str, Sequence[Any]]]:
        """Run -> tag -> at most `most` tensors of one of TensorBoard's plugins."""
        return self._provider.read_tensors(
            context,
            experiment_id=experiment,
            plugin_name=plugin,
            run_tag_filter=tensorboard_provider.RunTagFilter(sorted(runs), sorted(tags)),
            downsample=most,
        )

    def _read(self, keys: Iterable[tuple[str, str]], context: Any, experiment: str) -> dict[tuple[str, str], Series]:
        """(run, tag) -> points, read again only where TensorBoard has newer ones."""
        listed = self._list(context, experiment)
        stamps = {(run, tag): _stamp(listed[run][tag]) for run, tag in keys if tag in listed.get(run, {})}
        stale = [key for key, stamp in stamps.items() if self._scalars.get(key, (None,))[0] != stamp]
        if stale:
            runs, tags = {run for run, _ in stale}, {tag for _, tag in stale}
            read = self._provider.read_scalars(
                context,
                experiment_id=experiment,
                plugin_name="scalars",
                run_tag_filter=tensorboard_provider.RunTagFilter(sorted(runs), sorted(tags)),
                downsample=MAX_POINTS,
            )
            for key in stale:
                points = read.get(key[0], {}).get(key[1], [])
                self._scalars[key] = (stamps[key], _series(points))
        return {key: self._scalars[key][1] for key in stamps}

    def _training(self, one: Found, hyperparameters: Mapping[str, Any]) -> Training:
        series = dict.fromkeys(one.tags, NOTHING)
        record = self._record(one.name)
        if record is None:
            return _from_hyperparameters(one.name, series, hyperparameters)
        return Training(
            name=one.name,
            series=series,
            fields={**from_folders.fields_of(record), **({} if record.study else {"name": one.name})},
            known_layers=from_folders.layers_of(record),
            steps_per_epoch=record.steps_per_epoch,
            predicted=from_folders.predicted_of(record),
        )

    def _record(self, name: str) -> records.RunRecord | records.GaugeRecord | None:
        """The record of a training's folder; None if it is not on this machine or holds neither kind of file."""
        if not self._logdir or "://" in self._logdir:
            return None
        folder = Path(os.path.expanduser(self._logdir), name)
        for file, read in ((records.CONFIG, records.read_run), (records.GAUGE, records.read_gauge)):
            with contextlib.suppress(OSError, UserError):
                status = (folder / file).stat()
                stamp = (file, status.st_mtime_ns, status.st_size)
                if self._folders.get(name, (None,))[0] != stamp:
                    self._folders[name] = (stamp, read(folder))
                return self._folders[name][1]
        return None

    def _hyperparameters(self, found: Sequence[Found], context: Any, experiment: str) -> dict[str, dict[str, Any]]:
        """Run -> the HParams of its session, read only where a training's folder cannot be."""
        if all(self._record(one.name) is not None for one in found):
            return {}
        from tensorboard.plugins.hparams import metadata

        listed = self._provider.list_tensors(context, experiment_id=experiment, plugin_name=metadata.PLUGIN_NAME)
        read = partial(metadata.parse_session_start_info_plugin_data)
        return {
            run: {name: _plain(value) for name, value in read(series.plugin_content).hparams.items()}
            for run, tags in listed.items()
            if (series := tags.get(metadata.SESSION_START_INFO_TAG)) is not None
        }


def split_of(tag: str) -> tuple[str, str]:
    """Split and tag of a scalar in the event files of a run folder (`records.event_tag`)."""
    base, _, last = tag.rpartition("/")
    return (last, base) if last in ("validation", "test") and curve_of(base) else ("train", tag)


def _stamp(series: Any) -> tuple[float, float]:
    return series.max_step, series.max_wall_time


def _series(points: Sequence[Any]) -> Series:
    steps = np.array([point.step for point in points], float)
    order = np.argsort(steps, kind="stable")
    return Series(steps[order], np.array([point.value for point in points], float)[order])


def _bars(table: Any) -> Bars:
    """From the histogram plugin's [bins, 3]: left edge, right edge, count."""
    read = of_table(table)
    return Bars(read.edges, read.counts)


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    return getattr(value, kind) if kind else None


def _from_hyperparameters(name: str, series: Mapping[tuple[str, str], Series], values: Mapping[str, Any]) -> Training:
    """A training whose folder is out of reach: a run of a study by its HParams, anything else by its name."""
    fields = dict(values)
    seed = re.fullmatch(r"(?:.*/)?([^/]+)/[^/]+/seed_(\d+)", name)
    if not seed or "activation" not in fields:
        return Training(name, dict(series), {"name": name, **fields})
    fields |= {"study": seed[1], "seed": int(seed[2])}
    predicted = {}
    with contextlib.suppress(UserError):
        whole = {key: int(value) if isinstance(value, float) and value.is_integer() else value
                 for key, value in fields.items() if key != "study"}  # fmt: skip
        predicted = from_folders._predicted(RunConfig.from_dict(whole))
    return Training(name, dict(series), fields, predicted=predicted)
