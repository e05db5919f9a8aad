"""Levenberg and Marquardt's method for the fit to keypoints: steps are only taken where they lower the cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from motorque.fitting.keypoint_attachments import SOLE_POINTS
from motorque.fitting.keypoint_contact import contact_strength
from motorque.fitting.keypoint_normal import NormalEquations
from motorque.fitting.keypoint_problem import KeypointProblem, State

Array = NDArray[np.float64]

LONGEST_STEP = 0.6
"""No angle turns further in one step [rad]."""
GAIN = 1e-4
"""A round ends where a step lowers the cost by less than this share."""
EASIER, HARDER, HARDEST = 0.2, 5.0, 1e6
"""Factors of the damping after a step that was taken and one that was not; beyond the last it is given up."""


@dataclass(frozen=True)
class Round:
    """A stretch of iterations with the same rules.

    Args:
        steps: Most steps.
        shared: Whether lengths, attachments and cameras may change.
        contact: Whether feet are held where they touch the ground, as the state at the round's start has it.
    """

    steps: int
    shared: bool = True
    contact: bool = True


ROUNDS = (Round(6, shared=False, contact=False), Round(5, contact=False), Round(5), Round(5), Round(8))


TRIED = 2
"""Rounds after which only the best of several starts goes on."""
FINER = (Round(4), Round(4))
"""From a solution on fewer frames to one on all of them."""


@dataclass(frozen=True)
class Solution:
    """Where the fit ended.

    Args:
        state: The unknowns.
        equations: Normal equations there.
        pixels: For each view the distance of keypoints from where they were seen [px], shape [T, K].
        soles: Sole points in ground [m], shape [T, S, 3].
        contact: How surely each touches the ground, shape [T, S].
        cost: The cost there.
        steps: Steps that were taken.
    """

    state: State
    equations: NormalEquations
    pixels: list[Array]
    soles: Array
    contact: Array
    cost: float
    steps: int


def solve(problem: KeypointProblem, state: State, rounds: tuple[Round, ...] = ROUNDS) -> Solution:
    """The state of least cost that can be reached from a start."""
    contact = np.zeros((len(problem.times), len(SOLE_POINTS)))
    taken = 0
    damping = 1e-3
    if rounds[0].contact:  # whoever touches the ground is all that has to be known before that round's equations
        soles = problem.points(state)[:, -len(SOLE_POINTS) :]
    else:
        system, soles, pixels = problem.equations(state, contact)
    for number, rule in enumerate(rounds):
        if rule.contact:
            contact = contact_strength(soles, problem.times)
            if rule.shared and (number == 0 or not rounds[number - 1].contact):
                state = on_floor(problem, state, soles, contact)
            system, soles, pixels = problem.equations(state, contact)
        for _ in range(rule.steps):
            step = _step(system, damping, rule.shared)
            if step is None:
                damping *= HARDER
                if damping > HARDEST:
                    break
                continue
            moved = state.moved(*step)
            found = problem.equations(moved, contact)
            if not found[0].cost < system.cost:
                damping *= HARDER
                if damping > HARDEST:
                    break
                continue
            gain = 1 - found[0].cost / system.cost
            state, (system, soles, pixels) = moved, found
            damping = max(damping * EASIER, 1e-7)
            taken += 1
            if gain < GAIN:
                break
        damping = min(damping, 1e-2)
    return Solution(state, system, pixels, soles, contact, system.cost, taken)


def on_floor(problem: KeypointProblem, state: State, soles: Array, contact: Array) -> State:
    """The same state with the floor where the touching points are."""
    if not (contact > 0.5).any():
        return state
    shared = state.shared.copy()
    shared[problem.layout.floor] = float(np.median(soles[..., 1][contact > 0.5]))
    return State(state.position, state.rotation, state.angles, shared)


def _step(system: NormalEquations, damping: float, shared: bool) -> tuple[Array, Array] | None:
    if not shared:
        system = system.held()
    try:
        local, common = system.factored(damping).step()
    except LinAlgError:
        return None
    largest = np.abs(local[:, 3:]).max()
    if not np.isfinite(largest):
        return None
    share = min(1.0, LONGEST_STEP / max(largest, 1e-12))
    return local * share, common * share
