"""Worker process of a sweep: trains runs, returns an outcome for each, and ends when its parent ends."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mnist_depth import records
from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError, first_line
from mnist_depth.files import local_path, write_atomic
from mnist_depth.runtime import settings, streams
from mnist_depth.runtime.hidden_imports import KERAS_EXTRAS, without
from mnist_depth.training.options import RunOptions

ORPHAN_POLL_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions):
    """Options of a sweep and of all its runs."""

    logdir: Path
    study: str
    workers: int | None = None
    engine: str = "local"
    engine_address: str | None = None
    slug: Callable[[RunConfig], str] | None = None
    """Names the configs of the study; without it a name shows what is not the default."""

    def folder_of(self, config: RunConfig) -> Path:
        """Where a run of the sweep lives. Raises UserError where a link leads out of the logdir."""
        return records.run_folder(self.logdir, self.study, config, self.slug(config) if self.slug else "")

    def __post_init__(self) -> None:
        local_path(self.logdir, "logdir")
        if self.workers is not None and not 1 <= self.workers <= 1024:
            raise UserError("workers must be a whole number from 1 to 1024, not {value}", value=self.workers)


class Task(NamedTuple):
    """One run for a worker, and the file whose existence asks it to stop."""

    config: RunConfig
    folder: Path
    options: Options
    threads: int
    stop_file: Path
    parent: int
    dispatch: str
    """Identifies one call of the backend; it goes into the lock file of the run."""


class Outcome(NamedTuple):
    """The outcome of a run: `finished`, `diverged`, `stopped`, `busy` or `failed`, and the error's last line."""

    folder: Path
    status: str
    error: UserError | None = None


def start(parent: int) -> None:
    """Initialize a local worker: watch for the parent's end, and suppress stderr, which belongs to the parent.

    Output of TensorFlow and of a crash is dropped too, unless TF_CPP_MIN_LOG_LEVEL asks for it.
    """
    _end_with(parent)
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "3":
        streams.discard(sys.stderr)


def work(task: Task) -> Outcome:
    """Train one run and return its outcome; never raises for a failed run."""
    if _stopping(task):  # tasks queued after a stop must not begin: compiling alone takes seconds
        return Outcome(task.folder, "stopped")
    if not task.options.logdir.is_dir():
        return Outcome(
            task.folder,
            "failed",
            UserError("{logdir} was moved or removed while its runs were trained", logdir=task.options.logdir),
        )
    if task.parent != os.getpid():
        # Ctrl-C reaches every process of the terminal. Only the parent reacts to it, by making the stop file, so that
        # runs end at a block and are written.
        with contextlib.suppress(ValueError):  # a thread of the engine's
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings.apply_for_libraries()
    warnings.simplefilter("ignore")  # what they say is in the run folder; the terminal belongs to the parent
    with _at_work:
        return _train(task)


def _train(task: Task) -> Outcome:
    made = False
    try:
        # TensorFlow is imported here, once per worker and after its environment is set.
        with _fast_import(task):
            from mnist_depth.training.run import configure, train_run

        if _stopping(task):  # importing took seconds
            return Outcome(task.folder, "stopped")
        records.make_folder(task.folder)
        made = True
        configure(task.threads, deterministic=task.options.deterministic)
        status = train_run(
            task.config,
            task.folder,
            task.options,
            owner=task.dispatch,
            # A run whose folder was removed stops, so that no later write makes the folder again.
            stop=lambda: _stopping(task) or not task.folder.is_dir(),
        )
        outcome = Outcome(task.folder, status)
    except records.Busy:
        return Outcome(task.folder, "busy")
    except UserError as error:
        outcome = Outcome(task.folder, "failed", error)
    except Exception as error:  # one run's failure is recorded and must not end the others
        _record_failure(task.folder)
        reason = f"{type(error).__name__}: {first_line(error)[:500]}"
        outcome = Outcome(task.folder, "failed", UserError("{reason}", reason=reason))
    # Whichever write failed first: the cause is the missing folder.
    if made and not task.folder.is_dir():
        gone = UserError("{folder} was moved or removed while it was trained", folder=task.folder)
        return Outcome(task.folder, "failed", gone)
    return outcome


@contextlib.contextmanager
def _fast_import(task: Task) -> Iterator[None]:
    """Import TensorFlow and Keras in a worker: without unused extras, and without garbage collection meanwhile.

    Half a million objects stay for as long as the process lives, so later collections skip them, too. A parent that
    trains runs itself (perhaps a notebook) imports as usual.
    """
    if task.parent == os.getpid() or "tensorflow" in sys.modules:
        yield
        return
    gc.disable()
    try:
        with without(*KERAS_EXTRAS):
            yield
    finally:
        gc.freeze()
        gc.enable()


_at_work = threading.Lock()
"""Held while a run is trained."""


@functools.cache
def _end_with(parent: int) -> None:
    """Start a thread that ends this process after its parent; loky would keep an idle worker for minutes."""

    def watch() -> None:
        while _has_parent(parent):
            time.sleep(ORPHAN_POLL_SECONDS)
        # The lock waits for the current run. `os._exit` ends the process from this thread; `sys.exit` would only end
        # the thread.
        with _at_work:  # the current run stops at its next block and writes its state
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _stopping(task: Task) -> bool:
    """Whether the parent asked to stop or, for a local worker, has died."""
    return task.stop_file.exists() or (task.options.engine == "local" and not _has_parent(task.parent))


def _has_parent(parent: int) -> bool:
    """Whether the process that distributes the work is alive: this process, or still its parent."""
    # The kernel gives an orphan another parent, so a changed parent id means that the parent has died.
    return parent in (os.getpid(), os.getppid())


def _record_failure(folder: Path) -> None:
    with contextlib.suppress(UserError, OSError):
        write_atomic(folder / records.ERROR, traceback.format_exc())
