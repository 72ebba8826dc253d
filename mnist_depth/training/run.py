"""Train one run: the one place that wires model, data, training, instrument and run folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import random
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mnist_depth import files, records
from mnist_depth.config import RunConfig, layer_name
from mnist_depth.datasets import Dataset, load
from mnist_depth.errors import UserError
from mnist_depth.registry import lookup, split_name
from mnist_depth.runtime import environment
from mnist_depth.runtime.stderr import silenced
from mnist_depth.summaries.write import write_run

with silenced():
    import keras
    import numpy as np
    import tensorflow as tf

    from mnist_depth import models
    from mnist_depth.instrument import EventWriter, JsonLinesWriter
    from mnist_depth.networks import recurrence
    from mnist_depth.networks.pretraining import PRETRAININGS
    from mnist_depth.training import loop
    from mnist_depth.training.checkpoint import Checkpoint
    from mnist_depth.training.compiled import PROBE_EXAMPLES, workbench
    from mnist_depth.training.logger import Recorder
    from mnist_depth.training.split_writer import SplitWriter

INSTRUMENTS = ("none", "light", "standard", "full")

Writers = Mapping[str, SplitWriter]


def configure(threads: int, *, deterministic: bool = False) -> None:
    """Fix this process's number of threads; must come before the first computation, later calls change nothing."""
    tf.get_logger().setLevel("ERROR")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        return
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def run(
    config: RunConfig,
    folder: Path,
    *,
    instruments: str = "standard",
    data_dir: str | None = None,
    overwrite: bool = False,
    score_test: bool = True,
    keep_going: bool = False,
    command: str = "",
    owner: str = "",
    stop: Callable[[], bool] = lambda: False,
) -> str:
    """Train `config` into `folder`, resuming what is half done: `finished`, `diverged` or `stopped`.

    A finished run is not touched. `score_test` False leaves the test split alone (a search); `keep_going` trains on
    after a loss that is not finite. Raises UserError when the folder holds another run or cannot be written, Busy when
    another process is at it.
    """
    with records.claim(folder, owner):
        if overwrite:
            records.clear(folder)
        if records.state(folder, config) == "complete":
            return records.read_run(folder).status
        data = _kept(load(config.dataset, data_dir, config.train_examples))
        _write_config(folder, config, data, command)
        return _Run(config, folder, data, instruments, score_test).train(stop, keep_going)


_last: list[Dataset] = []


def _kept(data: Dataset) -> Dataset:
    """The data of the last run in place of its equal: what is compiled for a network holds its data for good."""
    if not _last or (_last[0].checksum, len(_last[0].train)) != (data.checksum, len(data.train)):
        _last[:] = [data]
    return _last[0]


def _write_config(folder: Path, config: RunConfig, data: Dataset, command: str) -> None:
    """Write config.json, unless an earlier process did; its dataset must be the one at hand."""
    path = folder / records.CONFIG
    if not path.exists():
        threads = tf.config.threading.get_intra_op_parallelism_threads()
        settings = {
            "threads": threads,
            "jit_compile": True,
            "devices": [d.device_type for d in tf.config.list_physical_devices()],
        }
        record = {
            "format": records.FORMAT,
            "config": config.to_dict(),
            "dataset": data.describe(),
            "environment": environment.describe() | settings,
            "command": command,
        }
        files.write_atomic(path, json.dumps(record, indent=1))
    elif files.read_json(path).get("dataset", {}).get("checksum") != data.checksum:
        raise UserError(f"{folder} was begun with other {config.dataset} data; pass --overwrite to start it again")


class _StoppedError(Exception):
    """Pre-training was asked to stop."""


class _Run:
    """One run under way: its network on the bench, its writers and its checkpoint."""

    def __init__(self, config: RunConfig, folder: Path, data: Dataset, instruments: str, score_test: bool) -> None:
        self.config, self.folder, self.data = config, folder, data
        self.scored = {"validation": data.validation} | ({"test": data.test} if score_test else {})
        self.bench = workbench(config, data, self.scored, instruments)
        self.plan = self.bench.plan
        self.checkpoint = Checkpoint(folder / records.CHECKPOINT)
        events = EventWriter(folder)
        self.writers: Writers = {name: self._writer(name, events) for name in ("train", *self.scored)}

    def train(self, stop: Callable[[], bool], keep_going: bool) -> str:
        started = time.perf_counter()
        model = self.bench.model
        with contextlib.ExitStack() as files:
            for writer in self.writers.values():
                files.callback(writer.close)
            try:
                network = self._network(stop)
            except _StoppedError:
                return "stopped"
            self.bench.start(self.config, network, self.writers["train"])
            first_interval, seconds = self.checkpoint.restore(model) if self.checkpoint.exists else (0, 0.0)
            started -= seconds
            for writer in self.writers.values():
                # Without a checkpoint even the points of step 0 will be written again.
                writer.truncate_after(self.plan.steps_after(first_interval) if first_interval else -1)
            recorder = Recorder(
                self.plan,
                self.bench.scorer,
                self.writers,
                first_interval=first_interval,
                save=lambda intervals: self.checkpoint.save(model, intervals, time.perf_counter() - started),
                stop=stop,
                keep_going=keep_going,
            )
            callbacks = [*self.bench.gauges, recorder]
            loop.fit(model, self.plan, self.config.seed, first_interval=first_interval, callbacks=callbacks)
        if recorder.status != "stopped":
            self._write_time_gradients()
            return self._complete(model, time.perf_counter() - started)
        return recorder.status

    def _network(self, stop: Callable[[], bool]) -> keras.Model:
        """The network as training finds it: initialized, and pre-trained unless a checkpoint will overwrite it.

        The steps of pre-training are not the optimizer's: its tags start with `pretraining/`.
        """
        # All streams are derived from the run's seed; this is for what Keras draws by itself. TensorFlow's global seed
        # is left alone: setting it drops the kernels of every traced function, half a second and 3 MB per run.
        random.seed(self.config.seed)
        network = models.build(self.config)
        if not self.checkpoint.exists and self.config.pretraining != "none":
            entry, arguments = lookup(PRETRAININGS, self.config.pretraining, "pretraining")
            images = self.data.train.images
            with contextlib.closing(self._side_writer("pretraining")) as writer:

                def progress(line: str) -> None:
                    writer.flush()
                    if stop():
                        raise _StoppedError(line)

                entry.build(network, self.config, images, *arguments, writer=writer, progress=progress)
        return network

    def _writer(self, split: str, events: EventWriter) -> SplitWriter:
        return SplitWriter(events, JsonLinesWriter(self.folder, split, self.plan.steps_per_epoch))

    def _side_writer(self, name: str) -> SplitWriter:
        """For what is measured before or after training: it has steps and event files of its own."""
        writer = self._writer(name, EventWriter(self.folder, f".{name}"))
        writer.truncate_after(-1)
        return writer

    def _write_time_gradients(self) -> None:
        """Of a recurrent network: the gradient against the time step, as curves whose steps are time steps."""
        if split_name(self.config.wiring)[0] == "recurrent":
            probe = self.data.validation
            images, labels = probe.images[:PROBE_EXAMPLES], probe.labels[:PROBE_EXAMPLES]
            writer = self._side_writer("time")
            loss = models.loss(self.config)
            recurrence.write(writer, recurrence.gradient_by_time_step(self.bench.model, loss, images, labels))
            writer.close()

    def _complete(self, trainee: loop.BlockModel, seconds: float) -> str:
        """Write the final weights, what the board shows of the run besides its curves and, last of all, the marker."""
        trainee.save_weights(self.folder / records.WEIGHTS)
        weights = [np.asarray(variable) for variable in trainee.weights]
        record = records.read_run(self.folder)
        _, losses = record.series("train", "loss")
        status = "finished" if all(map(math.isfinite, losses)) else "diverged"
        if not self.bench.scorer.predictions:  # resumed behind its last epoch
            self.bench.scorer()
        done = {
            "status": status,
            "first_nonfinite": next((gauge.first_nonfinite for gauge in self.bench.gauges), None),
            "confusion": _confusion(self.data.test.labels, self.bench.scorer.predictions.get("test")),
            "metrics": _summary(record, self.data),
            "seconds": seconds,
            "steps": int(trainee.optimizer.iterations.numpy()),
            "weights_sha256": hashlib.sha256(b"".join(array.tobytes() for array in weights)).hexdigest(),
        }
        write_run(replace(record, done=done))
        files.write_atomic(self.folder / records.DONE, json.dumps(done, indent=1))
        shutil.rmtree(self.checkpoint.path.parent, ignore_errors=True)
        return status


def _confusion(labels: np.ndarray, predicted: np.ndarray | None) -> list[list[int]] | None:
    """How often each class (rows) was taken for each class (columns); None where the test split was not scored."""
    if predicted is None:
        return None
    classes = int(max(labels.max(), predicted.max())) + 1
    counts = np.bincount(labels * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes).tolist()


def score_on_test(folder: Path, data_dir: str | None = None) -> None:
    """Score a finished run that left the test split alone, once: the figures join its record and its test curve."""
    with records.claim(folder):
        record = records.read_run(folder)
        if "test_accuracy" in record.done["metrics"]:
            return
        config, data = record.config, load(record.config.dataset, data_dir)
        model = models.build(config)
        model.load_weights(folder / records.WEIGHTS)
        scores = loop.Scorer(model, {"test": data.test}, models.loss(config), models.metrics(config)[0])()["test"]
        writer = SplitWriter(EventWriter(folder), JsonLinesWriter(folder, "test"))
        writer.write_scalars(record.done["steps"], scores)
        writer.close()
        figures = {f"test_{name}": files.encode(value) for name, value in scores.items()}
        metrics = {**record.done["metrics"], **figures}
        files.write_atomic(folder / records.DONE, json.dumps({**record.done, "metrics": metrics}, indent=1))


def _summary(record: records.RunRecord, data: Dataset) -> dict[str, float | str]:
    """The figures of a run that tables and studies use, by name."""
    figures: dict[str, float] = {"largest_class_share": float(np.bincount(data.test.labels).max() / len(data.test))}
    for run in ("train", "validation", "test"):
        steps, accuracies = record.series(run, "accuracy")
        if not steps:
            continue
        _, losses = record.series(run, "loss")
        figures |= {f"{run}_loss": losses[-1], f"{run}_accuracy": accuracies[-1]}
        best = max(range(len(accuracies)), key=accuracies.__getitem__)
        figures |= {f"best_{run}_accuracy": accuracies[best], f"best_{run}_step": float(steps[best])}
    figures |= _gradient_figures(record)
    return {name: files.encode(value) for name, value in figures.items()}


def _gradient_figures(record: records.RunRecord) -> dict[str, float]:
    """Norm of the applied kernel gradient in the first and the last layer, and their ratio: medians over the run."""
    last = record.config.depth
    _, firsts = record.series("train", f"gradient_norm/{layer_name(1, last)}/kernel")
    _, lasts = record.series("train", f"gradient_norm/{layer_name(last, last)}/kernel")
    if not firsts or len(firsts) != len(lasts):
        return {}
    ratios = [first / final if final else math.nan for first, final in zip(firsts, lasts, strict=True)]
    return {
        "gradient_norm_first": statistics.median(firsts),
        "gradient_norm_last": statistics.median(lasts),
        "gradient_ratio": statistics.median(ratios),
    }
