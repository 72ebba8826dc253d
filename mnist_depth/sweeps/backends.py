"""Where a sweep's workers run: joblib's backends, each behind one name."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from mnist_depth.errors import UserError, unknown


@contextlib.contextmanager
def _local(workers: int, address: str | None) -> Iterator[None]:
    import joblib

    with joblib.parallel_config(backend="loky", n_jobs=workers):
        yield


@contextlib.contextmanager
def _ray(workers: int, address: str | None) -> Iterator[None]:
    import joblib
    import ray
    from ray.util.joblib import register_ray

    options: dict[str, Any] = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    try:
        register_ray()
        with joblib.parallel_config(backend="ray", n_jobs=workers):
            yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _dask(workers: int, address: str | None) -> Iterator[None]:
    import joblib
    from dask.distributed import Client

    local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.ERROR}
    options: dict[str, Any] = {"address": address} if address else local
    with Client(**options), joblib.parallel_config(backend="dask", n_jobs=workers):
        yield


Engine = Callable[[int, "str | None"], contextlib.AbstractContextManager[None]]

ENGINES: dict[str, tuple[str, Engine]] = {
    "local": ("one process per worker on this machine (joblib with loky)", _local),
    "ray": ("a Ray cluster, or a local one; needs mnist_depth[ray]", _ray),
    "dask": ("a Dask cluster, or a local one; needs mnist_depth[dask]", _dask),
}


@contextlib.contextmanager
def engine(name: str, workers: int, address: str | None = None) -> Iterator[None]:
    """Let joblib use the named engine for the block.

    Raises UserError when the name is unknown, the engine is not installed, or nothing answers at `address`.
    """
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(ENGINES[name][1](workers, address))
        except ImportError:
            raise UserError(f"engine {name} is not installed; run: pip install 'mnist_depth[{name}]'") from None
        except (OSError, ValueError) as error:
            raise UserError(f"engine {name} cannot be reached at {address}: {str(error).splitlines()[0]}") from None
        yield


def kill_local_workers() -> None:
    """End the processes of the local engine at once; the next call starts new ones."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=False, kill_workers=True)
