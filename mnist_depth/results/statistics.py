"""Statistics over seeds: a mean with its confidence interval, a paired test.

SciPy is imported when they are computed.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_depth.errors import UserError


@dataclass(frozen=True)
class Comparison:
    """The difference of a final figure between two configurations, paired by seed."""

    column: str
    first: str
    second: str
    seeds: tuple[Any, ...]
    difference: float
    """Mean of first minus second."""
    low: float
    high: float
    confidence: float
    p_value: float
    """Of the two-sided paired t-test; exact ties give 1."""

    @property
    def significant(self) -> bool:
        """Whether the confidence interval leaves out zero."""
        return self.p_value < 1 - self.confidence

    def __repr__(self) -> str:
        word = "significant" if self.significant else "not significant"
        return (
            f"{self.column}: ({self.first}) - ({self.second}) = {self.difference:+.4g}\n"
            f"  {self.confidence:.0%} confidence interval {self.low:.4g} to {self.high:.4g}, "
            f"paired t-test over {len(self.seeds)} seeds: p = {self.p_value:.2g}, {word}"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def check_confidence(confidence: float) -> None:
    """Raise UserError for a confidence that is not a share."""
    if not isinstance(confidence, (int, float)) or not 0 < confidence < 1:
        raise UserError("confidence must be between 0 and 1, such as 0.95, not {confidence!r}", confidence=confidence)


def spread(values: Iterable[float], confidence: float = 0.95) -> dict[str, float]:
    """mean, sd (sample), n and the confidence interval low to high of the mean, by Student's t, of finite values.

    >>> {name: round(value, 3) for name, value in spread([1.0, 2.0, 3.0]).items()}
    {'mean': 2.0, 'sd': 1.0, 'n': 3, 'low': -0.484, 'high': 4.484}
    """
    from scipy.special import stdtrit  # the quantile of Student's t; scipy.stats takes a second to import

    finite = np.array([value for value in values if math.isfinite(value)], float)
    count = len(finite)
    mean = float(finite.mean()) if count else math.nan
    deviation = float(finite.std(ddof=1)) if count > 1 else math.nan
    margin = float(stdtrit(count - 1, (1 + confidence) / 2)) * deviation / math.sqrt(count) if count > 1 else math.nan
    return {"mean": mean, "sd": deviation, "n": count, "low": mean - margin, "high": mean + margin}


def paired_p_value(difference: np.ndarray) -> float:
    """Of the hypothesis that the mean difference is zero; without any variation it is 1 for a tie and 0 otherwise."""
    from scipy import stats

    if np.ptp(difference) == 0:
        return float(difference[0] == 0)
    result: Any = stats.ttest_1samp(difference, 0.0)
    return float(result.pvalue)
