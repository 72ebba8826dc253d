"""The command line as a user meets it: help at once, one line for every mistake, runs that end in a table."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from mnist_depth.cli import flags, main, pages, session, train
from mnist_depth.cli.commands import COMMANDS
from mnist_depth.config import FIELDS
from mnist_depth.errors import UserError
from mnist_depth.sweeps import sweep, worker
from mnist_depth.sweeps.worker import Options
from mnist_depth.translation import activate

pytestmark = pytest.mark.slow

QUICK = ["--dataset=digits", "--depth=2", "--width=8", "--epochs=2", "--quiet"]


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, far from the checkout."""
    command = [sys.executable, "-m", "mnist_depth", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=240, check=False)


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that a user got wrong; it ends in one line and exit code 2."""
    assert main(["mnist_depth", *words]) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("mnist_depth: ")
    return lines[0]


def test_help_names_every_command_and_flag_and_imports_no_tensorflow() -> None:
    code = (
        "import sys; from mnist_depth.cli import main; main(['', '--help', 'all']); "
        "print(list(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in [*COMMANDS, *(f"--{field} " for field in FIELDS), "--logdir", "--workers", "--engine"]:
        assert name in done.stdout
    assert "'tensorflow'" not in done.stderr
    assert "'keras'" not in done.stderr


def test_every_flag_has_help_and_a_place_in_it() -> None:
    values = flags.define()
    assert all(len(str(values[name].help)) > 5 for name in values)
    assert {name for group in flags.GROUPS.values() for name in group} == set(values)


def test_flags_and_the_options_that_they_fill_have_the_same_default() -> None:
    """Session hands every flag of an option's name over, also one that was not given."""
    values = flags.define()
    shared = {field.name: field.default for field in fields(Options) if field.name in values}
    shared = {name: default for name, default in shared.items() if default is not MISSING}  # logdir and study
    assert shared.keys() >= {"instruments", "keep_going", "workers"}
    assert {name: values[name].default for name in shared} == shared


def test_the_help_of_a_command_shows_its_own_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mnist_depth", "report", "--help"]) == 0
    output = capsys.readouterr().out
    assert "report DIR" in output
    assert "--out" in output
    assert "--depth" not in output
    assert main(["mnist_depth", "report", "train", "--help"]) == 0
    assert "report DIR" in capsys.readouterr().out


def test_a_suggestion_is_printed_before_a_dataset_is_looked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words, meant in (
        (["stduy"], "study"),
        (["study", "dpeth9"], "depth9"),
        (["train", "--activation=rleu"], "relu"),
        (["study", "--activation=rleu"], "relu"),
        (["list", "activation"], "activations"),
    ):
        assert main(["mnist_depth", *words]) == 2
        captured = capsys.readouterr()
        assert captured.err.strip().endswith(f"did you mean {meant}?")
        assert captured.out == ""


MISTAKES = [
    (["blah"], "valid: study, train"),
    (["study", "depth10"], "valid: depth9"),
    (["--fooo=1"], "fooo"),
    (["train", "--depth=x"], "depth"),
    (["train", "--depth=0"], "depth must be"),
    (["train", "--learning_rate=-0.1"], "learning_rate must be a positive number"),
    (["train", "--learning_rate=nan"], "learning_rate"),
    (["train", "--activation=swosh"], "valid: linear, sigmoid"),
    (["train", "--dataset=imagenet"], "valid: mnist"),
    (["train", "--dropout=1"], "dropout"),
    (["train", "extra"], "'extra'"),
    (["train", "--port=99999"], "port 99999 is not between 0 and 65535"),
    (["list", "nothing"], "valid: studies"),
    (["diagnose", "logs/mispelt"], "there is no logs/mispelt; name a run folder"),
    (["diagnose", "no.keras", "--data=no.npz"], "there is no no.keras; name a run folder"),
    (["study", "--engine=slurm"], "engine"),
    (["study", "--workers=0"], "workers"),
    (["search", "--choose=depth"], "FIELD=VALUE"),
    (["search", "--trials=0"], "trials"),
    (["board", "--bind_all"], "i_know_this_board_has_no_password"),
    (["board", "--attach=6006"], "--attach is about a board on another machine; add --remote"),
    (["board", "--remote=host:/logs", "--bind_all"], "is about a board on this machine"),
    (["board", "logs"], "did you mean --logdir=logs?"),
    (["train", "--depth=x"], "--depth must be a whole number, not 'x'"),
    (["train", "--learning_rate=x"], "--learning_rate must be a number, not 'x'"),
    (["study", "--seeds=0"], "--seeds must be a whole number from 1 to 1000, not '0'"),
    (["search", "--best=-1"], "--best must be a whole number of at least 0, not '-1'"),
    (["train", "--instruments=x"], "--instruments must be one of none, light, standard, full, not 'x'"),
    (["study", "--quick=maybe"], "--quick takes no value, or true or false, not 'maybe'"),
    (["study", "--noquick=1"], "--noquick takes no value"),
    (["train", "--depth"], "--depth needs a value"),
    (["train", "--flagfile=/missing"], "/missing"),
    (["list", "--epochs=3"], "list takes no --epochs; it is a flag of: study, train, search, theory"),
    (["report", "logs", "--logdir=logs"], "report takes no --logdir; it is a flag of: study, train, search, board"),
    (["study", "search", "--trials=3"], "study takes no --trials; it is a flag of: search"),
    (["study", "search", "--seeds=3"], "takes no --seeds"),
    (["theory", "--nodry_run"], "theory takes no --dry_run"),
]
"""Words of a command line, and a part of the error."""


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, *words)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("words", [words for words, _ in MISTAKES])
def test_a_mistake_is_explained_in_the_language_that_was_asked_for(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        explained = fails(capsys, "--language=ko", *words)
    finally:
        activate("en")
    assert re.search("[가-힣]", explained)
    assert not re.search(r" (must|not|takes|valid|is) ", explained)


def test_a_logdir_that_is_a_file_or_below_one_is_refused_and_not_harmed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "logs"
    file.write_text("precious")
    for logdir in (file, file / "below"):
        assert "logdir" in fails(capsys, "train", *QUICK, f"--logdir={logdir}")
    assert file.read_text() == "precious"


def test_train_leaves_a_run_folder_and_a_second_call_reuses_it(tmp_path: Path) -> None:
    first = run("train", *QUICK, f"--logdir={tmp_path}")
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert "test accuracy" in first.stdout
    assert f"--logdir {tmp_path}" in first.stdout
    assert "board --logdir" in first.stdout
    (folder,) = (path.parent for path in tmp_path.rglob("done.json"))
    record = json.loads((folder / "config.json").read_text())
    assert record["dataset"]["name"] == "digits"
    assert len(record["dataset"]["checksum"]) == 64
    assert record["environment"]["libraries"].keys() >= {"tensorflow", "keras"}
    second = run("train", *QUICK, f"--logdir={tmp_path}")
    assert "1 of 1 runs are finished already" in second.stdout
    assert second.returncode == 0


def test_train_takes_every_combination_and_prints_the_table(tmp_path: Path) -> None:
    words = ["--dataset=digits", "--width=8", "--epochs=1", "--instruments=none", f"--logdir={tmp_path}", "--quiet"]
    done = run("train", *words, "--choose=activation=relu,tanh;depth=2,3", "--seeds=2")
    assert done.returncode == 0, done.stderr
    folders = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("done.json")}
    assert folders == {
        f"train/{activation}-d{depth}-digits-w8-e1/seed_{seed}"
        for depth in (2, 3)
        for activation in ("relu", "tanh")
        for seed in (0, 1)
    }
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("depth ")]
    assert sorted(row[:3] for row in rows) == [
        ["depth", depth, activation] for depth in ("2,", "3,") for activation in ("relu", "tanh")
    ]
    assert "2 seeds each" in done.stdout


def test_diagnose_of_a_folder_of_runs_names_some(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "it holds no training either" in fails(capsys, "diagnose", str(tmp_path))
    for seed in range(5):
        run_here = tmp_path / "study" / "slug" / f"seed_{seed}"
        run_here.mkdir(parents=True)
        (run_here / "config.json").touch()
    for folder in (tmp_path, tmp_path / "study", tmp_path / "study" / "slug"):
        message = fails(capsys, "diagnose", str(folder))
        assert all(f"{tmp_path}/study/slug/seed_{seed}" in message for seed in range(3))
        assert "seed_3" not in message


def test_failed_runs_are_reported_also_where_their_pages_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a full disk: neither the weights nor the pages can be written."""

    def fail(*_: object) -> None:
        raise UserError("no space left")

    failed = sweep.Result([worker.Outcome(tmp_path / "run", "failed", UserError("OSError: no space left"))])
    monkeypatch.setattr(sweep, "run", lambda *_: failed)
    monkeypatch.setattr(session.Session, "list_runs", fail)
    assert main(["mnist_depth", "train", *QUICK, f"--logdir={tmp_path}"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "mnist_depth: no space left"
    assert lines[1] == f"failed: {tmp_path / 'run'}: OSError: no space left"
    assert "to go on where it stopped, run:" in lines[2]


def test_the_bare_command_is_the_depth9_study(tmp_path: Path) -> None:
    done = run("--dataset=digits", "--epochs=1", "--width=16", f"--logdir={tmp_path}", "--instruments=light")
    assert done.returncode == 0, done.stderr
    assert "Study depth9:" in done.stdout
    assert "not comparable" in done.stdout
    assert done.stdout.index("Answer: ") < done.stdout.index("Verdict: ")
    reason = done.stdout.partition("Why: ")[2]  # measured at the last step: too short a training does not change it
    assert "layer 1 over layer 9: " in reason
    assert "Verdict:" in done.stdout
    slugs = sorted(path.name for path in (tmp_path / "depth9").iterdir() if "digits" in path.name)
    assert [slug.split("-")[0] for slug in slugs] == ["relu", "sigmoid"]


def test_search_prints_the_best_and_scores_the_winner_once(tmp_path: Path) -> None:
    words = ["search", "--dataset=digits", "--trials=2", "--rounds=2", "--depth=2", "--width=8", "--epochs=1"]
    words += ["--train_examples=200", f"--logdir={tmp_path}", "--instruments=none", "--quiet"]
    first = run(*words)
    assert first.returncode == 0, first.stderr
    best = [line for line in first.stdout.splitlines() if line.startswith("Best-")]
    assert len(best) == 4
    assert best[0].startswith("Best-1 (val acc: ")
    assert "| lr: " in best[0]
    assert "weight decay: " in best[0]
    scored = [path for path in tmp_path.rglob("done.json") if "test_accuracy" in path.read_text()]
    assert len(scored) == 1
    second = run(*words)
    assert [line for line in second.stdout.splitlines() if line.startswith("Best-")] == best


def test_list_prints_every_registry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mnist_depth", "list"]) == 0
    text = capsys.readouterr().out
    for name in ("depth9", "fashion_mnist", "glorot_normal", "adam", "residual", "ray"):
        assert name in text


def test_the_command_that_resumes_repeats_the_data_that_were_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be given in a shell that finds other data."""
    words = ["mnist_depth", "train", *QUICK[1:], f"--logdir={tmp_path / 'logs'}"]
    stopped = sweep.Result([worker.Outcome(tmp_path / "run", "stopped")])
    monkeypatch.setattr(sweep, "run", lambda *_: stopped)
    monkeypatch.setattr(session.datasets, "load", lambda *_: None)
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data/mnist/3.0.1").mkdir(parents=True)
    (tmp_path / "data/mnist/3.0.1/dataset_info.json").touch()
    (tmp_path / "logs").mkdir()
    assert main(words) == 1
    assert capsys.readouterr().err.rstrip().endswith(f"--dataset=mnist --data_dir={tmp_path / 'data'}")


@pytest.mark.parametrize("words", [["train"], ["study", "gates"], ["search"], ["report", "logs"]])
def test_a_folder_of_data_that_does_not_exist_is_refused_by_every_command(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = fails(capsys, *words, f"--data_dir={tmp_path / 'missing'}", *["--dry_run"][: words[0] != "report"])
    assert f"data_dir names {tmp_path / 'missing'}, which is not a folder" in message
    assert "--data_dir is empty" in fails(capsys, *words, "--data_dir=")


@pytest.mark.parametrize(("number", "code"), [(13, 0), (30, 0), (28, 2)])
def test_finished_runs_can_be_read_where_their_pages_cannot_be_written(
    number: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs of another user, or on a read-only disk; a full disk stays an error."""

    def fail(self: session.Session) -> None:
        raise UserError("cannot write") from OSError(number, os.strerror(number))

    words = ["mnist_depth", "train", *QUICK, f"--logdir={tmp_path}"]
    monkeypatch.setattr(sweep, "run", lambda *_: sweep.Result())
    monkeypatch.setattr(session.Session, "read", lambda *_: [None])
    monkeypatch.setattr(session.Session, "_write_board_pages", fail)
    monkeypatch.setattr(train, "MAX_LISTED", 0)
    assert main(words) == code
    captured = capsys.readouterr()
    assert ("--out=report.html" in captured.err) == (code == 0)
    assert ("Look:" in captured.out) == (code == 0)


def test_a_report_that_cannot_be_written_beside_its_runs_is_an_error_that_names_the_flag_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise UserError("cannot write table.csv: Read-only file system") from OSError(30, "Read-only file system")

    monkeypatch.setattr(pages, "write_page", fail)
    message = fails(capsys, "report", str(tmp_path))
    assert message.endswith("Read-only file system; name a folder that you may write with --out")


def test_a_second_request_to_stop_prints_the_command_that_resumes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt(15)

    monkeypatch.setattr(sweep, "run", interrupted)
    words = ["mnist_depth", "train", *QUICK, f"--logdir={tmp_path}"]
    monkeypatch.setattr(sys, "argv", words)
    assert main(words) == 128 + 15
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mnist_depth: stopped; to go on where it stopped, run: ")
    assert line.endswith(f"--logdir={tmp_path}")
