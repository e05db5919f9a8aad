"""What somebody wears, as a histogram of the trunk's colours: tells people apart who have crossed each other's way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.vision.detector import Person
from motorque.vision.picture import Picture

Array = NDArray[np.float64]

CORNERS = ("shoulder_r", "shoulder_l", "hip_r", "hip_l")

BRIGHTNESS, COLOUR = 4, 6
"""Bins of brightness, and of each of the two colour axes."""


def colours(picture: Picture, person: Person, names: tuple[str, ...]) -> Array | None:
    """Colours of the trunk of a person, between shoulders and hips.

    Args:
        picture: RGB.
        person: Where the points are in it.
        names: Their names.

    Returns:
        A histogram that sums to one, smoothed, shape [bins]; None where the trunk is not in the picture.
    """
    if any(name not in names for name in CORNERS):
        return None
    pick = [names.index(name) for name in CORNERS]
    if not np.isfinite(person.points[pick]).all() or person.confidence[pick].min() < 0.3:
        return None
    shoulder_r, shoulder_l, hip_r, hip_l = person.points[pick]
    across, down = np.meshgrid(np.linspace(0.15, 0.85, 20), np.linspace(0.1, 0.85, 30), indexing="ij")
    across, down = across[..., None], down[..., None]
    top = shoulder_r + across * (shoulder_l - shoulder_r)
    low = hip_r + across * (hip_l - hip_r)
    x, y = np.floor(top + down * (low - top)).astype(int).reshape(-1, 2).T
    height, width = picture.shape[:2]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if inside.mean() < 0.7:
        return None
    rgb = picture[y[inside], x[inside]].astype(np.float64)
    total = rgb.sum(1) + 30.0  # dark pixels have no colour to speak of
    red, blue = (rgb[:, 0] - rgb[:, 1]) / total, (rgb[:, 2] - rgb[:, 1]) / total
    sample = np.stack([rgb.mean(1) / 256.0, red / 0.8 + 0.5, blue / 0.8 + 0.5], axis=1)
    shape = (BRIGHTNESS, COLOUR, COLOUR)
    counts, _ = np.histogramdd(np.clip(sample, 0.0, 0.9999), bins=shape, range=[(0.0, 1.0)] * 3)
    # A little of each bin goes to its neighbours: light that changes a little must not look like other clothes.
    for axis in range(3):
        padded = np.pad(counts, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        low_, high = (np.take(padded, range(k, k + shape[axis]), axis=axis) for k in (0, 2))
        counts = 0.5 * counts + 0.25 * (low_ + high)
    return np.asarray(counts.ravel() / counts.sum())


def likeness(one: Array, two: Array) -> float:
    """Bhattacharyya coefficient of two histograms: 1 for the same colours, 0 for none in common."""
    return float(np.sqrt(one * two).sum())
