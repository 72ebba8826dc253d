"""Repair one network of the benchmark as a user would, and train the repaired model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from mnist_depth.model_diagnosis.repair import repair
from scripts.diagnosis_benchmark.networks import Network, build, chance, compiled, inputs, order


def repair_network(network: Network, constant_loss: float, examples: int) -> dict[str, Any]:
    """What `repair` does on some examples, and what ten epochs on all make of the repaired model."""
    keras.utils.set_random_seed(network.seed)
    x, y = inputs(network)
    model = compiled(network, build(network))
    repaired = repair(model, x[:examples], y[:examples])
    epochs = order().ravel()
    losses = repaired.model.fit(x[epochs], y[epochs], batch_size=32, shuffle=False, verbose=0).history["loss"]
    logits = repaired.model(x, training=True).numpy()
    accuracy = float((logits.argmax(axis=1) == y).mean()) if np.isfinite(logits).all() else 0.0
    return {
        "changes": list(repaired.changes),
        "is_better": repaired.is_better,
        "verdicts": [repaired.before.verdict, repaired.after.verdict],
        "after": accuracy,
        "loss": losses[-1],
        "learns": accuracy >= chance(network),
        "constant_loss": constant_loss,
    }
