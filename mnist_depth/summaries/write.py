"""Write everything that the board shows of a run or a study besides the curves.

`write_run` is for the process that trained a run; `write_study` is for the process that owns the study, after every run
or once at the end. Both may be called repeatedly: unchanged content is not written again.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnist_depth.config import layer_name
from mnist_depth.diagnosis import render
from mnist_depth.errors import UserError
from mnist_depth.figures.arrangement import profile
from mnist_depth.figures.data import Training
from mnist_depth.figures.style import lines
from mnist_depth.figures.trainings import PREDICTED, from_record
from mnist_depth.files import lock, open_lock
from mnist_depth.points import Points, Series
from mnist_depth.records import CONFIG, RunRecord, is_inside, read_run
from mnist_depth.results.diagnosis import diagnose_run
from mnist_depth.summaries import pictures, text
from mnist_depth.summaries.events import image, replace_events
from mnist_depth.summaries.events import text as text_event
from mnist_depth.summaries.hparams import write_best_figures, write_experiment, write_sessions
from mnist_depth.summaries.protos import Message
from mnist_depth.summaries.tags import PROFILE, VERDICT

LOCK = ".summaries.lock"
HEAT_MAPS = {
    "gradient_norm": "gradient_norm/{}/kernel",
    "pre_activation_gradient_norm": "pre_activation_gradient_norm/{}",
}


def write_run(record: RunRecord, first_kernel: NDArray[np.float32] | None = None) -> None:
    """Write best figures, pictures and texts of one run into its folder. Raises UserError.

    `first_kernel` [inputs, units] is the trained kernel of the first layer, for the picture of its filters.
    """
    series = record.measured
    write_best_figures(record, series)
    replace_events(record.folder, "page", [*_texts(record, series), *_pictures(record, series, first_kernel)])


def write_study(study: Path) -> None:
    """Write the answer in a picture and a text, and the HParams, of all runs of one study's folder. Raises UserError.

    Runs that cannot be read are left out. The HParams columns are those of the whole logdir, the folder above. Two
    processes that do this at once take turns.
    """
    with _turn(study):
        runs = _runs(study, "*/seed_*")
        write_sessions(runs)
        replace_events(study, "page", _answer([run for run in runs if run.done]))
        write_experiment(_runs(study.parent, "*/*/seed_*"))


def _runs(root: Path, pattern: str) -> list[RunRecord]:
    """The readable run folders at one depth below `root`, which may hold much else; none that a link leads to."""
    found = []
    for path in sorted(root.glob(f"{pattern}/{CONFIG}")):
        with contextlib.suppress(UserError):
            if is_inside(path.parent, root):
                found.append(read_run(path.parent))
    return found


@contextlib.contextmanager
def _turn(study: Path) -> Iterator[None]:
    descriptor = open_lock(study / LOCK)
    try:
        lock(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)


def _answer(runs: Sequence[RunRecord]) -> list[Message]:
    """Gradient against layer of all configurations, and a verdict on each; nothing where no layer was measured."""
    from mnist_depth.summaries import images  # matplotlib takes a while to import

    measured: list[tuple[RunRecord, Training]] = []
    for run in runs:
        with contextlib.suppress(UserError):
            training = from_record(run)
            if PREDICTED in training.quantities:
                measured.append((run, training))
    if not measured:
        return []
    trainings = [training for _, training in measured]
    configurations = lines(trainings)
    diagnoses = {line.label: diagnose_run(measured[line.members[0]][0], "end") for line in configurations}
    when = max(run.measured.last_wall_time for run, _ in measured)
    picture = images.profile(profile(trainings, PREDICTED), configurations)
    return [text_event(VERDICT, text.verdicts(diagnoses), when), image(PROFILE, picture, when)]


def _texts(record: RunRecord, series: Points) -> list[Message]:
    when = series.last_wall_time
    found = {"config": text.config_table(record.config), "reproduce": text.reproduce(record)}
    for moment in ("start", "end"):
        with contextlib.suppress(UserError):
            diagnosis = diagnose_run(record, moment)
            found[f"diagnosis/{moment}"] = text.preformatted(render(diagnosis))
            found[VERDICT] = text.verdict(diagnosis)
    return [text_event(tag, markdown, when) for tag, markdown in found.items()]


def _pictures(record: RunRecord, series: Points, kernel: NDArray[np.float32] | None) -> list[Message]:
    when, step = series.last_wall_time, max((one.steps[-1] for one in series.values()), default=0)
    found: dict[str, pictures.Pixels] = {}
    side = 0 if kernel is None or kernel.ndim != 2 else math.isqrt(len(kernel))
    if kernel is not None and side > 4 and side**2 == len(kernel):
        found["filters/layer_01"] = pictures.filters(kernel, side)
    for quantity, pattern in HEAT_MAPS.items():
        steps, table = _layers_by_step(record, series, pattern)
        if len(steps) > 1:
            found[f"{quantity}/layer_by_step"] = pictures.heat_map(steps, table, quantity.replace("_", " "))
    counts = _square(record.done.get("confusion"))
    if counts is not None:
        found["confusion/test"] = pictures.confusion(counts)
    return [image(tag, pixels, when, step) for tag, pixels in found.items()]


def _square(counts: Any) -> NDArray[np.float64] | None:
    """[classes, classes] numbers; None for anything else."""
    try:
        table = np.asarray(counts, float)
    except (TypeError, ValueError, OverflowError):
        return None
    return table if table.ndim == 2 and table.shape[0] == table.shape[1] and np.isfinite(table).all() else None


def _layers_by_step(record: RunRecord, series: Points, pattern: str) -> tuple[list[int], NDArray[np.float64]]:
    """The steps at which every layer was measured, and the values as [layers, steps]."""
    depth = record.config.depth
    names = [layer_name(number, depth) for number in range(1, depth + 1)]
    layers = [series.get(("train", pattern.format(name)), Series()) for name in names]
    steps = sorted(set.intersection(*(set(layer.steps) for layer in layers)))
    values = [dict(zip(layer.steps, layer.values, strict=True)) for layer in layers]
    return steps, np.array([[of[step] for step in steps] for of in values])
