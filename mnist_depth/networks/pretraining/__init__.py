"""Pre-training methods by name, applied to a built network.

Every entry is called as `pretrain(model, config, images, *arguments, writer=None, progress=None)` and changes the built
model in place. `images` are the training inputs [n, features] as the model takes them. `writer` takes scalars, images
and histograms by step (`mnist_depth.instrument`); `progress` takes one line of text at a time.
"""

from __future__ import annotations

from typing import Any

from mnist_depth.registry import Entry

SCOPES = ("all", "samples")
"""The variance that LSUV sets to one: over all entries, or across samples."""


def _none(model: Any, config: Any, images: Any, *, writer: Any = None, progress: Any = None) -> None:
    """Training starts from the initializer."""


def _lsuv(model: Any, config: Any, images: Any, scope: str, *, writer: Any = None, progress: Any = None) -> None:
    from mnist_depth.networks.pretraining.lsuv import initialize

    initialize(model, config, images, scope, writer=writer, progress=progress)


def _dbn(model: Any, config: Any, images: Any, gibbs_steps: int, *, writer: Any = None, progress: Any = None) -> None:
    from mnist_depth.networks.pretraining.dbn import pretrain

    pretrain(model, config, images, gibbs_steps, writer=writer, progress=progress)


PRETRAININGS: dict[str, Entry] = {
    "none": Entry("training starts from the initializer", _none),
    "lsuv": Entry(
        "orthogonal kernels scaled to unit variance layer by layer (Mishkin & Matas 2015): all, the variance of all "
        "entries; or samples, across samples with the mean moved into the bias",
        _lsuv,
        ("all",),
    ),
    "dbn": Entry(
        "deep belief network: greedy RBMs with k steps of contrastive divergence (Hinton et al. 2006)", _dbn, (1,)
    ),
}
