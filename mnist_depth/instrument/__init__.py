"""Gradients, weights, updates and activations of any Keras model, from `fit`, in TensorBoard.

    model.fit(x, y, callbacks=[DepthGauge("logs/run", probe=(x[:256], y[:256]))])

Names are imported on first use, so that schedules, histograms and JSON lines cost no import of TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_depth.instrument.callback import DepthGauge
    from mnist_depth.instrument.histograms import Histogram, histogram, log10_histogram
    from mnist_depth.instrument.presets import PRESETS
    from mnist_depth.instrument.probe import Measurement, measure
    from mnist_depth.instrument.schedule import (
        Schedule,
        at_most,
        at_steps,
        every_epochs,
        every_steps,
        log_spaced,
        never,
    )
    from mnist_depth.instrument.statistics import STATISTICS
    from mnist_depth.instrument.writers.events import EventWriter
    from mnist_depth.instrument.writers.jsonl import JsonLinesWriter
    from mnist_depth.instrument.writers.memory import MemoryWriter
    from mnist_depth.instrument.writers.multi import MultiWriter
    from mnist_depth.instrument.writers.protocol import Writer

__all__ = [
    "PRESETS",
    "STATISTICS",
    "DepthGauge",
    "EventWriter",
    "Histogram",
    "JsonLinesWriter",
    "Measurement",
    "MemoryWriter",
    "MultiWriter",
    "Schedule",
    "Writer",
    "at_most",
    "at_steps",
    "every_epochs",
    "every_steps",
    "histogram",
    "log10_histogram",
    "log_spaced",
    "measure",
    "never",
]

_HOMES = {
    "DepthGauge": "callback",
    "EventWriter": "writers.events",
    "Histogram": "histograms",
    "JsonLinesWriter": "writers.jsonl",
    "Measurement": "probe",
    "MemoryWriter": "writers.memory",
    "MultiWriter": "writers.multi",
    "PRESETS": "presets",
    "STATISTICS": "statistics",
    "Schedule": "schedule",
    "Writer": "writers.protocol",
    "at_most": "schedule",
    "at_steps": "schedule",
    "every_epochs": "schedule",
    "every_steps": "schedule",
    "histogram": "histograms",
    "log10_histogram": "histograms",
    "log_spaced": "schedule",
    "measure": "probe",
    "never": "schedule",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
