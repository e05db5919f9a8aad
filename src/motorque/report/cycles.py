"""Curves over 0-100 % of the gait cycle, heel strike to the next heel strike of the same foot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PERCENT = np.linspace(0.0, 100.0, 101)


@dataclass(frozen=True)
class Cycle:
    """One stride of one foot.

    Args:
        side: ``r`` or ``l``.
        start: Heel strike [s].
        end: Next heel strike of the same foot [s].
        toe_off: Toe off between them [s], or None where it was not found.
        split: None for a stride that was recorded in one piece. In a recording too short for that, a stride put
            together from two incomplete ones: times after ``split`` [s] belong to the stride before ``start``, so they
            are read one stride time earlier.
    """

    side: str
    start: float
    end: float
    toe_off: float | None = None
    split: float | None = None

    @property
    def duration(self) -> float:
        """Stride time [s]."""
        return self.end - self.start

    @property
    def stance(self) -> float | None:
        """Toe off in percent of the cycle, or None."""
        return None if self.toe_off is None else 100.0 * (self.toe_off - self.start) / self.duration

    @property
    def seam(self) -> float | None:
        """Where a joined stride was joined, in percent of the cycle, or None."""
        return None if self.split is None else 100.0 * (self.split - self.start) / self.duration

    def at(self) -> Array:
        """Recorded times of 0, 1 … 100 % [s], shape [101]."""
        times = self.start + PERCENT / 100.0 * self.duration
        return times if self.split is None else np.where(times > self.split, times - self.duration, times)


def normalised(times: Array, values: Array, cycles: list[Cycle]) -> Array:
    """Curves of each cycle at 0, 1 … 100 %, by linear interpolation.

    Args:
        times: Frames [s], shape [T].
        values: Curves, shape [T, N]; NaN where unknown stays unknown.
        cycles: The cycles, C of them.

    Returns:
        Shape [C, 101, N].
    """
    if not cycles:
        return np.zeros((0, len(PERCENT), values.shape[1]))
    at = np.stack([cycle.at() for cycle in cycles])
    right = np.clip(np.searchsorted(times, at), 1, len(times) - 1)
    weight = np.clip((at - times[right - 1]) / (times[right] - times[right - 1]), 0.0, 1.0)[..., None]
    # At weights of exactly 0 or 1 the other neighbour does not count, even when it is NaN.
    low, high = values[right - 1], values[right]
    return np.where(weight <= 0, low, np.where(weight >= 1, high, (1 - weight) * low + weight * high))


def mean_and_spread(curves: Array) -> tuple[Array, Array | None]:
    """Mean over cycles, and their standard deviation (n - 1) where there are at least two; NaN cycles left out.

    Args:
        curves: Shape [C, 101, N], C at least 1.

    Returns:
        Two arrays of shape [101, N]; the second is None for a single cycle.
    """
    seen = np.isfinite(curves)
    count = seen.sum(0)
    total = np.where(seen, curves, 0.0).sum(0)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    if len(curves) < 2:
        return mean, None
    square = np.where(seen, (curves - mean) ** 2, 0.0).sum(0)
    return mean, np.where(count > 1, np.sqrt(square / np.maximum(count - 1, 1)), np.nan)
