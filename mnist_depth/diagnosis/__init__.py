"""Findings about a network from plain measured numbers; no TensorFlow, no files.

`judge(measurements)` returns a `Diagnosis`: findings with severity, layer, figure, threshold and source, a verdict and
remedies. `model_diagnosis` measures live models, `results.diagnosis` reads run folders; the gauge judges what it
has measured.
"""

from mnist_depth.diagnosis.finding import HEALTHY, Diagnosis, Finding, Gain, Remedy, Severity
from mnist_depth.diagnosis.gradients import fit_gain, layer_numbers
from mnist_depth.diagnosis.judge import judge
from mnist_depth.diagnosis.kinds import KINDS, Kind
from mnist_depth.diagnosis.measurements import Data, Layer, Measurements, Output, Trial
from mnist_depth.diagnosis.message import Message, localized
from mnist_depth.diagnosis.rendering import render, summary_line, verdict_line
from mnist_depth.diagnosis.trials import next_factor

__all__ = [
    "HEALTHY",
    "KINDS",
    "Data",
    "Diagnosis",
    "Finding",
    "Gain",
    "Kind",
    "Layer",
    "Measurements",
    "Message",
    "Output",
    "Remedy",
    "Severity",
    "Trial",
    "fit_gain",
    "judge",
    "layer_numbers",
    "localized",
    "next_factor",
    "render",
    "summary_line",
    "verdict_line",
]
