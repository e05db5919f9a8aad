"""A first frame that is no part of the movement: the rest pose that some files of bones begin with."""

from __future__ import annotations

import numpy as np

from motorque.journal import Journal
from motorque.series.poses import Poses

STEP = 0.2
"""A rest pose lies at least this far from the first pose of the movement [m]: no one covers it within a frame."""
TIMES = 5.0
"""And at least so many times as far as any later frame lies from the one before."""


def without_lead_frame(poses: Poses, journal: Journal, about: str = "") -> Poses:
    """Poses without a rest pose before their first frame, if they have one.

    CMU's recordings as MotionBuilder wrote them to BVH mostly begin with a T-pose at the origin, metres from where the
    person then walks. Differences across that step are accelerations of thousands of metres per second squared, which
    filters spread over the first tenths of a second.

    Args:
        poses: From a file of bones.
        journal: Where it is recorded that a frame was left out.
        about: Name of the file.

    Returns:
        The same poses, or those from the second frame on, at their own times.
    """
    steps = np.linalg.norm(np.diff(poses.translation, axis=0), axis=1)
    later = steps[1:][np.isfinite(steps[1:])]
    if len(later) < 2 or not steps[0] > max(STEP, TIMES * later.max()):
        return poses
    journal.repair(
        f"the first frame is left out: it lies {steps[0]:.1f} m from the second, later ones at most "
        f"{100 * later.max():.0f} cm apart, so it is a rest pose and no part of the movement",
        about,
    )
    return poses.frames(slice(1, None))
