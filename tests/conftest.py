"""What tests share: real MNIST if it is available, a small config, and no silent skipping in CI."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from mnist_depth import translation
from mnist_depth.config import RunConfig

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with contextlib.suppress(ValueError):
    # What a shell runs in the background ignores Ctrl-C, what nohup runs the end of a terminal; children inherit that,
    # though not handlers, and these tests send them both.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
SHARED = Path(__file__).resolve().parents[2] / "shared" / "datasets"


NO_SKIP = "MNIST_DEPTH_NO_SKIP"
"""Environment variable under which every skip is a failure; CI sets it."""

ALLOWED_SKIPS = (
    r"(dash|busybox|zsh|fish|tcsh) is not installed",
    r"a tmpfs cannot be mounted here: .*",
    r"glibc's allocator is only set on Linux",
    r"only Linux shows the environment of a process",
    r"bubblewrap cannot make a sandbox here: .*",
)
"""Regular expressions of the reasons that CI accepts: they depend on the machine, not on what CI has to install."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _refuse_skip(report: Report) -> Report:
    """Turn a skip into a failure if NO_SKIP is set, unless its reason is allowed."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(NO_SKIP):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not any(re.fullmatch(allowed, reason) for allowed in ALLOWED_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"skipped, which {NO_SKIP} forbids: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Refuse skips of tests and fixtures."""
    return _refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse skips of whole files."""
    return _refuse_skip((yield))


@pytest.fixture(scope="session")
def mnist_dir() -> str:
    """The folder that holds prepared MNIST."""
    for folder in (os.environ.get("TFDS_DATA_DIR"), str(SHARED)):
        if folder and (Path(folder) / "mnist").is_dir():
            return folder
    pytest.skip("no prepared MNIST: set TFDS_DATA_DIR")


@pytest.fixture(autouse=True)
def _no_language_is_left_behind() -> Iterator[None]:
    """A test that chooses a language chooses it for itself alone, in whatever order tests run."""
    before = dict(translation._active)
    yield
    translation._active.update(before)


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
