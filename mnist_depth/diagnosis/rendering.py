"""A diagnosis as plain text for the terminal and for TensorBoard's Text tab."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence

from mnist_depth.diagnosis.finding import Diagnosis, Finding
from mnist_depth.diagnosis.judge import ROOTS
from mnist_depth.diagnosis.measurements import Layer
from mnist_depth.diagnosis.message import Message

Say = Callable[[str], str]
"""Translates a text, which may be a Message."""

TEXT_WIDTH = 100

MIN_TEXT = 10
"""Columns of text beside an indent, however narrow the terminal is."""


def summary_line(diagnosis: Diagnosis, say: Say = str) -> str:
    """Verdict and reason in one line, what is wrong with the data, and the kinds of further errors and warnings.

    `say` translates.
    """
    data = [f"; {say(one.kind)}: {say(one.sentence)}" for one in _others(diagnosis) if one.kind in ROOTS]
    rest = _also((one.kind for one in _others(diagnosis) if one.kind not in ROOTS), say)
    return f"{say(diagnosis.verdict).upper()}: {say(diagnosis.sentence)}{''.join(data)}{rest}"


def verdict_line(diagnosis: Diagnosis, say: Say = str) -> tuple[str, str]:
    """The verdict, and its reason with the kinds of further errors and warnings."""
    return say(diagnosis.verdict).upper(), say(diagnosis.sentence) + _also((o.kind for o in _others(diagnosis)), say)


def _also(kinds: Iterable[str], say: Say) -> str:
    """Further kinds in parentheses, empty for none."""
    names = ", ".join(map(say, dict.fromkeys(kinds)))
    words = Message("also: {kinds}", kinds=names)
    return f" ({say(words)})" if names else ""


def _others(diagnosis: Diagnosis) -> Sequence[Finding]:
    """Errors and warnings besides the one that is the verdict."""
    return [finding for finding in diagnosis.findings if finding.severity != "note"][diagnosis.has_errors :]


def render(diagnosis: Diagnosis, width: int | None = None, say: Say = str) -> str:
    """The whole diagnosis: verdict, one line per layer, findings with what to change, remedies with their evidence.

    In a terminal of `width` columns text is wrapped there and the table leaves out columns; without it neither. `say`
    translates every text.
    """
    columns = min(width or TEXT_WIDTH, TEXT_WIDTH)
    lines = _wrapped("", f"{say(diagnosis.verdict).upper()}: {_sentence(say(diagnosis.sentence))}", columns)
    loss = "" if diagnosis.loss is None else " " + say(Message("Loss: {loss:.4g}.", loss=diagnosis.loss))
    measured = say(Message("Measured: {source}.", source=diagnosis.source)) + loss
    lines += [measured] if width is None else _wrapped("", measured, columns)
    if diagnosis.layers:
        norm = Message("gradient: norm of the {quantity}", quantity=Message(diagnosis.quantity))
        lines += ["", *_table(diagnosis, width, say), "", *_wrapped("", say(norm), columns)]
    lines += [line for note in diagnosis.notes for line in _wrapped("- ", say(note), columns)]
    for finding in diagnosis.findings:
        lines += ["", *_finding(finding, columns, say)]
    if diagnosis.remedies:
        lines += ["", say(Message("What helps, most effective first:"))]
    for number, remedy in enumerate(diagnosis.remedies, start=1):
        named = Message("Study: {name}", name=remedy.study)
        study = f" {say(named)}" if remedy.study else ""
        lines += _wrapped(f"{number}. ", f"{say(remedy.action)}: {_sentence(say(remedy.evidence))}{study}", columns)
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}."


WHY, CHANGE = Message("Why:"), Message("Change:")


def _finding(finding: Finding, width: int, say: Say) -> list[str]:
    limit = "" if finding.threshold is None else Message(" Threshold: {threshold:g}.", threshold=finding.threshold)
    head = f"{say(finding.severity).upper()} "
    return [
        *_wrapped(head, f"{say(finding.kind)}: {_sentence(say(finding.sentence))}{say(limit)}", width),
        *_wrapped(f"  {say(WHY)} ", _sentence(say(finding.source)), width),
        *_wrapped(f"  {say(CHANGE)} ", _sentence(say(finding.remedy)), width),
    ]


def cells(text: str) -> int:
    """Columns of a terminal that a text takes: Korean letters take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _wrapped(head: str, text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken between words, long words anywhere; indented by the head's width."""
    lines, indent, is_empty = [head], " " * cells(head), True
    width = max(width, len(indent) + MIN_TEXT)
    for word in text.split():
        if not is_empty and cells(lines[-1]) + 1 + cells(word) > width:
            lines.append(indent)
            is_empty = True
        lines[-1] += word if is_empty else f" {word}"
        is_empty = False
        while cells(lines[-1]) > width:
            fitting = next(end for end in range(len(lines[-1]), 0, -1) if cells(lines[-1][:end]) <= width)
            lines[-1:] = [lines[-1][:fitting], indent + lines[-1][fitting:]]
    return lines


HEADERS = (
    Message("layer"),
    Message("shape"),
    Message("parameters"),
    Message("gradient"),
    Message("saturated"),
    Message("dead"),
    Message("update/weight"),
    Message("theory gain"),
)

LEAST_NEEDED = ("shape", "parameters", "theory gain", "update/weight", "dead", "saturated")
"""The columns that a narrow terminal does without, the first one first."""


def _table(diagnosis: Diagnosis, width: int | None, say: Say) -> Iterable[str]:
    """Columns as wide as their longest cell; those in which nothing was measured are left out."""
    rows = [_row(layer, value) for layer, value in zip(diagnosis.layers, diagnosis.gradients, strict=True)]
    kept = [i for i in range(len(HEADERS)) if i in (0, 3) or any(row[i] != "-" for row in rows)]
    table = [[say(name) for name in HEADERS], *rows]
    longest = [max(cells(line[i]) for line in table) for i in range(len(HEADERS))]
    for name in LEAST_NEEDED:
        if width is not None and sum(longest[i] + 2 for i in kept) - 2 > width:
            kept = [i for i in kept if HEADERS[i] != name]
    for line in table:
        padded = [(line[i], " " * (longest[i] - cells(line[i]))) for i in kept]
        yield "  ".join(["".join(padded[0]), *(gap + text for text, gap in padded[1:])]).rstrip()


def _row(layer: Layer, gradient: float | None) -> Sequence[str]:
    shape = "x".join("?" if size is None else str(size) for size in layer.shape[1:]) or "-"
    return (
        layer.name + ("" if layer.trainable else " (frozen)"),
        shape,
        _cell(layer.parameters, ",d"),
        _cell(gradient, ".2e"),
        _cell(layer.saturated_share, ".0%"),
        _cell(layer.dead_share, ".0%"),
        _cell(layer.update_ratio, ".1e"),
        _cell(layer.predicted_gain, ".3g"),
    )


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
