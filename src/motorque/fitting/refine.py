"""Pose refinement: the most probable poses behind noisy ones, given noise, smooth motion and a body's mechanics.

What `signals.adaptive` finds (noise of each joint and direction, motion of all channels together, both estimated from
the poses themselves) is the prior here. To this come torques that bend little in time and feet that stay while they
stand; the peak of the posterior is found by Gauss-Newton (`refine_solver`).

Differences from SMPL-Dynamics' equation 5 (`refine_adam`): the pose term knows that noise differs by joint and
direction and may last, outliers count less, torques are compared with their own size joint by joint, and nothing is
left to gradient descent, whose last steps such ill-conditioned problems never see.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.fitting.contact_detection import detect_contact
from motorque.fitting.pose_chart import PoseChart, turned_by
from motorque.fitting.pose_smoothing import (
    PoseNoiseEstimate,
    SmoothedPoses,
    check_poses,
    fit_window,
    noise_estimate,
    window_inertia,
)
from motorque.fitting.pose_torques import PoseTorques, as_before, upright
from motorque.fitting.refine_physics import Residual
from motorque.fitting.refine_pose_physics import foot_points, standing_points, torque_bend
from motorque.fitting.refine_solver import most_probable
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.series.poses import Poses
from motorque.signals.adaptive import AdaptiveFit, blend, windows

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RefineSettings:
    """How much mechanics count against what was seen.

    Args:
        bend: Second differences of torques that are allowed, of those that the smoothed poses have, joint by joint;
            0 leaves torques out.
        stand: Whether feet that stand are held.
        slip: A standing foot's points move at least this fast [m/s]: shoes give, models' feet are rigid.
        steps: Gauss-Newton steps.
        inner: Steps of conjugate gradients in each.
    """

    bend: float = 1.5
    stand: bool = True
    slip: float = 0.3
    steps: int = 2
    inner: int = 15


def refine_poses(
    poses: Poses,
    *,
    settings: RefineSettings | None = None,
    journal: Journal | None = None,
    progress: Progress = silent,
) -> SmoothedPoses:
    """Refine noisy poses.

    Args:
        poses: The poses, without gaps and at a constant rate; the person's height, mass and sex are used where known.
        settings: How much mechanics count.
        journal: Where noise, outliers and the ground are recorded.
        progress: Hears how far it is.

    Returns:
        The refined poses, what the noise looked like, and standard deviations before mechanics came in.

    Raises:
        DataError: Too few frames, a joint that was not seen, or a rate that changes.
    """
    settings = RefineSettings() if settings is None else settings
    journal = Journal() if journal is None else journal
    check_poses(poses)
    given, poses = poses, upright(poses)
    chart = PoseChart.of(poses.rotations, poses.rate)
    vectors = chart.vectors(poses.rotations)
    frames = len(vectors)
    parts = windows(frames)
    body = PoseTorques.of(poses)
    fits = [
        fit_window(vectors[a:b], poses.translation[a:b], window_inertia(body, poses.rotations[a:b])) for a, b in parts
    ]
    smoothed, place, variance = _blended(
        parts, frames, [(t.smoothed, p.smoothed, t.standard_deviation() ** 2) for t, p in fits]
    )
    start = dataclasses.replace(poses, rotations=chart.rotations(smoothed.reshape(vectors.shape)), translation=place)
    noise = noise_estimate(fits, as_before(start, given))
    _tell(noise, fits, poses, journal)
    held = _standing(body, start, journal) if settings.stand else None
    found = []
    for n, ((first, last), fit) in enumerate(zip(parts, fits, strict=True)):
        span = slice(first, last)
        part = PoseChart(chart.reference[span], chart.offset[span])
        window = _Window(body, part, settings, _cut(held, first, last))
        turned, moved = most_probable(fit, window.linearize, steps=settings.steps, inner=settings.inner)
        found.append((turned, moved, np.zeros_like(turned)))
        progress("refining", (n + 1) / len(parts))
    refined, place, _ = _blended(parts, frames, found)
    answer = dataclasses.replace(poses, rotations=chart.rotations(refined.reshape(vectors.shape)), translation=place)
    answer = as_before(answer, given)
    return SmoothedPoses(answer, noise, np.sqrt(variance).reshape(vectors.shape))


def _blended(parts: list[tuple[int, int]], frames: int, found: list[tuple[Array, Array, Array]]) -> list[Array]:
    """Windows' arrays put together."""
    totals = [np.zeros((frames, x.shape[1])) for x in found[0]]
    weight = np.zeros((frames, 1))
    for (first, last), arrays in zip(parts, found, strict=True):
        share = blend(first, last, frames)[:, None]
        weight[first:last] += share
        for total, array in zip(totals, arrays, strict=True):
            total[first:last] += share * array
    return [total / weight for total in totals]


def _tell(
    noise: PoseNoiseEstimate, fits: list[tuple[AdaptiveFit, AdaptiveFit]], poses: Poses, journal: Journal
) -> None:
    journal.info(noise.sentence(), poses.source)
    outliers = sum(int((fit.weights < 0.5).sum()) for fit, _ in fits)
    if outliers:
        journal.repair(f"{outliers} rotations far from the motion around them were given less weight", poses.source)


def _standing(body: PoseTorques, poses: Poses, journal: Journal) -> tuple[Array, Array] | None:
    """As :func:`standing`, for poses; the ground's step in the poses' world."""
    skeleton = body.skeleton
    points, _, _, _ = foot_points(skeleton, poses.rotations, poses.translation)
    world = skeleton.parent_rotation[0].numpy()
    lowest = points @ world.T
    lowest[..., 1] -= [sphere.radius for sphere in skeleton.contact_spheres]
    found = standing(lowest, body.step, journal=journal, about=poses.source)
    return None if found is None else (found[0], world.T @ found[1])


def standing(lowest: Array, step: float, *, journal: Journal, about: str) -> tuple[Array, Array] | None:
    """How surely each point stands in each step, and how far the ground itself moves in one.

    Args:
        lowest: Lowest points of the feet's spheres in ground [m], shape [T, K, 3].
        step: Time between frames [s].
        journal: Where the ground that was found is recorded.
        about: Whose feet, for messages.

    Returns:
        Square roots of weights from 0 to 1, shape [T - 1, K], and [m], shape [3]; None if nothing ever stands.
    """
    velocity = np.gradient(lowest, step, axis=0)
    try:
        contact = detect_contact(lowest, velocity, journal=journal)
    except DataError:
        journal.info("no foot ever stands still: nothing holds the feet", about)
        return None
    sure = np.minimum(contact.strength, 1.0)
    return np.sqrt(np.minimum(sure[1:], sure[:-1])), contact.velocity * step


def _cut(standing: tuple[Array, Array] | None, first: int, last: int) -> tuple[Array, Array] | None:
    return None if standing is None else (standing[0][first : last - 1], standing[1])


class _Window:
    """What mechanics say of one window's poses."""

    def __init__(
        self, body: PoseTorques, chart: PoseChart, settings: RefineSettings, standing: tuple[Array, Array] | None
    ) -> None:
        self.body, self.chart, self.settings, self.standing = body, chart, settings, standing
        # Found at the smoothed poses and kept: a scale that follows its own residual would shrink with it.
        self.scale: Array | float = settings.bend
        self.slip: float | None = None

    def linearize(self, values: list[Array]) -> tuple[list[Residual], list[Array | None]]:
        """See `refine_solver.Linearize`; the parts are vectors in the chart and the root's place."""
        vectors = values[0].reshape(self.chart.offset.shape)
        rotations = self.chart.rotations(vectors)
        found: list[Residual] = []
        if self.settings.bend > 0 and len(vectors) > 4:
            bend = torque_bend(self.body, rotations, values[1], self.scale)
            self.scale = bend.scale
            found.append(bend)
        if self.standing is not None:
            weight, belt = self.standing
            least = self.settings.slip * self.body.step
            stand = standing_points(
                self.body, rotations, values[1], weight=weight, belt=belt, scale=self.slip, least=least
            )
            self.slip = stand.scale
            found.append(stand)
        return found, [turned_by(vectors - self.chart.offset), None]
