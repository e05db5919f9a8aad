"""The cameras of an analysis of videos, for whoever wants to draw its results into the pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from motorque.files.calibration_videos import turned_clockwise
from motorque.series import Camera
from motorque.vision.keypoint_file import VideoKeypoints


def cameras_as_shown(
    cameras: Sequence[Camera], found: Sequence[VideoKeypoints], names: Sequence[str], *, calibrated: bool
) -> list[Camera]:
    """The fitted cameras for the pictures as a player shows them.

    Args:
        cameras: Of the fit, in the results' ground.
        found: The keypoints of each video, which may lie in pictures that were turned to be upright.
        names: What the videos are called.
        calibrated: Whether the cameras come from a calibration: that is of the pictures as shown, and has names.
    """
    if calibrated:
        return list(cameras)
    return [
        dataclasses.replace(turned_clockwise(camera, one.turned), name=name)
        for camera, one, name in zip(cameras, found, names, strict=True)
    ]
