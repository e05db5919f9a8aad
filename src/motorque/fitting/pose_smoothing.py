"""Poses smoothed without anything to set: each joint and direction by its own noise, which is estimated on the way.

Of a body's mechanics this knows one thing, its inertia: joints move together such that torques do not jerk more than
they must. `refine` begins here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.fitting.pose_chart import PoseChart, vectors_of
from motorque.fitting.pose_torques import PoseTorques, quaternions
from motorque.journal import Journal
from motorque.series.poses import Poses
from motorque.signals.adaptive import AdaptiveFit, adaptive_fit, blend, windows
from motorque.skeleton.smpl import SMPL_JOINTS, SMPL_PARENTS

Array = NDArray[np.float64]

UNEVEN = 0.01
"""How much the step between frames may vary, of its mean: file formats round times to milliseconds."""
MOMENTS = 8
"""Frames of a window, evenly spread, whose inertia stands for all."""
DIRECTED = 1.3
"""A noise this much larger along one axis of the world than across it is taken to have a direction."""


@dataclass(frozen=True, eq=False)
class PoseNoiseEstimate:
    """What the noise of poses looks like, as estimated from the poses themselves.

    Args:
        joints: Standard deviation of each joint's rotation vector in its parent's axes [rad], shape [24, 3].
        translation: Of the root's translation, in the world [m], shape [3].
        white_share: Share of the rotations' noise variance that is new in every frame.
        lasts: Time after which the correlation of the rest has fallen to 1/e [s]; 0 where there is no rest.
        axis: Direction in the world along which noise differs most from noise across it, shape [3]: of a single camera,
            its own.
        ratio: Standard deviation along that axis over that across; 1 is noise without direction.
    """

    joints: Array
    translation: Array
    white_share: float
    lasts: float
    axis: Array
    ratio: float

    def sentence(self) -> str:
        """What people are told."""
        level = float(np.sqrt(np.mean(self.joints**2)))
        names = [SMPL_JOINTS[i] for i in np.argsort(-np.linalg.norm(self.joints, axis=1))[:2]]
        where = ""
        if max(self.ratio, 1 / self.ratio) > DIRECTED:
            x, y, z = self.axis
            where = f", {self.ratio:.1f} times as much along ({x:.2f}, {y:.2f}, {z:.2f}) as across"
        lasting = "" if self.lasts == 0 else f", {1 - self.white_share:.0%} of it lasting {self.lasts * 1000:.0f} ms"
        return f"noise of {level:.3g} rad per component, most at {names[0]} and {names[1]}{where}{lasting}"


@dataclass(frozen=True, eq=False)
class SmoothedWindow:
    """One window of a recording, and what it was smoothed with.

    Args:
        first: First frame.
        last: Frame after the last.
        vectors: The given rotations as vectors in the chart [rad], shape [last - first, 72].
        places: The given translation [m], shape [last - first, 3].
        turned: Fit of these.
        moved: Fit of the root's translation [m].
    """

    first: int
    last: int
    vectors: Array
    places: Array
    turned: AdaptiveFit
    moved: AdaptiveFit


@dataclass(frozen=True, eq=False)
class SmoothedPoses:
    """Poses without most of their noise.

    Args:
        poses: The smoothed poses.
        noise: What was taken away.
        std: Posterior standard deviation of each joint's rotation vector in its parent's axes [rad], shape [T, 24, 3].
        chart: What vectors of rotations are counted from; None where poses come from more than smoothing.
        windows: The windows whose fits, blended, gave these poses; none where poses come from more than smoothing.
        ceiling: Cutoff of a low-pass that the poses went through afterwards [Hz], see `fitting.pose_ceiling`.
        higher: The poses after a low-pass of twice that; what they differ by may be movement.
    """

    poses: Poses
    noise: PoseNoiseEstimate
    std: Array
    chart: PoseChart | None = None
    windows: tuple[SmoothedWindow, ...] = ()
    ceiling: float | None = None
    higher: Poses | None = None


def smooth_poses(poses: Poses, *, journal: Journal | None = None) -> SmoothedPoses:
    """Smooth poses by what their own spectrum says of noise and motion, see `motorque.signals.adaptive`.

    Args:
        poses: The poses, without gaps and at a constant rate.
        journal: Where the noise found is recorded.

    Raises:
        DataError: Too few frames, a joint that was not seen, or a rate that changes.
    """
    check_poses(poses)
    chart = PoseChart.of(poses.rotations, poses.rate)
    vectors = chart.vectors(poses.rotations)
    body = PoseTorques.of(poses)
    frames = len(vectors)
    smoothed, variance, weight = np.zeros_like(vectors), np.zeros_like(vectors), np.zeros(frames)
    place = np.zeros((frames, 3))
    fits: list[tuple[AdaptiveFit, AdaptiveFit]] = []
    kept: list[SmoothedWindow] = []
    for first, last in windows(frames):
        inertia = window_inertia(body, poses.rotations[first:last])
        fit, moved = fit_window(vectors[first:last], poses.translation[first:last], inertia)
        share = blend(first, last, frames)
        smoothed[first:last] += share[:, None, None] * fit.smoothed.reshape(-1, 24, 3)
        variance[first:last] += share[:, None, None] * fit.standard_deviation().reshape(-1, 24, 3) ** 2
        place[first:last] += share[:, None] * moved.smoothed
        weight[first:last] += share
        fits.append((fit, moved))
        given = vectors[first:last].reshape(last - first, -1)
        kept.append(SmoothedWindow(first, last, given, poses.translation[first:last], fit, moved))
    smoothed /= weight[:, None, None]
    answer = dataclasses.replace(poses, rotations=chart.rotations(smoothed), translation=place / weight[:, None])
    noise = noise_estimate(fits, answer)
    outliers = sum(int((fit.weights < 0.5).sum()) for fit, _ in fits)
    if journal is not None:
        journal.info(noise.sentence(), poses.source)
        if outliers:
            journal.repair(f"{outliers} rotations far from the motion around them were given less weight", poses.source)
    return SmoothedPoses(answer, noise, np.sqrt(variance / weight[:, None, None]), chart, tuple(kept))


def fit_window(vectors: Array, translation: Array, inertia: Array) -> tuple[AdaptiveFit, AdaptiveFit]:
    """Fit rotation vectors [T, J, 3] and the root's translation [T, 3], each for itself.

    Args:
        vectors: In a :class:`PoseChart` [rad].
        translation: In the world [m].
        inertia: Of :func:`window_inertia`.
    """
    turned = adaptive_fit(vectors.reshape(len(vectors), -1), block=3, effects=inertia, what="poses")
    return turned, adaptive_fit(translation, block=3, order=2, lasting=False, what="translation of poses")


def window_inertia(body: PoseTorques, rotations: Array) -> Array:
    """Torques by angular accelerations at some of a window's rotations [T, 24, 3, 3], shape [K, 72, 72]."""
    some = np.unique(np.linspace(0, len(rotations) - 1, MOMENTS).astype(int))
    return body.inertia(quaternions(torch.as_tensor(vectors_of(rotations[some]))))


def check_poses(poses: Poses) -> None:
    """Raise :class:`DataError` for gaps, times that are not evenly spaced, or too few frames."""
    frames = len(poses.times)
    if not poses.known.all():
        frame = int(np.flatnonzero(~poses.known)[0])
        missing = np.flatnonzero(~np.isfinite(poses.rotations[frame, :, 0, 0]))
        what = f"{SMPL_JOINTS[missing[0]]} is" if len(missing) else "the root's place is"
        raise DataError(
            f"poses: {what} not known in frame {frame} ({poses.times[frame]:g} s); fill the gap or cut the recording "
            "there"
        )
    check_even(poses.times, "poses")
    if frames < 3:  # what else is too short, the smoother says
        raise DataError(f"poses: {frames} frames are too few to tell noise from motion; use a longer recording")


def check_even(times: Array, what: str) -> None:
    """Raise :class:`DataError` where frames are not evenly spaced in time."""
    steps = np.diff(times)
    if len(steps) and np.abs(steps / steps.mean() - 1).max() > UNEVEN:
        frame = int(np.abs(steps / steps.mean() - 1).argmax())
        raise DataError(
            f"{what}: the step after frame {frame} is {steps[frame]:.4g} s, others are {np.median(steps):.4g} s; "
            "resample to a constant rate or cut the recording there"
        )


def noise_estimate(fits: list[tuple[AdaptiveFit, AdaptiveFit]], poses: Poses) -> PoseNoiseEstimate:
    """Noise of the whole recording from that of its windows."""
    covariance = np.mean([fit.noise for fit, _ in fits], axis=0)
    blocks = covariance.reshape(24, 3, 24, 3)[np.arange(24), :, np.arange(24)]
    place = np.mean([np.diag(moved.noise) for _, moved in fits], axis=0)
    share = float(np.mean([fit.white_share for fit, _ in fits]))
    kept = float(np.mean([fit.kept for fit, _ in fits]))
    lasts = 0.0 if kept <= 0 else -1 / (poses.rate * np.log(kept))
    axis, ratio = _direction(blocks, poses.rotations)
    deviation = np.sqrt(np.diagonal(blocks, axis1=1, axis2=2))
    return PoseNoiseEstimate(deviation, np.sqrt(place), share, float(lasts), axis, ratio)


def _direction(blocks: Array, rotations: Array) -> tuple[Array, float]:
    """The world's axis along which joints' noise, each in units of its own size, is most different from across it."""
    world = np.empty_like(rotations)
    total = np.zeros((3, 3))
    for joint, parent in enumerate(SMPL_PARENTS):
        frame = np.broadcast_to(np.eye(3), rotations[:, 0].shape) if parent < 0 else world[:, parent]
        world[:, joint] = frame @ rotations[:, joint]
        size = np.trace(blocks[joint])
        if size > 0:
            total += (frame @ (blocks[joint] / size) @ frame.swapaxes(-1, -2)).mean(0)
    values, directions = np.linalg.eigh(total)
    odd = 2 if values[2] * values[0] > values[1] ** 2 else 0  # the one that stands apart from the two others
    others = np.delete(values, odd).mean()
    axis = directions[:, odd] * np.sign(directions[np.abs(directions[:, odd]).argmax(), odd])
    return axis, float(np.sqrt(values[odd] / others))
