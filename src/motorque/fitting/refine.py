"""Pose refinement: the most probable poses behind noisy ones, given noise, smooth motion and a body's mechanics.

The posterior that `signals.adaptive` finds (noise of each joint and direction, motion of all channels together, both
estimated from the poses themselves) is the prior here, in its own coordinates u: in units of posterior standard
deviations along independent modes, so that u = 0 are the smoothed poses and the cost of moving away is |u|²/2. To this
come torques that bend little in time and feet that stay while they stand, and the sum is minimised by Gauss-Newton.
In these coordinates the equations are the identity plus what mechanics says, for which conjugate gradients need few
steps, each a pass over banded matrices.

Differences from SMPL-Dynamics' equation 5 (`refine_adam`): the pose term knows that noise differs by joint and
direction and may last, outliers count less, torques are compared with their own size joint by joint, and nothing is
left to gradient descent, whose last steps such ill-conditioned problems never see.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.fitting.contact_detection import SLOW, detect_contact
from motorque.fitting.pose_chart import PoseChart, turned_by, vectors_of
from motorque.fitting.pose_smoothing import (
    PoseNoiseEstimate,
    SmoothedPoses,
    check_poses,
    fit_window,
    noise_estimate,
)
from motorque.fitting.pose_torques import PoseTorques, as_before, quaternions, upright
from motorque.fitting.refine_physics import StandingPoints, TorqueBend, foot_points
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

    bend: float = 1.0
    stand: bool = True
    slip: float = 0.15
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
    fits = [fit_window(vectors[first:last], poses.translation[first:last]) for first, last in parts]
    body = PoseTorques.of(poses)
    smoothed, place, variance = _blended(
        parts, frames, [(t.smoothed, p.smoothed, t.standard_deviation() ** 2) for t, p in fits]
    )
    start = dataclasses.replace(poses, rotations=chart.rotations(smoothed.reshape(vectors.shape)), translation=place)
    noise = noise_estimate(fits, as_before(start, given))
    _tell(noise, fits, poses, journal)
    standing = _standing(body, start, journal) if settings.stand else None
    found = []
    for n, ((first, last), fit) in enumerate(zip(parts, fits, strict=True)):
        span = slice(first, last)
        window = _Window(body, chart.reference[span], chart.offset[span], fit, settings, _cut(standing, first, last))
        turned, moved = window.solve()
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
    """How surely each point stands in each step, shape [T - 1, K], and the ground's own step [m]; None if none does."""
    skeleton = body.skeleton
    points, _, _, _ = foot_points(skeleton, poses.rotations, poses.translation)
    world = skeleton.parent_rotation[0].numpy()
    in_ground = points @ world.T
    in_ground[..., 1] -= [sphere.radius for sphere in skeleton.contact_spheres]
    velocity = np.gradient(in_ground, body.step, axis=0)
    if not (np.linalg.norm(velocity, axis=-1) < SLOW).any():
        journal.info("no foot ever stands still: nothing holds the feet", poses.source)
        return None
    try:
        contact = detect_contact(in_ground, velocity, journal=journal)
    except DataError:
        return None
    sure = np.minimum(contact.strength, 1.0)
    return np.sqrt(np.minimum(sure[1:], sure[:-1])), world.T @ contact.velocity * body.step


def _cut(standing: tuple[Array, Array] | None, first: int, last: int) -> tuple[Array, Array] | None:
    return None if standing is None else (standing[0][first : last - 1], standing[1])


class _Window:
    """The posterior of one window's poses and its most probable point."""

    def __init__(
        self,
        body: PoseTorques,
        reference: Array,
        offset: Array,
        fit: tuple[AdaptiveFit, AdaptiveFit],
        settings: RefineSettings,
        standing: tuple[Array, Array] | None,
    ) -> None:
        self.body, self.settings, self.standing = body, settings, standing
        self.chart = PoseChart(reference, offset)
        self.turning, self.moving = fit
        self.scale: Array | None = None
        self.slip: float | None = None

    def solve(self) -> tuple[Array, Array]:
        """Rotation vectors in the chart [rad], shape [T, 72], and the root's translation [m], shape [T, 3]."""
        u = np.zeros(self.turning.smoothed.shape), np.zeros(self.moving.smoothed.shape)
        if len(u[0]) < 5 or (self.settings.bend <= 0 and self.standing is None):
            return self._values(u)
        for _ in range(self.settings.steps):
            residuals, turned = self._linearized(u)
            step = self._gauss_newton(u, residuals, turned)
            u = u[0] + step[0], u[1] + step[1]
        return self._values(u)

    def _values(self, u: tuple[Array, Array]) -> tuple[Array, Array]:
        return self.turning.smoothed + self.turning.moved(u[0]), self.moving.smoothed + self.moving.moved(u[1])

    def _linearized(self, u: tuple[Array, Array]) -> tuple[list[TorqueBend | StandingPoints], Array]:
        """Residuals at a point, and how far rotation vectors turn joints there, shape [T, J, 3, 3]."""
        vectors, place = self._values(u)
        vectors = vectors.reshape(self.chart.offset.shape)
        rotations = self.chart.rotations(vectors)
        found: list[TorqueBend | StandingPoints] = []
        if self.settings.bend > 0:
            quaternion = quaternions(torch.as_tensor(vectors_of(rotations))).numpy()
            bend = TorqueBend.at(self.body, quaternion, place, self.scale, self.settings.bend)
            self.scale = bend.scale
            found.append(bend)
        if self.standing is not None:
            weight, belt = self.standing
            least = self.settings.slip * self.body.step
            stand = StandingPoints.at(self.body.skeleton, rotations, place, weight, belt, self.slip, least)
            self.slip = stand.scale
            found.append(stand)
        return found, turned_by(vectors - self.chart.offset)

    def _gauss_newton(
        self, u: tuple[Array, Array], residuals: list[TorqueBend | StandingPoints], turned: Array
    ) -> tuple[Array, Array]:
        """The step to the least of the linearised squares: conjugate gradients on (1 + JᵀJ) s = -(u + Jᵀr)."""
        shape = turned.shape[:2]

        def down(s: tuple[Array, Array]) -> tuple[Array, Array]:
            change = self.turning.moved(s[0]).reshape(*shape, 3)
            turn = (turned @ change[..., None])[..., 0].reshape(len(change), -1)
            return turn, self.moving.moved(s[1])

        def back(turn: Array, place: Array) -> tuple[Array, Array]:
            change = (turn.reshape(*shape, 1, 3) @ turned)[..., 0, :].reshape(len(turn), -1)
            return self.turning.moved_back(change), self.moving.moved_back(place)

        def normal(s: tuple[Array, Array]) -> tuple[Array, Array]:
            moved = down(s)
            sums = [r.backward(r.forward(*moved)) for r in residuals]
            a, b = back(sum(x for x, _ in sums), sum(y for _, y in sums))  # type: ignore[arg-type]
            return s[0] + a, s[1] + b

        slopes = [r.backward(r.residual) for r in residuals]
        a, b = back(sum(x for x, _ in slopes), sum(y for _, y in slopes))  # type: ignore[arg-type]
        rest = -(u[0] + a), -(u[1] + b)
        step = np.zeros_like(u[0]), np.zeros_like(u[1])
        direction, size = rest, _inner(rest, rest)
        first = size
        for _ in range(self.settings.inner):
            if size <= 1e-6 * first:
                break
            image = normal(direction)
            length = size / _inner(direction, image)
            step = step[0] + length * direction[0], step[1] + length * direction[1]
            rest = rest[0] - length * image[0], rest[1] - length * image[1]
            size, before = _inner(rest, rest), size
            direction = rest[0] + size / before * direction[0], rest[1] + size / before * direction[1]
        return step


def _inner(one: tuple[Array, Array], two: tuple[Array, Array]) -> float:
    return float((one[0] * two[0]).sum() + (one[1] * two[1]).sum())
