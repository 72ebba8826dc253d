"""Backends by name: call a function for many arguments in parallel, in local or cluster workers."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, NamedTuple

from mnist_depth.errors import UserError, first_line, refusal, unknown
from mnist_depth.runtime import signals
from mnist_depth.runtime.environment import cores
from mnist_depth.runtime.stderr import silenced
from mnist_depth.sweeps import worker

IDLE_SECONDS = 300
"""How long a local worker waits for more work before it ends."""

POLL_SECONDS = 0.1

KERNEL_COUNTERS = Path("/proc/vmstat")
"""One counter of Linux' memory management a line, `oom_kill` among them."""

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Ended(NamedTuple):
    """The return value of a backend: its results, and why others are missing (None if none is)."""

    results: list[Any]
    cause: UserError | None = None


Call = Callable[[Callable[[Any], Any], Sequence[Any]], Ended]
"""Call the function for each argument; never raises because of a worker that died."""


@contextlib.contextmanager
def _local(workers: int, address: str | None) -> Iterator[Call]:
    """Processes of this machine, also for a single run, so that nothing a run does can end the command itself."""
    _start_trackers()
    from joblib.externals.loky import get_reusable_executor

    threads = str(max(1, cores() // workers))
    environment = {name: os.environ.get(name, threads) for name in THREAD_VARIABLES}
    # joblib's workers would print a stack trace when they crash; the cause is reported instead.
    environment["PYTHONFAULTHANDLER"] = ""

    def call(function: Callable[[Any], Any], arguments: Sequence[Any]) -> Ended:
        kills = _kills_for_memory()
        with signals.kept_from_children():
            executor = get_reusable_executor(
                workers, timeout=IDLE_SECONDS, initializer=worker.start, initargs=(os.getpid(),), env=environment
            )
            try:
                futures = [executor.submit(function, argument) for argument in arguments]
                # The signals that stop a sweep reach another thread, so that they do not wake this one up.
                while wait(futures, POLL_SECONDS).not_done:
                    pass
            except KeyboardInterrupt:
                executor.shutdown(wait=False, kill_workers=True)
                raise
            errors = [error for future in futures if (error := future.exception())]
            if errors:
                executor.shutdown(wait=False, kill_workers=True)
        results = [future.result() for future in futures if not future.exception()]
        return Ended(results, _cause(errors[0], _kills_for_memory() > kills) if errors else None)

    yield call


def _start_trackers() -> None:
    """Start the helpers that remove what killed processes leave, before any worker.

    Python unblocks signals after it has started one, and workers must inherit them blocked. The helpers would warn of
    what they remove, on a terminal where the command has ended. Raises UserError where workers cannot have locks.
    """
    with signals.kept_from_children(), silenced():
        resource_tracker.ensure_running()
        try:
            multiprocessing.get_context("spawn").Lock()
        except OSError as error:
            raise UserError(
                "workers share locks in /dev/shm, which cannot be used ({reason}); mount it writable, as with "
                "`docker run --shm-size=64m` or `bwrap --tmpfs /dev/shm`",
                reason=refusal(error),
            ) from None
        from joblib.externals.loky.backend import resource_tracker as loky_tracker  # warns if there are no locks

        loky_tracker.ensure_running()


@contextlib.contextmanager
def _ray(workers: int, address: str | None) -> Iterator[Call]:
    import joblib
    import ray
    from ray.util.joblib import register_ray

    options: dict[str, Any] = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    try:
        register_ray()
        with joblib.parallel_config(backend="ray", n_jobs=workers):
            yield _through_joblib
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _dask(workers: int, address: str | None) -> Iterator[Call]:
    import joblib
    from dask.distributed import Client

    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.ERROR}
    options: dict[str, Any] = {"address": address} if address else local
    with Client(**options), joblib.parallel_config(backend="dask", n_jobs=workers):
        yield _through_joblib


def _through_joblib(function: Callable[[Any], Any], arguments: Sequence[Any]) -> Ended:
    """Run on a cluster: all results are lost when one worker dies, which each engine reports as its own error."""
    import joblib

    one_by_one: dict[str, Any] = {"batch_size": 1}
    try:
        results = joblib.Parallel(**one_by_one)(joblib.delayed(function)(argument) for argument in arguments)
    except UserError:
        raise
    except Exception as error:
        return Ended([], _cause(error))
    return Ended([result for result in results if result is not None])


Backend = Callable[[int, "str | None"], contextlib.AbstractContextManager[Call]]

BACKENDS: dict[str, tuple[str, Backend]] = {
    "local": ("one process per worker on this machine (joblib's loky)", _local),
    "ray": ("a Ray cluster, or a local one; needs mnist_depth[ray]", _ray),
    "dask": ("a Dask cluster, or a local one; needs mnist_depth[dask]", _dask),
}


@contextlib.contextmanager
def backend(name: str, workers: int, address: str | None = None) -> Iterator[Call]:
    """The named backend, for the duration of the `with` block; the flag `--engine` names it.

    Raises UserError when the name is unknown, the backend is not installed, or nothing answers at `address`.
    """
    if name not in BACKENDS:
        raise unknown("engine", name, BACKENDS)
    with contextlib.ExitStack() as stack:
        try:
            call = stack.enter_context(BACKENDS[name][1](workers, address))
        except ImportError:
            raise UserError(
                "engine {name} is not installed; run: pip install 'mnist_depth[{name}]'", name=name
            ) from None
        except (OSError, ValueError) as error:
            raise UserError(
                "engine {name} cannot be reached at {address}: {reason}",
                name=name,
                address=address,
                reason=first_line(error),
            ) from None
        yield call


def _cause(error: BaseException, memory_ran_out: bool = False) -> UserError:
    """Why a worker died, in words: loky lists the exit codes of its processes as {SIGKILL(-9)}."""
    if memory_ran_out:
        return UserError("the kernel killed it because the machine ran out of memory")
    names = re.findall(r"(SIG[A-Z]+)\(-\d+\)", str(error))
    if signal.SIGKILL.name in names:
        return UserError("it was killed (SIGKILL)")
    if names:
        return UserError("it crashed ({signal})", signal=names[0])
    text = str(error).strip()
    kind = type(error).__name__
    return UserError("{reason}", reason=f"{kind}: {text.splitlines()[0]}" if text else kind)


def _kills_for_memory() -> int:
    """How many processes the kernel has killed since it started because memory ran out; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        lines = KERNEL_COUNTERS.read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
    return 0
