"""Measurements that several studies give as the reason for their answer."""

from __future__ import annotations

from typing import Any

from mnist_depth.studies.expectation import Check, Reason
from mnist_depth.studies.selection import Runs
from mnist_depth.translation import mark
from mnist_depth.translation import translate as _

VANISHING = 1e-3
"""||dL/dz|| of the first layer over that of the last before training: the diagnosis' limit of `vanishing`."""

ALIKE = 0.02
"""Spread across images over the whole spread of a layer's outputs: the diagnosis' limit of `signal collapses`."""


def vanishes(**which: Any) -> Check:
    """The gradient of every chosen run vanishes on its way to layer 1."""

    def check(runs: Runs) -> tuple[bool, str]:
        chosen = runs.where(**which)
        worst, depths = max(chosen.gradient_ratios()), {record.config.depth for record in chosen.records}
        return worst < VANISHING, ratio_text(worst, max(depths)) if len(depths) == 1 else _ratio(worst)

    return check


def ratio_text(ratio: float, depth: int) -> str:
    """`gradient norm, layer 1 over layer 9: 1.3e-05, x 0.245 per layer`."""
    per_layer = ratio ** (1 / (depth - 1))
    return _(
        "gradient norm, layer 1 over layer {depth}: {ratio:.1e}, × {factor:.2g} per layer",
        depth=depth,
        ratio=ratio,
        factor=per_layer,
    )


def _ratio(ratio: float) -> str:
    return _("gradient norm, first layer over last: at most {ratio:.1e}", ratio=ratio)


def looks_alike(**which: Any) -> Check:
    """The last hidden layer gives all images the same outputs, before and after training, in every chosen run."""

    def check(runs: Runs) -> tuple[bool, str]:
        chosen = runs.where(**which)
        shares = [*_shares(chosen, 0), *_shares(chosen, -1)]
        return max(shares) < ALIKE, _(
            "{share:.1e} of the spread of the outputs of the last hidden layer is across inputs", share=max(shares)
        )

    return check


def _shares(runs: Runs, moment: int) -> list[float]:
    """For each run, the part of the spread of the last hidden layer's outputs that is across images."""
    of_runs = runs.at_end if moment else runs.at_start
    across, overall = of_runs("activation_std_across_samples"), of_runs("activation_std")
    # A layer without any spread gives the same output for all images.
    return [one[-1] / whole[-1] if whole[-1] else 0.0 for one, whole in zip(across, overall, strict=True)]


def images_look_alike(**which: Any) -> Reason:
    """The other half of why a deep sigmoid network does not learn."""
    return Reason(
        mark(
            "On the way forward the differences between images shrink in the same way: the last hidden layer gives "
            "almost the same outputs for all of them, so that the logits cannot depend on the image"
        ),
        looks_alike(**which),
    )
