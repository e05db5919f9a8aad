"""What a keypoint detector must be able to do: say where people are in a picture, and find one person's points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from motorque.vision.picture import Picture

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Region:
    """Where a person is in a picture: a square that may be turned.

    Args:
        center: Its middle, x and y [px], shape [2].
        side: Length of its sides [px].
        turn: By how much it is turned, clockwise as seen [rad]; the person's head lies towards its upper side.
        score: How sure the detector is that a person is there, 0 to 1.
    """

    center: Array
    side: float
    turn: float = 0.0
    score: float = 1.0

    def overlap(self, other: Region) -> float:
        """Intersection over union of the two squares, both taken upright."""
        reach = (self.side + other.side) / 2
        sides = np.minimum(reach - np.abs(self.center - other.center), min(self.side, other.side))
        shared = float(np.prod(np.maximum(sides, 0.0)))
        return shared / (self.side**2 + other.side**2 - shared)


@dataclass(frozen=True)
class Person:
    """The points of one person in one picture.

    Args:
        points: x to the right, y down, from the picture's upper left corner [px], shape [K, 2].
        confidence: 0 to 1, shape [K].
        region: Where to look for this person: in this picture if it comes from :meth:`Detector.everybody`, in the next
            one if it comes from :meth:`Detector.follow`.
        world: Points in space [m], shape [K, 3], x right, y down, z away; None if the detector has none.
    """

    points: Array
    confidence: Array
    region: Region
    world: Array | None = None

    @property
    def extent(self) -> float:
        """Diagonal of the box about the points that are rather seen than not [px]; 0 if there are none."""
        seen = self.points[self.confidence >= 0.5]
        return float(np.linalg.norm(np.ptp(seen, axis=0))) if len(seen) else 0.0

    def same_as(self, other: Person) -> bool:
        """Whether both have their points at the same places, within a tenth of their size: one person, found twice."""
        apart = float(np.median(np.linalg.norm(self.points - other.points, axis=-1)))
        return apart < 0.1 * max(self.extent, other.extent)


class Detector(Protocol):
    """A keypoint detector. It may remember the picture before when it follows somebody."""

    @property
    def label(self) -> str:
        """Its name, model and settings: all that its result depends on, part of the key of what is kept on disk."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its points, of :data:`~motorque.series.keypoints.KEYPOINT_NAMES`, in their order."""
        ...

    def everybody(self, picture: Picture) -> Sequence[Person]:
        """Everybody that it can find in a picture, the largest first; whom it follows is not disturbed."""
        ...

    def follow(self, picture: Picture, region: Region) -> Person | None:
        """The points of the person in this region, or None if nobody is there."""
        ...

    def restart(self) -> None:
        """Forget earlier pictures: the next region is of somebody else, or of another time."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
