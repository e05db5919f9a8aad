"""Recordings brought to 60 frames a second: on the rotations themselves, never on their numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, Slerp

from motorque.errors import DataError

Array = NDArray[np.float64]

RATES = (10.0, 1000.0)
"""Rates of recordings that can be taken [Hz]: below, a step of walking is missed between two frames."""
UNEVEN = 0.02
"""How much the time between frames may vary, as a share of its median; more is resampled all the same, but said."""

LONGEST_PAUSE = 60.0
"""The longest time between two rows of one recording [s]: more are two, or a clock that was set anew."""
FEWEST = 1.0
"""Rows per second of a whole recording, its pauses included, that there are at least beyond the longest pause [Hz]."""


def check_pauses(times: Array) -> None:
    """Refuse times whose frames at an even rate would be far more than rows tell of.

    Args:
        times: Times of the rows [s], shape [T], increasing.

    Raises:
        DataError: A jump in time is longer than any pause of a recording, or pauses are nearly all of it.
    """
    steps = np.diff(times)
    row = int(steps.argmax())
    if steps[row] > LONGEST_PAUSE:
        mend = "leave row 1 out" if row == 0 else f"end the recording at row {row + 1} and begin another there"
        raise DataError(
            f"row {row + 2}: the time jumps from {times[row]:.10g} to {times[row + 1]:.10g} s, and a recording "
            f"pauses for {LONGEST_PAUSE:g} s at most; set the clock right, or {mend}"
        )
    if times[-1] - times[0] > LONGEST_PAUSE + len(times) / FEWEST:
        raise DataError(
            f"{len(times)} rows in {times[-1] - times[0]:.4g} s are too few, the longest pause ({steps[row]:.3g} s) is "
            f"before row {row + 2}; check the times, or cut the recording at its pauses"
        )


def resampled(times: Array, turns: Array, place: Array, rate: float) -> tuple[Array, Array]:
    """Rotations along their shortest ways and places along a cubic spline, at an even rate.

    Args:
        times: Times of the frames [s], shape [T]; they may be uneven.
        turns: Rotations, shape [T, J, 3, 3].
        place: Places, shape [T, 3].
        rate: Frames per second of the result.

    Returns:
        Rotations [N, J, 3, 3] and places [N, 3], from the first frame's time on. Where the times are those of the
        result already, or every second or third of them is, frames are taken as they are.

    Raises:
        DataError: There are fewer than two frames, their rate is none that can be taken, or their times jump.
    """
    if len(times) < 2:
        raise DataError("a single frame is no movement; give a recording of 41 frames at 60 Hz or more")
    step = float(np.median(np.diff(times)))
    if not RATES[0] <= 1.0 / step <= RATES[1]:
        raise DataError(f"{1.0 / step:.4g} frames per second can't be brought to {rate:g}; give {RATES[0]:g} or more")
    check_pauses(times)
    every = round(1.0 / (step * rate))
    wanted = times[0] + np.arange(int(np.floor((times[-1] - times[0]) * rate + 1e-6)) + 1) / rate
    if every >= 1:
        taken = slice(0, None, every)
        if len(times[taken]) == len(wanted) and np.abs(times[taken] - wanted).max() < 0.01 / rate:
            return turns[taken], place[taken]
    wanted = np.clip(wanted, times[0], times[-1])
    found = np.empty((len(wanted), turns.shape[1], 3, 3))
    for joint in range(turns.shape[1]):
        found[:, joint] = Slerp(times, Rotation.from_matrix(turns[:, joint]))(wanted).as_matrix()
    return found, np.asarray(CubicSpline(times, place)(wanted))


def unevenness(times: Array) -> float:
    """The largest difference of a time between frames from their median, as a share of it."""
    steps = np.diff(times)
    return float(np.abs(steps / np.median(steps) - 1.0).max()) if len(steps) else 0.0
