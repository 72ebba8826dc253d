"""Any command line gives an exit code and one line for a user error, and writes no file."""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_depth.board import remote, server
from mnist_depth.cli import flags
from mnist_depth.cli.commands import COMMANDS
from mnist_depth.cli.list_names import LISTS
from mnist_depth.config import FIELDS, RunConfig
from mnist_depth.datasets import prepared
from mnist_depth.errors import UserError
from mnist_depth.studies import STUDIES
from mnist_depth.sweeps import sweep

from .hostile import INTEGERS, NASTY, call, reproducible, texts, typed, usual

pytestmark = pytest.mark.slow

FLAGS = flags.define()
MULTIPLIED = ("seeds", "trials", "rounds")
"""Flags of which each unit costs time."""

ADDRESSES = ["gpu:/logs", "ann@gpu:~/a b", "ann@[::1]:/x", "-oProxyCommand=touch pwned:/logs", "ann@-gpu:/logs", "gpu"]
CHOICES = ["depth=1,-3", "weight_decay=0,1", "activation=relu,tanh;depth=3,5", "seed=1", "depth=9,", "dataset=xor"]
PLACES = ["file", "loop", "binary", "../elsewhere", "../logs", "nowhere", "./", "sub/../../logs"]


def _values(name: str) -> list[Any]:
    """What may follow a flag, by its kind."""
    flag = FLAGS[name]
    if name in FIELDS:
        return [*usual(name), *typed(name)]
    if name in MULTIPLIED:
        return [1, 2, 3, 0, -1, 10**7, 10**400]
    kinds = {"int": [*INTEGERS], "bool": ["true", "false"]}
    return kinds.get(flag.flag_type(), [*getattr(flag.parser, "enum_values", PLACES + ADDRESSES + CHOICES)])


NAMES = sorted(FLAGS)
VALUED = {name: [f"--{name}={value}" for value in _values(name)] for name in NAMES}
FITTING = [*itertools.chain(*VALUED.values())]
ODD = [f"-{name}={value}" for name in [*NAMES, "flagfile", "undefok", "", "dept"] for value in (*NASTY, *PLACES)]
ODD += [f"{dashes}{name}" for dashes in ("-", "--", "--no", "---") for name in (*NAMES, "n" * 5_000)]
WORDS = [*STUDIES, *LISTS, *PLACES, *NASTY]

starts = st.sampled_from([*[[name] for name in COMMANDS] * 8, *[["study", name] for name in STUDIES], []])
any_flags = st.lists(st.one_of(st.sampled_from(FITTING), st.sampled_from(ODD), texts), max_size=5)


def _own_flags(start: list[str]) -> st.SearchStrategy[list[str]]:
    """Flags that the command takes, with values that may be wrong."""
    own = [*itertools.chain(*(VALUED[name] for name in sorted(COMMANDS[start[0] if start else "study"].flags)))]
    some = st.sampled_from(own or [""])
    return st.one_of(st.lists(some, max_size=4), st.lists(some, max_size=1))


begun = starts.flatmap(lambda start: st.tuples(st.just(start), st.one_of(_own_flags(start), any_flags)))
words = st.one_of(st.just([]), st.sampled_from([[word] for word in WORDS]), st.lists(texts, max_size=2))
lines = st.builds(
    lambda begun, *rest: [*itertools.chain(*begun, *rest)], begun, words, st.sampled_from([["--dry_run"], []])
)


def everything_below(root: Path) -> dict[str, int]:
    """Every path and when it was changed."""
    return {os.fspath(path): path.lstat().st_mtime_ns for path in root.rglob("*")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a working directory and a logdir in it; nothing is trained, served, or asked over the network."""
    root = tmp_path_factory.mktemp("flags")
    for name in ("cwd", "logs", "elsewhere", "nothing", "cwd/sub"):
        (root / name).mkdir()
    (root / "cwd" / "file").write_text("precious")
    (root / "cwd" / "binary").write_bytes(bytes(range(256)))
    (root / "cwd" / "loop").symlink_to("loop")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root / "cwd")
        patch.setenv("TFDS_DATA_DIR", str(root / "nothing"))
        patch.setattr(prepared, "_reachable", lambda url: False)
        patch.setattr(sweep, "run", _train_nothing)
        patch.setattr(server, "ChildProcess", FakeChildProcess)
        patch.setattr(remote, "ChildProcess", FakeChildProcess)
        patch.setattr(remote, "PORTS_TRIED", 2)
        patch.setattr(remote, "subprocess", FakeSubprocess)
        yield root


def _train_nothing(configs: Sequence[RunConfig], options: sweep.Options, watch: Any = None) -> sweep.Result:
    return sweep.Result([sweep.Outcome(options.logdir, "failed", UserError("not trained here")) for _ in configs])


class FakeChildProcess:
    """A fake `ssh` or TensorBoard: records its arguments and input, and reports a port."""

    started: list[FakeChildProcess] = []  # noqa: RUF012  one list for all

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self.command, self.sent, self.report = [*command], b"", lambda: {"port": 7} if "ssh" in command else None
        assert not options.get("shell")
        self.started.append(self)

    def send(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> int:
        return 255

    def __enter__(self) -> FakeChildProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FakeSubprocess:
    """A fake `subprocess` module whose `ssh` refuses every forwarding."""

    DEVNULL = subprocess.DEVNULL

    @staticmethod
    def run(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        FakeChildProcess(command, **options)
        return subprocess.CompletedProcess([*command], 255, "", "refused")


@reproducible(1_200)
@given(line=lines)
def test_any_line_ends_in_an_exit_code_and_writes_nothing(home: Path, line: list[str]) -> None:
    before = everything_below(home)
    ended = call(*line)
    assert ended.code in (0, 1, 2)
    if ended.code == 2:
        assert ended.err.startswith("mnist_depth: ")
        assert ended.err.count("\n") == 1
        assert ended.err[:-1].isprintable()
    assert everything_below(home) == before


hosts = st.one_of(
    st.sampled_from([*ADDRESSES, *NASTY]),
    texts.map("gpu:{}".format),
    texts.map("gpu:/logs/{}".format),
    st.builds("{}gpu{}:/logs".format, texts, texts),
)


@reproducible(300)
@given(address=hosts, python=texts, config=texts, attach=st.sampled_from([None, None, None, 7, 7, 0, -1, 2**16]))
def test_no_address_reaches_a_shell(home: Path, address: str, python: str, config: str, attach: int | None) -> None:
    FakeChildProcess.started.clear()
    line = ["board", f"--remote={address}", f"--remote_python={python}", f"--ssh_config={config}"]
    assert call(*line, *([f"--attach={attach}"] if attach is not None else [])).code == 2
    assert not address.startswith("-") or not FakeChildProcess.started
    script = remote._SERVE_REMOTELY if attach is None else remote._HOLD_REMOTELY
    for ssh in FakeChildProcess.started:
        options, (host, *command) = _split(ssh.command)
        assert options[0] == "ssh"
        assert host in (address[: len(host)], address.replace("[", "").replace("]", "")[: len(host)])
        assert not host.startswith("-")
        assert not set(host) & set("'\"$`;&|<>(){}\\ \n")
        assert command in ([], [f"exec sh -c {shlex.quote(script)}"])
        assert ("-F" in options) == bool(config)
        assert not config or os.path.isabs(options[options.index("-F") + 1])
    if attach is None and FakeChildProcess.started:
        path, interpreter, _, _ = FakeChildProcess.started[0].sent.split(b"\n", 3)
        assert os.fsencode(address).endswith(path)
        assert interpreter == os.fsencode(python)


def _split(command: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The words before and after the first `--`, after which `ssh` accepts no options."""
    at = command.index("--")
    return command[:at], command[at + 1 :]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("search --dataset=xor --seed=-1", "seed must be a whole number from 0"),
        ("train --seeds=0", "--seeds"),
        ("study --seeds=10000000000", "--seeds"),
        ("train --dataset=xor --learning_rate=1e200", "learning_rate must be at most 1e+38"),
        ("theory --initializer=normal:1e200", "the number after the colon must be at most 1e+38"),
        ("theory --initializer=mean_field:0", "the number after the colon must be positive"),
        ("train --dataset=mnist --data_dir=~no_such_user/x", "names ~no_such_user/x, which is not a folder"),
        ("train --dataset=xor --logdir=", "--logdir is empty"),
        ("board --remote=", "names no host"),
        ("board --remote=gpu --attach=0", "port 0 is not between 1 and 65535"),
        ("list --flagfile=binary", "utf-8"),
        ("diagnose loop", "there is no loop; name a run folder"),
        (f"list --{'n' * 5_000}=1", "unknown flag"),
        (f"report {'a' * 5_000}", "File name too long"),
        ("report a\\\nb", r"a\nb does not exist"),
    ],
)
def test_what_was_found_once(home: Path, line: str, message: str) -> None:
    ended = call(*shlex.split(line.replace("\\\n", "'\n'")))
    assert ended.code == 2
    assert message in ended.err
    assert ended.err.count("\n") == 1


def test_a_name_that_is_no_text_is_spelled_out(home: Path) -> None:
    ended = call("study", "xor2", "--dry_run", f"--logdir={os.fsdecode(b'logs-' + bytes([255]))}")
    assert ended.code == 0
    assert ended.out.startswith("logs-\\udcff/xor2:")


@pytest.mark.parametrize("line", ["search --choose=weight_decay=0,1e-4", "study search --quick"])
def test_a_search_can_be_tried_dry(home: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "run", None)
    ended = call(*line.split(), "--dry_run", "--dataset=digits")
    assert ended.code == 0
    assert "nothing was written" in ended.out
