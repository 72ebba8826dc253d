"""How much memory runs will take, and how much this machine has, before anything is trained."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence

from mnist_depth.config import RunConfig
from mnist_depth.datasets import DATASETS
from mnist_depth.errors import UserError
from mnist_depth.networks.optimizers import OPTIMIZERS
from mnist_depth.registry import split_name
from mnist_depth.runtime import environment
from mnist_depth.sweeps.cost import SIZES, Sizes, plan_of, weights

WORKER_BYTES = 1_000e6
"""A worker with TensorFlow that trains a small network."""

ADDRESSES_PER_WORKER = 2_500e6
"""Address space that a worker reserves beyond what it uses, which a limit of `ulimit -v` counts."""

COPIES = {"none": 7.0, "light": 13.0, "standard": 18.0, "full": 22.0}
"""Copies of the weights at the peak, by instruments, as measured for networks 2,000 and 4,000 wide.

There are the compiled network and its source, gradients, results of the compiled step, what is written; and for the
instruments, the weights before and after a step, gradients of the probe, and histograms.
"""

COPIES_PER_SLOT = 1.5
"""Copies of each number that the optimizer keeps per weight."""

ACTIVATION_COPIES = 4
"""Arrays per layer and example of a minibatch: outputs, inputs of the activation, and the gradients of both."""

FLOAT_BYTES = 4


def needed(config: RunConfig, instruments: str, sizes: Mapping[str, Sizes] = SIZES) -> float:
    """Bytes of the process that trains a run, at its peak."""
    slots = OPTIMIZERS[split_name(config.optimizer)[0]].slots
    stored = (COPIES[instruments] + COPIES_PER_SLOT * slots) * FLOAT_BYTES * weights(config)
    batch = plan_of(config, sizes).minibatch
    scored = max(sizes[config.dataset])
    examples = batch * config.depth * ACTIVATION_COPIES + scored * 2
    images = sum(sizes[config.dataset]) * DATASETS[config.dataset].features
    return WORKER_BYTES + stored + FLOAT_BYTES * examples * config.width + images


def workers_that_fit(configs: Sequence[RunConfig], instruments: str, workers: int) -> int:
    """How many of so many workers can train the largest runs at the same time.

    Raises UserError when one cannot.
    """
    largest = sorted((needed(config, instruments) for config in configs), reverse=True)[:workers]
    if not largest:
        return workers
    _check_limit(largest[0])
    left = environment.available_memory()
    if largest[0] > left:
        raise UserError(
            "a run needs about {needed} of memory and {left} are left; choose a smaller --width or --depth",
            needed=_gb(largest[0]),
            left=_gb(left),
        )
    return next(count for count in range(len(largest), 0, -1) if sum(largest[:count]) <= left)


def _check_limit(largest: float) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    wanted = largest + ADDRESSES_PER_WORKER
    if limit != resource.RLIM_INFINITY and wanted > limit:
        raise UserError(
            "a run needs about {needed} of address space and the limit is {limit}; raise it with `ulimit -v unlimited`",
            needed=_gb(wanted),
            limit=_gb(limit),
        )


def _gb(count: float) -> str:
    return f"{count / 1e9:.1f} GB"
