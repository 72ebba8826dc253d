"""The matrix products of a training step alone, by several libraries: how fast a step could be at these shapes.

For a 784-256x8-10 network and batch 100 a step has 9 products forward, 8 backward to the inputs of a layer (the first
layer's inputs need none) and 9 backward to the kernels, and it updates every kernel:

    forward          a[l] = a[l-1] @ W[l]            [100, n] x [n, m]
    to the inputs    g[l-1] = g[l] @ W[l].T          [100, m] x [m, n]
    to the kernels   W[l] -= rate * a[l-1].T @ g[l]  [n, 100] x [100, m]

Every layer has operands of its own and every product changes a kernel that the next step reads, so a compiler can
neither move a product out of the loop nor merge two of them; `products_in` counts what is left in the compiled program.
"""

from __future__ import annotations

import importlib
import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXAMPLES, FEATURES, WIDTH, HIDDEN, CLASSES, BATCH = 50_000, 784, 256, 8, 10, 100

SHAPES = list(itertools.pairwise([FEATURES, *[WIDTH] * HIDDEN, CLASSES]))
"""[fan_in, fan_out] of every kernel, layer 1 first."""

PRODUCTS = 3 * len(SHAPES) - 1

STEPS = EXAMPLES // BATCH

TINY = 1e-9
"""Learning rate: kernels change, and stay where they are drawn."""

Mark = Callable[[], None]


def operands() -> tuple[Any, list[Any]]:
    """One batch, float32 [100, 784], and every kernel [fan_in, fan_out], scaled to keep the size of a signal."""
    import numpy as np

    random = np.random.default_rng(0)
    kernels = [(random.normal(0, fan_in**-0.5, (fan_in, fan_out))).astype(np.float32) for fan_in, fan_out in SHAPES]
    return random.normal(0, 1, (BATCH, FEATURES)).astype(np.float32), kernels


def xla_epoch() -> tuple[Any, tuple[Any, list[Any]]]:
    """A compiled function that does the products of an epoch, and its arguments."""
    import tensorflow as tf

    batch, kernels = operands()

    @tf.function(jit_compile=True)
    def epoch(batch: tf.Tensor, kernels: list[tf.Tensor]) -> list[tf.Tensor]:
        def step(index: tf.Tensor, *kernels: tf.Tensor) -> tuple[tf.Tensor, ...]:
            inputs = [batch]
            for kernel in kernels:
                inputs.append(inputs[-1] @ kernel)
            gradient = inputs.pop()
            updated: list[tf.Tensor] = []
            for layer in reversed(range(len(kernels))):
                updated.insert(0, kernels[layer] - TINY * tf.matmul(inputs[layer], gradient, transpose_a=True))
                if layer:
                    gradient = tf.matmul(gradient, kernels[layer], transpose_b=True)
            return index + 1, *updated

        return tf.while_loop(lambda index, *_: index < STEPS, step, (tf.constant(0), *kernels))[1:]

    return epoch, (tf.constant(batch), [tf.constant(kernel) for kernel in kernels])


def products_in(function: Any, arguments: tuple[Any, ...]) -> int:
    """Matrix products in the program that XLA makes of a compiled function; a loop's body counts once."""
    program: str = function.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
    return len(re.findall(r"\bdot\(", program))


def xla_products(epochs: int, folder: Path, mark: Mark) -> None:
    """TensorFlow with XLA, which training uses; stops where the compiler has left products out."""
    epoch, (batch, kernels) = xla_epoch()
    found = products_in(epoch, (batch, kernels))
    if found != PRODUCTS:
        raise SystemExit(f"XLA compiled {found} products, not {PRODUCTS}: this is no limit")
    for _ in range(epochs):
        kernels = epoch(batch, kernels)
        kernels[0].numpy()
        mark()


def numpy_products(epochs: int, folder: Path, mark: Mark) -> None:
    """NumPy with the BLAS that it was built with."""
    import numpy as np

    batch, kernels = operands()
    inputs = [batch, *(np.empty((BATCH, fan_out), np.float32) for _, fan_out in SHAPES)]
    gradients = [np.empty((BATCH, fan_in), np.float32) for fan_in, _ in SHAPES]
    changes = [np.empty_like(kernel) for kernel in kernels]
    for _ in range(epochs):
        for _ in range(STEPS):
            for layer, kernel in enumerate(kernels):
                np.matmul(inputs[layer], kernel, out=inputs[layer + 1])
            gradient = inputs[-1]
            for layer in reversed(range(len(kernels))):
                np.matmul(inputs[layer].T, gradient, out=changes[layer])
                if layer:
                    gradient = np.matmul(gradient, kernels[layer].T, out=gradients[layer])
                changes[layer] *= TINY
                kernels[layer] -= changes[layer]
        mark()


def torch_products(epochs: int, folder: Path, mark: Mark) -> None:
    """PyTorch on the processor, without autograd."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(int(os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1))
    batch, kernels = operands()
    batch, kernels = torch.from_numpy(batch), [torch.from_numpy(kernel) for kernel in kernels]
    with torch.no_grad():
        for _ in range(epochs):
            for _ in range(STEPS):
                inputs = [batch]
                for kernel in kernels:
                    inputs.append(inputs[-1] @ kernel)
                gradient = inputs.pop()
                for layer in reversed(range(len(kernels))):
                    earlier = gradient @ kernels[layer].T if layer else gradient
                    kernels[layer].addmm_(inputs[layer].T, gradient, alpha=-TINY)
                    gradient = earlier
            mark()


def fixed_work(epochs: int, folder: Path, mark: Mark) -> None:
    """The same small work each time: on an idle machine its rate does not vary."""
    import numpy as np

    left = np.full((63, 63), 0.5, np.float32)  # below the size from which NumPy's libraries use several threads
    out = np.empty_like(left)
    for _ in range(epochs):
        for _ in range(20_000):
            np.matmul(left, left, out=out)
        mark()
