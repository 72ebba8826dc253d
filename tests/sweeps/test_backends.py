"""What a backend reports about workers that died, with real processes that are killed for real."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mnist_depth.sweeps import backends


def _kill_itself(counters: Path | None) -> None:
    """What a worker sees of the kernel's kill: nothing. The kernel counts it."""
    if counters is not None:
        counters.write_text("pgfault 12345\noom_kill 8\n", encoding="ascii")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("counts", "cause"),
    [(False, "it was killed (SIGKILL)"), (True, "the kernel killed it because the machine ran out of memory")],
)
def test_a_killed_worker_is_put_down_to_memory_only_if_the_kernel_counts_it(
    counts: bool, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = tmp_path / "vmstat"
    counters.write_text("pgfault 12345\noom_kill 7\n", encoding="ascii")
    monkeypatch.setattr(backends, "KERNEL_COUNTERS", counters)
    with backends.backend("local", 1) as call:
        ended = call(_kill_itself, [counters if counts else None])
    assert (ended.results, str(ended.cause)) == ([], cause)


@pytest.mark.skipif(not backends.KERNEL_COUNTERS.exists(), reason="Linux only")
def test_the_kernel_counts_its_kills() -> None:
    assert "\noom_kill " in backends.KERNEL_COUNTERS.read_text(encoding="ascii")
