"""Requests to stop a command that does not train: one line or nothing, and never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.runtime import settings

pytestmark = pytest.mark.slow

LISTENING = """
import sys, time
from mnist_depth.runtime import signals
signals.interrupt_once()
try:
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        time.sleep({cleaning_up})
except KeyboardInterrupt as error:
    sys.exit(signals.stopped(signals.behind(error)))
"""


def _start(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_request_is_one_line_and_the_exit_code_of_the_shell(number: signal.Signals) -> None:
    process = _start(LISTENING.format(cleaning_up=0))
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (128 + number, "mnist_depth: stopped\n")


IMPORTING = """
import sys
from mnist_depth.runtime import signals
signals.interrupt_once()
class Slow:
    def __set_name__(self, owner, name):
        print("ready", flush=True)
        while True: pass
try:
    class Owner:
        attribute = Slow()
except BaseException as error:
    sys.exit(signals.stopped(signals.behind(error)))
"""


def test_a_request_that_python_turns_into_another_error_is_known_as_a_request() -> None:
    """Until Python 3.12, what is raised while a class is made arrives as a RuntimeError."""
    process = _start(IMPORTING)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "mnist_depth: stopped\n")


def test_a_second_request_ends_at_once_and_quietly() -> None:
    process = _start(LISTENING.format(cleaning_up=60))
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=50)
    assert (process.returncode, errors) == (128 + signal.SIGTERM, "")


def test_an_ignored_request_stays_ignored() -> None:
    """As under nohup, which lets a command outlive its terminal."""
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = _start(ignoring + LISTENING.format(cleaning_up=0))
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert errors == "mnist_depth: stopped\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the environment of a process")
@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1, 0.3])
def test_many_ctrl_c_while_a_command_starts_leave_no_traceback(seconds: float) -> None:
    """From the moment at which the program has started itself again with its own environment."""
    environment = {name: value for name, value in os.environ.items() if name not in settings.MALLOC}
    command = [sys.executable, "-m", "mnist_depth", "list"]
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        while b"MALLOC_TOP_PAD_" not in Path(f"/proc/{process.pid}/environ").read_bytes():
            time.sleep(0.001)
        time.sleep(seconds)
        for _ in range(6):
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert errors in ("", "mnist_depth: stopped\n")
