#!/usr/bin/env python3
"""Kill a study at random moments, fill its disk, and compare what it leaves in the end with an undisturbed one.

    .venv/bin/python scripts/torture.py [--kills 30] [--pauses 10] [--bad_disks 10] [--full_disks 10] [--seed 0]

The study is `depth9` on the digits: four runs by two workers. A kill (SIGKILL) hits a worker, the command, or both and
all workers at once; the same command is then given again until it succeeds. A pause (SIGSTOP, then SIGCONT) hits the
same. On a bad disk, writing one kind of file fails with an I/O error or an exceeded quota from a random write on, by a
library that is put before the C library (which needs gcc). For a full disk the logdir is a small tmpfs
(which needs root), filled to the last byte at a random moment; the command must end with one line per run that failed
and no traceback, and succeed when it is given again with the disk empty. Every time weights, figures, points and events
must be those of the undisturbed study, none missing and none twice. Ends with 0 where all were.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.outcomes import outcomes_below

ROOT = Path(__file__).resolve().parent.parent
STUDY = "depth9"
FLAGS = {"dataset": "digits", "depth": 3, "width": 16, "epochs": 12, "seeds": 2, "workers": 2}
VICTIMS = ("a worker", "the command", "everything")
DISK_MEGABYTES, FREED = 120, "filler"
FAILING = (".lock", ".tmp", "metrics.jsonl", "tfevents", "weights.weights.h5")
"""Parts of the names of a run's files; whole files are written under a name that ends in .tmp."""

MAX_PAUSE = 3.0
"""Seconds."""

MAX_TRIES = 4
"""How often a command that was disturbed once may be given again."""


class Ended(NamedTuple):
    """A command that has ended: its exit code and what it printed to standard error."""

    code: int
    errors: str


class Command:
    """The study under way in a process group of its own."""

    def __init__(self, logdir: Path, **variables: str) -> None:
        flags = [f"--{name}={value}" for name, value in FLAGS.items()]
        words = [sys.executable, "-m", "mnist_depth", "study", STUDY, "--quiet", f"--logdir={logdir}", *flags]
        pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(
            words, cwd=ROOT, start_new_session=True, env={**os.environ, **variables}, **pipes
        )

    def wait(self, seconds: float | None = None) -> Ended | None:
        """How it ended; None where it still runs after `seconds`."""
        try:
            _, errors = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        return Ended(self.process.returncode, errors)

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
    if not ended or ended.code:
        sys.exit(f"torture: the undisturbed study failed: {ended}")
    return outcomes_below(folder / STUDY), time.monotonic() - start


def repeated(logdir: Path) -> str:
    """Give the command until it succeeds; what is wrong with that, or nothing."""
    ended = None
    for _ in range(MAX_TRIES):
        ended = Command(logdir).wait()
        if ended and ended.code == 0:
            return ""
    return f"still failing after {MAX_TRIES} times: {ended.errors[-500:] if ended else ''}"


def compared(logdir: Path, expected: dict[str, Any]) -> str:
    """What differs from the undisturbed study, or nothing."""
    try:
        found = outcomes_below(logdir / STUDY)
    except (AssertionError, KeyError) as error:
        return repr(error)
    different = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    return f"differs: {', '.join(sorted(different))}" if different else ""


def one_kill(logdir: Path, expected: dict[str, Any], seconds: float, victim: str, choose: random.Random) -> str:
    """Kill once at a random moment and resume; return what differs in the end, or nothing."""
    command, moment = Command(logdir), choose.uniform(0, seconds)
    ended = command.wait(moment)
    if ended is None:
        command.signal(signal.SIGKILL, victim, choose)
        ended = command.wait()
    print(f"killed {victim} after {moment:.1f} s", end="; ", flush=True)
    return (repeated(logdir) if ended and ended.code else "") or compared(logdir, expected)


def one_pause(logdir: Path, expected: dict[str, Any], seconds: float, victim: str, choose: random.Random) -> str:
    """Pause once at a random moment; what is wrong in the end, or nothing. It must not need a second command."""
    command, moment, length = Command(logdir), choose.uniform(0, seconds), choose.uniform(0.1, MAX_PAUSE)
    ended = command.wait(moment)
    if ended is None:
        command.signal(signal.SIGSTOP, victim, choose)
        time.sleep(length)
        command.signal(signal.SIGCONT, "everything", choose)
        ended = command.wait()
    print(f"paused {victim} after {moment:.1f} s for {length:.1f} s", end="; ", flush=True)
    return f"ended with {ended}" if ended is None or ended.code else compared(logdir, expected)


def one_bad_disk(logdir: Path, expected: dict[str, Any], library: Path, choose: random.Random) -> str:
    """Let one kind of file fail from a random write on, then repair the disk; what is wrong in the end, or nothing."""
    file, error, after = choose.choice(FAILING), choose.choice((errno.EIO, errno.EDQUOT)), choose.randrange(40)
    rules = {"BAD_DISK": f"{STUDY}/|{file}|{error};", "BAD_DISK_AFTER": str(after), "LD_PRELOAD": str(library)}
    ended = Command(logdir, **rules).wait()
    print(f"{file} failed after {after} writes, ended with {ended.code if ended else '?'}", end="; ", flush=True)
    if ended and (ended.code not in (0, 1, 2) or "Traceback" in ended.errors):
        return f"exit code {ended.code}: {ended.errors[-1500:]}"
    if ended and ended.code and os.strerror(error) not in ended.errors:
        return f"does not say why: {ended.errors[-500:]}"
    return (repeated(logdir) if ended and ended.code else "") or compared(logdir, expected)


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


def one_full_disk(disk: Path, expected: dict[str, Any], seconds: float, choose: random.Random) -> str:
    """Fill the disk at a random moment, empty it again and resume; return what differs in the end, or nothing."""
    logdir, filler = disk / "logs", disk / FREED
    command, moment = Command(logdir), choose.uniform(0.2 * seconds, 0.9 * seconds)
    ended = command.wait(moment)
    if ended is None:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65_536))
        ended = command.wait()
    print(f"filled after {moment:.1f} s, ended with {ended.code if ended else '?'}", end="; ", flush=True)
    filler.unlink(missing_ok=True)
    if ended and ended.code not in (0, 1, 2):
        return f"exit code {ended.code}: {ended.errors[-500:]}"
    if ended and "Traceback" in ended.errors:
        return f"a traceback: {ended.errors[-1500:]}"
    if ended and ended.code and "No space left" not in ended.errors:
        return f"does not say why: {ended.errors[-500:]}"
    return (repeated(logdir) if ended and ended.code else "") or compared(logdir, expected)


def main() -> int:
    """Disturb as often as asked; 1 where a study did not come to the same end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="studies to kill")
    parser.add_argument("--pauses", type=int, default=10, help="studies to pause")
    parser.add_argument("--bad_disks", type=int, default=10, help="disks on which writing fails")
    parser.add_argument("--full_disks", type=int, default=10, help="disks to fill")
    parser.add_argument("--seed", type=int, default=0, help="seed of victims and moments")
    arguments = parser.parse_args()
    choose, bad = random.Random(arguments.seed), 0
    if arguments.full_disks and os.geteuid():
        print("full disks are left out: mounting a tmpfs needs root")
        arguments.full_disks = 0
    with tempfile.TemporaryDirectory() as folder:
        expected, seconds = undisturbed(Path(folder) / "undisturbed")
        print(f"undisturbed: {seconds:.1f} s, {len(expected)} runs and folders of events")
        for trial in range(arguments.kills):
            victim = VICTIMS[trial % len(VICTIMS)]
            wrong = one_kill(Path(folder) / f"kill_{trial}", expected, seconds, victim, choose)
            bad += bool(wrong)
            print(wrong or "identical", flush=True)
        for trial in range(arguments.pauses):
            victim = VICTIMS[trial % len(VICTIMS)]
            wrong = one_pause(Path(folder) / f"pause_{trial}", expected, seconds, victim, choose)
            bad += bool(wrong)
            print(wrong or "identical", flush=True)
        library = bad_disk_library(Path(folder))
        if arguments.bad_disks and library is None:
            print("bad disks are left out: there is no gcc")
            arguments.bad_disks = 0
        for trial in range(arguments.bad_disks):
            assert library
            wrong = one_bad_disk(Path(folder) / f"bad_{trial}", expected, library, choose)
            bad += bool(wrong)
            print(wrong or "identical", flush=True)
        for trial in range(arguments.full_disks):
            with small_disk(Path(folder) / f"disk_{trial}") as disk:
                wrong = one_full_disk(disk, expected, seconds, choose)
            bad += bool(wrong)
            print(wrong or "identical", flush=True)
    total = arguments.kills + arguments.pauses + arguments.bad_disks + arguments.full_disks
    print(f"{total - bad} of {total} identical")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
