"""Memory is foreseen: runs that do not fit are refused with the figures, before anything starts."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.errors import UserError
from mnist_depth.runtime import environment
from mnist_depth.sweeps import memory, sweep

SMALL = RunConfig(dataset="digits", depth=3, width=16)
LARGE = replace(SMALL, width=12_000, depth=9)


def test_more_weights_and_more_instruments_need_more() -> None:
    small, large = (memory.needed(config, "none") for config in (SMALL, LARGE))
    assert small < 1.2e9
    assert large > 7 * 4 * 7 * 12_000**2
    assert memory.needed(LARGE, "standard") > large
    assert memory.needed(replace(LARGE, optimizer="adam"), "none") > large


def test_a_run_that_does_not_fit_is_refused_with_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "available_memory", lambda: 4e9)
    options = sweep.Options(logdir=tmp_path / "logs", study="large")
    with pytest.raises(UserError, match=r"a run needs about \d+\.\d GB of memory and 4\.0 GB are left"):
        sweep.run([LARGE], options)
    assert not (tmp_path / "logs").exists()


def test_as_many_workers_start_as_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "available_memory", lambda: 2.5e9)
    monkeypatch.setattr(sweep, "cores", lambda: 4)
    configs = [replace(SMALL, seed=seed) for seed in range(4)]
    options = sweep.Options(logdir=tmp_path, study="small")
    assert sweep._workers(configs, options) == 2
    assert "only 2 of 4 runs fit into memory" in capsys.readouterr().err
    with pytest.raises(UserError, match="pass --workers=2"):
        sweep._workers(configs, replace(options, workers=3))


def test_a_limit_on_addresses_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (3_000_000_000, resource.RLIM_INFINITY))
    with pytest.raises(UserError, match=r"of address space and the limit is 3\.0 GB"):
        memory.workers_that_fit([SMALL], "none", 1)


def test_the_memory_of_this_machine_is_read() -> None:
    assert 1e8 < environment.available_memory() < 1e14
