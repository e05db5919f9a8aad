"""Where marker paths break, which markers step onto each other's path there, and which side of a break is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from motorque.series import Markers

Array = NDArray[np.float64]

_STEP = 0.04
"""Smallest step off the trend that counts [m]."""
_CLEAR = 0.09
"""A step that is reported even if the markers around it do not tell which side of it is wrong [m]."""
_ACCELERATION = 60.0
"""What a body's markers reach between two samples [m/s^2]: heel strike and landing, at 30 Hz and more."""
_PAUSE = 0.03
"""A gap of more than this parts what is before it from what is after it [s]."""
_CUT = 0.15
"""Across longer gaps nothing is said about a step [s]."""


@dataclass(frozen=True)
class Steps:
    """Where one marker's path is broken: frames ``before`` and ``after``, ``size`` of the step beyond the trend [m].

    ``speed`` is the trend, the marker's velocity around the break [m/s], shape [N, 3].
    """

    before: NDArray[np.int_]
    after: NDArray[np.int_]
    size: Array
    speed: Array


def breaks_in(markers: Markers, path: Array) -> Steps:
    """The breaks in one marker's path [T, 3]."""
    known = np.flatnonzero(np.isfinite(path[:, 0]))
    if len(known) < 5:
        return Steps(np.zeros(0, int), np.zeros(0, int), np.zeros(0), np.zeros((0, 3)))
    time = np.diff(markers.times[known])
    velocity = np.diff(path[known], axis=0) / time[:, None]
    width = min(9, len(velocity) - (len(velocity) + 1) % 2)
    broken = np.zeros(len(time), dtype=bool)
    for _ in range(2):  # the second time with a trend from which the breaks of the first are left out
        if broken.all():
            break
        good = np.flatnonzero(~broken)
        steady = np.stack([np.interp(np.arange(len(time)), good, velocity[good, axis]) for axis in range(3)], axis=1)
        trend = median_filter(steady, size=(width, 1), mode="nearest")
        size = np.linalg.norm(velocity - trend, axis=1) * time
        noise = 1.4826 * float(np.median(size))
        limit = np.maximum(_STEP, _ACCELERATION * time**2) + 8.0 * noise
        broken = (size > limit) & (time < _CUT)
    return Steps(known[:-1][broken], known[1:][broken], size[broken], trend[broken])


def crossing_at(
    times: Array,
    positions: Array,
    one: int,
    step: tuple[int, int],
    speed: Array,
    last: NDArray[np.int_],
    following: NDArray[np.int_],
) -> int | None:
    """The marker that goes on where marker ``one`` was before its step, while that one goes on where it was.

    The best one of several: where two clusters are exchanged, all of one are near to where all of the other were.
    Tried with both standing still meanwhile and with both moving on at the marker's own ``speed`` [m/s].
    """
    before, after = step
    others = np.flatnonzero((last >= 0) & (following < len(positions)) & (following - last <= after - before + 10))
    others = others[others != one]
    come, now = positions[following[others], others], positions[after, one]
    here, there = times[after], times[following[others]][:, None]
    best = np.full(len(others), np.inf)
    for moving in (0.0 * speed, speed):
        was, gone = positions[before, one] - moving * times[before], positions[last[others], others]
        gone = gone - moving * times[last[others]][:, None]  # both paths go on along ``moving`` from time zero
        kept = np.linalg.norm(now - was - moving * here) + np.linalg.norm(come - gone - moving * there, axis=1)
        exchanged = np.linalg.norm(now - gone - moving * here, axis=1)
        exchanged += np.linalg.norm(come - was - moving * there, axis=1)
        crossing = (exchanged < 0.3 * kept) & (np.linalg.norm(gone - was, axis=1) > _STEP)
        best = np.minimum(best, np.where(crossing, exchanged, np.inf))
    return int(others[np.argmin(best)]) if np.isfinite(best).any() else None


def first_exchanged(positions: Array, one: int, two: int, before: int, after: int) -> int:
    """First frame of the exchanged labels: the step's end, or an earlier sample of the other one on the wrong path."""
    between = np.arange(before + 1, after)
    near_own = np.linalg.norm(positions[between, two] - positions[after, one], axis=1)
    near_other = np.linalg.norm(positions[between, two] - positions[before, one], axis=1)
    crossed = between[near_other < near_own]
    return int(crossed[0]) if len(crossed) else int(after)


def bad_samples(times: Array, seen: NDArray[np.bool_], off: Array, steps: Steps) -> NDArray[np.bool_]:
    """Samples next to a break that lie farther from where they should be than the rest, shape [T].

    From each break outward, as far as the misfit lasts. A true jump ends as suddenly as it began, or in a gap; what
    fades away is a joint that bends, not a jump.
    """
    known = np.flatnonzero(seen)
    result = np.zeros(len(seen), dtype=bool)
    told = np.isfinite(off[known])
    breaks = np.searchsorted(known, steps.before)  # the last sample before each break
    if not told.any():
        # No neighbours to ask: the short stretches between breaks are the odd ones.
        stretch = np.searchsorted(breaks, np.arange(len(known)), side="left")
        result[known] = np.bincount(stretch)[stretch] < 0.2 * len(known)
        return result
    misfit = np.interp(known, known[told], off[known][told])
    usual = float(np.median(misfit))
    apart = np.concatenate([[True], np.diff(times[known]) > _PAUSE, [True]])  # apart[i]: sample i begins after a pause
    apart[breaks + 1] = True
    broken = np.zeros(len(known) + 1, dtype=bool)
    broken[breaks + 1] = True
    parts = np.concatenate([[0], np.flatnonzero(np.diff(times[known]) >= _CUT) + 1, breaks + 1, [len(known)]])
    parts = np.unique(parts)  # where a path is broken, or a gap too long to tell
    for before, size in zip(breaks, steps.size, strict=True):
        limit = min(max(0.03, 0.35 * float(size)), 0.06)  # two jumps in a row step farther than either is off
        marked = False
        for begin, other, way in ((int(before), int(before) + 1, -1), (int(before) + 1, int(before), 1)):
            high = misfit - min(usual, misfit[other]) > limit
            end, last = begin, None
            while 0 <= end < len(known) and high[end]:
                edge = end + (way > 0)  # where the stretch would end with this sample
                last = end if apart[edge] else last
                if broken[edge]:
                    break
                end += way
            if last is not None:
                result[known[min(begin, last) : max(begin, last) + 1]] = marked = True
        if not marked and size > _CLEAR:
            # Neither side fits worse (a joint bends between marker and neighbours): the shorter one is taken for wrong.
            place = int(np.searchsorted(parts, before + 1))
            left, right = parts[place - 1 : place + 1], parts[place : place + 2]
            shorter = left if left[1] - left[0] < right[1] - right[0] else right
            result[known[shorter[0] : shorter[1]]] = True
    return result
