"""The same movement in several files: found by how knees and elbows bend, which no change of encoding alters much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motorque.fitting.retarget_source import SIDES, roles_of, unit
from motorque.series.bones import BoneMotion
from motorque.synthesis.motion_sources import Recording

Array = NDArray[np.float64]

RATE = 30.0
"""Frames per second at which recordings are compared."""

MOST_SHIFT = 2
"""Frames by which two files of one recording may be shifted, and differ in length."""

MOST_KNEE, MOST_ELBOW = np.deg2rad(3.0), np.deg2rad(2.0)
"""RMS difference up to which bends are the same, each less its mean [rad]. Files of the same recording differ by up to
2.6 degrees at the knee and 1.6 at the elbow (bodies of characters) or not at all; the same person's next walk differs
by at least 2.1 and 1.6, but then not at the same frames: lengths and shift decide."""


def duplicates(recordings: Sequence[Recording]) -> dict[str, str]:
    """Which recordings are others again, by source: the source of the one that is kept.

    The one nearer to what was measured is kept: the person's own skeleton before a borrowed one before a character's.
    """
    bends = [_bends(r.bones) for r in recordings]
    found: dict[str, str] = {}
    order = sorted(range(len(recordings)), key=lambda i: recordings[i].rank)
    kept: list[int] = []
    for i in order:
        twin = next((k for k in kept if _same(bends[i], bends[k])), None)
        if twin is None:
            kept.append(i)
        else:
            found[recordings[i].source] = recordings[twin].source
    return found


def _bends(bones: BoneMotion) -> Array:
    """Bend of both knees and both elbows [rad], shape [T, 4], at :data:`RATE`."""
    _, roles = roles_of(bones)
    times = np.arange(0.0, bones.times[-1], 1.0 / RATE)
    found = []
    for upper, middle, lower in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
        for side in SIDES:
            a, b, c = (bones.positions[:, roles[f"{role}_{side}"]] for role in (upper, middle, lower))
            bend = np.arccos(np.clip((unit(b - a) * unit(c - b)).sum(1), -1.0, 1.0))
            found.append(np.interp(times, bones.times, bend))
    return np.stack(found, axis=1)


def _same(one: Array, other: Array) -> bool:
    if abs(len(one) - len(other)) > MOST_SHIFT:
        return False
    for shift in range(-MOST_SHIFT, MOST_SHIFT + 1):
        a, b = one[max(0, shift) :], other[max(0, -shift) :]
        count = min(len(a), len(b))
        if count < 2:
            return False
        off = a[:count] - b[:count]
        spread = off.std(axis=0)
        if np.hypot(*spread[:2]) < np.sqrt(2) * MOST_KNEE and np.hypot(*spread[2:]) < np.sqrt(2) * MOST_ELBOW:
            return True
    return False
