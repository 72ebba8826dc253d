"""Train from a program or a notebook, with progress and results as objects; `mnist_depth` exports these functions."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mnist_depth.cli.progress import watch
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.files import local_path
from mnist_depth.records import RunRecord, read_run
from mnist_depth.studies import run_slug
from mnist_depth.sweeps import sweep
from mnist_depth.sweeps.grid import grid

RUN_OPTIONS = ("instruments", "data_dir", "overwrite", "keep_going", "save_weights")
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
    `keep_going` continues training after a non-finite loss; `save_weights` keeps the final weights in
    `weights.weights.h5`. Raises UserError for an invalid field and for a folder that cannot be used.
    """
    options = {name: fields.pop(name) for name in RUN_OPTIONS if name in fields}
    if config is not None and fields:
        raise TypeError(f"give a config or its fields ({', '.join(fields)}), not both")
    result = train_many(
        [config or RunConfig(**fields)],
        logdir=logdir,
        study=study,
        workers=1,
        progress=progress,
        **options,
    )
    (outcome,) = result.outcomes
    if outcome.status == "stopped":
        raise KeyboardInterrupt
    if not result.complete:
        raise UserError(outcome.error)
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
    before anything starts if a config or a folder is not valid.
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
        keep_going=keep_going,
        save_weights=save_weights,
        slug=functools.partial(run_slug, study),
    )
    wanted = grid(configs, choices or {}, seeds) if isinstance(configs, Mapping) else configs
    return sweep.run(wanted, options, watch if progress else None)
