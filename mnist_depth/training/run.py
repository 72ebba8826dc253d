"""Train one run: connects model, data, training, instruments and run folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import random
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mnist_depth import files, records
from mnist_depth.config import RunConfig, layer_name
from mnist_depth.datasets import Dataset, load
from mnist_depth.errors import UserError
from mnist_depth.registry import lookup, split_name
from mnist_depth.runtime import bytecode, environment
from mnist_depth.runtime.stderr import silenced
from mnist_depth.summaries.write import write_run
from mnist_depth.training.options import DEFAULTS, RunOptions

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
    from mnist_depth.training.compiled import PROBE_EXAMPLES, compiled_model
    from mnist_depth.training.final_metrics import confusion, final_metrics
    from mnist_depth.training.logger import RunLogger
    from mnist_depth.training.split_writer import SplitWriter

Writers = Mapping[str, SplitWriter]


def configure(threads: int, *, deterministic: bool = False) -> None:
    """Fix this process's number of threads; must come before the first computation, later calls change nothing."""
    if (keras.backend.backend(), keras.config.floatx()) != ("tensorflow", "float32"):
        raise UserError(
            "runs need Keras with TensorFlow and float32, and this process uses {backend} and {type}",
            backend=keras.backend.backend(),
            type=keras.config.floatx(),
        )
    tf.get_logger().setLevel("ERROR")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        return
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def train_run(
    config: RunConfig,
    folder: Path,
    options: RunOptions = DEFAULTS,
    *,
    owner: str = "",
    stop: Callable[[], bool] = lambda: False,
) -> str:
    """Train `config` into `folder`, resuming an unfinished run; return `finished`, `diverged` or `stopped`.

    A finished run is not trained again. `stop` is asked before compiling and after every block of minibatches; `owner`
    goes into the lock file. Raises UserError when the folder holds another run or cannot be written, Busy when another
    process trains it.
    """
    with records.claim(folder, owner):
        if options.overwrite:
            records.clear(folder)
        if records.state(folder, config) == "complete":
            return records.read_run(folder).status
        data = _shared(load(config.dataset, options.data_dir, config.train_examples))
        _write_config(folder, config, data, options.command or options.call_of(config))
        if stop():  # compiling takes seconds
            return "stopped"
        with bytecode.unwritten():
            return _Run(config, folder, data, options, stop).train()


_last: list[Dataset] = []


def _shared(data: Dataset) -> Dataset:
    """Reuse equal data of the last run, because compiled models keep their data alive."""
    if not _last or (_last[0].checksum, len(_last[0].train)) != (data.checksum, len(data.train)):
        _last[:] = [data]
    return _last[0]


def _write_config(folder: Path, config: RunConfig, data: Dataset, command: str) -> None:
    """Write config.json, unless an earlier process did; its dataset must be this one."""
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
        raise UserError(
            "{folder} was begun with other {dataset} data; pass --overwrite to start it again",
            folder=folder,
            dataset=config.dataset,
        )


class _StoppedError(Exception):
    """Pre-training was asked to stop."""


class _Run:
    """One run under way: its compiled model, its writers and its checkpoint."""

    def __init__(
        self, config: RunConfig, folder: Path, data: Dataset, options: RunOptions, stop: Callable[[], bool]
    ) -> None:
        self.config, self.folder, self.data, self.options, self.stop = config, folder, data, options, stop
        self.scored = {"validation": data.validation} | ({"test": data.test} if options.score_test else {})
        self.compiled = compiled_model(config, data, self.scored, options.instruments)
        self.plan = self.compiled.plan
        self.checkpoint = Checkpoint(folder / records.CHECKPOINT)
        events = EventWriter(folder, make_folder=False)
        self.writers: Writers = {name: self._writer(name, events) for name in ("train", *self.scored)}

    def train(self) -> str:
        started = time.perf_counter()
        model = self.compiled.model
        with contextlib.ExitStack() as open_files:
            for writer in self.writers.values():
                open_files.callback(writer.close)
            try:
                network = self._network()
            except _StoppedError:
                return "stopped"
            self.compiled.start(self.config, network, self.writers["train"])
            first_interval, seconds = self.checkpoint.restore(model) if self.checkpoint.exists else (0, 0.0)
            started -= seconds
            for writer in self.writers.values():
                # Without a checkpoint even the points of step 0 will be written again.
                writer.truncate_after(self.plan.steps_after(first_interval) if first_interval else -1)
            logger = RunLogger(
                self.plan,
                self.compiled.scorer,
                self.writers,
                first_interval=first_interval,
                save=lambda intervals: self.checkpoint.save_when_due(model, intervals, time.perf_counter() - started),
                stop=self.stop,
                keep_going=self.options.keep_going,
            )
            if self.stop():  # the first block is compiled together with what measures it
                return "stopped"
            callbacks = [*self.compiled.gauges, logger]
            loop.fit(model, self.plan, self.config.seed, first_interval=first_interval, callbacks=callbacks)
        if logger.status != "stopped":
            self._write_time_gradients()
            return self._complete(time.perf_counter() - started)
        return logger.status

    def _network(self) -> keras.Model:
        """The network before training: initialized, and pre-trained unless a checkpoint will overwrite it.

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
                    if self.stop():
                        raise _StoppedError(line)

                entry.build(network, self.config, images, *arguments, writer=writer, progress=progress)
        return network

    def _writer(self, split: str, events: EventWriter) -> SplitWriter:
        """The writer of a split; the folder is not made again where it is moved or removed meanwhile."""
        steps = self.plan.steps_per_epoch
        return SplitWriter(events, JsonLinesWriter(self.folder, split, steps, histograms=False, make_folder=False))

    def _side_writer(self, name: str) -> SplitWriter:
        """The writer of measurements before or after training, which have their own steps and event files."""
        writer = self._writer(name, EventWriter(self.folder, f".{name}", make_folder=False))
        writer.truncate_after(-1)
        return writer

    def _write_time_gradients(self) -> None:
        """Of a recurrent network: the gradient against the time step, as curves whose steps are time steps."""
        if split_name(self.config.wiring)[0] == "recurrent":
            probe = self.data.validation
            images, labels = probe.images[:PROBE_EXAMPLES], probe.labels[:PROBE_EXAMPLES]
            writer = self._side_writer("time")
            loss = models.loss(self.config)
            recurrence.write(writer, recurrence.gradient_by_time_step(self.compiled.model, loss, images, labels))
            writer.close()

    def _first_kernel(self) -> np.ndarray | None:
        """Kernel of the first weight layer; None where no layer is next to the input alone (recurrent networks)."""
        names = {layer.name: layer for layer in self.compiled.model.layers}
        kernel = getattr(names.get(layer_name(1, self.config.depth)), "kernel", None)
        return None if kernel is None else np.asarray(kernel)

    def _complete(self, seconds: float) -> str:
        """Write the weights if they are kept, what TensorBoard shows besides curves and, last, the marker."""
        model, scorer = self.compiled.model, self.compiled.scorer
        if self.options.keeps_weights:
            models.save_weights(model, self.folder / records.WEIGHTS)
        weights = [np.asarray(variable) for variable in model.weights]
        record = records.read_run(self.folder)
        _, losses = record.series("train", "loss")
        status = "finished" if all(map(math.isfinite, losses)) else "diverged"
        if not scorer.predictions:  # resumed after its last epoch
            scorer()
        done = {
            "status": status,
            "first_nonfinite": next((gauge.first_nonfinite for gauge in self.compiled.gauges), None),
            "confusion": confusion(self.data.test.labels, scorer.predictions.get("test")),
            "metrics": final_metrics(record, self.data),
            "seconds": seconds,
            "steps": int(model.optimizer.iterations.numpy()),
            "weights_sha256": hashlib.sha256(b"".join(array.tobytes() for array in weights)).hexdigest(),
        }
        write_run(replace(record, done=done), self._first_kernel())
        files.write_atomic(self.folder / records.DONE, json.dumps(done, indent=1))
        shutil.rmtree(self.checkpoint.path.parent, ignore_errors=True)
        return status
