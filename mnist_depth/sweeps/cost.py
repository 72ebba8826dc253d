"""How long runs will take on this machine, and how much disk they will fill, before anything is trained.

Work is counted in two units that are measured here, in about 60 ms: the multiplications of the layers, by a matrix
product in NumPy, and everything that Python and the compiler do, by a loop in Python. The ratios between a run's parts
and these units hold from machine to machine; seconds do not, so none are kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mnist_depth.config import RunConfig
from mnist_depth.datasets import DATASETS, SIZES, Sizes
from mnist_depth.networks.optimizers import OPTIMIZERS
from mnist_depth.plan import Plan, plan_of
from mnist_depth.registry import split_name
from mnist_depth.runtime.environment import cores
from mnist_depth.training.options import DEFAULTS, RunOptions
from mnist_depth.translation import plural
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    from mnist_depth.sweeps.worker import Options

PROBES, PROBE_EXAMPLES = 40, 256
"""What the instruments measure at most: so many passes over so many examples."""

# Work of a run. A unit is either one floating-point operation at the rate of `matmul_rate`, or one turn of `loop_rate`.

SHARE_OF_MATMUL = 0.5
"""Rate at which a compiled step gets through its multiplications, as a share of a lone matrix product's."""

STEP_TURNS, LAYER_STEP_TURNS = 400, 700
"""Cost of one step besides multiplications, as a whole and per layer."""

START_TURNS, COMPILE_TURNS = 60_000_000, 30_000_000
"""Cost of a run before its first step, as a whole and per layer: building, tracing, compiling."""

INTERVAL_TURNS = 1_000_000
"""Cost of the end of an interval, per layer: histograms, scores, the checkpoint."""

IMPORT_TURNS = 150_000_000
"""Cost of importing TensorFlow, once per worker."""

TIME_STEPS, TIME_STEP_TURNS = 28, 10_000
"""How often a recurrent layer is applied to one image, and the cost of each time besides multiplications."""

GATES = {"simple": 1, "gru": 3, "lstm": 4}
"""Matrix products per time step."""

GIBBS_PASSES = 6
"""Matrix products per step of an RBM with one Gibbs step, in units of a forward pass."""

# Disk, in bytes.

RUN_BYTES, BYTES_PER_WEIGHT, MINIBATCH_BYTES = 400_000, 4, 150
"""Per run, its pictures included; per stored number; per recorded minibatch loss."""

SCALAR_BYTES = {"none": 15_000, "light": 25_000, "standard": 30_000, "full": 100_000}
HISTOGRAM_BYTES = {"none": 0, "light": 0, "standard": 8_500, "full": 11_500}
"""By instruments: per layer; per layer and time that histograms are taken. Measured, event files and JSON lines."""

MAX_HISTOGRAMS = 20
"""Times that histograms are taken after the start."""

MAX_POINTS = 1_000
"""Recorded minibatch losses."""


class Rates(NamedTuple):
    """What this machine does in a second on one core."""

    operations: float
    """Floating-point operations of a matrix product."""
    turns: float
    """Turns of an empty loop in Python."""


@cache
def measured_rate() -> Rates:
    """The two rates, measured once per process, in about 60 ms."""
    # 63 x 63 x 63 is below the size from which NumPy's libraries use several threads.
    side = 63
    left, right = np.full((side, side), 0.5, np.float32), np.full((side, side), 0.5, np.float32)
    out = np.empty_like(left)

    def multiply() -> float:
        for _turn in range(50):
            np.matmul(left, right, out=out)
        return 50.0 * 2 * side**3

    def turn() -> float:
        for _turn in range(20_000):
            pass
        return 20_000.0

    return Rates(_best_rate(multiply), _best_rate(turn))


def _best_rate(work: Callable[[], float], seconds: float = 0.03) -> float:
    """Best observed rate within `seconds`; the maximum filters out interference."""
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        done = work()
        best = max(best, done / (time.perf_counter() - start))
    return best


def weights(config: RunConfig) -> int:
    """Entries of all kernels of a network of this config; wirings that are not recurrent count as plain."""
    entry, hidden = DATASETS[config.dataset], config.depth - 1
    wiring, kind = split_name(config.wiring)
    if wiring == "recurrent":
        gates = GATES[kind[0] if kind else "simple"]
        row = entry.features // TIME_STEPS
        layers = row * config.width + (2 * hidden - 1) * config.width**2
        return gates * layers + config.width * entry.outputs
    base, arguments = split_name(config.activation)
    pieces = int(arguments[0]) if arguments else 2 if base == "maxout" else 1
    fans = [entry.features, *[config.width] * hidden]
    return sum(fan_in * config.width * pieces for fan_in in fans[:-1]) + fans[-1] * entry.outputs


def seconds(config: RunConfig, sizes: Mapping[str, Sizes] = SIZES) -> float:
    """Time of one run on one core, from building the network to the marker, with the standard instruments."""
    rates, plan, size = measured_rate(), plan_of(config, sizes), sizes[config.dataset]
    times = TIME_STEPS if split_name(config.wiring)[0] == "recurrent" else 1
    forward = 2.0 * weights(config) * times
    operations = 3 * forward * (plan.steps * plan.minibatch + PROBES * PROBE_EXAMPLES)
    operations += forward * plan.intervals * (size.validation + size.test)
    turns = START_TURNS + config.depth * (COMPILE_TURNS + plan.intervals * INTERVAL_TURNS)
    layer_turns = LAYER_STEP_TURNS if times == 1 else TIME_STEPS * TIME_STEP_TURNS
    turns += plan.steps * (STEP_TURNS + config.depth * layer_turns)
    if split_name(config.pretraining)[0] == "dbn":
        trained = config.pretraining_epochs * (config.train_examples or size.train)
        operations += GIBBS_PASSES * forward * trained
    return operations / (SHARE_OF_MATMUL * rates.operations) + turns / rates.turns


def minutes(configs: Sequence[RunConfig], workers: int | None = None, sizes: Mapping[str, Sizes] = SIZES) -> float:
    """Time of a sweep: the work shared by the workers, but no less than its longest run."""
    if not configs:
        return 0.0
    busy = max(1, min(workers or cores(), cores(), len(configs)))
    run_seconds = [seconds(config, sizes) for config in configs]
    return (IMPORT_TURNS / measured_rate().turns + max(sum(run_seconds) / busy, max(run_seconds))) / 60


def megabytes(
    configs: Iterable[RunConfig], options: RunOptions = DEFAULTS, sizes: Mapping[str, Sizes] = SIZES
) -> float:
    """Disk of finished run folders."""
    return sum(_bytes(config, plan_of(config, sizes), options) for config in configs) / 1e6


def _bytes(config: RunConfig, plan: Plan, options: RunOptions) -> float:
    histograms = HISTOGRAM_BYTES[options.instruments] * (1 + min(plan.intervals, MAX_HISTOGRAMS))
    layers = config.depth * (SCALAR_BYTES[options.instruments] + histograms)
    slots = OPTIMIZERS[split_name(config.optimizer)[0]].slots
    stored = BYTES_PER_WEIGHT * (1 + slots) * weights(config) * options.keeps_weights
    return RUN_BYTES + stored + layers + MINIBATCH_BYTES * min(plan.steps, MAX_POINTS)


def minutes_text(value: float) -> str:
    """`less than a minute`, `about 3 min`, `about 1.5 h`."""
    if value < 1:
        return _("less than a minute")
    return _("about {count:.0f} min", count=value) if value < 90 else _("about {count:.1f} h", count=value / 60)


def plan_text(configs: Sequence[RunConfig], options: Options) -> str:
    """What a dry run prints: the name of every run, then how long all take and how much disk they fill."""
    folder = options.logdir / options.study
    lines = [f"{folder}:", *(f"  {options.folder_of(config).relative_to(folder)}" for config in configs)]
    disk = megabytes(configs, options)
    total = plural(
        "{count} run, {time}, {disk:.0f} MB; nothing was written.",
        "{count} runs, {time}, {disk:.0f} MB; nothing was written.",
        len(configs),
        time=minutes_text(minutes(configs, options.workers)),
        disk=disk,
    )
    return "\n".join([*lines, total])
