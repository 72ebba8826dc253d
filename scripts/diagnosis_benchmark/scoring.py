"""What `judge` says of measured networks against what training them showed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mnist_depth.diagnosis import Diagnosis, judge
from scripts.diagnosis_benchmark.measuring import as_diagnosed, from_record
from scripts.diagnosis_benchmark.networks import USUAL_RATE

FRESH = 76
"""Structures from this number on were drawn when the rules were final."""


def group(index: int) -> str:
    """What a structure was used for."""
    return "fresh" if index >= FRESH else "scored on" if index % 2 else "chosen on"


def is_scored(index: int) -> bool:
    """Whether a structure belongs to the half that thresholds were not chosen on."""
    return group(index) == "scored on"


@dataclass(frozen=True)
class Case:
    """One network: what training showed, and what the diagnosis says."""

    index: int
    """Of its structure."""
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
        Case(index, strict(truth, measured), moment, judge(as_diagnosed(from_record(measured[moment]))))
        for index, truth, measured in records
    ]


def strict(truth: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """The truth by the majority of the trainings, and whether they agree (`stable`).

    A network learns only if its training loss ends below that of a constant prediction, too: accuracy alone calls a
    network that starts with lucky weights a learner, and one whose loss is at 400.
    """
    constant = measured["start"]["constant_loss"]
    outcomes = [(truth["accuracy"]["base"], truth["loss"]), *truth["orders"]]
    learned = [accuracy >= truth["limit"] and loss < constant for accuracy, loss in outcomes]
    return {**truth, "learns": 2 * sum(learned) > len(learned), "stable": len(set(learned)) == 1}


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


def rate_is_part(truth: dict[str, Any], sign: int) -> bool:
    """Whether no rate alone makes the failing network learn, and every change that does comes with another rate.

    Such a network has two faults: its rate is too high (-1) or too low (+1), and something else is wrong as well.
    """
    cures = [name for name in truth["cures"] if name != "adam"]  # its rate has another meaning
    if truth["learns"] or not cures or not all("+rate" in name for name in cures):
        return False
    network = truth["network"]
    usual = USUAL_RATE[network["structure"]["optimizer"]]
    return (usual > network["rate"]) == (sign > 0)


@dataclass(frozen=True)
class Question:
    """What is asked of a case: the truth, the answer of the diagnosis, and where either answer is accepted."""

    true: Callable[[Case], bool]
    reported: Callable[[Case], bool]
    left_out: Callable[[Case], bool] = lambda case: False


def _rate(sign: int, kind: str, opposite: str) -> Question:
    """Left out are networks with two faults, and those that smaller and larger rates make learn: either is right."""

    def left_out(case: Case) -> bool:
        both = rate_cures(case.truth, sign) and rate_cures(case.truth, -sign) and opposite in case.kinds
        return both or rate_is_part(case.truth, sign)

    return Question(lambda case: rate_cures(case.truth, sign), lambda case: kind in case.kinds, left_out)


TOO_HIGH, TOO_LOW = "learning rate too high", "learning rate too low"

QUESTIONS: dict[str, Question] = {
    "problem": Question(lambda case: not case.truth["learns"], lambda case: case.diagnosis.has_errors),
    TOO_HIGH: _rate(-1, TOO_HIGH, TOO_LOW),
    TOO_LOW: _rate(1, TOO_LOW, TOO_HIGH),
    "dead ReLU": Question(
        lambda case: has_dead_units(case.truth, case.moment),
        lambda case: "dead" in case.kinds and _is_relu(case.truth),
    ),
}


def score(found: Iterable[Case], question: str) -> Score:
    """The counts of one question over some cases."""
    asked = QUESTIONS[question]
    counted = [case for case in found if not asked.left_out(case)]
    pairs = [(asked.true(case), asked.reported(case)) for case in counted]
    return Score(
        right=pairs.count((True, True)),
        false_alarms=pairs.count((False, True)),
        missed=pairs.count((True, False)),
        negatives=pairs.count((False, False)),
    )
