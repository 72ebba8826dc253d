"""The result of a diagnosis: findings, and the verdict derived from them."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Literal, NamedTuple

from mnist_depth.diagnosis.measurements import Layer

Severity = Literal["error", "warning", "note"]

HEALTHY = "healthy"


class Remedy(NamedTuple):
    """One thing to do, why it should work, and the study that shows how much, empty for none."""

    action: str
    evidence: str
    study: str


class Gain(NamedTuple):
    """Fitted factor of the gradient per layer, toward the input, with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Finding:
    """One thing that a diagnosis found."""

    kind: str
    """A key of `KINDS`."""
    severity: Severity
    """error: the network will not learn as it is; warning: it learns worse than it could; note: worth knowing."""
    sentence: str
    layer: str | None
    """The layer by name; None for the network or its data as a whole."""
    figure: float | None
    threshold: float | None
    source: str
    """Where the threshold comes from."""
    remedy: str
    """What to change."""


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """The verdict on one network, the findings that it is based on, and the remedies."""

    source: str
    verdict: str
    """`healthy`, or the kind of the most severe finding."""
    sentence: str
    quantity: str
    """Which norm was judged: `pre-activation gradient` or `kernel gradient`."""
    layers: tuple[Layer, ...]
    gradients: tuple[float | None, ...]
    """The judged norm of every layer, first layer first."""
    gain: Gain | None
    """None where fewer than three layers have a gradient."""
    predicted_gain: float | None
    """Geometric mean of theory's gains over the same layers."""
    ratio: float | None
    """First over last layer's norm."""
    findings: tuple[Finding, ...]
    """Errors first."""
    notes: tuple[str, ...]
    """Measured facts that are no findings, such as the gain per layer."""
    remedies: tuple[Remedy, ...]
    loss: float | None = None

    def __repr__(self) -> str:
        """The sentence and the kinds of findings; `diagnosis.render` prints everything."""
        found = ", ".join(dict.fromkeys(f"{one.kind} ({one.severity})" for one in self.findings)) or "none"
        return f"Diagnosis: {self.sentence}\n  findings: {found}\n  .findings  .remedies  .layers  .gradients"

    def _repr_html_(self) -> str:
        """A row per finding, for a notebook."""
        head = "".join(f"<th>{name}</th>" for name in ("severity", "layer", "finding", "what to change"))
        rows = [(one.severity, one.layer or "", one.sentence, one.remedy) for one in self.findings]
        cells = ["".join(f"<td>{escape(text)}</td>" for text in row) for row in rows]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return f"<p>{escape(self.sentence)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    @property
    def has_errors(self) -> bool:
        """Whether a finding says that the network will not learn as it is."""
        return any(finding.severity == "error" for finding in self.findings)
