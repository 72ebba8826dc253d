"""Confusion tables: what `judge` says of measured networks against what training them showed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mnist_depth.diagnosis import Diagnosis, judge
from scripts.diagnosis_benchmark.measuring import from_record


@dataclass(frozen=True)
class Case:
    """One network: what training showed, and what the diagnosis says."""

    index: int
    """Of its structure; even ones belong to the half on which thresholds were chosen."""
    truth: dict[str, Any]
    moment: str
    """`start` or `end`."""
    diagnosis: Diagnosis

    @property
    def kinds(self) -> set[str]:
        """Kinds of errors."""
        return {finding.kind for finding in self.diagnosis.findings if finding.severity == "error"}


@dataclass(frozen=True)
class Score:
    """Counts of one question."""

    right: int
    false_alarms: int
    missed: int
    negatives: int

    @property
    def precision(self) -> float:
        return self.right / max(self.right + self.false_alarms, 1)

    @property
    def recall(self) -> float:
        return self.right / max(self.right + self.missed, 1)


def cases(records: Iterable[tuple[int, dict[str, Any], dict[str, Any]]], moment: str) -> list[Case]:
    """Judge stored measurements at `start` or `end`; records hold index, truth and measurements."""
    return [
        Case(index, strict(truth, measured), moment, judge(from_record(measured[moment])))
        for index, truth, measured in records
    ]


def strict(truth: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """The truth, where a network learns only if its training loss ends below that of a constant prediction, too.

    Accuracy alone calls a network that starts with lucky weights a learner, and one whose loss is at 400.
    """
    return {**truth, "learns": truth["learns"] and truth["loss"] < measured["start"]["constant_loss"]}


def rate_cures(truth: dict[str, Any], sign: int) -> bool:
    """Whether the network fails, and a smaller (-1) or larger (+1) learning rate alone makes it learn."""
    return not truth["learns"] and any(
        name.startswith("rate") and (int(name[4:]) > 0) == (sign > 0) for name in truth["cures"]
    )


def has_dead_units(truth: dict[str, Any], moment: str) -> bool:
    """Whether a rectifier layer of a failing network is dead for every training example."""
    share = truth["dead_start" if moment == "start" else "dead"]
    return not truth["learns"] and _is_relu(truth) and share >= 0.99


def _is_relu(truth: dict[str, Any]) -> bool:
    return truth["network"]["structure"]["activation"] == "relu"


QUESTIONS: dict[str, tuple[Callable[[Case], bool], Callable[[Case], bool]]] = {
    "problem": (lambda case: not case.truth["learns"], lambda case: case.diagnosis.has_errors),
    "learning rate too high": (
        lambda case: rate_cures(case.truth, -1),
        lambda case: "learning rate too high" in case.kinds,
    ),
    "learning rate too low": (
        lambda case: rate_cures(case.truth, 1),
        lambda case: "learning rate too low" in case.kinds,
    ),
    "dead ReLU": (
        lambda case: has_dead_units(case.truth, case.moment),
        lambda case: "dead" in case.kinds and _is_relu(case.truth),
    ),
}
"""Question -> the truth, and the answer of the diagnosis."""


def score(found: Iterable[Case], question: str) -> Score:
    """The counts of one question over some cases."""
    true, reported = QUESTIONS[question]
    pairs = [(true(case), reported(case)) for case in found]
    return Score(
        right=pairs.count((True, True)),
        false_alarms=pairs.count((False, True)),
        missed=pairs.count((True, False)),
        negatives=pairs.count((False, False)),
    )


MOMENTS = {"start": tuple(QUESTIONS), "end": ("problem", "dead ReLU")}
"""What is asked when: from the weights that a wrong learning rate has left behind, its direction cannot be read."""


def markdown(records: Sequence[tuple[int, dict[str, Any], dict[str, Any]]]) -> str:
    """One row per moment, half and question."""
    lines = [
        "| moment | half | question | found | false alarms | missed | rightly silent | precision | recall |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for moment, questions in MOMENTS.items():
        found = cases(records, moment)
        for half, name in enumerate(("chosen on", "scored on")):
            part = [case for case in found if case.index % 2 == half]
            for question in questions:
                s = score(part, question)
                counts = f"{s.right} | {s.false_alarms} | {s.missed} | {s.negatives}"
                when = "untrained" if moment == "start" else "after 10 epochs"
                lines.append(f"| {when} | {name} | {question} | {counts} | {s.precision:.3f} | {s.recall:.3f} |")
    return "\n".join(lines)
