"""What a user should know of keypoints before anything is computed from them."""

from __future__ import annotations

import numpy as np

from motorque.journal import Journal
from motorque.series import Keypoints
from motorque.signals.runs import runs_of

UNSURE = 0.3
"""Confidence below which a point is more guessed than seen."""

SELDOM = 0.4
"""A part of the body whose points are seen in less than this share of the frames, on average, is named: a detector
guesses a covered knee with some confidence now and then, and feet below the picture's edge come into it for moments."""

EDGE = 0.04
"""Share of the picture's size within which a body part is at its edge."""

LEAST_RATE = 10.0
"""Frames a second [Hz] below which a movement is more guessed than seen between them: of a walker's foot, 99.7 % of the
signal lie below 6 Hz (Winter, Sidwall and Hobson 1974, J Biomech 7: 157-159), and 10 frames a second show 5 Hz."""

PARTS = {
    "head": ("nose", "ear_r", "ear_l", "eye_r", "eye_l", "head_top"),
    "right arm": ("elbow_r", "wrist_r"),
    "left arm": ("elbow_l", "wrist_l"),
    "right leg": ("knee_r", "ankle_r"),
    "left leg": ("knee_l", "ankle_l"),
    "feet": ("heel_r", "toe_r", "heel_l", "toe_l", "big_toe_r", "big_toe_l"),
}

HALVES = ({"right leg", "left leg"}, {"right arm", "right leg"}, {"left arm", "left leg"})
"""Parts that are half of the body together."""


def check_keypoints(keypoints: Keypoints, journal: Journal, *, about: str) -> None:
    """Record when the person is missing, and which parts of the body are seldom seen."""
    found = np.asarray(keypoints.seen.any(1))
    for first, last in _runs(~found):
        journal.warn(_missing(keypoints, found, first, last), about)
    if not found.any():
        return
    names = keypoints.names
    sure = keypoints.confidence[found] >= UNSURE
    hidden = []
    for part, points in PARTS.items():
        pick = [names.index(name) for name in points if name in names]
        if pick and sure[:, pick].mean() < SELDOM:
            hidden.append(part)
    if hidden:
        listed = ", ".join(hidden)
        half = any(pair <= set(hidden) for pair in HALVES)
        what = (
            f"half of the body is hidden most of the time ({listed})" if half else f"hidden most of the time: {listed}"
        )
        journal.warn(f"{what}; those angles rest on what is usual, not on the video", about)


def check_rate(keypoints: Keypoints, journal: Journal, *, about: str) -> None:
    """Record that the frames are too far apart to show a movement."""
    step = float(np.median(np.diff(keypoints.times)))
    if step > 1.05 / LEAST_RATE:
        journal.warn(
            f"only {1 / step:.2g} frames a second are looked at: what happens between them is not seen, and speeds and "
            f"forces are guessed; give {LEAST_RATE:g} at least, better 30 (--fps, or another recording)",
            about,
        )


def _missing(keypoints: Keypoints, found: np.ndarray, first: int, last: int) -> str:
    times = keypoints.times
    when = f"from {times[first]:.2f} to {times[last]:.2f} s" if last > first else f"at {times[first]:.2f} s"
    beside = first - 1 if first > 0 else last + 1
    if not 0 <= beside < len(times):
        return f"the person is not found {when}"
    points = keypoints.points[beside][keypoints.seen[beside]]
    size = np.array(keypoints.size)
    at_edge = bool(((points < EDGE * size) | (points > (1 - EDGE) * size)).any())
    if first == 0:
        return f"the person is not {'in the picture' if at_edge else 'found'} until {times[last]:.2f} s"
    return f"the person {'is out of the picture' if at_edge else 'is not found'} {when}"


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    return [(run.start, run.stop - 1) for run in runs_of(flags)]
