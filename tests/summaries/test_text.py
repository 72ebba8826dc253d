from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mnist_depth.config import RunConfig
from mnist_depth.diagnosis import Layer, Measurements, judge
from mnist_depth.summaries.text import config_table, preformatted, reproduce, verdict

from .fabricated import make_run


def test_the_table_has_every_field_and_marks_what_is_not_the_default() -> None:
    config = RunConfig(dataset="digits", depth=12, activation="sigmoid")
    rows = {row.split("|")[1].strip(): row.split("|")[2].strip() for row in config_table(config).splitlines()[2:]}
    assert list(rows) == list(config.to_dict())
    bold = {name for name, value in rows.items() if value.startswith("**")}
    assert bold == {"depth", "activation"}
    assert rows["depth"] == "**12**"
    assert rows["initializer"] == "glorot\\_normal"


@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": "adam"}, {"depth": 4, "seed": 3, "learning_rate": 0.02}, {"initializer": "normal:0.5"}],
)
def test_the_command_gives_the_same_config_back(tmp_path: Path, options: dict[str, Any]) -> None:
    record = make_run(tmp_path, **options)
    (line,) = [line for line in reproduce(record).splitlines() if " train " in line]
    words = shlex.split(line)
    assert words[:4] == ["python", "-m", "mnist_depth", "train"]
    given = dict(word.removeprefix("--").split("=", 1) for word in words[4:])
    typed = {name: type(getattr(record.config, name))(value) for name, value in given.items()}
    assert RunConfig(**typed) == record.config


def test_hostile_text_cannot_leave_its_place(tmp_path: Path) -> None:
    hostile = "```\n<script>alert(1)</script> | `x`\n# title"
    record = make_run(tmp_path)
    record = replace(record, metadata={"command": hostile, "dataset": {"name": "a|b\n<i>"}, "environment": "none"})
    lines = reproduce(record).splitlines()
    for part in hostile.splitlines():
        assert f"    {part}" in lines
    assert "| name | a\\|b \\<i\\> |" in lines


def test_plain_text_keeps_its_lines() -> None:
    assert preformatted("a  b\n\nc") == "    a  b\n    \n    c"


def test_a_verdict_names_the_other_kinds_that_were_found() -> None:
    """A network that is healthy as a whole says so beside what is wrong with a part of it."""
    layers = (Layer("first", 1.0, update_ratio=0.5), Layer("out", 1.0, update_ratio=1e-3))
    found = judge(Measurements("fabricated", layers))
    assert verdict(found).startswith("**HEALTHY**")
    assert "also: update size" in verdict(found)
    assert "also" not in verdict(replace(found, findings=()))
