"""Shape, time and name checks that every series makes when it is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError

Array = NDArray[np.float64]


def as_times(times: object, what: str) -> Array:
    """Times as a strictly increasing, finite float64 vector [s], shape [T]; raises :class:`DataError` otherwise."""
    array = np.asarray(times, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise DataError(f"{what}: times must be a non-empty vector, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise DataError(f"{what}: time of frame {int(np.flatnonzero(~np.isfinite(array))[0])} is not a number")
    steps = np.diff(array)
    if (steps <= 0).any():
        frame = int(np.flatnonzero(steps <= 0)[0]) + 1
        raise DataError(
            f"{what}: time does not increase at frame {frame} ({array[frame]:g} s after {array[frame - 1]:g} s); "
            + ("sort the frames by time" if steps[frame - 1] else "leave out what comes twice, or write more digits")
        )
    return array


def as_array(values: object, shape: tuple[int, ...], what: str) -> Array:
    """Values as float64 of exactly ``shape``; raises :class:`DataError` otherwise."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise DataError(f"{what}: expected shape {list(shape)}, got {list(array.shape)}")
    return array


def as_names(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Names as a tuple without repetition; raises :class:`DataError` otherwise."""
    result = tuple(str(name) for name in names)
    repeated = [name for name, count in Counter(result).items() if count > 1]
    if repeated:
        raise DataError(f"{what}: the name {repeated[0]!r} occurs more than once; rename one of them")
    return result


def sampling_rate(times: Array) -> float:
    """Sampling rate of increasing times [Hz]; NaN for a single frame.

    Times in files are rounded, so evenly spaced ones are averaged; where frames are missing the median step counts.
    """
    if len(times) < 2:
        return float("nan")
    steps = np.diff(times)
    middle = float(np.median(steps))
    even = np.abs(steps - middle).max() < 0.5 * middle
    return float((len(times) - 1) / (times[-1] - times[0])) if even else 1.0 / middle
