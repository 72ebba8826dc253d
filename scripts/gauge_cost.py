"""Measure what a gauge costs: tracing, a whole epoch, and memory that stays after a `fit` (docs/performance.md).

    python scripts/gauge_cost.py tracing ResNet50
    python scripts/gauge_cost.py epoch ResNet50 --steps 100
    python scripts/gauge_cost.py memory

Processor seconds of one thread, images of 64x64, minibatches and a probe of 16, the preset `standard`.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import contextlib
import functools
import gc
import io
import time
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_depth.instrument import DepthGauge, MemoryWriter

BATCH, SIZE, CLASSES = 16, 64, 10
REPEATS = 3
WARM_STEPS = 4
"""Updates of the first epoch, in which everything is traced."""


def data(examples: int = BATCH) -> Any:
    random = np.random.default_rng(0)
    return random.normal(size=(examples, SIZE, SIZE, 3)).astype("float32"), random.integers(0, CLASSES, examples)


def network(name: str, optimizer: str) -> Any:
    keras.utils.set_random_seed(1)
    kind: Any = getattr(keras.applications, name)
    model = kind(input_shape=(SIZE, SIZE, 3), weights=None, classes=CLASSES)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    return model


def seconds(action: Callable[[], Any]) -> float:
    """Processor seconds of this process, all threads."""
    started = time.process_time()
    action()
    return time.process_time() - started


def tracing(args: argparse.Namespace) -> None:
    """The first measurement and the graph, beside the first step of Keras; a pass that is traced is subtracted."""
    from mnist_depth.instrument.graph import op_graph
    from mnist_depth.instrument.presets import STANDARD
    from mnist_depth.instrument.probe import Probe

    model, batch = network(args.model, args.optimizer), data()
    steps = [seconds(lambda: model.train_on_batch(*batch)) for _ in range(1 + REPEATS)]
    probe = Probe(model, batch, STANDARD, ("weight", "gradient", "activation"))
    passes = [seconds(lambda: probe.measure(arrays=True)) for _ in range(1 + REPEATS)]
    graph = seconds(lambda: op_graph(model, probe.batch, None))
    own, first = steps[0] - min(steps[1:]), passes[0] - min(passes[1:])
    print(f"{args.model}, {args.optimizer}")
    print(f"own first step {own:.1f} s, first measurement {first:.1f} s, graph {graph:.1f} s")
    print(f"later step {min(steps[1:]):.2f} s, later measurement with arrays {min(passes[1:]):.2f} s")
    print(f"first measurement and graph : own first step = {(first + graph) / own:.2f}")


class Timed(keras.callbacks.Callback):
    """Adds up the processor seconds of each epoch and those that pass within the calls of a gauge."""

    def __init__(self, gauge: DepthGauge) -> None:
        super().__init__()
        self.gauge = gauge
        self.inside = 0.0
        for name in [name for name in dir(gauge) if name.startswith("on_")]:
            setattr(self, name, self._timed(getattr(gauge, name)))

    def _timed(self, hook: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any, **options: Any) -> None:
            self.inside += seconds(lambda: hook(*arguments, **options))

        return call

    def set_model(self, model: Any) -> None:
        self.gauge.set_model(model)

    def set_params(self, params: Any) -> None:
        self.gauge.set_params(params)


def epoch(args: argparse.Namespace) -> None:
    """Epochs of two equal models in turn, one with the gauge; what it writes goes to memory."""
    x, y = data(args.steps * BATCH)
    gauge = Timed(DepthGauge(MemoryWriter(), (x[:BATCH], y[:BATCH])))
    models, callbacks = (network(args.model, args.optimizer), network(args.model, args.optimizer)), ([], [gauge])
    for number in range(1 + args.epochs):
        gauge.inside = 0.0
        examples = BATCH * (WARM_STEPS if number == 0 else args.steps)
        options: dict[str, Any] = {"initial_epoch": number, "epochs": number + 1, "verbose": 0, "shuffle": False}
        fits = [
            functools.partial(model.fit, x[:examples], y[:examples], BATCH, callbacks=called, **options)
            for model, called in zip(models, callbacks, strict=True)
        ]
        plain, gauged = map(seconds, fits)
        what = "traced " if number == 0 else ""
        print(
            f"{what}epoch {number + 1}: {plain:.1f} s, with the gauge {gauged:.1f} s ({gauged / plain - 1:+.1%}); "
            f"in its calls {gauge.inside:.2f} s, {gauge.inside / (gauged - gauge.inside):.1%} of the rest",
            flush=True,
        )


def resident() -> float:
    """Resident memory of this process in MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory(args: argparse.Namespace) -> None:
    """Fit new networks of nine layers again and again: memory that stays per `fit`."""
    x, y = np.random.default_rng(0).normal(size=(256, 64)).astype("float32"), np.zeros(256, "int32")
    for with_gauge in (False, True):
        sizes = []
        for _ in range(args.fits + args.warm):
            keras.backend.clear_session()
            hidden = [keras.layers.Dense(64, "relu") for _ in range(8)]
            model: Any = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(CLASSES)])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile("sgd", loss, jit_compile=False)
            callbacks = [DepthGauge(MemoryWriter(), (x[:64], y[:64]))] if with_gauge else []
            with contextlib.redirect_stdout(io.StringIO()):
                model.fit(x, y, 64, epochs=2, verbose=0, callbacks=callbacks)
            del model, callbacks, hidden
            gc.collect()
            sizes.append(resident())
        kept = (sizes[-1] - sizes[args.warm - 1]) / args.fits
        print(f"{'with the gauge' if with_gauge else 'plain fit':15} keeps {kept:.2f} MB per fit", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    for part in (tracing, epoch):
        command = parts.add_parser(part.__name__, help=part.__doc__)
        command.add_argument("model", nargs="?", default="ResNet50", help="a model of keras.applications")
        command.add_argument("--optimizer", default="adam", help="with sgd, Keras' own step is traced in less time")
        command.set_defaults(run=part)
        if part is epoch:
            command.add_argument("--steps", type=int, default=100, help="updates per epoch")
            command.add_argument("--epochs", type=int, default=2, help="epochs after a short one, which is traced")
    command = parts.add_parser("memory", help=memory.__doc__)
    command.add_argument("--fits", type=int, default=20)
    command.add_argument("--warm", type=int, default=5, help="fits before the first that counts")
    command.set_defaults(run=memory)
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    warnings.simplefilter("ignore")
    args.run(args)


if __name__ == "__main__":
    main()
