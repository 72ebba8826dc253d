"""The diagnosis on the page of a report: a table, remedies of like networks, findings per configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mnist_depth.diagnosis import KINDS, Diagnosis, Remedy, localized
from mnist_depth.results.overview import Overview, verdicts
from mnist_depth.results.tables import Table
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _

MAX_NAMED = 5
"""Configurations that are named beside their remedies."""

MOMENTS = (mark("before training"), mark("after training"))

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
    """(text, labels): the remedies of each verdict, once for all configurations to which the same ones are open."""
    labels: dict[tuple[str, str, tuple[Remedy, ...]], list[str]] = {}
    for label, diagnoses in _firsts(overview):
        # Before training where that says what to change, else after it.
        for moment, diagnosis in zip(MOMENTS, diagnoses, strict=False):
            if diagnosis.remedies:
                labels.setdefault((diagnosis.verdict, moment, diagnosis.remedies), []).append(label)
                break
    return [
        (
            {
                "title": _("{verdict} {moment}", verdict=_(verdict), moment=_(moment)),
                "lines": [_remedy(remedy) for remedy in found],
            },
            _named(members),
        )
        for (verdict, moment, found), members in sorted(labels.items(), key=lambda item: _place(item[0][0]))
    ]


def _place(verdict: str) -> int:
    """Verdicts in the order of KINDS, so that lists for one verdict follow each other."""
    return list(KINDS).index(verdict) if verdict in KINDS else len(KINDS)


def _remedy(remedy: Remedy) -> str:
    text = f"{_(remedy.action)}: {_(remedy.evidence)}"
    return _("{text} (study {name})", text=text, name=remedy.study) if remedy.study else text


def _named(labels: Sequence[str]) -> str:
    """The labels; of many the first ones, and the number of the others."""
    if len(labels) <= MAX_NAMED + 1:
        return "; ".join(labels)
    others = len(labels) - MAX_NAMED
    return _("{labels} and {count} more", labels="; ".join(labels[:MAX_NAMED]), count=others)


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
