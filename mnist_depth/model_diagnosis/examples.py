"""Choose examples of one batch: parts that are measured at once, minibatches for steps, and some that are held out."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

MINIBATCH = 32
"""Examples per step, as in `fit` by default: on larger batches a learning rate that is too high goes unnoticed."""

SEED = 7
"""Of the order of the examples."""


def count_of(batch: Any, model: keras.Model) -> int:
    """Examples that can be chosen from; 0 where the batch is taken as a whole, as that of a stateful network."""
    parts = tf.nest.flatten(batch)
    if any(declared.shape[:1] != (None,) for declared in getattr(model, "inputs", None) or ()):
        return 0
    return len(parts[0]) if all(isinstance(part, tf.Tensor) and part.shape.rank for part in parts) else 0


def chosen(batch: Any, examples: Any) -> Any:
    """The examples [n] of every tensor of the batch."""
    return tf.nest.map_structure(lambda part: tf.gather(part, examples), batch)


def some_of(batch: Any, model: keras.Model, limit: int) -> Any:
    """At most `limit` examples, drawn at random."""
    count = count_of(batch, model)
    return batch if count <= limit else chosen(batch, shuffled(count)[:limit])


def parts_of(batch: Any, model: keras.Model, size: int) -> list[Any]:
    """Equal parts of at most `size` examples, in random order; a batch of that size as it is."""
    count = count_of(batch, model)
    parts = -(-count // size)
    return [batch] if parts < 2 else [chosen(batch, part) for part in np.array_split(shuffled(count), parts)]


def shuffled(count: int) -> np.ndarray:
    """int32 [count]: the examples in random order."""
    return np.random.default_rng(SEED).permutation(count).astype(np.int32)


def minibatches(count: int, steps: int) -> np.ndarray:
    """int32 [steps, MINIBATCH]: the examples of every step, whole passes in random order."""
    generator, used = np.random.default_rng(SEED), count - count % MINIBATCH
    passes = -(-steps * MINIBATCH // used)
    order = np.concatenate([generator.permutation(count)[:used].reshape(-1, MINIBATCH) for _ in range(passes)])
    return order[:steps].astype(np.int32)
