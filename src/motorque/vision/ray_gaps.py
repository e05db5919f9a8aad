"""How far two cameras' rays miss each other: what tells whether they saw the same point at the same time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.series import Camera, Keypoints
from motorque.vision.projection import undistort

Array = NDArray[np.float64]

PARALLEL = 0.05
"""Sine of the angle between two rays below which their distance says nothing."""


def directions(camera: Camera, pixels: Array) -> Array:
    """Unit vectors in ground along what pixels, shape [..., 2], see; shape [..., 3], NaN where there is none."""
    rays = undistort(camera, pixels)
    local = np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], -1)
    return np.asarray(local / np.linalg.norm(local, axis=-1, keepdims=True) @ camera.rotation)


def gap(one: Camera, first: Array, other: Camera, second: Array) -> Array:
    """Signed distance between two cameras' rays, seen as lines [m].

    The sign is that of the side on which one passes the other, so that a constant offset of either camera stays one.

    Args:
        one: A camera.
        first: Its rays' directions in ground, shape [..., 3].
        other: Another camera.
        second: Its rays' directions, shape [..., 3].

    Returns:
        Shape [...]; NaN where a ray is missing or both are nearly parallel.
    """
    normal = np.cross(first, second)
    sine = np.linalg.norm(normal, axis=-1)
    return np.asarray((normal @ (other.center - one.center)) / np.where(sine > PARALLEL, sine, np.nan))


def shared_names(views: Sequence[Keypoints]) -> tuple[str, ...]:
    """Names of the points that all views have, in the first one's order; raises :class:`DataError` if there is none."""
    names = tuple(name for name in views[0].names if all(name in view.names for view in views))
    if not names:
        raise DataError("the videos' keypoints share no name; use one detector for all of them")
    return names


def check_pairs(views: Sequence[Keypoints], cameras: Sequence[Camera]) -> None:
    """Raise :class:`DataError` unless there are at least two views, one camera each, of the same picture size."""
    if len(views) < 2:
        raise DataError("at least two cameras are needed to compare what they saw")
    if len(views) != len(cameras):
        raise DataError(f"{len(views)} videos, but {len(cameras)} cameras; give one per video")
    for view, camera in zip(views, cameras, strict=True):
        if tuple(view.size) != tuple(camera.size):
            raise DataError(
                f"camera {camera.name} is calibrated for {camera.size[0]}x{camera.size[1]} pixels, its keypoints were "
                f"found in {view.size[0]}x{view.size[1]}; scale the camera first (cameras_for_videos)"
            )
