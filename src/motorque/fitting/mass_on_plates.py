"""Body mass from force plates and motion: where the plates carry everything, force over acceleration is the mass."""

from __future__ import annotations

import numpy as np
import torch

from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.series import Loads, Motion
from motorque.signals import NaturalSpline
from motorque.skeleton.skeleton import Skeleton

LOADED = 200.0
"""Total vertical force under which nobody stands on the plates [N]."""

SAME = 0.1
"""Frames whose ratio is within this part of the highest count as carried wholly: a foot off the plates lacks more."""

LEAST_TIME = 0.15
"""Shortest time in all that a mass can be told from [s]."""


def mass_on_plates(skeleton: Skeleton, motion: Motion, loads: Loads) -> float | None:
    """Body mass [kg], or None where the plates never carry the whole body for long enough.

    In each frame the vertical force over gravity plus the acceleration of the centre of mass, which does not depend on
    the mass itself, is the mass that the plates carry. The highest of these that last are the whole body's.

    Args:
        skeleton: The skeleton; its mass distribution counts, not its mass.
        motion: The motion, smoothed.
        loads: Measured loads at the motion's times.
    """
    if len(motion.times) < 6:
        return None
    q = torch.as_tensor(motion.values)
    center = center_of_mass(skeleton, forward_kinematics(skeleton, q)).numpy()
    upward = NaturalSpline(motion.times, center, what="the centre of mass")(motion.times, 2)[:, 1]
    force = loads.total_force()[:, 1]
    pull = upward - float(skeleton.gravity[1])
    standing = (force > LOADED) & (pull > 3.0)  # near free fall the ratio of two small numbers says nothing
    if not standing.any():
        return None
    ratio = force[standing] / pull[standing]
    whole = np.abs(ratio / np.quantile(ratio, 0.9) - 1) < SAME
    if whole.sum() / motion.rate < LEAST_TIME:
        return None
    return float(np.median(ratio[whole]))
