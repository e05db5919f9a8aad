"""Which camera of a calibration filmed which video, and whether the calibration fits its pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.series import Camera

ASPECT = 0.005
"""Relative difference of the two sides' scales up to which a picture is a scaled one; 854x480 of 16:9 is off by
0.001."""

BLOCK = 16
"""Pixels that a codec may add to or cut from a picture's right and lower edges: the side of H.264's macroblocks (1088
lines are coded for 1080)."""


def cameras_for_videos(
    cameras: Sequence[Camera], videos: Sequence[tuple[str | Path, tuple[int, int]]], journal: Journal
) -> tuple[Camera, ...]:
    """The camera of each video, scaled or turned to its picture.

    Cameras are recognised by their names in the names of the videos or their folders, else taken in order.

    Args:
        cameras: All that the calibration holds.
        videos: Name, and width and height as shown [px], of each video.
        journal: Where it is recorded how they were matched, and what was scaled.

    Returns:
        One camera per video.

    Raises:
        DataError: Their numbers do not match, names contradict each other, or a picture cannot be one of the camera's.
    """
    if not videos:
        raise DataError("no video to match with the cameras")
    order = _by_name([camera.name for camera in cameras], [Path(name) for name, _ in videos])
    if order is not None:
        pairs = ", ".join(f"{Path(v[0]).name} by {cameras[i].name}" for i, v in zip(order, videos, strict=True))
        unused = [camera.name for i, camera in enumerate(cameras) if i not in order]
        rest = f"; not used: {', '.join(unused)}" if unused else ""
        journal.info(f"cameras recognised by name: {pairs}{rest}")
    elif len(cameras) == len(videos):
        order = list(range(len(cameras)))
        pairs = ", ".join(f"{Path(v[0]).name} by {c.name}" for v, c in zip(videos, cameras, strict=True))
        if len(videos) > 1:
            journal.assume(f"names do not tell which camera filmed which video; taken in order: {pairs}")
    else:
        names = ", ".join(camera.name for camera in cameras)
        raise DataError(
            f"{len(videos)} video{'s' * (len(videos) > 1)}, but {len(cameras)} camera{'s' * (len(cameras) > 1)} in the "
            f"calibration ({names}); give one video per "
            "camera, or name the videos after their cameras"
        )
    return tuple(
        _for_picture(cameras[i], (int(size[0]), int(size[1])), Path(name), journal)
        for i, (name, size) in zip(order, videos, strict=True)
    )


def _tokens(text: str) -> tuple[str, ...]:
    """Words and numbers of a name, without case and leading zeros: cam_01 and Cam1 are the same."""
    return tuple(
        part.lstrip("0") or "0" if part.isdigit() else part for part in re.findall(r"[a-z]+|\d+", text.lower())
    )


def _holds(tokens: tuple[str, ...], part: tuple[str, ...]) -> bool:
    return bool(part) and any(tokens[i : i + len(part)] == part for i in range(len(tokens) - len(part) + 1))


def _by_name(cameras: Sequence[str], videos: Sequence[Path]) -> list[int] | None:
    """For each video the only camera whose name its own, or else its folders', holds; None if that leaves doubts."""
    names = [_tokens(name) for name in cameras]
    depth = max(len(video.parts) for video in videos)
    for level in range(depth):
        order = []
        for video in videos:
            text = video.stem if level == 0 else (video.parts[-1 - level] if level < len(video.parts) else "")
            tokens = _tokens(text)
            fits = [i for i, name in enumerate(names) if tokens and (_holds(tokens, name) or _holds(name, tokens))]
            exact = [i for i in fits if names[i] == tokens]
            longest = max((len(names[i]) for i in fits), default=0)
            fits = exact or [i for i in fits if len(names[i]) == longest]
            order.append(fits[0] if len(fits) == 1 else -1)
        if min(order) >= 0 and len(set(order)) == len(order):
            return order
    return None


def _for_picture(camera: Camera, size: tuple[int, int], video: Path, journal: Journal) -> Camera:
    """The camera for pictures of another size; raises :class:`DataError` if they cannot be scaled ones of its own."""
    about = video.name
    if size == tuple(camera.size):
        return camera
    if _same_shape(camera.size, size):
        return _scaled(camera, size, about, journal)
    if max(abs(size[0] - camera.size[0]), abs(size[1] - camera.size[1])) <= BLOCK:
        off = max(abs(size[0] - camera.size[0]), abs(size[1] - camera.size[1]))
        journal.warn(
            f"camera {camera.name} is calibrated for {_text(camera.size)} pixels, the video has {_text(size)}; taken "
            f"as cut at the right and lower edges, as codecs do; if it was scaled, points are off by up to {off} px",
            about,
        )
        return replace(camera, size=size)
    across = (camera.size[1], camera.size[0])
    if size == across or _same_shape(across, size):
        turned = _upright(camera)
        journal.assume(
            f"camera {camera.name} is calibrated for {_text(camera.size)} pixels, the video has {_text(size)}: it was "
            "turned by a quarter; the calibration is turned so that up in space is up in the picture",
            about,
        )
        return turned if size == tuple(turned.size) else _scaled(turned, size, about, journal)
    raise DataError(
        f"{video}: a picture of {_text(size)} pixels, but camera {camera.name} is calibrated for {_text(camera.size)}, "
        "another shape: the video was cropped or is another camera's; use the uncropped video or calibrate anew"
    )


def _text(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]}"


def _same_shape(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether one picture is the other one scaled; sides are whole numbers, so half a pixel is forgiven."""
    across = other[0] / one[0]
    slack = 0.5 / (other[1])
    return abs(other[1] / one[1] / across - 1) <= max(ASPECT, slack)


def _scaled(camera: Camera, size: tuple[int, int], about: str, journal: Journal) -> Camera:
    journal.info(
        f"camera {camera.name} is calibrated for {_text(camera.size)} pixels and scaled to the video's {_text(size)}",
        about,
    )
    matrix = camera.matrix.copy()
    matrix[0] *= size[0] / camera.size[0]
    matrix[1] *= size[1] / camera.size[1]
    return replace(camera, size=size, matrix=matrix)


def turned_clockwise(camera: Camera, degrees: int) -> Camera:
    """The camera for its picture turned clockwise by 0, 90, 180 or 270 degrees.

    Raises:
        DataError: Its pixels are skewed.
    """
    for _ in range(degrees // 90 % 4):
        camera = _quarter(camera)
    return camera


def _upright(camera: Camera) -> Camera:
    """The camera for its picture turned by a quarter to that side on which ground's Y points up."""
    clockwise = _quarter(camera)
    other = _quarter(_quarter(clockwise))
    return clockwise if clockwise.rotation[1, 1] < other.rotation[1, 1] else other


def _quarter(camera: Camera) -> Camera:
    """The camera for its picture turned clockwise by a quarter: x' = height - y, y' = x."""
    if abs(camera.matrix[0, 1]) > 1e-3:
        raise DataError(f"camera {camera.name} has skewed pixels, which cannot be turned with the video; film upright")
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    matrix = np.array(
        [
            [camera.matrix[1, 1], 0.0, camera.size[1] - camera.matrix[1, 2]],
            [0.0, camera.matrix[0, 0], camera.matrix[0, 2]],
            [0.0, 0.0, 1.0],
        ]
    )
    distortion = camera.distortion.copy()
    if not camera.fisheye and len(distortion):  # p1 goes with y, p2 with x: they turn like an axis
        distortion[2], distortion[3] = camera.distortion[3], -camera.distortion[2]
    return replace(
        camera,
        size=(camera.size[1], camera.size[0]),
        matrix=matrix,
        rotation=turn @ camera.rotation,
        translation=turn @ camera.translation,
        distortion=distortion,
    )
