"""Which way is up in a calibration: its world turned into ground, X forward, Y up, Z to the right.

Calibrations say it by convention at most. Cameras are held upright, though, so the mean of what is up in their pictures
tells which axis of the world points up, and whether a convention was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from motorque.journal import Journal
from motorque.series import Camera

Array = NDArray[np.float64]

AXES = {
    f"{sign}{name}": value * np.eye(3)[k] for k, name in enumerate("XYZ") for sign, value in (("", 1.0), ("-", -1.0))
}

UPRIGHT = 0.5
"""Length of the mean of the cameras' unit vectors to the upper side below which it says nothing: cameras on their side,
or looking straight down."""

CLEARLY = np.cos(np.deg2rad(35.0))
"""Cosine of the angle between that mean and an axis within which the axis is taken to be up. One camera that looks down
by 30 degrees is off by as much, cameras round a person are off by less together."""


def stand_upright(
    cameras: Sequence[Camera], *, expected: str, certain: bool = False, about: str, journal: Journal
) -> tuple[Camera, ...]:
    """The same cameras in a world with Y up; X is its first level axis or, where nothing is expected, faces them.

    Args:
        cameras: In the file's world.
        expected: The axis that points up by the format's convention, or "" if there is none.
        certain: Whether the file itself says that this axis points up, however the cameras are held.
        about: The file, for the journal.
        journal: Where a world that does not keep the convention is recorded.
    """
    up_pictures = -np.array([camera.rotation[1] for camera in cameras])
    mean = up_pictures.mean(0)
    length = float(np.linalg.norm(mean))
    nearest = max(AXES, key=lambda name: float(AXES[name] @ mean))
    if certain:
        up = AXES[expected]
    elif expected and (length < UPRIGHT or AXES[expected] @ mean / length > np.cos(np.deg2rad(60.0))):
        up = AXES[expected]
        journal.info(f"{expected} of the calibration points up, as is usual; turned to Y", about)
    elif length < UPRIGHT:
        up = AXES["Z"]
        journal.warn("the cameras do not tell which way is up; Z of the calibration is taken", about)
    elif AXES[nearest] @ mean / length > CLEARLY:
        up = AXES[nearest]
        say = journal.warn if expected else journal.assume
        usual = f", not {expected} as is usual" if expected else ""
        say(f"{nearest} of the calibration points up{usual}: that is up in the pictures; turned to Y", about)
    else:
        up = mean / length
        journal.warn(
            "no axis of the calibration points up in the pictures; the mean of what is up in them is taken, which is "
            "level only if the cameras are; calibrate with a board on the floor",
            about,
        )
    forward = _forward(cameras, up, faces=not expected)
    ground = np.stack([forward, up, np.cross(forward, up)])  # rows: X, Y, Z of ground in the file's world
    return tuple(replace(camera, rotation=camera.rotation @ ground.T) for camera in cameras)


def _forward(cameras: Sequence[Camera], up: Array, *, faces: bool) -> Array:
    """A level axis: the file's first one that is level, or that along which one looks at the cameras."""
    level = [axis - (axis @ up) * up for axis in AXES.values()]
    if faces:
        towards = -np.array([camera.rotation[2] for camera in cameras]).mean(0)
        best = max(level, key=lambda axis: float(axis @ towards))
    else:
        best = next(axis for axis in level if np.linalg.norm(axis) > 0.5)
    return np.asarray(best / np.linalg.norm(best))
