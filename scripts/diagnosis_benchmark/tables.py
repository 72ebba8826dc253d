"""The tables of docs/diagnosis.md from the stored files of a benchmark."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scripts.diagnosis_benchmark.scoring import FRESH, QUESTIONS, Case, cases, group, is_scored, score, strict

MOMENTS = {"start": tuple(QUESTIONS), "end": ("problem", "dead ReLU")}
"""What is asked when: from the weights that a wrong learning rate has left behind, its direction cannot be read."""

WHEN = {"start": "untrained", "end": "after 10 epochs"}

Records = Sequence[tuple[int, dict[str, Any], dict[str, Any]]]


def tables(folder: Path, examples: int) -> str:
    """Every table of diagnoses that see so many examples, as Markdown, one block after the other."""
    blocks, found = [], {draw: _records(folder, draw, examples) for draw in ("mixed", "relu")}
    for draw, records in found.items():
        if records:
            blocks += [f"## {draw}", _counts(records), confusion(records), _missed(records)]
    unseen = [record for records in found.values() for record in records if group(record[0]) != "chosen on"]
    blocks += ["## All that no threshold was chosen on", _counts(unseen), confusion(unseen, [UNSEEN])] if unseen else []
    blocks += [_interventions(_records(folder, "mixed", examples)), _repairs(folder, examples)]
    return "\n\n".join(block for block in blocks if block)


def _records(folder: Path, draw: str, examples: int) -> Records:
    """(structure, truth, measurements) of every network; the ReLU networks were drawn when the rules were final."""
    found, first = [], FRESH if draw == "relu" else 0
    for path in sorted((folder / f"measured-{examples}").glob(f"{draw}-*.json")):
        truths = json.loads((folder / "truth" / path.name).read_text(encoding="utf-8"))
        rows = json.loads(path.read_text(encoding="utf-8"))
        found += [(first + int(path.stem.rpartition("-")[2]), *pair) for pair in zip(truths, rows, strict=True)]
    return found


def _counts(records: Records) -> str:
    known = [strict(truth, measured) for _, truth, measured in records]
    fails, unstable = sum(not truth["learns"] for truth in known), sum(not truth["stable"] for truth in known)
    convolutional = sum(truth["network"]["structure"]["convolutional"] for truth in known)
    return (
        f"{len(known)} networks ({convolutional} convolutional) in {len({index for index, *_ in records})} structures; "
        f"{fails} do not learn; {unstable} learn with one order of the examples and not with another."
    )


UNSEEN = ("scored on", "fresh")
GROUPS = [("chosen on",), ("scored on",), ("fresh",)]
"""Groups that share a row of a table."""


def confusion(records: Records, groups: Sequence[tuple[str, ...]] = GROUPS) -> str:
    """One row per moment, groups and question; stable networks are those whose three trainings agree."""
    lines = [
        "| moment | structures | question | found | false alarms | missed | rightly silent | precision | recall "
        "| of stable networks |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for moment, questions in MOMENTS.items():
        found = cases(records, moment)
        for names in groups:
            part = [case for case in found if group(case.index) in names]
            lines += [_row(part, moment, " + ".join(names), question) for question in questions if part]
    return "\n".join(lines)


def _row(part: Sequence[Case], moment: str, name: str, question: str) -> str:
    s, stable = score(part, question), score([case for case in part if case.truth["stable"]], question)
    return (
        f"| {WHEN[moment]} | {name} | {question} | {s.right} | {s.false_alarms} | {s.missed} | {s.negatives} "
        f"| {s.precision:.3f} | {s.recall:.3f} | {stable.precision:.3f} / {stable.recall:.3f} |"
    )


def _missed(records: Records) -> str:
    """One line per wrong answer about problems, of the groups that are scored."""
    lines = []
    for moment in MOMENTS:
        for case in cases(records, moment):
            true, said = not case.truth["learns"], case.diagnosis.has_errors
            if true != said and group(case.index) != "chosen on":
                network, structure = case.truth["network"], case.truth["network"]["structure"]
                what = ("missed" if true else "false alarm") + ("" if case.truth["stable"] else ", unstable")
                lines.append(
                    f"- {WHEN[moment]}, structure {case.index}, {what}: {structure['depth']} layers of "
                    f"{structure['width']}, {structure['activation']}, {structure['optimizer']} {network['rate']:.1e}, "
                    f"{structure['dataset']}, {network['initializer']}, inputs x {network['input_scale']:g}; accuracy "
                    f"{case.truth['accuracy']['base']} of {case.truth['limit']:.2f}; {sorted(case.kinds)}"
                )
    return "\n".join(lines)


def _interventions(records: Records) -> str:
    """Which single changes make networks learn that no learning rate does, each at its own or at a usual rate."""
    cured: Counter[str] = Counter()
    count = 0
    for _, truth, measured in records:
        known = strict(truth, measured)
        if known["learns"] or any("rate" in name[:4] or name == "usual_rate" for name in known["cures"]):
            continue
        count += 1
        cured.update({name.partition("+")[0] for name in known["cures"]})
    lines = ["| change | makes learn |", "|---|---|", *(f"| {k} | {v} of {count} |" for k, v in cured.most_common())]
    return "\n".join(lines) if count else ""


FIRST_REMEDY = {
    "learning rate too high": ("rate-", "usual_rate"),
    "learning rate too low": ("rate+", "usual_rate"),
    "vanishing": ("relu",),
    "not learning": ("relu",),
    "symmetric": ("initializer",),
    "exploding": ("initializer",),
    "not finite": ("initializer",),
    "input scale": ("scale",),
    "dead": ("leaky",),
    "cut": ("leaky",),
}
"""Verdict -> the changes that its first remedy means, by the beginning of their names."""


def _by_hand(records: Records) -> str:
    """How often the first remedy, at the own or a usual rate, makes failing networks of the scored half learn."""
    tried = cured = 0
    for case in cases(records, "start"):
        first = FIRST_REMEDY.get(case.diagnosis.verdict, ())
        if case.truth["learns"] or not is_scored(case.index) or not _any(case.truth["accuracy"], first):
            continue
        tried += 1
        cured += _any(case.truth["cures"], first)
    return f"First remedy by hand: {cured} of {tried} learn (those where it was trained)."


def _any(names: Iterable[str], beginnings: tuple[str, ...]) -> bool:
    return any(name.startswith(beginnings) for name in names) if beginnings else False


def _repairs(folder: Path, examples: int) -> str:
    records = _records(folder, "mixed", examples)
    failing = {
        f"mixed-{index:04d}-{number}": strict(truth, measured)
        for (index, number), (_, truth, measured) in zip(_numbered(records), records, strict=True)
        if is_scored(index) and not strict(truth, measured)["learns"]
    }
    repaired = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((folder / f"repaired-{examples}").glob("*.json"))
        if path.stem in failing
    }
    if not repaired:
        return ""
    gains = [found["after"] - failing[name]["accuracy"]["base"] for name, found in repaired.items()]
    trusted = [found for found in repaired.values() if found["is_better"]]
    failed = [
        f"- {name}: {found['verdicts']}, {found['changes']}, accuracy {found['after']:.2f}"
        for name, found in repaired.items()
        if not found["learns"]
    ]
    lines = [
        f"Repaired {len(repaired)} of {len(failing)} failing networks of the scored half: "
        f"{_share(repaired.values(), 'learns')} learn, mean gain of accuracy {statistics.mean(gains):.2f}; of the "
        f"repairs that measured as successful {_share(trusted, 'learns')}. {_by_hand(records)}",
        *failed,
    ]
    return "\n".join(lines)


def _numbered(records: Records) -> list[tuple[int, int]]:
    """(structure, number within it) of every record."""
    seen: Counter[int] = Counter()
    found = []
    for index, _, _ in records:
        found.append((index, seen[index]))
        seen[index] += 1
    return found


def _share(records: Iterable[dict[str, Any]], name: str) -> str:
    values = [bool(record[name]) for record in records]
    return f"{sum(values)} of {len(values)}"
