"""The diagnosis on the page of a report: a table, remedies once per verdict, findings per configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mnist_depth.diagnosis import Diagnosis, localized
from mnist_depth.results.overview import Overview, verdicts
from mnist_depth.results.tables import Table
from mnist_depth.translation import plural
from mnist_depth.translation import translate as _

MAX_NAMED = 3
"""Configurations with one verdict that are named beside its remedies."""

MAX_FINDINGS = 24
"""With more configurations than this, findings are not spelled out."""


def diagnoses(overview: Overview) -> Table:
    rows = [
        [
            group.label,
            verdicts(overview.start[group.label]),
            verdicts(overview.end.get(group.label, [])),
            _gain(overview.start[group.label][0]),
        ]
        for group in overview.groups
        if overview.start.get(group.label)
    ]
    header = ["", _("before training"), _("after training"), _("gradient per layer toward the input")]
    return Table(header, rows, _("In brackets: 95 % interval of the fit over the first seed's layers."))


def _gain(diagnosis: Diagnosis) -> str:
    if diagnosis.gain is None:
        return "–"
    value, low, high = diagnosis.gain
    text = f"× {value:.3g} ({low:.3g}–{high:.3g})"
    if diagnosis.predicted_gain is None:
        return text
    return _("{measured}, theory × {predicted:.3g}", measured=text, predicted=diagnosis.predicted_gain)


def _firsts(overview: Overview) -> Iterable[tuple[str, list[Diagnosis]]]:
    """Label -> the first seed's diagnoses before and after training."""
    for group in overview.groups:
        found = [of_groups.get(group.label, [])[:1] for of_groups in (overview.start, overview.end)]
        if found[0]:
            yield group.label, [diagnosis for one in found for diagnosis in one]


def remedies(overview: Overview) -> list[tuple[dict[str, Any], str]]:
    """Remedies for each verdict, listed once for all configurations with it: (text, their labels)."""
    labels: dict[str, list[str]] = {}
    found: dict[str, list[Any]] = {}
    study = _("study")
    for label, diagnoses in _firsts(overview):
        diagnosis = next((one for one in diagnoses if one.remedies), None)
        if diagnosis:
            labels.setdefault(diagnosis.verdict, []).append(label)
            known = found.setdefault(diagnosis.verdict, [])
            known += [remedy for remedy in diagnosis.remedies if remedy not in known]
    return [
        (
            {
                "title": _("What to try against {verdict} gradients, most effective first:", verdict=_(verdict)),
                "lines": [
                    f"{_(remedy.action)}: {_(remedy.evidence)}" + (f" ({study} {remedy.study})" if remedy.study else "")
                    for remedy in known
                ],
            },
            _named(labels[verdict]),
        )
        for verdict, known in found.items()
    ]


def _named(labels: Sequence[str]) -> str:
    """A few labels, or the number of many."""
    if len(labels) <= MAX_NAMED:
        return ", ".join(labels)
    return plural("{count} configuration", "{count} configurations", len(labels))


def findings(overview: Overview) -> list[tuple[str, list[tuple[str, str, Sequence[str]]]]]:
    """Label -> (moment, verdict, reason and findings) of the first seed; nothing where there are very many."""
    known = list(_firsts(overview))
    if len(known) > MAX_FINDINGS:
        return []
    titles = (_("Before training:"), _("After training:"))
    return [
        (
            label,
            [
                (
                    title,
                    _(one.verdict),
                    _lines(one),
                )
                for title, one in zip(titles, diagnoses, strict=False)
            ],
        )
        for label, diagnoses in known
    ]


def _lines(diagnosis: Diagnosis) -> list[str]:
    """The reason with its source, then the notes and the findings that say something else."""
    reason = localized(diagnosis.sentence)
    others = map(localized, [*diagnosis.notes, *(found.sentence for found in diagnosis.findings)])
    return [f"{reason} ({localized(diagnosis.source)})", *(line for line in dict.fromkeys(others) if line != reason)]
