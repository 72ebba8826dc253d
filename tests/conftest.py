"""What tests share: real MNIST where it is, a small config, and no silent skipping in CI."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_depth.config import RunConfig

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with contextlib.suppress(ValueError):
    # What a shell runs in the background ignores Ctrl-C, what nohup runs the end of a terminal; children inherit that,
    # though not handlers, and these tests send them both.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
SHARED = Path(__file__).resolve().parents[2] / "shared" / "datasets"


def skip(reason: str) -> None:
    """Skip the test for a reason of this machine; in CI, where everything is installed, fail instead."""
    if os.environ.get("MNIST_DEPTH_NO_SKIP"):
        pytest.fail(f"would skip, but CI must not: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def mnist_dir() -> str:
    """The folder that holds prepared MNIST."""
    for folder in (os.environ.get("TFDS_DATA_DIR"), str(SHARED)):
        if folder and (Path(folder) / "mnist").is_dir():
            return folder
    skip("no prepared MNIST: set TFDS_DATA_DIR")
    raise AssertionError


@pytest.fixture(scope="session", autouse=True)
def _one_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded datasets are cached in a folder that all workers of a test run share, never the user's."""
    root = tmp_path_factory.getbasetemp()
    shared = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared / "cache"))
        yield


@pytest.fixture
def tiny() -> RunConfig:
    """A run of about a second: 3 layers of 16 units on digits, 2 epochs."""
    return RunConfig(dataset="digits", depth=3, width=16, epochs=2)
