"""Whether a video is upside down or on its side, from a few pictures of it."""

from __future__ import annotations

import numpy as np

from motorque.journal import Journal
from motorque.vision.detector import Detector, Person
from motorque.vision.picture import turned
from motorque.vision.video import Video

LOOKS = 6
"""Pictures that are looked at."""

TURNS = (180, 90, 270)


def find_turn(
    video: Video, detector: Detector, *, start: float | None, end: float | None, journal: Journal, about: str
) -> int:
    """By how many degrees, counter-clockwise, the video's pictures must be turned to be upright: 0, 90, 180 or 270.

    A person whose head is below the feet in most of the pictures, or who is found only once they are turned, shows
    that. Somebody lying is found without turning, so a quarter turn is only made where nobody is found otherwise.
    """
    low, high = start or 0.0, min(video.duration if end is None else end, video.duration)
    stills = [video.still(time) for time in np.linspace(low, high, LOOKS + 2)[1:-1]]
    pictures = [still.picture for still in stills if still is not None]
    detector.restart()
    upright = [_uprightness(detector, person) for p in pictures for person in detector.everybody(p)[:1]]
    if len(upright) >= 0.5 * len(pictures) and np.median(upright) > -0.5:
        return 0
    best, most = 0, sum(value > 0.5 for value in upright)
    for turn in TURNS:
        people = [person for p in pictures for person in detector.everybody(turned(p, turn))[:1]]
        count = sum(_uprightness(detector, person) > 0.5 for person in people)
        if count > most + 0.3 * len(pictures):
            best, most = turn, count
    if best:
        what = "upside down" if best == 180 else "on its side"
        journal.repair(f"the picture is {what}; it was turned by {best}°, keypoints refer to the turned picture", about)
    return best


def _uprightness(detector: Detector, person: Person) -> float:
    """Cosine between the way from hips to head and the picture's upwards direction."""
    names = detector.names
    low = [k for k, name in enumerate(names) if name.startswith(("hip_", "knee_", "ankle_"))]
    high = [k for k, name in enumerate(names) if name.startswith(("shoulder_", "ear_", "nose"))]
    if not low or not high:
        return 1.0
    way = np.nanmedian(person.points[high], axis=0) - np.nanmedian(person.points[low], axis=0)
    return float(-way[1] / (np.linalg.norm(way) + 1e-9))
