"""A diagnosis as plain text for the terminal and for TensorBoard's Text tab."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from mnist_depth.diagnosis.finding import Diagnosis, Finding
from mnist_depth.diagnosis.measurements import Layer

TEXT_WIDTH = 100


def summary_line(diagnosis: Diagnosis) -> str:
    """Verdict, reason and the number of further findings, in one line."""
    rest = sum(finding.severity != "note" for finding in diagnosis.findings)
    rest -= diagnosis.has_errors
    more = f" ({rest} more)" if rest > 0 else ""
    return f"{diagnosis.verdict.upper()}: {diagnosis.sentence}{more}"


def render(diagnosis: Diagnosis, width: int | None = None) -> str:
    """The whole diagnosis: verdict, one line per layer, findings with what to change, remedies with their evidence.

    In a terminal of `width` columns text is wrapped there and the table leaves out columns; without it neither.
    """
    columns = min(width or TEXT_WIDTH, TEXT_WIDTH)
    lines = _wrapped("", f"{diagnosis.verdict.upper()}: {diagnosis.sentence}.", columns)
    loss = "" if diagnosis.loss is None else f" Loss: {diagnosis.loss:.4g}."
    measured = f"Measured: {diagnosis.source}.{loss}"
    lines += [measured] if width is None else _wrapped("", measured, columns)
    if diagnosis.layers:
        lines += ["", *_table(diagnosis, width), ""]
        lines += _wrapped("", f"gradient: norm of the {diagnosis.quantity}", columns)
    lines += [line for note in diagnosis.notes for line in _wrapped("- ", note, columns)]
    for finding in diagnosis.findings:
        lines += ["", *_finding(finding, columns)]
    if diagnosis.remedies:
        lines += ["", "What helps, most effective first:"]
    for number, remedy in enumerate(diagnosis.remedies, start=1):
        lines += _wrapped(f"{number}. ", f"{remedy.action}: {remedy.evidence}. Study: {remedy.study}", columns)
    return "\n".join(lines)


def _finding(finding: Finding, width: int) -> list[str]:
    threshold = "" if finding.threshold is None else f" Threshold: {finding.threshold:g}."
    return [
        *_wrapped(f"{finding.severity.upper()} ", f"{finding.kind}: {finding.sentence}.{threshold}", width),
        *_wrapped("  Why: ", f"{finding.source}.", width),
        *_wrapped("  Change: ", f"{finding.remedy}.", width),
    ]


def _wrapped(head: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=head, subsequent_indent=" " * len(head))


HEADERS = ("layer", "shape", "parameters", "gradient", "saturated", "dead", "update/weight", "theory gain")


LEAST_NEEDED = ("shape", "parameters", "theory gain", "update/weight", "dead", "saturated")
"""The columns that a narrow terminal does without, the first one first."""


def _table(diagnosis: Diagnosis, width: int | None) -> Iterable[str]:
    """Columns as wide as their longest cell; those in which nothing was measured are left out."""
    rows = [_row(layer, value) for layer, value in zip(diagnosis.layers, diagnosis.gradients, strict=True)]
    kept = [i for i in range(len(HEADERS)) if i in (0, 3) or any(row[i] != "-" for row in rows)]
    longest = [max(len(line[i]) for line in (HEADERS, *rows)) for i in range(len(HEADERS))]
    for name in LEAST_NEEDED:
        if width is not None and sum(longest[i] + 2 for i in kept) - 2 > width:
            kept = [i for i in kept if HEADERS[i] != name]
    cells, widths = [[line[i] for i in kept] for line in (HEADERS, *rows)], [longest[i] for i in kept]
    for line in cells:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  ".join([first, *others]).rstrip()


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
