"""The cameras of an analysis of videos, for whoever wants to draw its results into the pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from motorque.files.calibration_videos import turned_clockwise
from motorque.journal import Journal
from motorque.series import Camera
from motorque.vision.keypoint_file import VideoKeypoints


def camera_source(fov: float | None, found: VideoKeypoints, *, calibrated: bool) -> str:
    """Where a camera comes from, in words.

    Args:
        fov: The angle of view that the user gave [deg], or None.
        found: The video's keypoints, with what its file tells of the lens.
        calibrated: Whether there is a calibration.
    """
    if calibrated:
        return "calibration file"
    if fov is not None:
        return f"estimated with the motion; focal length from --fov {fov:g}"
    if found.focal_length is not None:
        return "estimated with the motion; focal length from the file's metadata"
    return "estimated with the motion; focal length assumed (no --fov, and no metadata in the file)"


def note_lens(fov: float | None, found: VideoKeypoints, about: str, journal: Journal) -> None:
    """Record what the file of a camera that is not calibrated tells of its lens, where nobody gave it."""
    if fov is not None:
        return
    if found.focal_length is None:
        journal.info("the file has no metadata of the lens", about)
    else:
        journal.assume(
            f"the focal length, {found.focal_length:.0f} px, is that of the file's metadata; where the camera crops "
            "while it films, for a steady picture, the true one is 10 to 30 % longer (give --fov)",
            about,
        )


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
