"""Train from a program or a notebook, with progress and results as objects; `mnist_depth` exports these functions."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mnist_depth.cli.progress import watch
from mnist_depth.config import FIELDS, RunConfig
from mnist_depth.errors import UserError, unknown
from mnist_depth.files import local_path
from mnist_depth.records import STATUSES, RunRecord, read_run
from mnist_depth.studies import run_slug
from mnist_depth.sweeps import sweep
from mnist_depth.sweeps.grid import grid

RUN_OPTIONS = ("instruments", "data_dir", "overwrite", "deterministic", "keep_going", "save_weights")
"""What `train` passes on to `train_many`; its other keywords are fields of the config."""


def train(
    config: RunConfig | None = None,
    *,
    logdir: str | os.PathLike[str] = "logs",
    study: str = "train",
    progress: bool = True,
    **fields: Any,
) -> RunRecord:
    """Train one network in a worker process and return its run; a finished run is read back, an unfinished one resumes.

    Instead of a config, its fields may be given: `train(activation="tanh", depth=5)`. The run folder is
    `<logdir>/<study>/<name>/seed_<k>`. The options of a run are keywords as well: `instruments` is `none`, `light`,
    `standard` or `full`; `data_dir` the folder of prepared datasets; `overwrite` trains a finished run again;
    `deterministic` makes the weights independent of the number of threads; `keep_going` continues training after a
    non-finite loss; `save_weights` keeps the final weights in `weights.weights.h5`. Raises UserError for a field that
    is unknown or invalid, for a folder that cannot be used and for a run that failed; KeyboardInterrupt after Ctrl-C,
    when the run has written what it has.
    """
    options = {name: fields.pop(name) for name in RUN_OPTIONS if name in fields}
    for name in fields:
        if name not in FIELDS:
            raise unknown("field", name, [*FIELDS, *RUN_OPTIONS, "logdir", "study", "progress"])
    if config is not None and fields:
        raise UserError("give a config or its fields ({fields}), not both", fields=", ".join(fields))
    result = train_many(
        [config or RunConfig(**fields)],
        logdir=logdir,
        study=study,
        workers=1,
        progress=progress,
        **options,
    )
    (outcome,) = result.outcomes
    if not result.complete:
        raise outcome.error or UserError("the run was stopped")
    return read_run(outcome.folder)


def train_many(
    configs: Sequence[RunConfig] | Mapping[str, Any],
    choices: Mapping[str, Collection[Any]] | None = None,
    seeds: int = 1,
    *,
    logdir: str | os.PathLike[str] = "logs",
    study: str = "train",
    workers: int | None = None,
    instruments: str = "standard",
    data_dir: str | None = None,
    overwrite: bool = False,
    deterministic: bool = False,
    keep_going: bool = False,
    save_weights: bool = False,
    engine: str = "local",
    engine_address: str | None = None,
    progress: bool = True,
) -> sweep.Result:
    """Train many networks in parallel, one process per core; `.runs` of the result holds what was trained.

    `configs` is a list of configs, or the fields that all configs share; in that case `choices` lists the values of
    other fields, and every combination is trained with `seeds` seeds. Finished runs are not trained again. In a program
    (not in a notebook) call it under `if __name__ == "__main__":`, because workers import the program. Raises UserError
    before anything starts if a field, a config or a folder is not valid. After Ctrl-C (or a signal that ends a job) the
    runs write what they have, and KeyboardInterrupt is raised; the same call goes on where they stopped. A run that
    failed raises nothing: `.complete` of the result is then False, and `.outcomes` has its error.
    """
    options = sweep.Options(
        logdir=local_path(logdir, "logdir"),
        study=study,
        workers=workers,
        engine=engine,
        engine_address=engine_address,
        instruments=instruments,
        data_dir=data_dir,
        overwrite=overwrite,
        deterministic=deterministic,
        keep_going=keep_going,
        save_weights=save_weights,
        slug=functools.partial(run_slug, study),
    )
    if not isinstance(configs, Mapping) and (choices or seeds != 1):
        raise UserError("choices and seeds need the fields that all configs share, not a list of configs")
    wanted = grid(configs, choices or {}, seeds) if isinstance(configs, Mapping) else configs
    result = sweep.run(wanted, options, watch if progress else None)
    if result.interrupted:
        ended, folder = sum(outcome.status in STATUSES for outcome in result.outcomes), options.logdir / study
        raise KeyboardInterrupt(
            f"stopped; {ended} of {len(result.outcomes)} runs in {folder} are finished; the same call goes on where "
            "they stopped"
        )
    return result
