"""Intervals over draws."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

Array = NDArray[np.float64]

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean over draws and where the true one is, with 95 % confidence."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        digits = decimals(self.high - self.low)
        return f"{self.mean:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def interval(values: Array) -> Interval:
    """Student's interval of the mean of independent draws, shape [S]; without width for a single one."""
    values = np.asarray(values, dtype=np.float64)
    mean, count = float(values.mean()), len(values)
    if count < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(t.ppf(0.5 + CONFIDENCE / 2, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return Interval(mean, mean - half, mean + half)


def reduction(before: Array, after: Array) -> Array:
    """By how much an error has fallen in every draw [%], shape [S]."""
    return 100.0 * (1.0 - np.asarray(after) / np.asarray(before))


def decimals(width: float) -> int:
    """Decimals with which a number of that uncertainty is written: two digits of the uncertainty."""
    if not np.isfinite(width) or width <= 0:
        return 3
    return int(np.clip(1 - np.floor(np.log10(width)), 0, 6))
