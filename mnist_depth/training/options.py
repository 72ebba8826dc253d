"""The options of a run that are not part of its config. Imports no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

INSTRUMENTS = ("none", "light", "standard", "full")
"""How much is measured, least first."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Execution options of one run; no option but `deterministic` changes the resulting weights.

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
    """The command line, for config.json."""

    @property
    def keeps_weights(self) -> bool:
        """Also where the test split is to be scored later."""
        return self.save_weights or not self.score_test


DEFAULTS = RunOptions()
