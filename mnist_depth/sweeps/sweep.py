"""Train many runs in parallel, on this machine's cores or on a cluster, and resume after interruptions.

All state is in the run folders; workers share nothing else. A finished run is never trained again, an unfinished one
resumes, and the death of a worker costs at most one epoch of its run. An engine distributes the work: to local
processes, or to Ray or Dask workers that share the logdir.
"""

from __future__ import annotations

import contextlib
import html
import os
import shutil
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.files import check_writable, locks_missing
from mnist_depth.runtime.environment import cores
from mnist_depth.runtime.streams import print_error
from mnist_depth.sweeps.backends import backend
from mnist_depth.sweeps.cost import megabytes
from mnist_depth.sweeps.memory import workers_that_fit
from mnist_depth.sweeps.stop import StopRequest, stop_requests
from mnist_depth.sweeps.worker import Options, Outcome, Task, work
from mnist_depth.translation import plural
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    from mnist_depth.results.frames import Runs

ATTEMPTS = 2
"""Number of worker deaths after which a run counts as failed."""

BUSY_POLL_SECONDS = 1.0


@dataclass(repr=False)
class Result:
    """The result of a sweep: one outcome per run, in the order of the configs."""

    outcomes: list[Outcome] = field(default_factory=list)
    interrupted: bool = False
    """Whether a signal such as Ctrl-C asked to stop."""

    @property
    def complete(self) -> bool:
        """Whether every run ended by itself; `outcomes` has the status and the error of each other one."""
        return all(outcome.status in records.STATUSES for outcome in self.outcomes)

    def of(self, status: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.status == status]

    @property
    def runs(self) -> Runs:
        """The runs that ended by themselves, read back."""
        from mnist_depth.results.frames import Runs

        ended = [outcome.folder for outcome in self.outcomes if outcome.status in records.STATUSES]
        return Runs(map(records.read_run, ended))

    def __repr__(self) -> str:
        counts = Counter(outcome.status for outcome in self.outcomes)
        lines = [f"Sweep of {len(self.outcomes)} runs: {', '.join(f'{n} {status}' for status, n in counts.items())}"]
        lines += [f"  {outcome.folder}: {outcome.error}" for outcome in self.of("failed")[:1]]
        return "\n".join([*lines, "  .runs  .outcomes"])

    def _repr_html_(self) -> str:
        failed = [f"<li>{html.escape(f'{one.folder}: {one.error}')}</li>" for one in self.of("failed")]
        return f"{self.runs._repr_html_()}<ul>{''.join(failed)}</ul>"


Watch = Callable[[Sequence[Path]], contextlib.AbstractContextManager[Any]]


def run(configs: Sequence[RunConfig], options: Options, watch: Watch | None = None) -> Result:
    """Train every config that is not trained yet.

    `watch` is entered with the run folders while they train, to show progress. The first request to stop
    (`signals.REQUESTS`) lets every run finish writing and stop (status `stopped`); the second raises KeyboardInterrupt.
    Raises UserError before anything starts when a folder holds another run.
    """
    folders = {config: options.folder_of(config) for config in configs}
    todo = [config for config, folder in folders.items() if _refused_or_todo(folder, config, options)]
    for config in todo:
        check_writable(folders[config])
    workers = _workers(todo, options)
    if todo:
        records.make_folder(options.logdir)
        _check_room(todo, options)
        if missing := locks_missing(options.logdir):
            note = UserError(
                "Note: {logdir} knows no locks ({reason}): give one command at a time in it.",
                logdir=options.logdir,
                reason=missing,
            )
            print_error(note.text(_))
    # Runs that need no training keep this outcome; all others are overwritten below.
    outcomes = {folder: Outcome(folder, "finished") for folder in folders.values()}
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(stop_requests(options.logdir))
        if watch and todo:
            stack.enter_context(watch([folders[config] for config in todo]))
        for outcome in _train_all(_longest_first(todo), folders, options, workers, stop):
            outcomes[outcome.folder] = outcome
    return Result([outcomes[folder] for folder in folders.values()], stop.asked)


def _refused_or_todo(folder: Path, config: RunConfig, options: Options) -> bool:
    """Whether the run still has to be trained. Raises UserError when the folder holds something else."""
    if options.overwrite or not folder.exists():
        return True
    if not folder.is_dir():
        raise UserError("{folder} is a file, not a run folder; choose another --logdir", folder=folder)
    complete = records.state(folder, config) == "complete"
    if complete and options.keeps_weights and not (folder / records.WEIGHTS).exists():
        raise UserError(
            "{folder} has ended without keeping its weights; pass --overwrite to train it again", folder=folder
        )
    return not complete


def _check_room(configs: Sequence[RunConfig], options: Options) -> None:
    """Raise UserError if the disk of the logdir is too small for the runs."""
    needed, free = megabytes(configs, options), shutil.disk_usage(options.logdir).free / 1e6
    if needed > free:
        raise UserError(
            "{count} runs need about {needed:.0f} MB and {logdir} has {free:.0f} MB left; free some space, choose "
            "another --logdir, or pass --instruments=light",
            count=len(configs),
            needed=needed,
            logdir=options.logdir,
            free=free,
        )


def _workers(configs: Sequence[RunConfig], options: Options) -> int:
    """Number of workers to start: the requested number, or as many as there are processors and fit into memory.

    Raises UserError when the runs do not fit into memory.
    """
    workers = min(options.workers or cores(), max(1, len(configs)))
    if options.engine != "local":
        return workers
    fitting = workers_that_fit(configs, options.instruments, workers)
    if fitting < workers:
        lack = UserError(
            "only {fitting} of {workers} runs fit into memory at the same time", fitting=fitting, workers=workers
        )
        if options.workers:
            raise UserError("{problem}; pass --workers={fitting}", problem=lack, fitting=fitting)
        problem = lack.text(_)
        note = plural(
            "Note: {problem}; {count} worker is started.",
            "Note: {problem}; {count} workers are started.",
            fitting,
            problem=problem,
        )
        print_error(note)
    return fitting


def _longest_first(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """Sort by approximate work, so that no long run starts last and leaves the other workers idle."""
    return sorted(configs, key=lambda config: (-config.epochs * config.depth * config.width**2, config.slug))


def _train_all(
    todo: list[RunConfig], folders: dict[RunConfig, Path], options: Options, workers: int, stop: StopRequest
) -> Iterator[Outcome]:
    """Train in parallel, then retry one by one the runs that were active when a worker died."""
    threads = max(1, cores() // workers)
    # A worker's death ends the whole dispatch, and nothing tells which of its runs caused it. All runs that were under
    # way become suspects: they are trained one at a time at the end, where a second death is the run's own.
    suspects: list[RunConfig] = []
    queue, fruitless = list(todo), 0
    while queue and not stop.asked:
        tasks = _tasks(queue, folders, options, threads, stop)
        done, running, cause = _dispatch(tasks, options, workers)
        yield from (outcome for outcome in done.values() if outcome.status != "busy")
        suspects += [task.config for task in running]
        busy = [task.config for task in tasks if done.get(task.folder, Outcome(task.folder, "")).status == "busy"]
        left = [task.config for task in tasks if task.folder not in done and task not in running]
        # Nothing done and nothing begun: workers die while they start. Give up after ATTEMPTS such rounds in a row.
        fruitless = 0 if done or running else fruitless + 1
        if fruitless == ATTEMPTS:
            error = UserError("its worker did not start: {cause}", cause=cause)
            yield from (Outcome(folders[config], "failed", error) for config in left)
            left = []
        # Only runs of other owners remain: poll until they are finished or their owner releases the lock.
        if busy and not left and not stop.asked:
            time.sleep(BUSY_POLL_SECONDS)
        queue = left + busy
    for config in suspects:
        if not stop.asked:
            yield _alone(config, folders, options, threads, stop)
    not_started = queue + (suspects if stop.asked else [])
    yield from (Outcome(folders[config], "stopped") for config in not_started)


def _alone(
    config: RunConfig, folders: dict[RunConfig, Path], options: Options, threads: int, stop: StopRequest
) -> Outcome:
    """Retry alone a run that was active when a worker died, so that a second death is attributed to it."""
    tasks = _tasks([config], folders, options, threads, stop)
    done, _running, cause = _dispatch(tasks, options, 1)
    if outcome := done.get(tasks[0].folder):
        return outcome
    error = UserError("its worker died {count} times: {cause}", count=ATTEMPTS, cause=cause)
    return Outcome(tasks[0].folder, "failed", error)


def _tasks(
    configs: Sequence[RunConfig], folders: dict[RunConfig, Path], options: Options, threads: int, stop: StopRequest
) -> list[Task]:
    dispatch = uuid.uuid4().hex
    return [Task(config, folders[config], options, threads, stop.file, os.getpid(), dispatch) for config in configs]


def _dispatch(
    tasks: list[Task], options: Options, workers: int
) -> tuple[dict[Path, Outcome], list[Task], UserError | None]:
    """Pass the tasks to the backend once; return outcomes, tasks active when a worker died, and why it died."""
    with backend(options.engine, workers, options.engine_address) as call, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ended = call(work, tasks)
    done = {outcome.folder: outcome for outcome in ended.results}
    if not ended.cause:
        return done, [], None
    # Engines lose results when a worker dies, so look into the folders: a finished run has its marker, and a run under
    # way has this dispatch in its lock file.
    done |= {task.folder: found for task in tasks if task.folder not in done and (found := _found(task))}
    running = [task for task in tasks if task.folder not in done and _was_running(task)]
    return done, running, ended.cause


def _found(task: Task) -> Outcome | None:
    """The outcome according to the run's folder."""
    with contextlib.suppress(UserError):
        record = records.read_run(task.folder)
        if record.done and record.config == task.config:
            return Outcome(task.folder, record.status)
    return None


def _was_running(task: Task) -> bool:
    return records.owner_of(task.folder) == task.dispatch
