"""Training from a program: what the calls return is what the run folders hold."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnist_depth import RunConfig, api, runs, train, train_many
from mnist_depth.errors import UserError
from mnist_depth.records import RunRecord, read_run
from mnist_depth.sweeps.sweep import Result

TINY = {"dataset": "digits", "depth": 2, "width": 8, "epochs": 1}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Two activations, two seeds."""
    logdir = tmp_path_factory.mktemp("logs")
    choices = {"activation": ["tanh", "relu"]}
    return train_many(TINY, choices, seeds=2, logdir=logdir, study="mine", instruments="light", progress=False)


@pytest.mark.slow
def test_a_grid_is_trained_with_every_seed_and_read_back(swept: Result) -> None:
    assert swept.complete
    assert {(run.fields["activation"], run.seed) for run in swept.runs} == {
        (name, seed) for name in ("tanh", "relu") for seed in (0, 1)
    }
    assert [run.folder for run in runs(swept.outcomes[0].folder.parents[1])] == sorted(
        outcome.folder for outcome in swept.outcomes
    )
    assert swept.runs.summary(columns="test_accuracy").test_accuracy_n.tolist() == [2, 2]
    for run in swept.runs.where(seed=1, activation="tanh"):
        assert isinstance(run, RunRecord)
        assert run.metadata["command"] == f"mnist_depth.train(mnist_depth.{run.config!r}, instruments='light')"
        assert {"scipy", "pandas"} <= set(run.metadata["environment"]["libraries"])


@pytest.mark.slow
def test_one_run_is_that_of_the_sweep_and_is_not_trained_again(
    swept: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(**TINY, activation="relu", seed=1, logdir=tmp_path, study="mine", instruments="light")
    assert run.status == "finished"
    (same,) = swept.runs.where(activation="relu", seed=1)
    assert run.done["weights_sha256"] == read_run(same.folder).done["weights_sha256"]
    assert capsys.readouterr().out.splitlines()[-1].startswith("finished ")
    again = train(RunConfig(**TINY, activation="relu", seed=1), logdir=tmp_path, study="mine")
    assert again.done == run.done
    assert capsys.readouterr().out == ""


def test_what_is_not_valid_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean relu"):
        train(activation="rleu", logdir=tmp_path)
    with pytest.raises(UserError, match="not both"):
        train(RunConfig(), depth=3, logdir=tmp_path)
    with pytest.raises(UserError, match=r"unknown field 'depht'; valid: .* did you mean depth"):
        train(depht=3, logdir=tmp_path)
    with pytest.raises(UserError, match=r"unknown field 'instrument'; .* did you mean instruments"):
        train(instrument="light", logdir=tmp_path)
    with pytest.raises(UserError, match="not a list of configs"):
        train_many([RunConfig()], {"depth": [2]}, logdir=tmp_path)
    with pytest.raises(UserError, match="depth"):
        train_many(TINY, {"depth": [2, 0]}, logdir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_is_raised_with_the_way_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def pressed(_: object) -> Iterator[None]:
        signal.raise_signal(signal.SIGINT)
        yield

    monkeypatch.setattr(api, "watch", pressed)
    with pytest.raises(KeyboardInterrupt, match=f"0 of 2 runs in {tmp_path}/mine are finished; the same call goes on"):
        train_many(TINY, {"depth": [2, 3]}, logdir=tmp_path, study="mine")
    with pytest.raises(KeyboardInterrupt, match="0 of 1 runs"):
        train(**TINY, logdir=tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_a_run_that_fails_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("in the way")
    with pytest.raises(UserError, match="train"):
        train(**TINY, logdir=tmp_path, progress=False)
