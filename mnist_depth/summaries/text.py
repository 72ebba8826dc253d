"""Markdown for the Text tab: the config, the command that reproduces the run, the findings."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from mnist_depth.config import RunConfig
from mnist_depth.diagnosis import Diagnosis, Message, verdict_line
from mnist_depth.records import RunRecord


def config_table(config: RunConfig) -> str:
    """A table of every field; what differs from the default is bold."""
    usual = RunConfig(dataset=config.dataset, optimizer=config.optimizer)
    rows = []
    for spec in fields(config):
        value = getattr(config, spec.name)
        shown = _escape(value)
        shown = shown if value == getattr(usual, spec.name) else f"**{shown}**"
        rows.append(f"| {spec.name} | {shown} | {_escape(spec.metadata['help'])} |")
    return "\n".join(["| field | value | meaning |", "|---|---|---|", *rows])


def reproduce(record: RunRecord) -> str:
    """The command that trains this run alone, the command that was typed, and what it ran on."""
    parts = ["This run alone:", _code(_command(record.config))]
    if typed := record.metadata.get("command"):
        parts += ["It was trained by:", _code(str(typed))]
    for title in ("dataset", "environment"):
        if isinstance(record.metadata.get(title), Mapping):
            parts += [f"{title.capitalize()}:", _table(record.metadata[title])]
    return "\n\n".join(parts)


def _command(config: RunConfig) -> str:
    """The dataset, which has no fixed default, and every field that is not the default."""
    usual = RunConfig(dataset=config.dataset).to_dict() | {"dataset": None}
    flags = [f"--{name}={value}" for name, value in config.to_dict().items() if value != usual[name]]
    return shlex.join(["python", "-m", "mnist_depth", "train", *flags])


def verdict(diagnosis: Diagnosis, say: Callable[[str], str] = str) -> str:
    """The verdict in a sentence, the figure that it rests on, and what to try first: a paragraph each.

    `say` translates; event files are written in English.
    """
    name, reason = verdict_line(diagnosis, say)
    parts = [f"**{name}**: {_escape(reason)}."]
    worst = next((one for one in diagnosis.findings if one.kind == diagnosis.verdict), None)
    if worst is not None and worst.figure is not None and worst.threshold is not None:
        figures = Message(
            "Measured {figure:.2g}, threshold {threshold:g}.", figure=worst.figure, threshold=worst.threshold
        )
        parts.append(_escape(say(figures)))
    if diagnosis.remedies:
        first = diagnosis.remedies[0]
        action = Message(first.action)
        if first.study:
            advice = Message("Try first: {action} (study {study}).", action=action, study=first.study)
        else:
            advice = Message("Try first: {action}.", action=action)
        parts.append(_escape(say(advice)))
    return "\n\n".join(parts)


def verdicts(of_lines: Mapping[str, Diagnosis]) -> str:
    """One line per configuration, by label."""
    return "\n".join(
        f"- {_escape(label)}: **{one.verdict.upper()}**: {_escape(one.sentence)}" for label, one in of_lines.items()
    )


def preformatted(plain: str) -> str:
    """Plain text, kept as it is."""
    return _code(plain)


def _code(plain: str) -> str:
    """An indented code block, which no text inside can end."""
    return "\n".join(f"    {line}" for line in plain.splitlines())


def _table(values: Mapping[str, Any]) -> str:
    rows = [f"| {_escape(name)} | {_escape(value)} |" for name, value in values.items()]
    return "\n".join(["| what | value |", "|---|---|", *rows])


def _escape(value: Any) -> str:
    """Text that markdown shows as it is, on one line."""
    text = " ".join(str(value).split())
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>()#+!|~" else character for character in text)
