"""The benchmark's limit is one: its compiled program still has every product, and all libraries do the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.benchmark import limits
from scripts.benchmark.__main__ import machine, stalls
from scripts.benchmark.turns import Epoch


def test_xla_leaves_no_product_out() -> None:
    epoch, arguments = limits.xla_epoch()
    assert limits.PRODUCTS == 26
    assert limits.products_in(epoch, arguments) == limits.PRODUCTS


def test_products_that_are_equal_or_do_not_change_are_left_out_and_noticed() -> None:
    """What the limit once was: the same operands for every layer, and one product that does not change in the loop."""
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def shortened(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            for _ in range(3):
                total = total * 1e-3 + tf.matmul(x, x @ kernel, transpose_a=True)
            return index + 1, total

        return tf.while_loop(lambda index, _: index < 5, step, (tf.constant(0), kernel))[1]

    assert limits.products_in(shortened, (tf.ones([4, 3]), tf.ones([3, 3]))) < 6


def test_numpy_and_xla_end_with_the_same_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TINY", 1e-4)
    monkeypatch.setattr(limits, "STEPS", 3)
    batch, kernels = limits.operands()
    monkeypatch.setattr(limits, "operands", lambda: (batch, [kernel.copy() for kernel in kernels]))
    epoch, arguments = limits.xla_epoch()
    by_xla = [np.asarray(kernel) for kernel in epoch(*arguments)]
    by_numpy = [kernel.copy() for kernel in kernels]
    monkeypatch.setattr(limits, "operands", lambda: (batch, by_numpy))
    limits.numpy_products(1, Path(), lambda: None)
    for xla, numpy, start in zip(by_xla, by_numpy, kernels, strict=True):
        assert np.abs(numpy - start).max() > 1e-5
        np.testing.assert_allclose(numpy, xla, atol=1e-4 * np.abs(start).max())


@pytest.mark.parametrize(
    ("rates", "cores", "verdict"),
    [((100.0, 104.0, 99.0), 1.0, "steady"), ((100.0, 60.0, 99.0), 1.0, "NOISY"), ((100.0, 100.0, 99.0), 0.6, "NOISY")],
)
def test_a_noisy_machine_is_recognized(rates: tuple[float, ...], cores: float, verdict: str) -> None:
    assert verdict in machine([Epoch(rate, 0.0, 0.0, cores) for rate in rates])


@pytest.mark.parametrize(("cores", "reason"), [(0.2, "waited for the machine"), (1.0, "did more work")])
def test_a_stalled_epoch_waited_or_worked(cores: float, reason: str) -> None:
    usual = [Epoch(100.0, 0.0, 0.0, 1.0)] * 4
    assert stalls({"steady": usual}) == ""
    found = stalls({"steady": usual, "keras fit": [*usual, Epoch(20.0, 0.0, 0.0, cores)]})
    assert found.startswith("keras fit: 1 stalled, ")
    assert found.endswith(reason)
