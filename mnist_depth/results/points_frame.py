"""The measurements of a training as a pandas frame: a row per scalar, its tag split into quantity, layer, variable."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_depth.errors import unknown
from mnist_depth.records import TrainingRecord

if TYPE_CHECKING:
    import pandas as pd

POINT_COLUMNS = ("study", "run", "seed", "split", "step", "epoch", "quantity", "layer", "variable", "value")
"""Of a frame of measurements. `epoch` is fractional and missing where the steps per epoch are not known; `layer` and
`variable` are missing where a quantity has none."""


def split_tag(tag: str, layers: Collection[str]) -> tuple[str, str | None, str | None]:
    """(quantity, layer, variable) of a tag; layer names may hold slashes themselves.

    >>> split_tag("gradient_norm/layer_03/kernel", ["layer_03"])
    ('gradient_norm', 'layer_03', 'kernel')
    >>> split_tag("activation_std/block/dense", ["block/dense"])
    ('activation_std', 'block/dense', None)
    >>> split_tag("loss", [])
    ('loss', None, None)
    """
    quantity, _, rest = tag.partition("/")
    known = [layer for layer in layers if rest == layer or rest.startswith(f"{layer}/")]
    layer = max(known, key=len, default=rest.partition("/")[0])
    return quantity, layer or None, rest[len(layer) + 1 :] or None


def points_of(record: TrainingRecord, quantity: Any, split: Any) -> pd.DataFrame:
    """The chosen points of one training; columns are repeated per tag, because a frame per tag takes minutes."""
    import pandas as pd

    chosen = {
        (found, *split_tag(tag, record.layers)): series
        for (found, tag), series in record.measured.items()
        if is_wanted(found, split) and is_wanted(tag.partition("/")[0], quantity)
    }
    # One array per column over all tags, [points]: split, quantity, layer and variable are repeated for every point of
    # their tag.
    lengths = [len(series.steps) for series in chosen.values()]
    steps = np.concatenate([np.asarray(series.steps) for series in chosen.values()] or [np.empty(0)])
    named = zip(*chosen, strict=True) if chosen else ([], [], [], [])
    columns = {
        name: np.repeat(np.array(values, object), lengths)
        for name, values in zip(("split", "quantity", "layer", "variable"), named, strict=True)
    }
    return pd.DataFrame(
        {
            "study": record.study,
            "run": record.name,
            "seed": record.seed,
            **columns,
            "step": steps,
            "epoch": steps / record.steps_per_epoch if record.steps_per_epoch else np.nan,
            "value": np.concatenate([np.asarray(series.values) for series in chosen.values()] or [np.empty(0)]),
        }
    )


def check_measured(records: Iterable[TrainingRecord], quantity: Any, split: Any) -> None:
    """Raise UserError for a wanted quantity or split that none of the trainings has, if anything was measured."""
    tags = [tag for record in records for tag in record.measured]
    splits, quantities = ({found for found, _ in tags}, {tag.partition("/")[0] for _, tag in tags})
    for kind, wanted, known in (("split", split, splits), ("quantity", quantity, quantities)):
        for name in [wanted] if isinstance(wanted, str) else wanted or ():
            if known and name not in known:
                raise unknown(kind, name, sorted(known))


def is_wanted(value: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one, or one of several; None wants any."""
    if wanted is None:
        return True
    several = isinstance(wanted, Collection) and not isinstance(wanted, str)
    return value in list(wanted) if several else value == wanted
