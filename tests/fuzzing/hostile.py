"""Hostile inputs and file contents, and the Hypothesis settings of the tests that use them."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mnist_depth.cli import main
from mnist_depth.config import ALIASES, FIELDS, REGISTRIES
from mnist_depth.errors import UserError

T = TypeVar("T")

NASTY = (
    "",
    " ",
    "-",
    "--",
    ".",
    "..",
    "../..",
    "../../../../etc/passwd",
    "/dev/null/below",
    "/proc/self/nowhere",
    "~nobody_of_that_name/logs",
    "a/b",
    "\\",
    "*",
    "[a-",
    "{0}%s%n",
    ";rm -rf .",
    "$(touch pwned)",
    "`touch pwned`",
    "| touch pwned",
    "' && touch pwned '",
    '"',
    "a\nb",
    "\r",
    "\x1b[2J",
    "\u202eevil",
    "é日本🧨",
    "\udc80\udcff",
    "<script>alert(1)</script>",
    "$x^{$",
    "null",
    "a" * 300,
    "a" * 5_000,
    "/" + "b/" * 3_000,
    ",",
    "a:b",
    "=",
)
"""Nothing here holds a zero byte: the kernel ends a word of the command line there."""

texts = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_characters="\0"), max_size=30),
    st.binary(max_size=20).map(lambda raw: os.fsdecode(raw.replace(b"\0", b""))),
)

USUAL_INTEGERS, USUAL_FLOATS = (1, 2, 3, 4, 5, 7, 100), (0.5, 0.1, 0.01, 1 / 3, 0.123456789, 1e-30)
INTEGERS = (*USUAL_INTEGERS, 0, -1, 999, 1_000, 10**7, 2**31 - 1, 2**31, 2**63, -(2**63) - 1, 10**400)
FLOATS = (*USUAL_FLOATS, 0.0, -0.0, 1.0, 1e-320, 1e38, 1e39, 1e200, 1e308, -1.0)
NOT_FINITE = tuple(map(float, ("nan", "inf", "-inf")))
TAILS = ("", "", "", ":2", ":", ":0", ":-1", ":1e30", ":1e-200", ":1e400", ":nan", ":3,add", ":lstm", ":../..", ",")
"""What may follow a name of a registry."""


def usual(field: str) -> list[Any]:
    """Values of a config field that most other fields go with."""
    kinds: dict[str, list[Any]] = {"int": [*USUAL_INTEGERS], "float": [*USUAL_FLOATS], "str": ["none", "linear"]}
    return list(REGISTRIES[field]) if field in REGISTRIES else kinds[str(FIELDS[field].type)]


def typed(field: str) -> list[Any]:
    """Values of a config field that are of its type, valid or not."""
    if field in REGISTRIES:
        return [name + tail for name in (*REGISTRIES[field], *ALIASES.get(field, {})) for tail in TAILS]
    kinds: dict[str, list[Any]] = {
        "int": [*INTEGERS],
        "float": [*FLOATS, *NOT_FINITE],
        "str": ["none", "before", "after", "linear", "relu_scored", "nothing"],
    }
    return kinds[str(FIELDS[field].type)]


def tried(make: Callable[[], T]) -> T | UserError:
    """The return value or the user error of a call; any other exception fails the test."""
    try:
        return make()
    except UserError as error:
        return error


def is_one_line(error: UserError) -> bool:
    """Whether an error fits on a terminal."""
    return str(error).isprintable() and len(str(error)) < 2_100


class Ended(NamedTuple):
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def call(*words: str) -> Ended:
    """The command line in this process, with streams that are as strict as the interpreter's own."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace")]
    with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
        code = main(["mnist_depth", *words])
    for stream in streams:
        stream.flush()
    return Ended(code, *(stream.buffer.getvalue().decode() for stream in streams))  # type: ignore[attr-defined]


def reproducible(examples: int) -> settings:
    """The same examples every time, each as long as it takes."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=slow)
