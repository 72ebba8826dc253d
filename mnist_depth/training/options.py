"""The options of a run that are not part of its config. Imports no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from mnist_depth.config import RunConfig

INSTRUMENTS = ("none", "light", "standard", "full")
"""How much is measured, least first."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Execution options of one run; only `deterministic`, and `keep_going` after a loss that is not finite,
    change the resulting weights.

    The command line fills these fields from the flags of the same names, and passes the object down to `train_run`.
    """

    instruments: str = "standard"
    data_dir: str | None = None
    """Folder of datasets prepared by tensorflow-datasets."""
    overwrite: bool = False
    deterministic: bool = False
    """Bit-identical weights for any number of threads."""
    score_test: bool = True
    """False leaves the test split alone (a search)."""
    keep_going: bool = False
    """Train on after a loss that is not finite; the run still ends as diverged."""
    save_weights: bool = False
    """Keep the final weights."""
    command: str = ""
    """The command line, for config.json; without one `call_of` is recorded."""

    @property
    def keeps_weights(self) -> bool:
        """Also where the test split is to be scored later."""
        return self.save_weights or not self.score_test

    def call_of(self, config: RunConfig) -> str:
        """The Python call that trains a network with these options, as far as they change what is recorded of it.

        >>> from mnist_depth.config import RunConfig
        >>> RunOptions(instruments="light").call_of(RunConfig(depth=3))
        "mnist_depth.train(mnist_depth.RunConfig(depth=3), instruments='light')"
        """
        names = ("instruments", "data_dir", "deterministic", "keep_going", "save_weights")
        changed = {name: getattr(self, name) for name in names if getattr(self, name) != getattr(RunOptions, name)}
        arguments = [f"mnist_depth.{config!r}", *(f"{name}={value!r}" for name, value in changed.items())]
        return f"mnist_depth.train({', '.join(arguments)})"


DEFAULTS = RunOptions()
