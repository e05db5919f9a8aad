"""Cameras in the fit to keypoints: what they should have seen, and how that changes.

A view is either calibrated, then its camera stands where it is said to stand, or free: it stands at ground's origin,
looking along a heading that is nobody's to choose, and its pitch, roll and focal length are unknowns of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.series import Camera

Array = NDArray[np.float64]

FREE = 3
"""Unknowns of a free camera: pitch, roll [rad], logarithm of the focal length [px]."""

NEAREST = 0.2
"""A point nearer to the camera's plane than this is taken to be there [m], so that nothing is divided by zero."""

LOSS = 3.0
"""Residuals are trusted less and less beyond this many standard deviations (Cauchy's loss)."""


@dataclass(frozen=True)
class View:
    """One video's keypoints in the fit.

    Args:
        points: Keypoints with lens distortion taken out, relative to the principal point [px], shape [T, K, 2], any
            finite number where the weight is zero.
        weight: Weight of each keypoint's squared residual [-], shape [T, K].
        std: Standard deviation of a keypoint of weight 1 [px], shape [T].
        camera: The camera, or None for a free one.
        size: Width and height of the picture [px].
        heading: Of a free camera: rotation from ground about the vertical, applied first [rad].
    """

    points: Array
    weight: Array
    std: Array
    camera: Camera | None
    size: tuple[int, int]
    heading: float = 0.0

    def rotation(self, camera: Array) -> Array:
        """Ground to the camera's axes, shape [3, 3], with these unknowns (pitch, roll, logarithm of focal length)."""
        return free_rotation(self.heading, camera[0], camera[1]) if self.camera is None else self.camera.rotation


def free_rotation(heading: float, pitch: float, roll: float) -> Array:
    """Ground to the axes of a free camera, shape [3, 3]; level and looking along -Z of ground where all are zero."""
    return (
        Rotation.from_euler("z", roll).as_matrix()
        @ Rotation.from_euler("x", pitch).as_matrix()
        @ np.diag([1.0, -1.0, -1.0])
        @ Rotation.from_euler("y", heading).as_matrix()
    )


def _in_camera(view: View, points: Array, camera: Array) -> tuple[Array, Array, Array]:
    """Ground to camera, shape [3, 3], focal lengths [px], shape [2], and points in the camera's axes [m]."""
    rotation = view.rotation(camera)
    if view.camera is None:
        return rotation, np.full(2, np.exp(camera[2])), points @ rotation.T
    return rotation, np.diag(view.camera.matrix)[:2], points @ rotation.T + view.camera.translation


@dataclass(frozen=True)
class Sight:
    """What a view should have seen at the current state.

    Args:
        residual: Predicted minus measured, in standard deviations, shape [T, 2 K].
        weight: Weight of each after the loss, shape [T, 2 K].
        cost: Loss of each frame, shape [T].
        by_point: Derivative of the residual by the points in ground, shape [T, K, 2, 3].
        by_camera: By the camera's unknowns, shape [T, 2 K, 3] (nothing for calibrated ones).
        pixels: Distance from the measured keypoints [px], shape [T, K].
    """

    residual: Array
    weight: Array
    cost: Array
    by_point: Array
    by_camera: Array | None
    pixels: Array


def see(view: View, points: Array, camera: Array, at: slice) -> Sight:
    """Residuals of one view in some frames.

    Args:
        view: The view.
        points: Keypoints of the skeleton in ground [m], shape [T', K, 3].
        camera: Pitch, roll and logarithm of the focal length of a free camera, shape [3].
        at: The frames.
    """
    rotation, focal, seen = _in_camera(view, points, camera)
    depth = np.maximum(seen[..., 2], NEAREST)
    ahead = seen[..., 2] > NEAREST
    scale = focal / view.std[at, None, None]
    ratio = seen[..., :2] / depth[..., None]
    predicted = focal * ratio
    off = predicted - view.points[at]
    residual = off / view.std[at, None, None]
    squared = (residual**2).sum(-1)
    loss = LOSS**2 * np.log1p(squared / LOSS**2)
    weight = view.weight[at] / (1 + squared / LOSS**2)
    inner = np.zeros((*depth.shape, 2, 3))
    inner[..., 0, 0] = inner[..., 1, 1] = 1.0 / depth
    inner[..., 2] = -ratio / depth[..., None] * ahead[..., None]
    inner *= scale[..., None]
    by_camera = None
    if view.camera is None:
        roll_axis = np.array([0.0, 0.0, 1.0])
        pitch_axis = Rotation.from_euler("z", camera[1]).apply([1.0, 0.0, 0.0])
        turned = np.stack([np.cross(pitch_axis, seen), np.cross(roll_axis, seen)], axis=-1)
        by_camera = np.concatenate([inner @ turned, (predicted / view.std[at, None, None])[..., None]], axis=-1)
        by_camera = by_camera.reshape(len(points), -1, FREE)
    return Sight(
        residual.reshape(len(points), -1),
        np.repeat(weight, 2, axis=-1),
        (view.weight[at] * loss).sum(-1),
        inner @ rotation,
        by_camera,
        np.linalg.norm(off, axis=-1),
    )
