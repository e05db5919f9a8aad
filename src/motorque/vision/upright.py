"""Whether a video is upside down or on its side, from a few pictures of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.journal import Journal
from motorque.vision.detector import Detector, Person
from motorque.vision.picture import Picture, turned
from motorque.vision.video import Video

Array = NDArray[np.float64]

LOOKS = 6
"""Pictures that are looked at."""

TURNS = (180, 90, 270)

LYING = 0.8
"""Sideways part of the way from hips to head from which a person is said to lie: within 37° of level."""


def find_turn(
    video: Video, detector: Detector, *, start: float | None, end: float | None, journal: Journal, about: str
) -> int:
    """By how many degrees, counter-clockwise, the video's pictures must be turned to be upright: 0, 90, 180 or 270.

    A person whose head is below the feet in most of the pictures, or who is found only once they are turned, shows
    that. Somebody lying is found without turning, so a quarter turn is only made where nobody is found otherwise; that
    the person lies is said, for the video may lie on its side.
    """
    low, high = start or 0.0, min(video.duration if end is None else end, video.duration)
    pictures = _stills(video, low, high)
    detector.restart()
    ways = _ways(detector, pictures)
    if not _plain(ways, pictures):  # a few pictures that can be had cheaply may be of before the person came
        pictures = [frame.picture for frame in video.frames(start=start, end=end, fps=LOOKS / max(high - low, 0.1))]
        ways = _ways(detector, pictures)
    if _plain(ways, pictures):
        _say_lying(ways, journal, about)
        return 0
    best, most = 0, sum(-way[1] > 0.5 for way in ways)
    for turn in TURNS:
        count = sum(-way[1] > 0.5 for way in _ways(detector, [turned(picture, turn) for picture in pictures]))
        if count > most + 0.3 * len(pictures):
            best, most = turn, count
    if best == 180:
        journal.repair(
            "the picture is upside down; it was turned by 180°, keypoints refer to the turned picture. If it was "
            "flipped over and not turned, it is mirrored now: left and right are exchanged",
            about,
        )
    elif best:
        journal.repair(
            f"the picture is on its side; it was turned by {best}°, keypoints refer to the turned picture", about
        )
    return best


def _stills(video: Video, low: float, high: float) -> list[Picture]:
    """Pictures between two times [s] that can be decoded alone, each once."""
    stills = [video.still(time) for time in np.linspace(low, high, LOOKS + 2)[1:-1]]
    return list({still.time: still.picture for still in stills if still is not None}.values())


def _plain(ways: list[Array], pictures: list[Picture]) -> bool:
    """Whether somebody is found in half of the pictures, and not upside down."""
    return len(ways) >= max(0.5 * len(pictures), 1) and float(np.median([-way[1] for way in ways])) > -0.5


def _say_lying(ways: list[Array], journal: Journal, about: str) -> None:
    across = float(np.median([way[0] for way in ways]))
    if abs(across) > LYING:
        journal.warn(
            "the person lies in the picture, and is taken to lie in truth; if it is the video that lies on its side, "
            f"give --turn {90 if across > 0 else 270}",
            about,
        )


def _ways(detector: Detector, pictures: list[Picture]) -> list[Array]:
    """The way from hips to head of the largest person of each picture that shows one."""
    return [_way_up(detector, person) for picture in pictures for person in detector.everybody(picture)[:1]]


def _way_up(detector: Detector, person: Person) -> Array:
    """Direction of the way from hips to head, x to the right, y down, of length one, shape [2]."""
    names = detector.names
    low = [k for k, name in enumerate(names) if name.startswith(("hip_", "knee_", "ankle_"))]
    high = [k for k, name in enumerate(names) if name.startswith(("shoulder_", "ear_", "nose"))]
    if not low or not high:
        return np.array([0.0, -1.0])
    way = np.nanmedian(person.points[high], axis=0) - np.nanmedian(person.points[low], axis=0)
    return np.asarray(way / (np.linalg.norm(way) + 1e-9))
