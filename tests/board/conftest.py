"""A logdir with one run, and an SSH server for the whole session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .boards import write_run
from .sshd import reason_to_skip, run_sshd


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """A logdir with one run."""
    return write_run(tmp_path / "logs")


@pytest.fixture(scope="session")
def ssh_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The client configuration of an SSH server that runs for the whole session; the host is called `there`."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    with run_sshd(tmp_path_factory.mktemp("sshd")) as config:
        yield config
