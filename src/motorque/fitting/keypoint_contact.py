"""Where and when the soles touch the ground in a fit to keypoints: heel and ball of each foot on their own.

A foot that strikes with the heel, stands flat and leaves over the ball is then described by two numbers that each run
from 0 to 1; how sure they are is in their value.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

Array = NDArray[np.float64]

STILL, LOW = 0.5, 0.06
"""Speed [m/s] and height above the floor [m] up to half of which a point surely touches, and beyond one and a half
times which it surely does not."""
WINDOW = 0.1
"""Speeds are of a line through this much time [s]."""


def contact_strength(points: Array, times: Array) -> Array:
    """How surely each point touches the ground, 0 to 1, shape [T, S].

    Args:
        points: Sole points in ground [m], shape [T, S, 3].
        times: Time of each frame [s], shape [T].
    """
    if len(times) < 5:
        return np.zeros(points.shape[:2])
    step = float(np.median(np.diff(times)))
    window = min(max(3, int(WINDOW / step) // 2 * 2 + 1), (len(times) - 1) // 2 * 2 + 1)
    speed = np.linalg.norm(np.gradient(savgol_filter(points, window, 1, axis=0), times, axis=0), axis=-1)
    height = points[..., 1] - np.percentile(points[..., 1], 5)
    return np.clip(1.5 - speed / STILL, 0, 1) * np.clip(1.5 - height / LOW, 0, 1)
