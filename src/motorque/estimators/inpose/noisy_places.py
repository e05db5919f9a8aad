"""Noise of measured places is taken out over time before anything else sees it: hands and heads do not jump."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from motorque.estimators.inpose.tree import RATE

Array = NDArray[np.float64]

JERK = 100.0
"""Usual size of the third derivative of a hand's place [m/s³]: of a swing of 0.2 m at 1.3 Hz."""
LEAST = 0.005
"""Noise below which places are taken as they are [m]."""


def smoothed(points: Array, there: NDArray[np.bool_], noise: float) -> Array:
    """Places without the noise that their movement can't explain (Whittaker 1923, third differences).

    Args:
        points: At 60 Hz [m], shape [T, N, 3]; anything where not measured.
        there: Where they were measured, shape [T, N].
        noise: Their standard deviation in each direction, independent from frame to frame [m].

    Returns:
        Shape [T, N, 3]; as they came below :data:`LEAST`, or where fewer than eight were measured.
    """
    found, frames = points.copy(), len(points)
    if noise < LEAST:
        return found
    weight = (noise / (JERK / RATE**3)) ** 2
    bands = np.zeros((4, frames))
    for offset, difference in enumerate(np.array([1.0, -3.0, 3.0, -1.0])):
        for other, again in enumerate(np.array([1.0, -3.0, 3.0, -1.0])):
            if other <= offset and frames > 3:
                # Row r of the third differences touches columns r … r + 3: lower bands of their square
                bands[offset - other, other : other + frames - 3] += weight * difference * again
    for number in range(points.shape[1]):
        known = there[:, number]
        if known.sum() < 8:
            continue
        own = bands.copy()
        own[0] += known
        values = np.where(known[:, None], points[:, number], 0.0)
        found[known, number] = solveh_banded(own, values, lower=True)[known]
    return found


def left_over(noise: float) -> float:
    """Standard deviation of what the noise leaves after :func:`smoothed`, in a long recording [m]."""
    if noise < LEAST:
        return noise
    waves = (np.arange(4096) + 0.5) * np.pi / 4096
    passed = 1 / (1 + (noise / (JERK / RATE**3)) ** 2 * (2 * np.sin(waves / 2)) ** 6)
    return float(noise * np.sqrt((passed**2).mean()))
