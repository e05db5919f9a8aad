"""Ground forces of many drawn motions at once, by the rules by which they were estimated.

Solving the sharing between the feet anew for every draw would take minutes. Here every draw is a change from the one
estimate there is: where its feet are, how low and slow they are, what the ground must do to its body; the points of the
soles then take what the same least squares give them, frame by frame, none pulls, and together they carry what the
estimate carried and the change of it. So a centre of pressure stays on the soles and a foot's share within 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from motorque.fitting.contact_detection import DEEPEST, FAST, FAST_WIDTH, SOFTNESS
from motorque.fitting.ground_loads import NO_POINT, USABLE, GroundEstimate
from motorque.fitting.load_sharing import FRICTION, PRESSURE_POINT_ERROR, normal_force_terms

Array = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

TOUCHING = 0.2
"""Strength from which a point of the sole is at rest on the ground."""


@dataclass(frozen=True, eq=False)
class DrawnLoads:
    """Loads of both feet in every draw, right and left.

    Args:
        force: [N], shape [T, D, 2, 3].
        point: Centres of pressure [m], shape [T, D, 2, 3].
        foot: Shift of each foot [m], the mean of its points', shape [T, D, 2, 3].
        twist: Moment about the vertical through them [N·m], shape [T, D, 2].
    """

    force: Floats
    point: Floats
    foot: Floats
    twist: Floats

    def wrench(self, foot: int) -> Floats:
        """A foot's force and moment about the ground origin, shape [T, D, 6]."""
        moment = np.cross(self.point[:, :, foot], self.force[:, :, foot])
        moment[..., 1] += self.twist[:, :, foot]
        return np.concatenate([self.force[:, :, foot], moment], axis=-1)


def drawn_loads(ground: GroundEstimate, moved: Floats, pelvis: Floats, force: Floats, moment: Floats) -> DrawnLoads:
    """Loads of drawn motions.

    Args:
        ground: The estimate of the motion itself.
        moved: Shift of the contact points [m], shape [T, D, K, 3].
        pelvis: Shift of the pelvis [m], shape [T, D, 3].
        force: Change of the force that the ground must supply [N], shape [T, D, 3].
        moment: Change of its moment about the ground under the motion's pelvis [N·m], shape [T, D, 3].
    """
    sharing, points, kind = ground.sharing, ground.sharing.points, moved.dtype
    wrench, free = sharing.wrench, (1 - sharing.elsewhere).astype(kind)[:, None]
    force, moment = force / kind.type(ground.weight), moment / kind.type(ground.weight)
    feet = np.stack([points.foot == foot for foot in (0, 1)], axis=1).astype(kind)  # [K, 2]
    strength = _strength(ground, moved)
    pressed = _normal_forces(ground, moved, strength, force, moment)
    total = np.maximum(sharing.pressed.sum(1)[:, None].astype(kind) + free * force[..., 1], 0)
    pressed *= (total / np.maximum(pressed.sum(-1), 1e-6))[..., None]
    normal = pressed @ feet
    flat = (sharing.position.astype(kind)[:, None] + moved)[..., [0, 2]]
    own = np.maximum(pressed, 1e-9)[..., None] * feet
    point = np.einsum("tdkf,tdkx->tdfx", own, flat, optimize=True) / own.sum(2)[..., None]

    # Sideways as estimated: along the legs, the rest by the squares of the loads.
    height = np.maximum(sharing.hips[..., 1] - ground.ground, 0.1).astype(kind)[:, None, :, None]
    hips = sharing.hips[..., [0, 2]].astype(kind)[:, None] + pelvis[:, :, None, [0, 2]]
    first = [np.asarray(load.force, kind) / ground.weight for load in ground.loads.loads]
    start_normal = np.maximum(np.stack([f[:, 1] for f in first], 1), 0)[:, None].astype(kind)
    start_point, start_twist = _start(ground, kind)
    start = np.stack([f[:, [0, 2]] for f in first], 1)[:, None].astype(kind)
    wanted = start.sum(2) + free[..., None] * force[..., [0, 2]]
    rest = start - _sideways(start_normal, start_point, hips[:, :1] - pelvis[:, :1, None, [0, 2]], height, start.sum(2))
    load = np.minimum(normal / np.maximum(start_normal, 0.1), 1)[..., None]
    sideways = _sideways(normal, point, hips, height, wanted) + rest * load
    size = np.linalg.norm(sideways, axis=-1)
    sideways *= np.minimum(1, FRICTION * normal / np.maximum(size, 1e-9))[..., None]

    # What moment about the vertical is then missing goes half to the foot, as for the estimate.
    center = wrench.center.astype(kind)[:, None, None]
    change = _vertical(point - center, sideways).sum(2) - _vertical(start_point - center, start).sum(2)
    square = normal**2
    part = square / np.maximum(square.sum(2), 1e-6)[..., None] * (square / (square + 1))
    twist = start_twist * load[..., 0] + part * (free * moment[..., 1] - change)[..., None]
    ground_point = np.full((*point.shape[:3], 3), ground.ground, kind)
    ground_point[..., 0], ground_point[..., 2] = point[..., 0], point[..., 1]
    whole = np.stack([sideways[..., 0], normal, sideways[..., 1]], axis=-1)
    weight = kind.type(ground.weight)
    shift = np.einsum("kf,tdkx->tdfx", feet / feet.sum(0), moved, optimize=True)
    return DrawnLoads(weight * whole, ground_point, shift, weight * twist)


def carrying(loads: DrawnLoads) -> NDArray[np.bool_]:
    """Whether a foot carries enough for a centre of pressure, shape [T, D, 2]."""
    return np.asarray(loads.force[..., 1] >= NO_POINT)


def _strength(ground: GroundEstimate, moved: Floats) -> Floats:
    """How strongly every point presses in every draw, shape [T, D, K]."""
    sharing, kind = ground.sharing, moved.dtype
    times = ground.loads.times
    velocity = np.gradient(sharing.position, times, axis=0) if len(times) > 1 else np.zeros_like(sharing.position)
    slowness = expit((FAST - np.linalg.norm(velocity, axis=-1)) / FAST_WIDTH)
    # Where a treadmill moves the feet the speeds are not over ground; what is known is the strength itself.
    usual = np.maximum(slowness, 1e-3)
    lift = -np.log(np.maximum(sharing.strength, 1e-30) / usual).astype(kind)
    step = kind.type(times[1] - times[0]) if len(times) > 1 else kind.type(1.0)
    faster = np.gradient(moved, step, axis=0) if len(times) > 1 else np.zeros_like(moved)
    speed = np.sqrt(((velocity.astype(kind)[:, None] + faster) ** 2).sum(-1))
    # Every point rests at a height of its own, wherever an error puts it.
    resting = (sharing.strength > TOUCHING).astype(kind)
    weight = resting / np.maximum(resting.sum(0), 1)
    rise = moved[..., 1] - np.einsum("tk,tdk->dk", weight, moved[..., 1], optimize=True)
    raised = np.maximum(lift[:, None] + rise / kind.type(SOFTNESS), -DEEPEST)
    return np.asarray(np.exp(-raised) / (1 + np.exp(np.clip((speed - FAST) / FAST_WIDTH, -30, 30))), kind)


def _normal_forces(ground: GroundEstimate, moved: Floats, strength: Floats, force: Floats, moment: Floats) -> Floats:
    """Normal force of every point in every draw, in body weights, shape [T, D, K]; none pulls."""
    sharing, kind = ground.sharing, moved.dtype
    rows, needed, weight = normal_force_terms(
        sharing.wrench, sharing.points, sharing.position, sharing.strength, sharing.elsewhere
    )
    unit = np.stack([rows[:, 0, 0], *[np.full(len(rows), 1 / PRESSURE_POINT_ERROR)] * 2], axis=1)
    arm = np.ones((*moved.shape[:3], 3), kind)
    arm[..., 1:] = _arm(ground).astype(kind)[:, None] + moved[..., [0, 2]]
    per_strength = (1 / (weight * np.maximum(sharing.strength, 1e-9))).astype(kind)
    wanted = needed.astype(kind)[:, None] + unit.astype(kind)[:, None] * np.stack(
        [force[..., 1], moment[..., 2], -moment[..., 0]], axis=-1
    )
    found = _least(arm, unit.astype(kind), per_strength[:, None] * np.maximum(strength, 1e-9), wanted)
    still = np.ones((len(rows), 1, rows.shape[2], 3), kind)
    still[..., 1:] = _arm(ground).astype(kind)[:, None]
    first = _least(still, unit.astype(kind), (1 / weight).astype(kind)[:, None], needed.astype(kind)[:, None])
    usable = strength.max(-1, keepdims=True) > USABLE
    changed = np.where(usable, found - first, 0)
    return np.asarray(np.maximum(sharing.pressed.astype(kind)[:, None] + changed, 0), kind)


def _arm(ground: GroundEstimate) -> Array:
    """Contact points from the ground under the pelvis [m], x and z, shape [T, K, 2]."""
    sharing = ground.sharing
    return np.asarray(sharing.position[..., [0, 2]] - sharing.wrench.center[:, None])


def _least(arm: Floats, unit: Floats, ease: Floats, wanted: Floats) -> Floats:
    """Least ``|A p - wanted|² + Σ p² / ease`` with A = unit · arms, over all p; shape [T, D, K].

    By the identity p = E Aᵀ (1 + A E Aᵀ)⁻¹ wanted, so that three unknowns are solved for and not K.
    """
    rows = arm * unit[:, None, None]
    eased = rows * ease[..., None]
    system = rows.swapaxes(-1, -2) @ eased + np.eye(3, dtype=rows.dtype)
    return np.asarray((eased @ np.linalg.solve(system, wanted[..., None]))[..., 0])


def _start(ground: GroundEstimate, kind: np.dtype[Any]) -> tuple[Floats, Floats]:
    """Centres of pressure of the estimate [m], shape [T, 1, 2, 2], and its twists in body weights times metres."""
    sharing, points = ground.sharing, ground.sharing.points
    pressed = np.maximum(sharing.pressed, 1e-9)
    centers, twists = [], []
    for foot, load in enumerate(ground.loads.loads):
        part = pressed * (points.foot == foot)
        centers.append(np.einsum("tk,tkx->tx", part, sharing.position[..., [0, 2]]) / part.sum(1, keepdims=True))
        defined = np.isfinite(load.point).all(1)
        twists.append(np.where(defined, load.moment[:, 1], 0.0) / ground.weight)
    return np.stack(centers, 1)[:, None].astype(kind), np.stack(twists, 1)[:, None].astype(kind)


def _sideways(normal: Floats, point: Floats, hips: Floats, height: Floats, wanted: Floats) -> Floats:
    """Horizontal forces of the feet that add up to ``wanted`` [T, D, 2]; shape [T, D, 2 feet, 2]."""
    along = normal[..., None] * (hips - point) / height
    square = normal**2
    part = square / np.maximum(square.sum(2, keepdims=True), 1e-6)
    return np.asarray(along + part[..., None] * (wanted - along.sum(2))[:, :, None])


def _vertical(arm: Floats, force: Floats) -> Floats:
    """Moment about the vertical of horizontal forces (x, z) at horizontal arms."""
    return np.asarray(arm[..., 1] * force[..., 0] - arm[..., 0] * force[..., 1])
