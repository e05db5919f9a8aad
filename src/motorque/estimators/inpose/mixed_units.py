"""Worn sensors of one recording that tell their places in different units: which of them does, and in which."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FARTHER = 1.3
"""Two sensors whose usual distance is so many times what the bones between them allow are not in metres, or of
somebody else."""
ELSEWHERE = 0.1
"""How much farther than that two sensors may be [m]: joints of short bones are elsewhere in each skeleton."""
AT_ONE_PLACE = 0.03
"""Nobody keeps two sensors nearer to each other than this share of what bones allow: crossed wrists are 5 cm apart."""
STILL = 0.05
"""Least share of the others' movement that a sensor's may be, before another unit of its own explains it."""
ROWS = 100
"""So many rows tell."""


def odd_one(
    positions: Array, reach: Array, units: Mapping[str, float], told: str | None = None
) -> tuple[int, str, str, bool] | None:
    """The one sensor in another unit than all others, where one unit for all does not explain the places as well.

    A single unit is preferred if it puts all sensors where bones let them be, unless one of them then hardly moves and
    would move as others do in a larger unit: a head in metres among hands in centimetres keeps within centimetres.

    Args:
        positions: As the file has them, shape [T, N, 3]; NaN where not measured.
        reach: How far bones let sensors be apart [m], shape [N, N].
        units: Metres of each unit.
        told: The unit that all were said to have; then it counts if it fits.

    Returns:
        Which sensor, its unit, that of the others, and whether one unit for all would fit too; None if there is none.
    """
    places = positions[np.unique(np.linspace(0, len(positions) - 1, ROWS).astype(int))]
    one_unit = [name for name in units if (told is None or name == told) and _fits(places * units[name], reach)]
    if told is not None and one_unit:
        return None
    count = places.shape[1]
    alike, best, found = _evenness(places), -1.0, None
    for others, own, sensor in itertools.product(units, units, range(count)):
        if own == others or (one_unit and units[own] < units[others]):
            continue
        scales = np.full((count, 1), units[others])
        scales[sensor] = units[own]
        even = _evenness(places * scales)
        if even < alike or even <= best or (one_unit and (alike > STILL or even < 10 * alike)):
            continue
        if _fits(places * scales, reach):
            best, found = even, (sensor, own, others, bool(one_unit))
    return found


def _fits(places: Array, reach: Array) -> bool:
    """Whether all sensors usually are where bones let them be [m], and none at another's place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pairs that are never there together
        far = np.nanmedian(np.linalg.norm(places[:, :, None] - places[:, None], axis=-1), axis=0)
    known = np.isfinite(far) & ~np.eye(len(reach), dtype=bool)
    fits = (far >= AT_ONE_PLACE * reach) & (far <= FARTHER * reach + ELSEWHERE)
    return bool(known.any() and fits[known].all())


def _evenness(places: Array) -> float:
    """How much who moves least does, as a share of who moves most; 1 where nobody moves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # sensors without places
        low, high = np.nanpercentile(places, [5, 95], axis=0)
    ranges = np.linalg.norm(high - low, axis=-1)
    ranges = ranges[np.isfinite(ranges)]
    return float(ranges.min() / ranges.max()) if len(ranges) and ranges.max() > 0 else 1.0
