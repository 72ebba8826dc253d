"""Choices of a network that need no factory, by name."""

from __future__ import annotations

BATCH_NORMS: dict[str, str] = {
    "none": "no batch normalization",
}

LOGITS_ACTIVATIONS: dict[str, str] = {
    "linear": "the logits go to the loss as they are",
}
