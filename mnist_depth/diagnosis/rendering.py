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


def render(diagnosis: Diagnosis) -> str:
    """The whole diagnosis: verdict, one line per layer, findings with what to change, remedies with their evidence."""
    lines = _wrapped("", f"{diagnosis.verdict.upper()}: {diagnosis.sentence}.")
    loss = "" if diagnosis.loss is None else f" Loss: {diagnosis.loss:.4g}."
    lines += [f"Measured: {diagnosis.source}.{loss}"]
    if diagnosis.layers:
        lines += ["", *_table(diagnosis), "", f"gradient: norm of the {diagnosis.quantity}"]
    lines += [line for note in diagnosis.notes for line in _wrapped("- ", note)]
    for finding in diagnosis.findings:
        lines += ["", *_finding(finding)]
    if diagnosis.remedies:
        lines += ["", "What helps, most effective first:"]
    for number, remedy in enumerate(diagnosis.remedies, start=1):
        lines += _wrapped(f"{number}. ", f"{remedy.action}: {remedy.evidence}. Study: {remedy.study}")
    return "\n".join(lines)


def _finding(finding: Finding) -> list[str]:
    threshold = "" if finding.threshold is None else f" Threshold: {finding.threshold:g}."
    return [
        *_wrapped(f"{finding.severity.upper()} ", f"{finding.kind}: {finding.sentence}.{threshold}"),
        *_wrapped("  Why: ", f"{finding.source}."),
        *_wrapped("  Change: ", f"{finding.remedy}."),
    ]


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(text, TEXT_WIDTH, initial_indent=head, subsequent_indent=" " * len(head))


HEADERS = ("layer", "shape", "parameters", "gradient", "saturated", "dead", "update/weight", "theory gain")


def _table(diagnosis: Diagnosis) -> Iterable[str]:
    """Columns as wide as their longest cell; those in which nothing was measured are left out."""
    rows = [_row(layer, value) for layer, value in zip(diagnosis.layers, diagnosis.gradients, strict=True)]
    kept = [i for i in range(len(HEADERS)) if i in (0, 3) or any(row[i] != "-" for row in rows)]
    cells = [[line[i] for i in kept] for line in (HEADERS, *rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(kept))]
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
