"""How `torques` gets from poses to velocities and accelerations: by what the recording itself asks for, or as told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from motorque.errors import DataError
from motorque.fitting.pose_ceiling import under_ceiling
from motorque.fitting.pose_smoothing import SmoothedPoses, smooth_poses
from motorque.journal import Journal
from motorque.series import Poses
from motorque.signals.adaptive import LEAST
from motorque.signals.pose_rates import METHODS, CentralDifferences, FilteredDifferences, PoseRates, SmoothingSpline
from motorque.signals.pose_rates.interface import RateMethod
from motorque.skeleton.smpl import SMPL_JOINTS

Array = NDArray[np.float64]

AUTO = "auto"
"""Smoothing by what the recording says of its own noise and movement, then central differences."""

RATES = (AUTO, *METHODS)
"""Ways to rates by name."""

WITH_CUTOFF = (AUTO, "butterworth", "spline")
"""Those that have a cutoff to set; of ``auto`` it is the ceiling over what the recording asks for."""

PLAIN = ("central", "central-twice")
"""Those that leave poses as noisy as they are."""


@dataclass(frozen=True, eq=False)
class Moving:
    """Poses with their rates.

    Args:
        rates: Poses as they were smoothed, with velocities and accelerations; NaN at frames that are missing.
        poses: The same poses, gaps bridged.
        smoothed: The most probable poses and what is open in them, for error bars; None where nothing tells.
        way: Name of the way, of :data:`RATES`.
        cutoff: Its cutoff [Hz], where it has one.
        reason: Why this way, one sentence.
    """

    rates: PoseRates
    poses: Poses
    smoothed: SmoothedPoses | None
    way: str
    cutoff: float | None
    reason: str

    @property
    def raw(self) -> bool:
        """Whether the poses still have their noise."""
        return self.way in PLAIN


def check_rates(way: str | None, cutoff: float | None) -> None:
    """Say at once what of ``--rates`` and ``--cutoff`` can't be.

    Raises:
        DataError: There is no such way, it has no cutoff, or the cutoff is none.
    """
    if way is not None and way not in RATES:
        raise DataError(f"there is no way to rates called {way!r}; there are {', '.join(RATES)}")
    if cutoff is None:
        return
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise DataError(f"--cutoff must be a positive frequency in Hz, got {cutoff:g}")
    if way is not None and way not in WITH_CUTOFF:
        ways = f"{', '.join(WITH_CUTOFF[:-1])} or {WITH_CUTOFF[-1]}"
        raise DataError(f"--cutoff goes with --rates {ways}, not with {way}; leave one out")


def moving(poses: Poses, way: str | None, cutoff: float | None, journal: Journal) -> Moving:
    """Rates of poses.

    Args:
        poses: The poses; frames may be missing.
        way: One of :data:`RATES`; if None, ``auto``, or ``butterworth`` if there is a cutoff.
        cutoff: For one of :data:`WITH_CUTOFF` [Hz]; its own if None, which of ``auto`` is `pose_ceiling.CEILING`.
        journal: Gaps that were bridged, what noise was found, and what smoothing that asked for.

    Raises:
        DataError: As :func:`check_rates`; too few frames for a method, or a cutoff at or above half the frame rate.
    """
    check_rates(way, cutoff)
    chosen = way or (AUTO if cutoff is None else "butterworth")
    whole = bridged(poses, journal)
    smoothed = _smoothed(whole, journal)
    if smoothed is not None:
        # Results of another way are compared with the most probable poses under the usual ceiling.
        smoothed = under_ceiling(smoothed, cutoff if chosen == AUTO else None)
    if chosen == AUTO and smoothed is None:
        chosen = "butterworth"
        asked = f"the usual {FilteredDifferences().cutoff:g} Hz" if cutoff is None else f"{cutoff:g} Hz"
        journal.warn(f"the recording does not tell its noise, so it is only filtered, at {asked}", "rates")
    if chosen == AUTO and smoothed is not None:
        rates = _missing_again(CentralDifferences()(*_tensors(smoothed.poses), poses.rate), poses)
        reason = _reason(smoothed)
        journal.info(reason, "rates")
        return Moving(rates, smoothed.poses, smoothed, AUTO, smoothed.ceiling, reason)
    method = _method(chosen, cutoff)
    rates = method(*_tensors(poses), poses.rate)
    own = dataclasses.replace(
        poses, rotations=rates.rotation.detach().numpy(), translation=rates.translation.detach().numpy()
    )
    at = cutoff if cutoff is not None else getattr(method, "cutoff", None)
    return Moving(rates, bridged(own, None), smoothed, chosen, at, f"--rates {chosen} was asked for")


def bridged(poses: Poses, journal: Journal | None) -> Poses:
    """The poses without gaps, each joint turned evenly across its own; ends are held."""
    if poses.known.all():
        return poses
    if journal is not None:
        journal.repair(
            f"{int((~poses.known).sum())} missing frames are bridged evenly for smoothing, contact and the pictures; "
            "their torques are left out",
            "poses",
        )
    times, rotations = poses.times, poses.rotations.copy()
    for joint in range(rotations.shape[1]):
        seen = np.isfinite(rotations[:, joint, 0, 0])
        if seen.sum() < 2:
            rotations[:, joint] = rotations[:, joint][seen][0] if seen.any() else np.eye(3)
        elif not seen.all():
            between = Slerp(times[seen], Rotation.from_matrix(rotations[seen, joint]))
            rotations[:, joint] = between(np.clip(times, *times[seen][[0, -1]])).as_matrix()
    there = np.isfinite(poses.translation[:, 0])
    places = [np.interp(times, times[there], poses.translation[there, axis]) for axis in range(3)]
    return dataclasses.replace(poses, rotations=rotations, translation=np.stack(places, axis=1))


def equivalent_cutoffs(smoothed: SmoothedPoses) -> Array:
    """Cutoff of the ideal low-pass that lets as much of white noise through as each joint's smoothing [Hz], [24]."""
    left, given = np.zeros(len(SMPL_JOINTS)), np.zeros(len(SMPL_JOINTS))
    for window in smoothed.windows:
        values = window.turned
        frames = len(values.basis)
        angle = np.pi * np.arange(frames) / frames
        k = values.kept
        spectrum = values.white_share + (1 - values.white_share) * (1 - k**2) / (1 - 2 * k * np.cos(angle) + k**2)
        # The posterior variance of a coefficient is the gain times the noise's.
        gain = values.spread**2 / spectrum[:, None]
        power = (values.modes**2).reshape(len(values.modes), -1, 3).sum(-1)
        left += (gain**2).sum(0) @ power
        given += frames * power.sum(0)
    return np.asarray(0.5 * smoothed.poses.rate * left / np.maximum(given, 1e-300))


def _reason(smoothed: SmoothedPoses) -> str:
    """Why the smoothing is as strong as it is."""
    share = equivalent_cutoffs(smoothed) / (0.5 * smoothed.poses.rate)
    low, high = int(share.argmin()), int(share.argmax())
    filtered = (
        "no low-pass filter after that, for which the frame rate is too low"
        if smoothed.ceiling is None
        else f"then a low-pass filter of {smoothed.ceiling:g} Hz over all (--cutoff sets it)"
    )
    return (
        f"smoothed as the recording's own noise and movement ask for, {filtered}: {smoothed.noise.sentence()}; the "
        f"smoothing alone keeps {np.median(share):.0%} of white noise (median of joints; {share[low]:.0%} at "
        f"{SMPL_JOINTS[low]}, {share[high]:.0%} at {SMPL_JOINTS[high]})"
    )


def _smoothed(poses: Poses, journal: Journal) -> SmoothedPoses | None:
    """The most probable poses; None, said, where nothing tells noise from movement."""
    if len(poses.times) < LEAST:
        journal.warn(
            f"{len(poses.times)} frames are too few to tell noise from movement, {LEAST} are needed: no error bars",
            "error bars",
        )
        return None
    own = Journal()
    try:
        found = smooth_poses(poses, journal=own)
    except DataError as error:
        journal.warn(f"nothing tells the noise of the poses, so there are no error bars: {error}", "error bars")
        return None
    # The noise itself is said with what it asks for.
    for notice in own.notices:
        if notice.kind == "repair":
            journal.repair(notice.text, notice.about)
    return found


def _method(way: str, cutoff: float | None) -> RateMethod:
    if cutoff is None:
        return METHODS[way]()
    return FilteredDifferences(cutoff=cutoff) if way == "butterworth" else SmoothingSpline.at_cutoff(cutoff)


def _tensors(poses: Poses) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.as_tensor(poses.rotations), torch.as_tensor(poses.translation)


def _missing_again(rates: PoseRates, given: Poses) -> PoseRates:
    """Rates that are NaN wherever the given poses are."""
    if given.known.all():
        return rates
    lost = torch.as_tensor(~given.known)
    changed = {}
    for field in dataclasses.fields(rates):
        values = getattr(rates, field.name).clone()
        values[lost] = float("nan")
        changed[field.name] = values
    return PoseRates(**changed)
