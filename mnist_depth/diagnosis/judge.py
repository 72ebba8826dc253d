"""From measurements to a diagnosis: collect the findings of all rules, weigh them, derive the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from mnist_depth.diagnosis.chains import chains, furthest_from_one, named
from mnist_depth.diagnosis.data import data_findings
from mnist_depth.diagnosis.finding import HEALTHY, Diagnosis, Finding, Gain
from mnist_depth.diagnosis.gradients import (
    first_to_last,
    fit_gain,
    gradient_findings,
    judged_norm,
    mean_prediction,
    norms,
)
from mnist_depth.diagnosis.kinds import KINDS
from mnist_depth.diagnosis.learning import is_learning, learning_findings
from mnist_depth.diagnosis.measurements import Measurements
from mnist_depth.diagnosis.message import Message
from mnist_depth.diagnosis.outputs import output_findings
from mnist_depth.diagnosis.overshoot import SOURCE
from mnist_depth.diagnosis.remedies import remedies, remedy_for
from mnist_depth.diagnosis.signals import signal_findings

RULES: tuple[Callable[[Measurements], Iterable[Finding]], ...] = (
    data_findings,
    output_findings,
    signal_findings,
    gradient_findings,
    learning_findings,
)

SEVERITIES = ("error", "warning", "note")

OVERRULED = (
    "no non-linearity",
    "dead",
    "cut",
    "saturated",
    "vanishing",
    "exploding",
    "symmetric",
    "explodes through time",
)
"""Kinds that explain why a network does not learn: where the trial steps learn, they are warnings."""

TOO_HIGH = "learning rate too high"

BAD_STEPS = (TOO_HIGH, "learning rate too low", "not learning", "loss not falling")

EXPLANATIONS = {
    "vanishes through time": ("loss not falling",),
    "input scale": BAD_STEPS,
    "target scale": BAD_STEPS,
}
"""Kinds that may well be harmless, but are errors where one of these kinds is."""

ROOTS = ("labels", "output and loss", "constant input", "input scale", "target scale")
"""Kinds that are to be corrected before anything else is changed: other errors may be their consequences."""

BESIDE_NOT_FINITE = (
    "not finite",
    "labels",
    "output and loss",
    "constant input",
    "input scale",
    "target scale",
    "learning rate too high",
    "may be born dead",
    "frozen",
)
"""Kinds whose figures are still meaningful when others are NaN."""


def judge(measured: Measurements) -> Diagnosis:
    """The verdict on measurements, by the thresholds of `KINDS`."""
    quantity, gradients = judged_norm(measured.layers)
    networks = chains(measured.layers)
    ratios = {name: first_to_last(chain, norms(chain, quantity)) for name, chain in networks.items()}
    gains = {name: fit_gain(chain, norms(chain, quantity)) for name, chain in networks.items()}
    worst = furthest_from_one(ratios)
    predicted = mean_prediction(measured.layers)
    findings = _weighed(measured, [finding for rule in RULES for finding in rule(measured)])
    verdict = findings[0].kind if findings and findings[0].severity == "error" else HEALTHY
    return Diagnosis(
        source=measured.source,
        verdict=verdict,
        sentence=_sentence(verdict, findings, ratios),
        quantity=quantity,
        layers=measured.layers,
        gradients=gradients,
        gain=gains[worst],
        predicted_gain=predicted,
        ratio=ratios[worst],
        findings=findings,
        notes=(*_notes(gains, predicted, quantity), *_unseen(measured)),
        remedies=remedies(_to_remedy(findings), measured.traits),
        loss=measured.loss,
    )


def _weighed(measured: Measurements, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then in the order of KINDS; structural findings weigh less where the network learns anyway."""
    findings = list(findings)
    if any(finding.kind == "not finite" for finding in findings):  # figures that NaN has contaminated are meaningless
        findings = [finding for finding in findings if finding.kind in BESIDE_NOT_FINITE]
    if is_learning(measured):
        findings = [
            replace(f, severity="warning") if f.kind in OVERRULED and f.severity == "error" else f for f in findings
        ]
    findings = [replace(f, remedy=remedy_for(f.kind, f.remedy, measured.traits)) for f in findings]
    errors = {finding.kind for finding in findings if finding.severity == "error"}
    findings = [replace(f, severity="error") if errors & {*EXPLANATIONS.get(f.kind, ())} else f for f in findings]
    first = (*ROOTS, TOO_HIGH) if _has_overshot(findings) else ()
    order = {kind: place for place, kind in enumerate(dict.fromkeys((*first, *KINDS)))}
    return tuple(sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), order[finding.kind])))


def _has_overshot(findings: Iterable[Finding]) -> bool:
    """Whether the first updates explain everything else."""
    return any(finding.kind == TOO_HIGH and finding.source == SOURCE for finding in findings)


def _to_remedy(findings: Sequence[Finding]) -> list[str]:
    """The kinds of errors; of warnings too where nothing but the loss is wrong, as they may explain it.

    None where a finding in ROOTS says what to change: remedies against its consequences would mislead.
    """
    errors = [finding.kind for finding in findings if finding.severity == "error"]
    if errors and errors[0] in ROOTS:
        return []
    if _has_overshot(findings):
        return [TOO_HIGH]
    if "dead" in errors:  # the loss does not fall because of it
        errors = [kind for kind in errors if kind != "loss not falling"]
    if set(errors) != {"loss not falling"}:
        return errors
    return [finding.kind for finding in findings if finding.severity == "warning"] + errors


def _sentence(verdict: str, findings: Iterable[Finding], ratios: Mapping[str, float | None]) -> str:
    if verdict != HEALTHY:
        return next(finding.sentence for finding in findings)
    sentences = [named(name, _healthy(ratio)) if name else _healthy(ratio) for name, ratio in ratios.items()]
    return reduce(lambda before, after: Message("{before}; {after}", before=before, after=after), sentences)


def _healthy(ratio: float | None) -> Message:
    if ratio is None:
        return Message("only one layer has a gradient")
    return Message("the first layer's gradient is {ratio:.2g} times the last one's", ratio=ratio)


def _notes(gains: Mapping[str, Gain | None], predicted: float | None, quantity: str) -> tuple[str, ...]:
    found = {name: _gain(gain, predicted, quantity) for name, gain in gains.items() if gain is not None}
    return tuple(named(name, sentence) if name else sentence for name, sentence in found.items())


def _gain(gain: Gain, predicted: float | None, quantity: str) -> Message:
    values = {"quantity": quantity, "gain": gain.value, "low": gain.low, "high": gain.high}
    if predicted is None:
        return Message(
            "{quantity} per layer toward the input: x {gain:.3g} (95 % interval {low:.3g} to {high:.3g})", **values
        )
    return Message(
        "{quantity} per layer toward the input: x {gain:.3g} (95 % interval {low:.3g} to {high:.3g}); "
        "theory predicts x {predicted:.3g} from the initialization and the activation alone",
        predicted=predicted,
        **values,
    )


def _unseen(measured: Measurements) -> tuple[str, ...]:
    return tuple(Message("not measured: {reason}", reason=reason) for reason in measured.unseen)
