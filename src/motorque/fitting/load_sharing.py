"""The ground reaction of the whole body shared between the feet.

Newton and Euler give the whole wrench; while one foot stands it is that foot's. With both feet on the ground the shares
are not determined by the motion alone, and a further assumption is needed. Here the contact points of both feet carry
non-negative normal forces whose sum and whose moments are the body's, spread over the soles as a resting foot spreads
them and as the contact allows (a point that is lifted or moves carries little: Fluit 2014, Skals 2017), and the load
of a foot does not jump in time (the smooth transition assumption of Ren, Jones, Howard, J. Biomech. 41 (2008)
2750-2759). All frames are solved at once. The horizontal forces are then those nearest to forces along the legs, within
friction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.fitting.banded_qp import nonnegative_least_squares
from motorque.fitting.contact_points import ContactPoints

Array = NDArray[np.float64]

TOTAL_ERROR = 0.01
"""How closely the feet carry the whole force, in body weights: as good as exactly."""
PRESSURE_POINT_ERROR = 0.04
"""Standard error of the whole body's centre of pressure from kinematics [m]: its centre of mass is known to 2 to 4 cm
from a scaled model, and its angular momentum no better. It was 20 to 40 mm off the plates' on the recordings of
`benchmarks/ground_loads.py`, which also shows that 30 % more or less changes little; so for the next two."""
PRESSURE_POINT_SPREAD = 0.04
"""How far a foot's centre of pressure usually is from where its resting spread puts it [m]: a seventh of its length."""
LOADING_RATE = 1.0
"""How freely the load of a foot changes: standard deviation of its change in one second, as of a random walk, in body
weights. Slower than a step's change (1 body weight in 0.1 s would be 3), so that it steadies what is undetermined."""
FRICTION = 0.8
"""Coefficient of friction of a shoe on a laboratory's floor, as in OpenSim's and OpenCap's foot contact models."""
LEG_SPREAD = 0.1
"""How far the direction of a foot's force is from that of its leg [-, horizontal over vertical]."""
TWIST_ARM = 0.015
"""Usual free moment of a foot over its vertical force [m]: 5 to 10 N·m at 700 N in walking (Almosnino, Kajaks,
Costigan, Sports Med. Arthrosc. Rehabil. Ther. Technol. 1 (2009) 19); also the standard error of the whole body's."""
LOOSE = 1.0
"""Stands for `TOTAL_ERROR` where something else than the feet carries the body too, in body weights."""
ROUND = 64
"""Directions in which the outline of the feet is looked at."""


@dataclass(frozen=True, eq=False)
class BodyWrench:
    """What the ground must do to the whole body, in units of body weight, about a point of the ground under the pelvis.

    Args:
        force: Force [-], shape [T, 3].
        moment: Moment about ``center`` [m], shape [T, 3].
        center: Horizontal position (x, z) on the ground about which moments are taken [m], shape [T, 2].
    """

    force: Array
    moment: Array
    center: Array

    @property
    def pressure_point(self) -> Array:
        """Where the force acts on the ground, from ``center`` (x, z) [m], shape [T, 2]; far off where there is none."""
        carried = np.maximum(self.force[:, 1:2], 1e-3)
        return np.stack([self.moment[:, 2], -self.moment[:, 0]], axis=1) / carried


def outside_distance(wrench: BodyWrench, position: Array, usable: NDArray[np.bool_]) -> Array:
    """How far the body's centre of pressure lies outside of the outline of the usable contact points [m], shape [T].

    Args:
        wrench: The whole body's.
        position: Contact points [m], shape [T, K, 3].
        usable: Which of them can carry load, shape [T, K], bool; infinity where none can.
    """
    angle = np.linspace(0.0, 2 * np.pi, ROUND, endpoint=False)
    directions = np.stack([np.cos(angle), np.sin(angle)])
    reach = (position[..., [0, 2]] - wrench.center[:, None]) @ directions
    outline = np.where(usable[..., None], reach, -np.inf).max(axis=1)
    return np.maximum((wrench.pressure_point @ directions - outline).max(axis=1), 0.0)


def share_normal_forces(
    wrench: BodyWrench, points: ContactPoints, position: Array, strength: Array, elsewhere: Array, step: float
) -> tuple[Array, bool]:
    """Normal force of every contact point.

    Args:
        wrench: The whole body's.
        points: The contact points.
        position: Their positions [m], shape [T, K, 3].
        strength: How strongly each presses relative to rest [-], shape [T, K].
        elsewhere: From 0 to 1, how surely something else carries the body too, shape [T]; the feet's share is then what
            balances the moment about the pelvis, as if the rest came from a seat below it.
        step: Time between frames [s].

    Returns:
        Forces in body weights, shape [T, K], and whether the solution converged.
    """
    rows, needed, weight = normal_force_terms(wrench, points, position, strength, elsewhere)
    same_foot = (points.foot[:, None] == points.foot).astype(np.float64)
    return nonnegative_least_squares(rows, needed, weight, same_foot / (LOADING_RATE**2 * step))


def normal_force_terms(
    wrench: BodyWrench, points: ContactPoints, position: Array, strength: Array, elsewhere: Array
) -> tuple[Array, Array, Array]:
    """What is asked of the normal forces p of a frame by itself: least ``|rows p - needed|² + Σ weight p²``.

    Arguments as for :func:`share_normal_forces`; shapes [T, 3, K], [T, 3] and [T, K]. The rows are the forces' sum and
    moments, in units of what each is known to.
    """
    arm = position[..., [0, 2]] - wrench.center[:, None]
    total_error = TOTAL_ERROR * (LOOSE / TOTAL_ERROR) ** elsewhere
    rows = np.empty((*strength.shape[:1], 3, strength.shape[1]))
    rows[:, 0] = 1.0 / total_error[:, None]
    rows[:, 1:] = arm.transpose(0, 2, 1) / PRESSURE_POINT_ERROR
    needed = np.stack(
        [
            np.maximum(wrench.force[:, 1], 0.0) / total_error,
            wrench.moment[:, 2] / PRESSURE_POINT_ERROR,
            -wrench.moment[:, 0] / PRESSURE_POINT_ERROR,
        ],
        axis=1,
    )
    # One standard deviation of a foot's centre of pressure costs 1: the spread of its points gives the unit.
    spread = np.mean([_spread(arm[:, points.foot == foot], points.share[points.foot == foot]) for foot in (0, 1)])
    weight = spread / PRESSURE_POINT_SPREAD**2 / (np.maximum(strength, 1e-9) * points.share)
    return rows, needed, weight


def _spread(arm: Array, share: Array) -> float:
    """Variance of a resting foot's pressure about its centre [m²], along and across together, mean over frames."""
    center = np.einsum("k,tkx->tx", share, arm)
    return float(np.einsum("k,tkx->t", share, (arm - center[:, None]) ** 2).mean())


def share_horizontal_forces(
    wrench: BodyWrench, normal: Array, point: Array, hip: Array, ground: float, elsewhere: Array
) -> tuple[Array, Array]:
    """Horizontal forces and free moments of the feet.

    Among all that add up to the whole body's they are nearest to forces from the centre of pressure towards the hip,
    which need the least moment there, and to no twisting; deviations count in proportion to the load. What exceeds
    friction goes to the other foot, as far as that one can hold it.

    Args:
        wrench: The whole body's.
        normal: Vertical force of each foot in body weights, shape [T, 2].
        point: Centre of pressure of each foot [m], shape [T, 2, 3].
        hip: Hip joints [m], shape [T, 2, 3].
        ground: Height of the ground [m].
        elsewhere: From 0 to 1, how surely something else carries the body too, shape [T].

    Returns:
        Horizontal forces (x, z) in body weights, shape [T, 2, 2], and moments about the vertical through the centre of
        pressure in body weights times metres, shape [T, 2].
    """
    frames = len(normal)
    height = np.maximum(hip[..., 1] - ground, 0.1)[..., None]
    along_leg = normal[..., None] * (hip - point)[..., [0, 2]] / height
    arm = point[..., [0, 2]] - wrench.center[:, None]
    # Unknowns: x and z of the right foot, x and z of the left, both free moments. A moment about Y is z Fx - x Fz.
    matrix = np.zeros((frames, 3, 6))
    matrix[:, 0, [0, 2]] = matrix[:, 1, [1, 3]] = matrix[:, 2, 4:] = 1.0
    matrix[:, 2, 0:4:2], matrix[:, 2, 1:4:2] = arm[..., 1], -arm[..., 0]
    error = (LOOSE / TOTAL_ERROR) ** elsewhere[:, None] * np.array([TOTAL_ERROR, TOTAL_ERROR, TWIST_ARM])
    start = np.concatenate([along_leg.reshape(frames, 4), np.zeros((frames, 2))], axis=1)
    needed = np.stack([wrench.force[:, 0], wrench.force[:, 2], wrench.moment[:, 1]], axis=1)
    missing = needed - np.einsum("tmi,ti->tm", matrix, start)
    # Least squares with a prior: x = start + S Aᵀ (A S Aᵀ + E)⁻¹ missing; S, E: squares of the expected deviations.
    spread = np.concatenate([np.repeat(normal, 2, axis=1) * LEG_SPREAD, normal * TWIST_ARM], axis=1) ** 2
    system = np.einsum("tmi,ti,tni->tmn", matrix, spread, matrix)
    system[:, np.arange(3), np.arange(3)] += error**2
    solution = start + spread * np.einsum("tmi,tm->ti", matrix, np.linalg.solve(system, missing[..., None])[..., 0])
    force, twist = solution[:, :4].reshape(frames, 2, 2), solution[:, 4:]
    held = _within_friction(force, normal)
    held = _within_friction(held + (force - held)[:, ::-1], normal)
    return held, twist


def _within_friction(force: Array, normal: Array) -> Array:
    size = np.linalg.norm(force, axis=-1)
    factor = np.minimum(1.0, FRICTION * normal / np.maximum(size, 1e-12))
    return np.asarray(force * factor[..., None])
