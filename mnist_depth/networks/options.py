"""Choices of a network that need no factory, by name."""

from __future__ import annotations

BATCH_NORMS: dict[str, str] = {
    "none": "no batch normalization",
    "before": "every hidden layer's input to its activation is normalized (Ioffe & Szegedy 2015)",
    "after": "every hidden layer's activations are normalized",
}

LOGITS_ACTIVATIONS: dict[str, str] = {
    "linear": "the logits go to the loss as they are",
    "relu": "ReLU on the logits, trained through: the lecture notes' mistake in full",
    "relu_scored": "ReLU on the logits that are scored, not on those in the loss: the mistake as the notes print it",
}
