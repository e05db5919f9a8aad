"""From what inverse kinematics found to a smooth motion with its derivatives, at the cutoff that the data ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.series import Loads, Motion
from motorque.signals import NaturalSpline, butterworth
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.cutoff import CutoffChoice, choose_cutoff
from motorque.uncertainty.evidence import MarkerEvidence

Array = NDArray[np.float64]

DEFAULT_CUTOFF = 6.0
"""Low-pass cutoff of motion and loads where nothing tells a better one [Hz], usual for gait (Winter, Sidwall, Hobson,
J. Biomech. 7 (1974) 157), and of the first look at a recording, from which its own is chosen."""

FILTER = "Butterworth, order 4 in total, forward and backward, cutoff corrected for both passes"


@dataclass(frozen=True, eq=False)
class FirstLook:
    """A recording smoothed at :data:`DEFAULT_CUTOFF`, to choose its own cutoff by.

    Args:
        skeleton: The person's skeleton, with the mass that the loads show.
        motion: The smoothed motion.
        rate: Its first time derivative, shape [T, nq].
        acceleration: Its second one, shape [T, nq].
        loads: Loads on bodies at the motion's times, smoothed alike.
        plates: Measured loads before any filter, or None.
    """

    skeleton: Skeleton
    motion: Motion
    rate: Array
    acceleration: Array
    loads: Loads
    plates: Loads | None


def smooth(
    skeleton: Skeleton, motion: Motion, cutoff: float, asked: bool, journal: Journal
) -> tuple[Motion, Array, Array, float | None]:
    """The filtered motion with its first and second derivatives, and the cutoff that was used.

    Without a filter where the recording is too short for one or sampled too slowly, unless one was asked for.
    """
    applied: float | None = cutoff
    try:
        values = np.ascontiguousarray(butterworth(motion.values, motion.rate, cutoff, what="the motion"))
    except DataError as error:
        if asked:
            raise
        journal.warn(f"the motion is not filtered: {error}", "filter")
        values, applied = motion.values, None
    values = skeleton.couple(torch.as_tensor(values)).numpy()
    spline = NaturalSpline(motion.times, values, degree=5, what="the motion")
    q, v, a = (torch.as_tensor(spline(motion.times, order)) for order in (0, 1, 2))
    _, v, a = skeleton.couple_derivatives(q, v, a)
    return Motion(motion.times, values, motion.names, motion.std), v.numpy(), a.numpy(), applied


def choose_smoothing(
    skeleton: Skeleton,
    found: Motion,
    evidence: MarkerEvidence,
    look: Callable[[Motion, Array, Array, Journal], FirstLook],
    journal: Journal,
) -> CutoffChoice | None:
    """The cutoff that a recording asks for, said with its reason; None where it can't be told.

    Args:
        skeleton: The skeleton that the motion was found with.
        found: What inverse kinematics found.
        evidence: The noise of its markers.
        look: Finds the loads that belong to a smoothed motion with its derivatives.
        journal: Hears the choice. What the first look notices is not said: the analysis itself notices it again.
    """
    quiet = Journal()
    motion, rate, acceleration, applied = smooth(skeleton, found, DEFAULT_CUTOFF, False, quiet)
    if applied is None:
        return None  # smoothing itself says why
    first = look(motion, rate, acceleration, quiet)
    try:
        choice = choose_cutoff(
            first.skeleton,
            evidence=evidence,
            motion=first.motion,
            rate=first.rate,
            acceleration=first.acceleration,
            loads=first.loads,
            plates=first.plates,
            cutoff=applied,
        )
    except DataError as error:
        journal.warn(f"no cutoff could be chosen from the recording, so {DEFAULT_CUTOFF:g} Hz it is: {error}", "filter")
        return None
    journal.info(choice.reason, "filter")
    return choice
