#!/usr/bin/env python
"""How fast training is, beside every peer that is installed: one command, one table, JSON beside it.

    .venv/bin/python scripts/benchmark.py [--repeats 3] [--epochs 3] [--only NAME ...] [--json FILE]
    .venv/bin/python scripts/benchmark.py --board LOGDIR

Every contender trains the same network (784-256x8-10, ReLU, batch 100, SGD 0.1) on the same number of random images
(speed does not depend on their content) in a process of its own; the contenders take turns (A B C A B C ...), so that a
machine that drifts favors none. The first epoch is warm-up and not counted. Figures are medians over the repeats, in
thousand samples per second; the spread is half the range. PyTorch and JAX take part where they are installed.

Ours run with the allocator set as `python -m mnist_depth` sets it (`mnist_depth/allocator.py`), the others as users
start them; `--same_allocator` sets it for all.

With `--board` it measures the runs below LOGDIR instead: event bytes per run, and the seconds until TensorBoard serves
the last point of every run's loss.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mnist_depth.allocator import SETTINGS

EXAMPLES, FEATURES, WIDTH, HIDDEN, CLASSES, BATCH, RATE = 50_000, 784, 256, 8, 10, 100, 0.1
FLOP_PER_SAMPLE = 6 * (FEATURES * WIDTH + (HIDDEN - 1) * WIDTH * WIDTH + WIDTH * CLASSES) - 2 * FEATURES * WIDTH
"""Forward, gradient of weights, gradient of inputs: 2 FLOP per weight each; the first layer's inputs need none."""

USUAL_EPOCHS = 15
"""The instruments measure as often as in a run of the default length, however few epochs are counted here."""

ALLOCATOR = {variable: str(size) for variable, size in SETTINGS.items()}

Seconds = list[float]


def images() -> tuple[Any, Any]:
    import numpy as np

    random = np.random.default_rng(0)
    return (
        random.integers(0, 256, (EXAMPLES, FEATURES), np.uint8),
        random.integers(0, CLASSES, EXAMPLES).astype(np.int32),
    )


def keras_network() -> Any:
    import keras

    inputs = keras.Input((FEATURES,), dtype="float32")
    x = inputs
    for layer in range(HIDDEN):
        x = keras.layers.Dense(WIDTH, "relu", kernel_initializer="glorot_normal", name=f"layer_{layer + 1:02d}")(x)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, name=f"layer_{HIDDEN + 1:02d}")(x))
    return model


def epoch_clock() -> tuple[Any, Seconds]:
    """A Keras callback that notes when each epoch ends, all other callbacks' work included when it stands last."""
    import keras

    marks: Seconds = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            marks.append(time.perf_counter())

    return Clock(), marks


def convolutional_network() -> Any:
    import keras

    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Reshape((28, 28, 1)),
            keras.layers.Conv2D(16, 3, activation="relu", padding="same"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES),
        ]
    )


def keras_fit(
    epochs: int,
    folder: Path,
    *,
    board: bool = False,
    gauge: str | None = None,
    network: Callable[[], Any] = keras_network,
    **compile_options: Any,
) -> Seconds:
    """Plain Keras: `fit` on float32 arrays in memory, as its users have them; `gauge` is a DepthGauge's preset."""
    import keras

    x, y = images()
    model = network()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(RATE), loss, metrics=["accuracy"], **compile_options)
    clock, marks = epoch_clock()
    x = x.astype("float32") / 255
    callbacks: list[Any] = [keras.callbacks.TensorBoard(str(folder), histogram_freq=1)] if board else []
    if gauge:
        from mnist_depth.instrument import DepthGauge, every_epochs

        # As often as Keras' callback writes; `standard` and `full` by themselves also measure within the epoch.
        often = every_epochs(1) if gauge == "full" else None
        callbacks.append(DepthGauge(folder, probe=(x[:BATCH], y[:BATCH]), preset=gauge, schedule=often))
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[*callbacks, clock])  # pyright: ignore[reportArgumentType]
    return marks


def ours(epochs: int, folder: Path, *, instruments: str) -> Seconds:
    """This package's engine, with the gauge as `python -m mnist_depth train` attaches it."""
    from mnist_depth import training
    from mnist_depth.config import RunConfig
    from mnist_depth.datasets import Split
    from mnist_depth.instrument import EventWriter, JsonLinesWriter, MultiWriter
    from mnist_depth.networks import models
    from mnist_depth.workbench import gauges

    split = Split(*images())
    config = RunConfig(epochs=epochs)
    plan = training.Plan(EXAMPLES, BATCH, epochs)
    model = training.prepare(
        models.build(config),
        split,
        plan,
        optimizer=models.build_optimizer(config),
        loss=models.loss(config),
        metrics=models.metrics(config),
    )
    clock, marks = epoch_clock()
    writer = MultiWriter(EventWriter(folder / "train"), JsonLinesWriter(folder, "train", plan.steps_per_epoch))
    measuring = gauges(instruments, split, training.Plan(EXAMPLES, BATCH, USUAL_EPOCHS))
    for gauge in measuring:
        gauge.restart(writer)
    training.fit(model, plan, 0, callbacks=[*measuring, clock])
    return marks


def compiled_epoch(epochs: int, folder: Path) -> Seconds:
    """A whole epoch written by hand in one compiled TensorFlow function: the least that a framework can cost."""
    import numpy as np
    import tensorflow as tf

    x, y = (tf.constant(array) for array in images())
    sizes = [FEATURES, *[WIDTH] * HIDDEN, CLASSES]
    random = np.random.default_rng(0)
    weights = [
        (
            tf.Variable(tf.constant(random.normal(0, (2 / (n + m)) ** 0.5, (n, m)), tf.float32)),
            tf.Variable(tf.zeros([m])),
        )
        for n, m in itertools.pairwise(sizes)
    ]
    flat = [variable for pair in weights for variable in pair]

    @tf.function(jit_compile=True)
    def epoch(order: tf.Tensor) -> tf.Tensor:
        def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            h = tf.cast(tf.gather(x, order[index]), tf.float32) / 255
            labels = tf.gather(y, order[index])
            tape: Any = tf.GradientTape()
            with tape:
                for kernel, bias in weights[:-1]:
                    h = tf.nn.relu(h @ kernel + bias)
                logits = h @ weights[-1][0] + weights[-1][1]
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            for variable, gradient in zip(flat, tape.gradient(loss, flat), strict=True):
                variable.assign_sub(RATE * gradient)
            return index + 1, total + loss

        count = order.shape[0]
        return tf.while_loop(lambda index, _: index < count, step, (tf.constant(0), tf.constant(0.0)))[1]

    marks: Seconds = []
    for _ in range(epochs):
        order = random.permutation(EXAMPLES).reshape(-1, BATCH).astype("int32")
        epoch(tf.constant(order)).numpy()
        marks.append(time.perf_counter())
    return marks


def torch_loop(epochs: int, folder: Path, *, board: bool) -> Seconds:
    """PyTorch over tensors in memory; with `board`, gradient norms per step and histograms per epoch."""
    torch: Any = importlib.import_module("torch")
    nn = torch.nn
    torch.set_num_threads(int(os.environ.get("TF_NUM_INTRAOP_THREADS") or os.cpu_count() or 1))
    x, y = (torch.from_numpy(array) for array in images())
    x, y = x.float() / 255, y.long()
    layers: list[Any] = []
    for layer in range(HIDDEN):
        layers += [nn.Linear(WIDTH if layer else FEATURES, WIDTH), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))
    optimizer = torch.optim.SGD(model.parameters(), RATE)
    writer: Any = None
    if board:
        writer = importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
    marks: Seconds = []
    step = 0
    for epoch in range(epochs):
        order = torch.randperm(EXAMPLES)
        for rows in order.split(BATCH):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if writer:
                for name, weight in model.named_parameters():
                    writer.add_scalar(f"gradient_norm/{name}", weight.grad.norm(), step)
            optimizer.step()
            step += 1
        if writer:
            for name, weight in model.named_parameters():
                writer.add_histogram(f"weight/{name}", weight, epoch)
                writer.add_histogram(f"gradient/{name}", weight.grad, epoch)
        marks.append(time.perf_counter())
    return marks


def jax_scan(epochs: int, folder: Path) -> Seconds:
    """JAX: an epoch as one `lax.scan`."""
    import numpy as np

    jax: Any = importlib.import_module("jax")
    jnp = jax.numpy

    x, y = (jnp.asarray(array) for array in images())
    sizes = [FEATURES, *[WIDTH] * HIDDEN, CLASSES]
    random = np.random.default_rng(0)
    weights = [
        (jnp.asarray(random.normal(0, (2 / (n + m)) ** 0.5, (n, m)), jnp.float32), jnp.zeros(m))
        for n, m in itertools.pairwise(sizes)
    ]

    def loss(weights: Any, rows: Any) -> Any:
        h = x[rows].astype(jnp.float32) / 255
        for kernel, bias in weights[:-1]:
            h = jax.nn.relu(h @ kernel + bias)
        logits = h @ weights[-1][0] + weights[-1][1]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[rows][:, None], axis=1))

    def step(weights: Any, rows: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, rows)
        return jax.tree.map(lambda w, g: w - RATE * g, weights, gradients), value

    epoch = jax.jit(lambda weights, order: jax.lax.scan(step, weights, order))
    marks: Seconds = []
    for _ in range(epochs):
        order = random.permutation(EXAMPLES).reshape(-1, BATCH).astype("int32")
        weights, losses = epoch(weights, order)
        losses.block_until_ready()
        marks.append(time.perf_counter())
    return marks


def matmul(epochs: int, folder: Path) -> Seconds:
    """The network's matrix products alone, one per weight and direction: the machine's limit at these shapes."""
    import tensorflow as tf

    h = tf.random.normal([BATCH, WIDTH])
    x, first = tf.random.normal([BATCH, FEATURES]), tf.random.normal([FEATURES, WIDTH])
    kernel = tf.random.normal([WIDTH, WIDTH]) / WIDTH

    @tf.function(jit_compile=True)
    def epoch(h: tf.Tensor, kernel: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
        def step(index: tf.Tensor, h: tf.Tensor, kernel: tf.Tensor, first: tf.Tensor) -> tuple[tf.Tensor, ...]:
            a = h + x @ first
            for _ in range(HIDDEN - 1):
                a = a @ kernel
            g = a
            for _ in range(HIDDEN - 1):
                g = tf.matmul(g, kernel, transpose_b=True)
            gradient = kernel
            for _ in range(HIDDEN - 1):
                gradient = gradient * 1e-9 + tf.matmul(a, g, transpose_a=True)
            return index + 1, g * 1e-9, gradient * 1e-9, tf.matmul(x, g, transpose_a=True) * 1e-9

        steps = EXAMPLES // BATCH
        return tf.while_loop(lambda i, *_: i < steps, step, (tf.constant(0), h, kernel, first))[1]

    marks: Seconds = []
    for _ in range(epochs):
        epoch(h, kernel, first).numpy()
        marks.append(time.perf_counter())
    return marks


CONTENDERS: dict[str, Callable[[int, Path], Seconds]] = {
    "matmul limit": matmul,
    "compiled epoch by hand": compiled_epoch,
    "ours, none": lambda e, f: ours(e, f, instruments="none"),
    "ours, light": lambda e, f: ours(e, f, instruments="light"),
    "ours, standard": lambda e, f: ours(e, f, instruments="standard"),
    "ours, full": lambda e, f: ours(e, f, instruments="full"),
    "keras fit": keras_fit,
    "keras fit + TensorBoard": lambda e, f: keras_fit(e, f, board=True),
    "keras fit + light": lambda e, f: keras_fit(e, f, gauge="light"),
    "keras fit + standard": lambda e, f: keras_fit(e, f, gauge="standard"),
    "keras fit + full": lambda e, f: keras_fit(e, f, gauge="full"),
    "convolutions": lambda e, f: keras_fit(e, f, network=convolutional_network),
    "convolutions + TensorBoard": lambda e, f: keras_fit(e, f, board=True, network=convolutional_network),
    "convolutions + light": lambda e, f: keras_fit(e, f, gauge="light", network=convolutional_network),
    "convolutions + standard": lambda e, f: keras_fit(e, f, gauge="standard", network=convolutional_network),
    "convolutions + full": lambda e, f: keras_fit(e, f, gauge="full", network=convolutional_network),
    "keras fit, 50 steps per execution": lambda e, f: keras_fit(e, f, steps_per_execution=50),
    "torch": lambda e, f: torch_loop(e, f, board=False),
    "torch + SummaryWriter": lambda e, f: torch_loop(e, f, board=True),
    "jax scan": jax_scan,
}

PAIRS = ("matmul limit", "ours, none", "ours, full", "keras fit + TensorBoard")
"""Contenders that are also run as one single-threaded process per core."""


def needs(name: str) -> str | None:
    """The optional library that a contender needs and that is not installed."""
    library = name.split()[0]
    return library if library in ("torch", "jax") and importlib.util.find_spec(library) is None else None


def work(name: str, epochs: int) -> dict[str, float]:
    """In a child process: train one epoch more than asked and leave the first one out."""
    with tempfile.TemporaryDirectory() as folder:
        marks = CONTENDERS[name](epochs + 1, Path(folder))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*tfevents*"))
    rate = epochs * EXAMPLES / (marks[-1] - marks[0])
    return {"rate": rate, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "event_mb": size / 1e6}


def start(name: str, epochs: int, threads: int) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "TF_NUM_INTEROP_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'false' if threads == 1 else 'true'}" if name[:3] == "jax" else "",
    }
    if name.startswith("ours"):
        environment |= ALLOCATOR
    command = [sys.executable, __file__, "--worker", name, "--epochs", str(epochs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)


def measure(name: str, epochs: int, processes: int, cores: int) -> dict[str, float]:
    """Run `processes` of a contender at once and add their rates up."""
    threads = cores if processes == 1 else 1
    children = [start(name, epochs, threads) for _ in range(processes)]
    outputs = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise SystemExit(f"{name} failed; run: {sys.executable} {__file__} --worker '{name}'")
    found = [json.loads(output.splitlines()[-1]) for output in outputs]
    return {
        "rate": sum(each["rate"] for each in found),
        "peak_mb": max(each["peak_mb"] for each in found),
        "event_mb": found[0]["event_mb"],
    }


def table(results: dict[str, list[dict[str, float]]]) -> str:
    limit = {kind: _median(results.get(f"matmul limit{kind}")) for kind in ("", " x cores")}
    lines = [f"{'contender':<44}{'k samples/s':>12}{'spread':>8}{'of matmul':>11}{'peak MB':>9}{'events MB':>11}"]
    for name, runs in results.items():
        rates = [run["rate"] / 1000 for run in runs]
        kind = " x cores" if name.endswith(" x cores") else ""
        share = f"{statistics.median(rates) * 1000 / limit[kind]:.0%}" if limit[kind] else "-"
        lines.append(
            f"{name:<44}{statistics.median(rates):>12.1f}{(max(rates) - min(rates)) / 2:>8.1f}{share:>11}"
            f"{max(run['peak_mb'] for run in runs):>9.0f}{runs[-1]['event_mb']:>11.2f}"
        )
    return "\n".join(lines)


def _median(runs: Sequence[dict[str, float]] | None) -> float:
    return statistics.median(run["rate"] for run in runs) if runs else 0.0


RATIOS = (
    ("ours, none", "keras fit", 1.6),
    ("ours, full", "ours, none", 0.95),
    ("ours, standard", "ours, none", 0.95),
    ("ours, light", "ours, none", 0.98),
    ("keras fit + light", "keras fit", 0.98),
    ("keras fit + standard", "keras fit", 0.95),
    ("keras fit + full", "keras fit + TensorBoard", 1.0),
    ("convolutions + light", "convolutions", 0.98),
    ("convolutions + standard", "convolutions", 0.95),
    ("convolutions + full", "convolutions + TensorBoard", 1.0),
    ("ours, full", "keras fit + TensorBoard", 1.9),
    ("ours, full", "torch + SummaryWriter", 1.7),
    ("ours, none", "compiled epoch by hand", 0.97),
    ("ours, full x cores", "keras fit + TensorBoard", 2.8),
    ("ours, full x cores", "keras fit + TensorBoard x cores", 1.7),
    ("ours, none x cores", "matmul limit x cores", 0.9),
)
"""Ratios worth watching, and what this project wants of them."""


def ratios(results: dict[str, list[dict[str, float]]]) -> str:
    """Each ratio repeat by repeat, so that drift cancels; the median of them."""
    lines = []
    for above, below, wanted in RATIOS:
        if above in results and below in results:
            pairs = zip(results[above], results[below], strict=False)
            value = statistics.median(a["rate"] / b["rate"] for a, b in pairs)
            lines.append(f"{above + ' : ' + below:<68}{value:>6.2f}   wanted {wanted}")
    return "\n".join(lines)


def board(logdir: Path) -> str:
    """Bytes and seconds that the runs below a logdir cost TensorBoard."""
    from mnist_depth import records
    from mnist_depth.board.server import start_board

    folders = sorted(path.parent for path in logdir.rglob(records.DONE))
    if not folders:
        raise SystemExit(f"there is no finished run below {logdir}")
    sizes = [sum(path.stat().st_size for path in folder.rglob("*tfevents*")) / 1e6 for folder in folders]
    last_step = {f"{f.relative_to(logdir)}/train": json.loads((f / records.DONE).read_text())["steps"] for f in folders}
    begun = time.perf_counter()
    with start_board(logdir, port=0) as served:
        waiting = dict(last_step)
        while waiting:
            time.sleep(0.2)
            loaded = _get(f"{served.url}data/plugin/scalars/tags")
            for run in [run for run in waiting if "loss" in loaded.get(run, ())]:
                points = _get(f"{served.url}data/plugin/scalars/scalars?tag=loss&run={quote(run)}")
                if points and points[-1][1] == waiting[run]:
                    del waiting[run]
        seconds = time.perf_counter() - begun
    return (
        f"{len(folders)} runs, event MB per run: median {statistics.median(sizes):.2f}, most {max(sizes):.2f}; "
        f"TensorBoard serves all of them after {seconds:.1f} s"
    )


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="turns of every contender")
    parser.add_argument("--epochs", type=int, default=3, help="counted epochs of 50,000 images per turn")
    parser.add_argument("--only", nargs="*", help="contenders to run, by name")
    parser.add_argument("--json", type=Path, help="file for the figures of every turn")
    parser.add_argument("--same_allocator", action="store_true", help="set the allocator for every contender")
    parser.add_argument("--board", type=Path, metavar="LOGDIR", help="measure TensorBoard on these runs instead")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(work(arguments.worker, arguments.epochs)))
        return
    if arguments.board:
        print(board(arguments.board.resolve()))
        return
    if arguments.same_allocator:
        os.environ.update(ALLOCATOR)
    cores = len(os.sched_getaffinity(0))
    turns = [(name, name, 1) for name in CONTENDERS] + [(f"{name} x cores", name, cores) for name in PAIRS]
    results: dict[str, list[dict[str, float]]] = {}
    for repeat in range(arguments.repeats):
        for label, name, processes in turns:
            if arguments.only and label not in arguments.only:
                continue
            if library := needs(name):
                if repeat == 0:
                    print(f"{label}: skipped, {library} is not installed")
                continue
            results.setdefault(label, []).append(measure(name, arguments.epochs, processes, cores))
            print(f"turn {repeat + 1}: {label} {results[label][-1]['rate'] / 1000:.1f}", file=sys.stderr, flush=True)
    print(f"{cores} cores, {FLOP_PER_SAMPLE / 1e6:.2f} MFLOP per sample\n")
    print(table(results) + "\n\n" + ratios(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
