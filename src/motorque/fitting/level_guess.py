"""A motion prior asked about a tilted camera: it is shown what the same camera would see if it were held level.

Turning a camera about its own centre changes the picture in a known way, whatever is in it. Priors learn from cameras
that people hold about level; one that looks down by 20 degrees or stands askew is turned upright first, and the answer
is turned back.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.fitting.motion_prior import MotionPrior, PoseGuess
from motorque.series import Camera, Keypoints
from motorque.vision.projection import undistort

Array = NDArray[np.float64]

TILTED = np.radians(8.0)
"""Cameras nearer to level than this are asked about as they are."""
BEHIND = 0.2
"""Rays that would turn further to the side than this cosine are not seen by a level camera."""


def guess_level(prior: MotionPrior, keypoints: Keypoints, camera: Camera | None, focal: float) -> PoseGuess:
    """What a motion prior says of a video, its camera turned level if it is not.

    Args:
        prior: The prior.
        keypoints: The keypoints.
        camera: The calibrated camera, or None where the prior itself has to tell how it is tilted.
        focal: Focal length [px] of a camera that is not calibrated.

    Returns:
        The guess, in the axes of the camera as it stands.
    """
    if camera is None:
        guess = prior(keypoints)
        up = guess.up / np.linalg.norm(guess.up)
        rays = (keypoints.points - 0.5 * np.array(keypoints.size)) / focal
        up_std = guess.up_std
    else:
        guess, up, up_std = None, camera.rotation[:, 1], 0.0
        rays, focal = undistort(camera, keypoints.points), float(camera.matrix[0, 0])
    turn = _levelling(up)
    angle = float(Rotation.from_matrix(turn).magnitude())
    if angle < TILTED + 2 * up_std and guess is not None:
        return guess
    level = prior(_turned(keypoints, rays, turn, focal))
    certain = {} if camera is None else {"up": up, "up_std": 1e-3}
    return dataclasses.replace(
        level,
        pelvis=turn.T @ level.pelvis,
        pelvis_std=level.pelvis_std,
        **({"up": turn.T @ level.up} | certain),  # type: ignore[arg-type]
    )


def _levelling(up: Array) -> Array:
    """The smallest rotation of the camera's axes that brings this direction to straight up, shape [3, 3]."""
    wanted = np.array([0.0, -1.0, 0.0])
    axis = np.cross(up, wanted)
    size = np.linalg.norm(axis)
    if size < 1e-12:
        return np.eye(3)
    return np.asarray(Rotation.from_rotvec(axis / size * np.arctan2(size, up @ wanted)).as_matrix())


def _turned(keypoints: Keypoints, rays: Array, turn: Array, focal: float) -> Keypoints:
    """The keypoints that the camera would see after a turn about its centre."""
    directions = np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1) @ turn.T
    ahead = directions[..., 2] > BEHIND * np.linalg.norm(directions, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        points = focal * directions[..., :2] / directions[..., 2:] + 0.5 * np.array(keypoints.size)
    points = np.where(ahead[..., None], points, np.nan)
    world = None if keypoints.world is None else keypoints.world @ turn.T
    return dataclasses.replace(keypoints, points=points, world=world)
