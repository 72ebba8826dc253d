"""Training in real environments: foreign settings, containers, pipes, preemption, failing disks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mnist_depth import records
from scripts.torture import bad_disk_library
from tests.board.boards import eventually

COMMAND = (sys.executable, "-m", "mnist_depth")
TRAIN = (*COMMAND, "train", "--dataset=xor", "--depth=2", "--width=4", "--quiet", "--instruments=full", "--epochs")
SECONDS = 240

FOREIGN = {
    "KERAS_BACKEND": "jax",
    "KERAS_MAX_EPOCHS": "1",
    "TF_USE_LEGACY_KERAS": "1",
    "TF2_BEHAVIOR": "0",
    "TF_XLA_FLAGS": "--no_such_flag",
    "XLA_FLAGS": "--no_such_flag",
    "JOBLIB_START_METHOD": "nothing",
    "JOBLIB_MULTIPROCESSING": "none",
    "LOKY_MAX_CPU_COUNT": "many",
    "LOKY_PICKLER": "nothing",
    "MPLBACKEND": "nothing",
    "SCIPY_ARRAY_API": "1",
    "PYTHONINSPECT": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "LC_ALL": "C",
}
KERAS_JSON = {"backend": "torch", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}


def run(words: Any, cwd: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **variables}
    options: dict[str, Any] = {"env": environment, "stdin": subprocess.DEVNULL, "timeout": SECONDS}
    return subprocess.run([*words], capture_output=True, cwd=cwd, check=False, **options)


@pytest.mark.slow
def test_settings_and_names_of_other_people_change_no_bit(tmp_path: Path) -> None:
    home, logdir = tmp_path / "home", os.fsencode(tmp_path) + b"/\xeb\xa1\x9c\xea\xb7\xb8 \xff"
    (home / ".keras").mkdir(parents=True)
    (home / ".keras" / "keras.json").write_text(json.dumps(KERAS_JSON))
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: none of your business\n")
    plain = run([*TRAIN, "5", "--logdir=plain"], tmp_path)
    assert (plain.returncode, plain.stderr) == (0, b"")
    foreign = run([*map(os.fsencode, TRAIN), b"5", b"--logdir", logdir], tmp_path, HOME=str(home), **FOREIGN)
    assert (foreign.returncode, foreign.stderr) == (0, b"")
    marks = [json.loads(path.read_bytes()) for path in tmp_path.rglob(records.DONE)]
    assert len(marks) == 2
    assert len({mark["weights_sha256"] for mark in marks}) == 1
    assert json.loads((home / ".keras" / "keras.json").read_text()) == KERAS_JSON
    assert [path.name for path in (home / ".keras").iterdir()] == ["keras.json"]
    look = foreign.stdout.decode().split("Look:")[1].split("    (or")[0].strip()
    pasted = subprocess.run(["bash", "-c", f"printf %s {look.split('--logdir ')[1]}"], capture_output=True, check=True)
    assert pasted.stdout == logdir


def sandbox_of(folder: Path, *options: str) -> list[str]:
    """A command's first words that leave it only `folder` to write to; skips the test where there is no bubblewrap."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    here = str(folder)
    sandbox = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--bind", here, here]
    sandbox += ["--chdir", here, "--setenv", "TMPDIR", here, *options]
    if reason := run([*sandbox, "true"], folder).stderr.decode().strip():
        pytest.skip(f"bubblewrap cannot make a sandbox here: {reason}")
    return sandbox


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--remount-ro", "/dev"], ["/dev/shm", "Read-only file system", "docker run --shm-size"]),
        (["--tmpfs", "/proc"], ["/proc is not mounted", "bwrap --proc /proc"]),
    ],
)
def test_a_sandbox_without_what_workers_need_is_named(tmp_path: Path, options: list[str], parts: list[str]) -> None:
    done = run([*sandbox_of(tmp_path, *options), *TRAIN, "1"], tmp_path)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert all(part in done.stderr.decode() for part in parts)


@pytest.mark.slow
def test_an_unknown_user_without_a_home_on_a_read_only_system(tmp_path: Path) -> None:
    """As in a container: only the folder of the logs and a temporary one can be written."""
    user = ["--unshare-user", "--uid", "12345", "--gid", "12345"]
    homeless = ["--unsetenv", "HOME", "--unsetenv", "XDG_CACHE_HOME", "--unsetenv", "MPLCONFIGDIR"]
    sandbox = sandbox_of(tmp_path, *user, *homeless)
    words = [*COMMAND, "--dataset", "digits", "--epochs", "2", "--width=16", "--instruments=light"]
    done = run([*sandbox, *words], tmp_path, PYTHONDONTWRITEBYTECODE="")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Verdict:" in done.stdout
    assert len([*tmp_path.rglob(records.DONE)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_a_current_folder_that_was_removed_is_named(tmp_path: Path) -> None:
    line = f"mkdir gone; cd gone; rmdir ../gone; {' '.join(TRAIN)} 1 --logdir={tmp_path / 'logs'}"
    done = run(["bash", "-c", line], tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"mnist_depth: the current folder was removed; change to another one\n"
    assert [*tmp_path.iterdir()] == []


def _anyone_in_group(group: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, text=True).stdout
    return any(state[0] != "Z" for state in listed.split())


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_a_warning_to_the_whole_job_stops_and_says_how_to_go_on(number: int, tmp_path: Path) -> None:
    """Clusters and terminals signal every process of a job, the workers too."""
    words = [*TRAIN, "1000000", "--logdir=logs", "--instruments=none"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=tmp_path, start_new_session=True, **pipes) as process:
        while not [*tmp_path.rglob(records.METRICS)]:
            time.sleep(0.05)
        os.killpg(process.pid, number)
        _, errors = process.communicate(timeout=SECONDS)
    stopping, go_on = errors.splitlines()
    assert process.returncode == 1
    assert stopping.startswith("mnist_depth: stopping")
    assert go_on.startswith("mnist_depth: stopped; to go on where it stopped, run: ")
    assert eventually(lambda: not _anyone_in_group(process.pid))  # joblib's helpers end a moment later
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
    assert not [*tmp_path.rglob(".stop*")]


@pytest.mark.slow
def test_a_reader_that_leaves_ends_training_quietly(tmp_path: Path) -> None:
    words = [*COMMAND, "train", "--dataset=xor", "--depth=2", "--epochs=1000000", "--choose=width=4,5,6,7"]
    line = f"{' '.join(words)} --instruments=none --logdir=logs | head -1"
    done = run(["bash", "-o", "pipefail", "-c", line.replace("=4,5", "='4,5").replace(",7 ", ",7' ")], tmp_path)
    assert done.stdout.count(b"\n") == 1
    assert (done.returncode, done.stderr) == (141, b"")


FAULTS = {
    0: (".lock", 122),
    1: (".tmp", 5),
    2: ("metrics.jsonl", 122),
    3: ("tfevents", 122),
    4: ("checkpoint/", 5),
    5: ("weights.weights.h5", 18),
    6: ("done.json", 18),
}
NAMED = {1: "config.json", 3: "events.out.tfevents", 4: "checkpoint/state.npz"}
"""What a fault is called where that is not its own text."""


@pytest.mark.slow
def test_each_file_that_cannot_be_written_is_named_with_the_cause(tmp_path: Path) -> None:
    library = bad_disk_library(tmp_path)
    if library is None:
        pytest.skip("gcc is not installed")
    rules = "".join(f"seed_{seed}/|{file}|{number};" for seed, (file, number) in FAULTS.items())
    faults = {"LD_PRELOAD": str(library), "BAD_DISK": rules, "BAD_DISK_FLOCK": "37"}
    words = [*TRAIN, "5", f"--seeds={len(FAULTS) + 1}", "--save_weights", "--workers=1", "--logdir=logs"]
    done = run(words, tmp_path, **faults)
    errors = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert errors[0].startswith("Note: logs knows no locks (No locks available)")
    assert errors[-1].startswith("mnist_depth: some runs failed (see above); to go on where it stopped, run: ")
    assert len(errors) == len(FAULTS) + 2
    for seed, (file, number) in FAULTS.items():
        (line,) = [line for line in errors if f"seed_{seed}: " in line]
        assert NAMED.get(seed, file) in line.split(": ", 2)[2]
        assert os.strerror(number) in line
    (finished,) = tmp_path.rglob(records.DONE)
    assert finished.parent.name == f"seed_{len(FAULTS)}"
