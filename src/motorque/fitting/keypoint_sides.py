"""Left and right taken for each other: the detector's commonest gross error, put right where the fit contradicts it.

Seen from behind, or with crossed legs, a detector may call the right leg the left one for some frames, or take a person
seen from the front for one seen from the back. Wherever the points of the legs, or of the arms and shoulders, lie far
nearer to those of the other side than to their own, they are exchanged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motorque.fitting.keypoint_setup import Observed
from motorque.journal import Journal

Array = NDArray[np.float64]

LOWER = ("hip", "knee", "ankle", "heel", "toe", "big_toe", "small_toe")
UPPER = ("shoulder", "elbow", "wrist")

CLEARLY = 0.5
"""Exchanged points must lie nearer than this share of the distance."""
APART = 2.0
"""And they must have been off by more than this many standard deviations; less is no mistake of sides."""


def put_sides_right(
    seen: Observed, predicted: Sequence[Array], std: Sequence[Array], *, journal: Journal
) -> tuple[Observed, bool]:
    """The keypoints with sides exchanged back, and whether there were any.

    Args:
        seen: The keypoints.
        predicted: For each view, where the keypoints should be, relative to the principal point [px], shape [T, K, 2];
            NaN where that is not known.
        std: For each view, standard deviation of a keypoint [px], shape [T].
        journal: Which view and how many frames.
    """
    points, confidence = [p.copy() for p in seen.points], [c.copy() for c in seen.confidence]
    world = None if seen.world is None else seen.world.copy()
    any_view = False
    for number, (at, where, spread) in enumerate(zip(seen.points, predicted, std, strict=True)):
        frames = np.zeros(len(seen.times), dtype=bool)
        for group in (LOWER, UPPER):
            own, other = _pairs(seen.names, group)
            if not own:
                continue
            straight, crossed = _distance(at, where, own, own), _distance(at, where, own, other)
            exchanged = (crossed < CLEARLY * straight) & (straight > APART * spread)
            for array in (points[number], confidence[number], *([world] if world is not None and number == 0 else [])):
                rows = np.flatnonzero(exchanged)[:, None]
                array[rows, own] = array[rows, other]
            frames |= exchanged
        if frames.any():
            any_view = True
            which = f" of view {number + 1}" if len(seen.points) > 1 else ""
            first, last = seen.times[frames][[0, -1]]
            journal.repair(
                f"left and right are taken for each other in {int(frames.sum())} of {len(frames)} frames{which} "
                f"between {first:.2f} and {last:.2f} s; they are exchanged there",
                "keypoints",
            )
    return dataclasses.replace(seen, points=points, confidence=confidence, world=world), any_view


def _pairs(names: Sequence[str], group: Sequence[str]) -> tuple[list[int], list[int]]:
    """Columns of a group's points that both sides have, and those of the same points of the other side."""
    both = [n for n in group if f"{n}_r" in names and f"{n}_l" in names]
    right, left = [names.index(f"{n}_r") for n in both], [names.index(f"{n}_l") for n in both]
    return right + left, left + right


def _distance(at: Array, where: Array, columns: list[int], others: list[int]) -> Array:
    """Mean distance of points from where others of them should be [px], shape [T]; infinite where nothing is known."""
    distance = np.linalg.norm(at[:, columns] - where[:, others], axis=-1)
    known = np.isfinite(distance)
    count = known.sum(1)
    total = np.where(known, distance, 0.0).sum(1)
    return np.where(count >= 3, total / np.maximum(count, 1), np.inf)
