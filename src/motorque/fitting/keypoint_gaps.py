"""Times in which nobody was seen: short ones are bridged with frames to be filled, at long ones the recording ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.series import Keypoints

Array = NDArray[np.float64]

LONGEST_GAP = 2.0
"""Nobody can tell how somebody moved who was not seen for longer than this [s]: a stride takes one second."""
SAID = 0.3
"""Gaps from here on are told [s]; shorter ones are bridged as safely as any frame is."""
FEWEST_KEYPOINTS = 6
"""A frame with fewer keypoints than this in every view shows nobody."""
LEAST_RATE = 3.0
"""Frames a second that a movement takes at least [Hz]: three of a step."""


def continuous(views: Sequence[Keypoints], journal: Journal) -> tuple[Keypoints, ...]:
    """The longest stretch of a recording in which somebody is seen at least every two seconds.

    Within it, pauses in the frames' times get empty frames, so that a fit has to say something of the motion there.

    Args:
        views: One for each camera, with the same times.
        journal: Where gaps and what is left out are told.

    Raises:
        DataError: Nobody is seen, or the frames are too far apart for a movement.
    """
    times = views[0].times
    seen = np.any([view.seen.sum(1) >= FEWEST_KEYPOINTS for view in views], axis=0)
    if not seen.any():
        raise DataError("in no frame are enough keypoints seen; is somebody there?")
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    if len(times) > 2 and step > 1.001 / LEAST_RATE:
        raise DataError(
            f"the frames are {step:.3g} s apart; to follow a movement takes at least {LEAST_RATE:g} of them a second"
        )
    shown = np.flatnonzero(seen)
    ends = np.flatnonzero(np.diff(times[shown]) > LONGEST_GAP)
    firsts, lasts = shown[np.append(0, ends + 1)], shown[np.append(ends, len(shown) - 1)]
    longest = int(np.argmax(times[lasts] - times[firsts]))
    first, last = int(firsts[longest]), int(lasts[longest])
    if len(firsts) > 1:
        parts = ", ".join(f"{times[a]:.2f} to {times[b]:.2f} s" for a, b in zip(firsts, lasts, strict=True))
        journal.warn(
            f"somebody is seen from {parts}, with more than {LONGEST_GAP:g} s between; only the longest part is "
            "analysed (choose another one with --start and --end)",
            "keypoints",
        )
    inside = np.flatnonzero(seen[first : last + 1]) + first
    for before, after in zip(inside[:-1], inside[1:], strict=True):
        if times[after] - times[before] > max(SAID, 2.5 * step):
            journal.warn(
                f"nobody is seen from {times[before]:.2f} to {times[after]:.2f} s: how the person moved there is a "
                "guess, and error bars are wide",
                "keypoints",
            )
    return tuple(_filled(view.frames(np.arange(first, last + 1)), step) for view in views)


def _filled(view: Keypoints, step: float) -> Keypoints:
    """The view with empty frames where more than two are missing."""
    pauses = np.flatnonzero(np.diff(view.times) > 2.5 * step)
    if not len(pauses):
        return view
    at, new = [], []
    for pause in pauses:
        begin, end = view.times[pause], view.times[pause + 1]
        count = round((end - begin) / step) - 1
        new.append(np.linspace(begin, end, count + 2)[1:-1])
        at += [int(pause) + 1] * count
    points = np.insert(view.points, at, np.nan, axis=0)
    world = None if view.world is None else np.insert(view.world, at, np.nan, axis=0)
    confidence = np.insert(view.confidence, at, 0.0, axis=0)
    return dataclasses.replace(
        view, times=np.insert(view.times, at, np.concatenate(new)), points=points, confidence=confidence, world=world
    )


def distance_to_sight(views: Sequence[Keypoints]) -> Array:
    """How far each frame is in time from one in which somebody is seen [s], shape [T]; the views share their times."""
    times = views[0].times
    seen = times[np.any([view.seen.sum(1) >= FEWEST_KEYPOINTS for view in views], axis=0)]
    after = np.clip(np.searchsorted(seen, times), 0, len(seen) - 1)
    before = np.clip(after - 1, 0, len(seen) - 1)
    return np.minimum(np.abs(seen[after] - times), np.abs(times - seen[before]))
