"""Keypoints: named points of a body found in the frames of one video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.series._checks import Array, as_array, as_names, as_times

KEYPOINT_NAMES = (
    "nose",
    "neck",
    "head_top",
    "pelvis",
    *(
        f"{part}_{side}"
        for part in (
            "eye",
            "ear",
            "shoulder",
            "elbow",
            "wrist",
            "thumb",
            "index",
            "pinky",
            "hip",
            "knee",
            "ankle",
            "heel",
            "toe",  # MediaPipe's foot index: the front of the foot, no toe in particular
            "big_toe",
            "small_toe",
        )
        for side in "rl"
    ),
)
"""What keypoints are called, whichever detector found them; ``_r`` and ``_l`` are the person's own sides."""


@dataclass(frozen=True)
class Keypoints:
    """Points of one person in one video.

    Args:
        times: Time of each frame, the file's own [s], shape [T].
        points: Position in the picture as it is shown, x to the right, y down, from the upper left corner of the
            upper left pixel [px], shape [T, K, 2]; NaN where a point was not found.
        confidence: How sure the detector is, 0 to 1, shape [T, K]; 0 where a point was not found.
        names: Names of the points, of :data:`KEYPOINT_NAMES`.
        size: Width and height of the picture [px].
        source: The detector, with what its result depends on.
        world: The detector's own idea of where the points lie in space [m], shape [T, K, 3], or None: x to the right,
            y down, z away from the camera, about a point between the hips. Good for starting, poor in depth.
    """

    times: Array
    points: Array
    confidence: Array
    names: tuple[str, ...]
    size: tuple[int, int]
    source: str = ""
    world: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", as_times(self.times, "keypoints"))
        object.__setattr__(self, "names", as_names(self.names, "keypoints"))
        unknown = [name for name in self.names if name not in KEYPOINT_NAMES]
        if unknown:
            raise DataError(f"keypoints: no keypoint is called {unknown[0]!r}; there are {', '.join(KEYPOINT_NAMES)}")
        frames, count = len(self.times), len(self.names)
        object.__setattr__(self, "points", as_array(self.points, (frames, count, 2), "keypoints"))
        confidence = as_array(self.confidence, (frames, count), "confidence of keypoints")
        if not ((confidence >= 0) & (confidence <= 1)).all():
            raise DataError("confidence of keypoints: every one must lie between 0 and 1")
        object.__setattr__(self, "confidence", np.where(self.seen, confidence, 0.0))
        width, height = (int(side) for side in self.size)
        if width < 1 or height < 1:
            raise DataError(f"keypoints: a picture of {width} by {height} pixels is none")
        object.__setattr__(self, "size", (width, height))
        if self.world is not None:
            object.__setattr__(self, "world", as_array(self.world, (frames, count, 3), "keypoints in space"))

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where a point was found, shape [T, K], bool."""
        return np.asarray(np.isfinite(self.points).all(-1))

    def between(self, start: float | None = None, end: float | None = None) -> Keypoints:
        """The frames from ``start`` to ``end`` [s], both included; raises :class:`DataError` if none is left."""
        keep = np.ones(len(self.times), dtype=bool)
        if start is not None:
            keep &= self.times >= start - 1e-9
        if end is not None:
            keep &= self.times <= end + 1e-9
        if not keep.any():
            raise DataError(
                f"no frame lies between {start} and {end} s; the video lasts from {self.times[0]:g} to "
                f"{self.times[-1]:g} s"
            )
        return self.frames(np.flatnonzero(keep))

    def frames(self, which: NDArray[np.int64]) -> Keypoints:
        """Only the frames with these indices, shape [N], increasing."""
        world = None if self.world is None else self.world[which]
        return Keypoints(
            self.times[which], self.points[which], self.confidence[which], self.names, self.size, self.source, world
        )

    def select(self, names: tuple[str, ...]) -> Keypoints:
        """Only the points with these names, in this order; raises :class:`DataError` for one that is not there."""
        missing = [name for name in names if name not in self.names]
        if missing:
            raise DataError(f"keypoints: there is no {missing[0]}; there are {', '.join(self.names)}")
        pick = [self.names.index(name) for name in names]
        world = None if self.world is None else self.world[:, pick]
        return Keypoints(
            self.times, self.points[:, pick], self.confidence[:, pick], names, self.size, self.source, world
        )
