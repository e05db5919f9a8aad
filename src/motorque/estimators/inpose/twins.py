"""Files of the same recording in other encodings: found by the way of the pelvis.

What is compared has to be the same whatever the laboratory's axes, the body's size and the first frame are: how fast
the pelvis goes along the floor and how fast it rises, over the time that two files share, correlated. Only a shift in
time is searched for. A correlation knows no scale, and the two speeds no heading and no place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import correlate

from motorque.estimators.inpose.recordings import Recording
from motorque.estimators.inpose.tree import RATE

Array = NDArray[np.float64]

SMOOTH = 0.03
"""Standard deviation of what both ways are smoothed with [s]: digits of the files do not count."""
SHARED = 0.8
"""Share of the shorter file that the two must have in common."""
ALIKE = 0.93
"""Correlation from which two files of one length are the same recording. Of CMU's files here those that are have 0.958
(a character's pelvis) to 1.000; of all other pairs none has more than 0.165 without a shift."""
ALIKE_WITHIN = 0.98
"""The same where one file may lie within a longer one, of which there are many more ways (0.952 for two people)."""
ALIKE_ON_FLOOR = 0.97
"""The same where a pelvis never rises, as in a character's walk here (0.989), and only its way along the floor is
left; only for files of one length."""
STILL = 0.005
"""Standard deviation of a speed upward below which a pelvis never rises [m/s]."""
SAME_LENGTH = 3
"""Frames at 60 Hz by which two files of one length may differ, and be shifted."""
LEAST = 0.75
"""Time that two files must share [s]: over less, two steps of anybody's walk are alike."""


class Twin(NamedTuple):
    """Two files of one recording.

    Args:
        other: Name of the file that is kept.
        alike: Correlation of the two ways, 1 for the same.
        shift: Frames at 60 Hz by which the kept one is ahead.
    """

    other: str
    alike: float
    shift: int


def find_twins(recordings: Sequence[Recording]) -> dict[str, Twin]:
    """Files that are others again, by name of the source.

    Only files of different encodings are compared: nobody is recorded twice in one. The one nearer to what was measured
    (of lower rank) is kept, the more alike one first.
    """
    files = list({r.source.name: r for r in recordings}.values())
    ways = {r.source.name: way(r.trace) for r in files}
    pairs = []
    for number, one in enumerate(files):
        for other in files[number + 1 :]:
            if one.source.encoding == other.source.encoding:
                continue
            kept, again = sorted((one, other), key=lambda r: r.source.rank)
            alike, shift = likeness(ways[kept.source.name], ways[again.source.name])
            if alike >= threshold(ways[kept.source.name], ways[again.source.name], shift):
                pairs.append((alike, shift, kept.source.name, again.source.name))
    found: dict[str, Twin] = {}
    taken: set[tuple[str, str]] = set()  # one file has one twin in each other encoding
    encoding = {r.source.name: r.source.encoding for r in files}
    for alike, shift, first, second in sorted(pairs, reverse=True):
        if second in found or first in found or (first, encoding[second]) in taken:
            continue
        found[second] = Twin(first, alike, shift)
        taken.add((first, encoding[second]))
    return found


def threshold(one: Array, other: Array, shift: int) -> float:
    """The correlation that two ways must have to be one."""
    if abs(len(one) - len(other)) > SAME_LENGTH or abs(shift) > SAME_LENGTH:
        return ALIKE_WITHIN if rises(one) and rises(other) else 2.0
    return ALIKE if rises(one) and rises(other) else ALIKE_ON_FLOOR


def rises(one: Array) -> bool:
    """Whether the pelvis goes up and down at all."""
    return bool(one[:, 1].std() > STILL)


def way(pelvis: NDArray[np.float32]) -> Array:
    """Speed along the floor and speed upward [m/s], shape [N, 2]."""
    if len(pelvis) < 3:
        return np.zeros((0, 2))
    # Speeds are smoothed, not places: a place that goes on beyond the file would seem to stop at its end
    speed = np.gradient(np.asarray(pelvis, dtype=np.float64), axis=0) * RATE
    speed = gaussian_filter1d(speed, SMOOTH * RATE, axis=0, mode="nearest")
    return np.stack([np.hypot(speed[:, 0], speed[:, 2]), speed[:, 1]], axis=1)


def likeness(one: Array, other: Array) -> tuple[float, int]:
    """The highest correlation of two ways over all shifts that leave enough in common, and that shift in frames.

    Of the two speeds' correlations the lower one counts, so that a steady walk alone does not decide; where a pelvis
    never rises, that along the floor.
    """
    if not (rises(one) and rises(other)):
        one, other = one[:, :1], other[:, :1]
    n, m = len(one), len(other)
    least = max(int(np.ceil(SHARED * min(n, m))), int(np.ceil(LEAST * RATE)))
    if least > min(n, m):
        return -1.0, 0
    shift = np.arange(least - m, n - least + 1)
    # Of each, first frame in common and the one after the last
    a0, a1 = np.maximum(shift, 0), np.minimum(shift + m, n)
    b0, b1 = a0 - shift, a1 - shift
    shift, a0, a1, b0, b1 = (x[a1 - a0 >= least] for x in (shift, a0, a1, b0, b1))
    count = (a1 - a0)[:, None]
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    product = np.stack([correlate(x, y, "full", "fft")[shift + m - 1] for x, y in zip(one.T, other.T, strict=True)], 1)
    (sum_a, square_a), (sum_b, square_b) = (
        [_sums(x**power, first, last) for power in (1, 2)] for x, first, last in ((one, a0, a1), (other, b0, b1))
    )
    spread = (square_a - sum_a**2 / count) * (square_b - sum_b**2 / count)
    alike = ((product - sum_a * sum_b / count) / np.sqrt(np.maximum(spread, 1e-12))).min(axis=1)
    best = int(alike.argmax())
    return float(alike[best]), int(shift[best])


def _sums(values: Array, first: NDArray[np.int64], last: NDArray[np.int64]) -> Array:
    """Sums from a frame to before another, shape [shifts, 2]."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return np.asarray(total[last] - total[first])
