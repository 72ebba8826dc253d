"""Ways to compute a layer's kernel gradient, a^T g of two [100, 256] matrices, in XLA on one thread.

    .venv/bin/python scripts/benchmark/kernel_gradients.py

Each way computes the gradients of seven layers with operands of their own, 200 times in one compiled loop. Prints the
best rate of several turns, in processor seconds, and whether the bits are those of the product that Keras makes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

LAYERS, BATCH, WIDTH = 7, 100, 256
LOOPS, TURNS = 200, 15
OPERATIONS = 2.0 * LAYERS * BATCH * WIDTH * WIDTH * LOOPS

Tensors = list[tf.Tensor]


def _unstacked(one: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> Callable[[Tensors, Tensors], Tensors]:
    return lambda inputs, gradients: [one(a, g) for a, g in zip(inputs, gradients, strict=True)]


def _batched(inputs: Tensors, gradients: Tensors) -> Tensors:
    return tf.unstack(tf.matmul(tf.stack(inputs), tf.stack(gradients), transpose_a=True))


WAYS: dict[str, Callable[[Tensors, Tensors], Tensors]] = {
    "a^T g, as Keras does": _unstacked(lambda a, g: tf.matmul(a, g, transpose_a=True)),
    "(g^T a)^T": _unstacked(lambda a, g: tf.transpose(tf.matmul(g, a, transpose_a=True))),
    "g^T a, kernels stored transposed": _unstacked(lambda a, g: tf.matmul(g, a, transpose_a=True)),
    "a transposed first": _unstacked(lambda a, g: tf.matmul(tf.stop_gradient(tf.transpose(a)), g)),
    "one batched product over the layers": _batched,
    "einsum": _unstacked(lambda a, g: tf.einsum("bi,bj->ij", a, g)),
}


def _compiled(way: Callable[[Tensors, Tensors], Tensors]) -> Callable[[Tensors, Tensors], Tensors]:
    """The gradients after LOOPS rounds, in each of which the operands change, so that no product can be left out."""

    def body(index: tf.Tensor, inputs: Tensors, gradients: Tensors, _: Tensors) -> tuple[Any, ...]:
        found = way(inputs, gradients)
        changed = [a + 1e-9 * kernel[:BATCH] for a, kernel in zip(inputs, found, strict=True)]
        return index + 1, changed, gradients, found

    @tf.function(jit_compile=True)
    def run(inputs: Tensors, gradients: Tensors) -> Tensors:
        start = [tf.zeros([WIDTH, WIDTH]) for _ in range(LAYERS)]
        return tf.while_loop(lambda index, *_: index < LOOPS, body, (tf.constant(0), inputs, gradients, start))[-1]

    return run


def _by_numpy(inputs: list[np.ndarray], gradients: list[np.ndarray]) -> None:
    for _ in range(LOOPS):
        for a, g in zip(inputs, gradients, strict=True):
            a += 1e-9 * (a.T @ g)[:BATCH]


def _rate(work: Callable[[], object]) -> float:
    """Best GFLOP per processor second."""
    best = 0.0
    for _ in range(TURNS):
        start = time.process_time()
        work()
        best = max(best, OPERATIONS / (time.process_time() - start) / 1e9)
    return best


def main() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    random = np.random.default_rng(0)
    arrays = [[random.normal(size=(BATCH, WIDTH)).astype(np.float32) for _ in range(LAYERS)] for _ in range(2)]
    inputs, gradients = ([tf.constant(array) for array in side] for side in arrays)
    programs = {name: _compiled(way) for name, way in WAYS.items()}
    reference = [kernel.numpy() for kernel in programs["a^T g, as Keras does"](inputs, gradients)]
    print(f"{'':36} GFLOP/s  bits")
    for name, run in programs.items():
        found = [kernel.numpy() for kernel in run(inputs, gradients)]
        same = all(
            np.array_equal(one, other.T if "stored" in name else other)
            for one, other in zip(reference, found, strict=True)
        )
        rate = _rate(lambda run=run: run(inputs, gradients)[0].numpy())
        print(f"{name:36} {rate:7.0f}  {'same' if same else 'other'}", flush=True)
    print(f"{'NumPy':36} {_rate(lambda: _by_numpy([a.copy() for a in arrays[0]], arrays[1])):7.0f}")


if __name__ == "__main__":
    main()
