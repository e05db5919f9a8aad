"""From a person's keypoints in one or several videos to motion, segment lengths and cameras: all frames at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from motorque.errors import DataError
from motorque.fitting.keypoint_attachments import GROUPS
from motorque.fitting.keypoint_body import KeypointBody
from motorque.fitting.keypoint_gaps import continuous
from motorque.fitting.keypoint_notes import note_body, note_camera
from motorque.fitting.keypoint_piece import Piece, joined, piece
from motorque.fitting.keypoint_posterior import Posterior, posterior
from motorque.fitting.keypoint_problem import KeypointProblem, State
from motorque.fitting.keypoint_setup import (
    GIVEN_FOCAL_STD,
    Known,
    Observed,
    focal_length,
    observe,
    refined,
    set_up,
    thinned,
)
from motorque.fitting.keypoint_solver import FINER, ROUNDS, TRIED, Solution, solve
from motorque.fitting.keypoint_start import facing
from motorque.fitting.level_guess import guess_level
from motorque.fitting.motion_prior import MotionPrior, PoseGuess
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.series import Camera, Keypoints, Motion, Scales
from motorque.skeleton.scaling import scale_lengths
from motorque.skeleton.skeleton import Skeleton
from motorque.vision.several_cameras import agreeing_views
from motorque.vision.sides import steady_sides

Array = NDArray[np.float64]

Direction = Literal["auto", "+x", "-x", "+z", "-z"]

COARSE_RATE = 12.0
"""Frames a second on which the fit begins [Hz]: the result is the same, and it is there in a fraction of the time."""
LONGEST, SHORT = 60.0, 5.0
"""A longer recording is fitted in stretches [s]; lengths and camera are found from shorter ones, spread all over it."""
STRETCH, OVERLAP = 30.0, 1.0
"""How long those stretches are, and by how much they overlap [s]."""
TRAVEL = 0.8
"""Who ends further than this from where the motion began went somewhere: that way is forward then [m]."""


@dataclass(frozen=True)
class KeypointFit:
    """What the fit found.

    Args:
        skeleton: The skeleton with the person's lengths.
        motion: Its coordinates [rad, m], with standard deviations as far as the problem's own curvature tells them;
            floor at Y = 0, travel or mean facing along +X.
        cameras: Each view's camera, in the same ground.
        keypoint_names: The keypoints that were fitted, K of them.
        reprojection: For each view the distance between a keypoint and where the skeleton's is [px], shape [T, K];
            NaN where it was not seen.
        keypoints: The skeleton's keypoints in ground [m], shape [T, K, 3].
        factors: Scale factor of each group of lengths, by name.
        scales: The same by body and axis.
        contact: How surely heel and ball of the right, then the left foot touch the ground, shape [T, 4].
        cost: Cost that each start led to, before the best of them went on.
        views: The keypoints as they were fitted, at the motion's times: sides put right, empty where nobody was seen.
        posterior: What the fit leaves open, joints together; the standard deviations are its diagonal.
    """

    skeleton: Skeleton
    motion: Motion
    cameras: tuple[Camera, ...]
    keypoint_names: tuple[str, ...]
    reprojection: tuple[Array, ...]
    keypoints: Array
    factors: dict[str, float]
    scales: Scales
    contact: Array
    cost: dict[str, float]
    views: tuple[Keypoints, ...]
    posterior: Posterior


def fit_keypoints(
    skeleton: Skeleton,
    views: Sequence[Keypoints],
    *,
    cameras: Sequence[Camera] | None = None,
    height: float | None = None,
    fov: float | None = None,
    fov_std: float = GIVEN_FOCAL_STD,
    towards: Direction = "auto",
    prior: MotionPrior | None = None,
    journal: Journal,
    progress: Progress = silent,
) -> KeypointFit:
    """Fit a skeleton to the keypoints of one person in one video, or in several of calibrated cameras.

    Args:
        skeleton: The generic skeleton.
        views: The keypoints of each video.
        cameras: The calibrated cameras, in the order of the views; needed where there are several.
        height: The person's height [m].
        fov: Angle of view along the picture's longer side [rad], of a single camera that is not calibrated.
        fov_std: Spread of the logarithm of the focal length that it means.
        towards: Where in the result's ground the person faces on average: ``+x``, ``-x``, ``+z`` or ``-z``; ``auto`` is
            +X, and the way that was gone instead where that is far. Pelvis tilt and list are defined for facing +X.
        prior: Guesses poses from keypoints; weak general habits are used where it is None.
        journal: What was assumed.
        progress: Told how far it is.

    Raises:
        DataError: Nobody is there, or cameras are missing.
    """
    if cameras is None and len(views) > 1:
        raise DataError(f"{len(views)} videos but no calibration; give --cameras, or one video alone")
    if cameras is not None and len(cameras) != len(views):
        raise DataError(f"{len(views)} videos but {len(cameras)} cameras in the calibration")
    known = Known(height, fov, fov_std)
    if cameras is not None and len(cameras) > 1:
        views = agreeing_views(views, cameras, journal)
    else:
        views = [steady_sides(views[0], journal)]
    views = continuous(views, journal)
    seen = observe(views, cameras)
    at = np.searchsorted(views[0].times, seen.times - 1e-9)
    views = [view.frames(at) for view in views]
    guess = None
    if prior is not None and len(views) == 1:
        guess = guess_level(prior, views[0], cameras[0] if cameras else None, focal_length(views[0].size, fov))
    # Its matrices are small: a second thread costs more than it gives, many times more where others use the processor.
    with threadpool_limits(limits=1):
        fit = _Fitter(skeleton, views, seen, cameras, known, guess, towards, progress).fit()
    if cameras is None:
        note_camera(fit.cameras[0], known, guess, journal)
    note_body(guess, fit.motion, len(views), journal)
    return fit


@dataclass(eq=False)
class _Fitter:
    """One fit: what it is given, and how it goes from few frames to all of them."""

    skeleton: Skeleton
    views: Sequence[Keypoints]
    seen: Observed
    cameras: Sequence[Camera] | None
    known: Known
    guess: PoseGuess | None
    towards: Direction
    progress: Progress

    def fit(self) -> KeypointFit:
        times = self.seen.times
        few = thinned(times, COARSE_RATE)
        if times[-1] - times[0] > LONGEST:
            few = np.intersect1d(few, _sampled_stretches(times))
        coarse, best, cost = self._from_scratch(few, self.known)
        if len(few) == len(times):
            return self._result(coarse, piece(coarse, best), cost)
        if times[-1] - times[0] <= LONGEST:
            self._tell(0.8)
            problem = refined(coarse, self.seen, self.guess)
            return self._result(
                problem, piece(problem, solve(problem, best.state.at(coarse.times, times), FINER)), cost
            )
        known = dataclasses.replace(self.known, heading=coarse.views[0].heading)
        pieces: list[Piece] = []
        for first in np.arange(times[0], times[-1], STRETCH):
            self._tell(0.3 + 0.7 * (first - times[0]) / (times[-1] - times[0]))
            within = np.flatnonzero((times >= first) & (times < first + STRETCH + OVERLAP))
            if pieces and times[within[-1]] <= pieces[-1].times[-1]:
                break  # the last stretch's overlap reached the end
            pieces.append(self._stretch(within, known, best.state.shared))
        return self._result(refined(coarse, self.seen, self.guess), joined(pieces), cost)

    def _from_scratch(
        self, which: NDArray[np.int64], known: Known
    ) -> tuple[KeypointProblem, Solution, dict[str, float]]:
        """The solution of some frames from the best start, and the cost that each start led to at first."""
        guess = None if self.guess is None else self.guess.frames(which)
        problem, starts = set_up(self.skeleton, self.seen.frames(which), self.cameras, known, guess)
        self._tell(0.1)
        tried = {label: solve(problem, start, ROUNDS[:TRIED]) for label, start in starts.items()}
        cost = {label: solution.cost for label, solution in tried.items()}
        best = tried[min(cost, key=lambda label: cost[label])]
        self._tell(0.5)
        return problem, solve(problem, best.state, ROUNDS[TRIED:]), cost

    def _stretch(self, within: NDArray[np.int64], known: Known, shared: Array) -> Piece:
        """A stretch of a long recording, with the lengths and the camera that were found from all of it."""
        guess = None if self.guess is None else self.guess.frames(within)
        seen = self.seen.frames(within)
        few = thinned(seen.times, COARSE_RATE)
        some = None if guess is None else guess.frames(few)
        problem, starts = set_up(self.skeleton, seen.frames(few), self.cameras, known, some)
        held = tuple(dataclasses.replace(rule, shared=False) for rule in ROUNDS)
        found = [solve(problem, dataclasses.replace(start, shared=shared), held) for start in starts.values()]
        best = min(found, key=lambda solution: solution.cost)
        fine = refined(problem, seen, guess)
        held = tuple(dataclasses.replace(rule, shared=False) for rule in FINER)
        return piece(fine, solve(fine, best.state.at(problem.times, seen.times), held))

    def _tell(self, fraction: float) -> None:
        self.progress("fitting the skeleton to the keypoints", fraction)

    def _result(self, problem: KeypointProblem, found: Piece, cost: dict[str, float]) -> KeypointFit:
        state, body = found.state, problem.body
        factors = problem.factors(state.shared)
        person = scale_lengths(body.skeleton, torch.as_tensor(np.einsum("g,gbx->bx", factors, body.masks)))
        floor = np.array([0.0, state.shared[problem.layout.floor], 0.0])
        turn = Rotation.from_euler("y", _heading_of(self.towards) - _forward(state, self.towards)).as_matrix()
        position, rotation = (state.position - floor) @ turn.T, turn @ state.rotation
        placed = KeypointBody(person, body.attachments, body.held)
        q = placed.coordinates(position, rotation, state.angles)
        layout, observations = problem.layout, problem.observations
        left = posterior(placed, found, q, turn, layout.floor, layout.groups, observations)
        points = (problem.points(state)[:, : len(body.attachments)] - floor) @ turn.T
        return KeypointFit(
            person,
            Motion(found.times, q, person.coordinate_names, _std(person, left)),
            tuple(_camera(problem, state, number, floor, turn) for number in range(len(problem.views))),
            self.seen.names,
            tuple(np.where(v.weight > 0, off, np.nan) for v, off in zip(problem.views, found.pixels, strict=True)),
            points,
            {g.name: float(f) for g, f in zip(GROUPS, factors, strict=True)},
            Scales(body.skeleton.body_names, np.einsum("g,gbx->bx", factors, body.masks)),
            found.contact,
            cost,
            tuple(self.views),
            left,
        )


def _sampled_stretches(times: Array) -> NDArray[np.int64]:
    """Frames of short stretches all over a long recording: they tell lengths and camera as well as all frames do."""
    count = int(LONGEST / SHORT)
    starts = np.linspace(times[0], times[-1] - SHORT, count)
    return np.flatnonzero(((times >= starts[:, None]) & (times < starts[:, None] + SHORT)).any(0))


def _std(skeleton: Skeleton, left: Posterior) -> Array:
    """Standard deviation of each coordinate [rad or m], shape [T, nq]; of held ones zero."""
    std = np.zeros((len(left.times), skeleton.nq))
    variance = np.diagonal(left.own, axis1=1, axis2=2) + (left.shared**2).sum(-1)
    std[:, list(left.columns)] = np.sqrt(variance)
    for coupler in skeleton.couplers:
        std[:, coupler.dependent] = std[:, coupler.independent]
    return std


def _heading_of(towards: Direction) -> float:
    """An axis of ground as an angle about the vertical [rad]."""
    return {"auto": 0.0, "+x": 0.0, "-z": np.pi / 2, "-x": np.pi, "+z": -np.pi / 2}[towards]


def _forward(state: State, towards: Direction) -> float:
    """Where the person faces on average, or goes if nothing else is wanted [rad about the vertical]."""
    way = state.position[-1] - state.position[0]
    if towards == "auto" and np.hypot(way[0], way[2]) > TRAVEL:
        return float(np.arctan2(-way[2], way[0]))
    return facing(state.rotation)


def _camera(problem: KeypointProblem, state: State, number: int, floor: Array, turn: Array) -> Camera:
    """A view's camera in the ground that was shifted down by ``floor`` and turned by ``turn``."""
    view = problem.views[number]
    unknowns = state.shared[problem.layout.camera(number)]
    if view.camera is None:
        width, height = view.size
        focal = float(np.exp(unknowns[2]))
        matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
        camera = Camera("camera", view.size, matrix, view.rotation(unknowns))
    else:
        camera = view.camera
    rotation = camera.rotation @ turn.T
    return dataclasses.replace(camera, rotation=rotation, translation=camera.translation + camera.rotation @ floor)
