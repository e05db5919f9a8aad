"""Short gaps in a marker's path bridged without stretching the noise of the samples beside them.

A spline through noisy samples enters its gap with the slope that the last two of them happen to have: 2 mm of white
noise at 200 Hz make it swing out by centimetres within 0.2 s. Where there is noise, a smoothing spline is taken
instead, in its discrete form on the frames themselves: least Σ (y - f)² over the samples that there are, plus
λ Σ (Δ² f)² over all of them.

Source: Eilers, Anal Chem 75 (2003) 3631-3636 (missing samples as ones of no weight).
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.linalg import solveh_banded

Array = NDArray[np.float64]

ORDER = 6
"""Order of the differences that tell white noise: movement leaves nothing of note in them."""

FEWEST = 12
"""Such differences that it takes to tell noise from."""

CUTOFF, PER = 14.0, 1e-3 / np.sqrt(200.0)
"""Frequency under which movement stands out of noise [Hz], for noise of 1 mm at 200 Hz [m/√Hz]."""

FALL = 2.9
"""Power of the frequency with which amplitudes of markers in walking fall, so that less noise shows more of them."""

EXACT = 0.2
"""Share of the sampling rate from which on smoothing is not worth while: samples are taken as they are."""


def white_noise(path: Array, seen: NDArray[np.bool_]) -> float:
    """Standard deviation of the white noise of a path, shape [T, 3], by its differences [m]; NaN if that can't be told.

    Args:
        path: Positions at even steps [m].
        seen: Where there are any, shape [T].
    """
    change = np.diff(path, ORDER, axis=0)
    known = np.lib.stride_tricks.sliding_window_view(seen, ORDER + 1).all(1) if len(seen) > ORDER else np.zeros(0, bool)
    if known.sum() < FEWEST:
        return float("nan")
    # Medians: what jumps is no noise. The median of |x| is 0.6745 standard deviations.
    return float(np.median(np.abs(change[known])) / 0.6745 / np.sqrt(comb(2 * ORDER, ORDER)))


def bridge(path: Array, seen: NDArray[np.bool_], rate: float, noise: float) -> Array:
    """The path where it is not seen between its first and last sample, shape [missing, 3].

    Args:
        path: Positions at even steps [m], shape [T, 3]; the first and last are seen.
        seen: Where there are any, shape [T].
        rate: Sampling rate [Hz].
        noise: Standard deviation of their white noise [m]; NaN if it is not known, which is taken for none.
    """
    frames = np.arange(len(path))
    known, missing = np.flatnonzero(seen), np.flatnonzero(~seen)
    density = noise / np.sqrt(rate)
    cutoff = CUTOFF * (density / PER) ** (-1 / FALL) if density > 0 else np.inf
    if cutoff > EXACT * rate or len(known) < 4:
        spline = make_interp_spline(known, path[known], k=min(len(known) - 1, 3))
        return np.asarray(spline(frames[missing]))
    return slow_course(path, seen, rate, cutoff)[missing]


def slow_course(columns: Array, seen: NDArray[np.bool_], rate: float, cutoff: float) -> Array:
    """The smoothing spline of columns with gaps, at all frames, shape [T, C].

    Args:
        columns: At even steps, shape [T, C]; what is not seen does not count.
        seen: Where they are seen, shape [T], at two frames or more.
        rate: Sampling rate [Hz].
        cutoff: Frequency of which half the amplitude is kept [Hz].
    """
    frames = len(columns)
    weight = (rate / (2 * np.pi * cutoff)) ** 4
    banded = np.zeros((3, frames))
    second = (1.0, -2.0, 1.0)
    for at, factor in enumerate(second):
        for other, again in enumerate(second[: at + 1]):
            # Upper bands, the diagonal last: products of a row's entries `other` and `at`, that many columns apart.
            banded[2 - (at - other), at : frames - 2 + at] += weight * factor * again
    banded[2] += seen
    return np.asarray(solveh_banded(banded, np.where(seen[:, None], columns, 0.0)))
