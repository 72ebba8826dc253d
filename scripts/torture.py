#!/usr/bin/env python3
"""Disturb a study at random moments and compare what it leaves in the end with an undisturbed one.

    .venv/bin/python scripts/torture.py [--kills 12] [--pauses 6] [--bad_disks 6] [--full_disks 6] [--seed 0]

The study is `depth9` on the digits: four runs by two workers. A kill (SIGKILL) hits a worker, the command, or both and
all workers at once; the same command is then given again until it succeeds. A pause (SIGSTOP, then SIGCONT) hits the
same. On a bad disk, writing one kind of file fails with an I/O error or an exceeded quota from a random write on, by a
library that is put before the C library (which needs gcc). For a full disk the logdir is a small tmpfs (which needs
root), filled to the last byte at a random moment. On such a disk the command must end with a line that names the cause
and no traceback, and succeed when it is given again with the disk repaired. Every time no process may be left, and
weights, figures, points and events must be those of the undisturbed study, none missing and none twice. Ends with 0
where all were.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.outcomes import outcomes_below

ROOT = Path(__file__).resolve().parent.parent
STUDY = "depth9"
FLAGS = {"dataset": "digits", "depth": 2, "width": 8, "epochs": 6, "seeds": 2, "workers": 2, "save_weights": "true"}
VICTIMS = ("a worker", "the command", "everything")
DISK_MEGABYTES, FILLER = 120, "filler"
FAILING = (".lock", ".tmp", "metrics.jsonl", "tfevents")
"""Parts of the names of a run's files; whole files, weights too, are written under a name that ends in .tmp."""

MAX_PAUSE = 3.0
MAX_LINGER = 60.0
"""Seconds of a pause, and seconds that workers may take to end after their command."""

MAX_TRIES = 4
"""How often a command that was disturbed once may be given again."""


class Ended(NamedTuple):
    """A command that has ended: its exit code, what it printed to standard error, how many processes it left."""

    code: int
    errors: str
    left: int


class Command:
    """The study under way in a process group of its own."""

    def __init__(self, logdir: Path, **variables: str) -> None:
        flags = [f"--{name}={value}" for name, value in FLAGS.items()]
        words = [sys.executable, "-m", "mnist_depth", "study", STUDY, "--quiet", f"--logdir={logdir}", *flags]
        pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(
            words, cwd=ROOT, start_new_session=True, env={**os.environ, **variables}, **pipes
        )

    def runs_for(self, seconds: float) -> bool:
        """Wait; whether it still runs then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            return False
        return True

    def wait(self) -> Ended:
        """How it ended, once its workers have ended too."""
        _, errors = self.process.communicate()
        deadline = time.monotonic() + MAX_LINGER
        while (left := self._group()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return Ended(self.process.returncode, errors, left)

    def _group(self) -> int:
        """How many processes of its group are alive."""
        listed = subprocess.run(["ps", "-o", "stat=", "-g", str(self.process.pid)], capture_output=True, text=True)
        return sum(state[0] != "Z" for state in listed.stdout.split())

    def signal(self, number: int, victim: str, choose: random.Random) -> None:
        """Send a signal to a worker (to none where none has started), to the command alone, or to its whole group."""
        if victim == "everything":
            os.killpg(self.process.pid, number)
        elif victim == "the command":
            self.process.send_signal(number)
        elif workers := self._workers():
            os.kill(choose.choice(workers), number)

    def _workers(self) -> list[int]:
        """Loky's worker processes: children of the command."""
        listed = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        )
        return [int(line.split()[0]) for line in listed.stdout.splitlines() if "popen_loky" in line]


def undisturbed(folder: Path) -> tuple[dict[str, Any], float]:
    """The outcome of the study, and the seconds it takes."""
    start = time.monotonic()
    ended = Command(folder).wait()
    if ended.code:
        sys.exit(f"torture: the undisturbed study failed: {ended}")
    return outcomes_below(folder / STUDY), time.monotonic() - start


class Trial(NamedTuple):
    """One study to disturb: where it writes, what it must leave in the end, and what chance decides."""

    logdir: Path
    expected: dict[str, Any]
    seconds: float
    victim: str
    choose: random.Random

    def compared(self) -> str:
        """What differs from the undisturbed study, or nothing."""
        try:
            found = outcomes_below(self.logdir / STUDY)
        except (AssertionError, KeyError) as error:
            return repr(error)
        names = self.expected.keys() | found.keys()
        different = sorted(name for name in names if self.expected.get(name) != found.get(name))
        return f"differs: {', '.join(different)}" if different else ""

    def resumed(self, ended: Ended) -> str:
        """Give the command until it succeeds, if it did not; what is wrong with the end, or nothing."""
        for _ in range(MAX_TRIES):
            if ended.left:
                return f"{ended.left} processes are left"
            if ended.code == 0:
                return self.compared()
            ended = Command(self.logdir).wait()
        return f"still failing after {MAX_TRIES} times: {ended.errors[-500:]}"

    def resumed_with_reason(self, ended: Ended, reason: str) -> str:
        """As `resumed`; a command that failed must have printed the reason, and no traceback."""
        if ended.code not in (0, 1, 2) or "Traceback" in ended.errors:
            return f"exit code {ended.code}: {ended.errors[-1500:]}"
        if ended.code and reason not in ended.errors:
            return f"does not say why: {ended.errors[-500:]}"
        return self.resumed(ended)


def kill(trial: Trial) -> str:
    """Kill at a random moment and resume."""
    command, moment = Command(trial.logdir), trial.choose.uniform(0, trial.seconds)
    if command.runs_for(moment):
        command.signal(signal.SIGKILL, trial.victim, trial.choose)
    print(f"killed {trial.victim} after {moment:.1f} s", end="; ", flush=True)
    return trial.resumed(command.wait())


def pause(trial: Trial) -> str:
    """Pause at a random moment, for a random time. It must not need a second command."""
    command, moment = Command(trial.logdir), trial.choose.uniform(0, trial.seconds)
    length = trial.choose.uniform(0.1, MAX_PAUSE)
    if command.runs_for(moment):
        command.signal(signal.SIGSTOP, trial.victim, trial.choose)
        time.sleep(length)
        command.signal(signal.SIGCONT, "everything", trial.choose)
    print(f"paused {trial.victim} after {moment:.1f} s for {length:.1f} s", end="; ", flush=True)
    ended = command.wait()
    return f"ended with {ended}" if ended.code else trial.resumed(ended)


def bad_disk(trial: Trial) -> str:
    """Let one kind of file fail from a random write on, then repair the disk and resume."""
    file, error = trial.choose.choice(FAILING), trial.choose.choice((errno.EIO, errno.EDQUOT))
    after = trial.choose.randrange(40)
    with tempfile.TemporaryDirectory() as folder:
        rules = {"BAD_DISK": f"{STUDY}/|{file}|{error};", "BAD_DISK_AFTER": str(after)}
        ended = Command(trial.logdir, **rules, LD_PRELOAD=str(bad_disk_library(Path(folder)))).wait()
    print(f"{file} failed after {after} writes ({os.strerror(error)})", end=", ")
    print(f"ended with {ended.code}", end="; ", flush=True)
    return trial.resumed_with_reason(ended, os.strerror(error))


def full_disk(trial: Trial) -> str:
    """Fill the disk at a random moment, empty it again and resume."""
    with small_disk(trial.logdir) as disk:
        trial, filler = trial._replace(logdir=disk / "logs"), disk / FILLER
        command, moment = Command(trial.logdir), trial.choose.uniform(0.2 * trial.seconds, 0.9 * trial.seconds)
        if command.runs_for(moment):
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(65_536))
        ended = command.wait()
        print(f"filled after {moment:.1f} s, ended with {ended.code}", end="; ", flush=True)
        filler.unlink(missing_ok=True)
        return trial.resumed_with_reason(ended, os.strerror(errno.ENOSPC))


def bad_disk_library(folder: Path) -> Path | None:
    """The library that lets writing fail, compiled; None without a compiler."""
    library = folder / "bad_disk.so"
    command = ["gcc", "-shared", "-fPIC", "-o", str(library), str(ROOT / "tests" / "fuzzing" / "bad_disk.c"), "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return library


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A tmpfs for the time of the block."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        # Workers of a command that has ended may take a moment to end as well.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


FAULTS: dict[str, tuple[Callable[[Trial], str], int]] = {
    "kills": (kill, 12),
    "pauses": (pause, 6),
    "bad_disks": (bad_disk, 6),
    "full_disks": (full_disk, 6),
}
"""Each fault by the flag that says how often: what it does, returning what is wrong in the end, and the default."""


def impossible(fault: str, folder: Path) -> str:
    """Why this machine cannot have a fault; nothing where it can."""
    if fault == "full_disks" and os.geteuid():
        return "mounting a tmpfs needs root"
    if fault == "bad_disks" and bad_disk_library(folder) is None:
        return "there is no gcc"
    return ""


def main() -> int:
    """Disturb as often as asked; 1 where a study did not come to the same end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for fault, (what, times) in FAULTS.items():
        parser.add_argument(f"--{fault}", type=int, default=times, help=f"{what.__doc__} (default: {times} times)")
    parser.add_argument("--seed", type=int, default=0, help="seed of victims and moments")
    arguments = parser.parse_args()
    choose, wrong = random.Random(arguments.seed), list[str]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected, seconds = undisturbed(folder / "undisturbed")
        print(f"undisturbed: {seconds:.1f} s, {len(expected)} runs and folders of events", flush=True)
        for fault, (disturb, _) in FAULTS.items():
            if reason := impossible(fault, folder):
                print(f"no {fault}: {reason}")
                continue
            for number in range(getattr(arguments, fault)):
                victim = VICTIMS[number % len(VICTIMS)]
                wrong.append(disturb(Trial(folder / f"{fault}_{number}", expected, seconds, victim, choose)))
                print(wrong[-1] or "identical", flush=True)
    print(f"{wrong.count('')} of {len(wrong)} identical")
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
