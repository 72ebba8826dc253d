"""Kill one of two nodes of a Ray or Dask cluster on loopback in the middle of a sweep; every run must be trained once.

    .venv/bin/python scripts/lose_a_node.py dask
    .venv/bin/python scripts/lose_a_node.py ray

Compares with the same sweep in local workers: weights, and every point once. Needs mnist_depth[ray] or [dask].
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

RUNS = 8
LINE = ["train", "--dataset=xor", "--depth=3", "--width=8", "--epochs=3000", "--workers=2", "--quiet"]
TIMEOUT = 900

Node = Callable[[], None]
"""Kills the second node."""


@contextlib.contextmanager
def dask_cluster() -> Iterator[tuple[str, Node]]:
    """A scheduler and two nodes with one worker each, every one in a process group of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        file = Path(folder, "scheduler.json")

        def start(*words: str) -> subprocess.Popen[bytes]:
            line = [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]]
            log = stack.enter_context(Path(folder, f"{time.monotonic_ns()}.log").open("wb"))
            process = subprocess.Popen(line, cwd=folder, stdout=log, stderr=log, start_new_session=True)
            stack.callback(_kill, process)
            return process

        start("scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard", f"--scheduler-file={file}")
        while not file.exists():
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        worker = ("worker", address, "--host=127.0.0.1", "--nworkers=1", "--nthreads=1", "--no-dashboard")
        start(*worker)
        second = start(*worker)
        yield address, lambda: _kill(second)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def ray_cluster() -> Iterator[tuple[str, Node]]:
    """Two nodes with one processor each, as Ray's own tests make them."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    try:
        yield str(cluster.address), lambda: cluster.remove_node(second, allow_graceful=False)
    finally:
        cluster.shutdown()


CLUSTERS = {"dask": dask_cluster, "ray": ray_cluster}


def results(logdir: Path) -> dict[str, str]:
    """Name of a finished run -> hash of its weights. Raises ValueError where a point is written twice."""
    found = {}
    for marker in sorted(logdir.rglob("done.json")):
        lines = [json.loads(line) for line in (marker.parent / "metrics.jsonl").read_text().splitlines()]
        points = Counter((line["run"], line["step"], tag) for line in lines for tag in line["scalars"])
        if twice := [point for point, count in points.items() if count > 1]:
            raise ValueError(f"{marker.parent}: {len(twice)} points are written twice, such as {twice[0]}")
        found[str(marker.parent.relative_to(logdir))] = json.loads(marker.read_text())["weights_sha256"]
    return found


def sweep(logdir: Path, *words: str) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "mnist_depth", *LINE, f"--seeds={RUNS}", f"--logdir={logdir}", *words]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL)


def main(engine: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        disturbed, undisturbed = Path(folder, "disturbed"), Path(folder, "undisturbed")
        with CLUSTERS[engine]() as (address, kill_node):
            process = sweep(disturbed, f"--engine={engine}", f"--engine_address={address}")
            end = time.monotonic() + TIMEOUT
            while not (finished := len(results(disturbed))) and process.poll() is None and time.monotonic() < end:
                time.sleep(0.2)
            kill_node()
            print(f"{engine}: one of two nodes killed after {finished} of {RUNS} runs", flush=True)
            code = process.wait(TIMEOUT)
        after = results(disturbed)
        if sweep(undisturbed).wait(TIMEOUT) or code:
            print(f"the sweep ended with status {code}")
            return 1
        same = after == results(undisturbed)
        print(f"{engine}: {len(after)} of {RUNS} runs finished, no point twice, weights as undisturbed: {same}")
        return 0 if same and len(after) == RUNS and finished < RUNS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
