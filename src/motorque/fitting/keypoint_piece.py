"""A solved stretch of a recording, its uncertainty, and how stretches are joined to a whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from motorque.fitting.keypoint_normal import Factored, NormalEquations
from motorque.fitting.keypoint_problem import KeypointProblem, State
from motorque.fitting.keypoint_solver import Solution

Array = NDArray[np.float64]

WIDER, WIDER_WITH_PRIOR = 1.4, 1.7
"""Factors on standard deviations, without and with a motion prior: curvature knows of noise, not of what the model gets
wrong. With them 90 % bands hold 90 % of the errors on rendered motions of people that the prior was not trained on, the
validation part; what they hold on the held-back part is a figure of `benchmarks/rendered_motions.py`."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Normal equations of frames that were solved together.

    Args:
        first: The first of these frames.
        equations: The equations at the solution.
        names: The fitted coordinates behind the pelvis' six.
        wider: Factor on the standard deviations that they tell.
        share: How much each frame's result is theirs, 0 to 1, shape [T'].
    """

    first: int
    equations: NormalEquations
    names: tuple[str, ...]
    wider: float
    share: Array


@dataclass(frozen=True)
class Piece:
    """A solved stretch.

    Args:
        times: Time of each frame [s], shape [T].
        state: The solution.
        pixels: For each view the distance of keypoints from where they were seen [px], shape [T, K].
        contact: How surely each sole point touches the ground, shape [T, S].
        own: Covariance of each frame's unknowns, pelvis shift [m], pelvis turn about ground's axes [rad], angles [rad],
            if what all frames share were known; shape [T, 6 + N, 6 + N].
        shared: How far they follow independent numbers of variance 1 that all frames share, shape [T, 6 + N, G].
        among: How far the shared unknowns follow those numbers, shape [G, G].
        stretches: The equations that say so, one for each stretch.
    """

    times: Array
    state: State
    pixels: list[Array]
    contact: Array
    own: Array
    shared: Array
    among: Array
    stretches: tuple[Stretch, ...]

    @property
    def covariance(self) -> Array:
        """Covariance of each frame's unknowns, everything open, shape [T, 6 + N, 6 + N]."""
        return np.asarray(self.own + self.shared @ self.shared.swapaxes(-1, -2))


def piece(problem: KeypointProblem, solution: Solution) -> Piece:
    """A solution with the uncertainty that the problem's curvature leaves it."""
    try:
        left = _left_open(solution.equations.factored(0.0))
    except LinAlgError:  # nothing is known of something; with a little damping it is at least a number
        left = _left_open(solution.equations.factored(1e-6))
    wider = WIDER if problem.guess is None else WIDER_WITH_PRIOR
    own, shared, among = wider**2 * left[0], wider * left[1], wider * left[2]
    stretch = Stretch(0, solution.equations, problem.body.names, wider, np.ones(len(problem.times)))
    return Piece(problem.times, solution.state, solution.pixels, solution.contact, own, shared, among, (stretch,))


def _left_open(system: Factored) -> tuple[Array, Array, Array]:
    return system.own_covariance(), system.shared_gain(), system.shared_factor()


def joined(pieces: Sequence[Piece]) -> Piece:
    """Stretches that overlap as one, each fading into the next over what they share."""
    whole = pieces[0]
    for following in pieces[1:]:
        whole = _pair(whole, following)
    return whole


def _pair(first: Piece, second: Piece) -> Piece:
    shared = first.times >= second.times[0] - 1e-9
    count = int(shared.sum())
    share = (np.arange(count) + 1.0) / (count + 1.0)

    def faded(a: Array, b: Array) -> Array:
        weight = share.reshape(-1, *[1] * (a.ndim - 1))
        return np.concatenate([a[:-count], (1 - weight) * a[-count:] + weight * b[:count], b[count:]])

    rotation = np.concatenate([first.state.rotation, second.state.rotation[count:]])
    for k in range(count):
        frame = len(first.times) - count + k
        pair = Rotation.from_matrix(np.stack([first.state.rotation[frame], second.state.rotation[k]]))
        rotation[frame] = Slerp([0.0, 1.0], pair)(share[k]).as_matrix()
    last, following = first.stretches[-1], second.stretches[0]
    state = State(
        faded(first.state.position, second.state.position),
        rotation,
        faded(first.state.angles, second.state.angles),
        second.state.shared,
    )
    return Piece(
        np.concatenate([first.times, second.times[count:]]),
        state,
        [faded(a, b) for a, b in zip(first.pixels, second.pixels, strict=True)],
        faded(first.contact, second.contact),
        faded(first.own, second.own),
        faded(first.shared, second.shared),
        second.among,
        (
            *first.stretches[:-1],
            dataclasses.replace(last, share=np.concatenate([last.share[:-count], 1 - share])),
            dataclasses.replace(
                following, first=len(first.times) - count, share=np.concatenate([share, following.share[count:]])
            ),
        ),
    )
