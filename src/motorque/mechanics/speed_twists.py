"""How bodies move per unit of each generalized speed, and how that changes while they move.

A twist is an angular velocity and the velocity of the body-fixed point at one point of ground, the tree's anchor, both
in the axes of ground. Twists about one point add up along the tree, so that a body's twist is the sum over the speeds
of its joint and all joints before it: one product with the matrix of who hangs on whom, without a walk along the tree.

A ball joint's speeds turn about the axes of its frame F, which its own motion leaves alone. Ellipsoid joints are ball
joints whose translations follow their own angles: those go by the angles' rates, E(q)^-1 times the speeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from motorque.mechanics.simbody_rates import carrying_rotations
from motorque.mechanics.speeds import moving_speed_matrix, speed_matrix
from motorque.mechanics.tree import Layout
from motorque.mechanics.twists import JointAxes, coordinate_bodies, driven_elements
from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class SpeedTwists:
    """Twists of the bodies beyond a joint per unit of each speed, and of the bodies at given speeds.

    Args:
        unit: Per unit of each speed, angular then linear, shape [..., nv, 6].
        change: Their time derivatives, shape [..., nv, 6]; None at rest.
        body: The bodies' twists at the given speeds, shape [..., B, 6]; None at rest.
    """

    unit: Tensor
    change: Tensor | None = None
    body: Tensor | None = None


@dataclass(frozen=True, eq=False)
class SpeedLines:
    """Elementary motions: what moves by which speed, and how much. One line for every pair, K of them.

    Args:
        element: Index into the elements, 6 per body, shape [K].
        speed: Index of the speed, shape [K].
        rate: Element's rate per unit of the speed, shape [..., K].
        change: Its time derivative, shape [..., K]; None at rest.
        own: Which of them are translations of a ball joint that follow its own angles: their speed stands for the
            angle's rate, shape [K], bool.
    """

    element: np.ndarray
    speed: np.ndarray
    rate: Tensor
    change: Tensor | None
    own: np.ndarray


def speed_twists(skeleton: Skeleton, q: Tensor, axes: JointAxes) -> Tensor:
    """Twist of the moved bodies per unit of each generalized speed, in ground.

    As :func:`twists.coordinate_twists`, but a ball joint's speeds turn about the axes of its frame F, whatever gives
    its rotation.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq].
        axes: Joint axes at ``q``, as of `tree.tree_pose`; twists are about the point from which their origins are
            measured.

    Returns:
        Angular velocity, then linear velocity of the body-fixed point at that point, shape [..., nv, 6]. It holds for
        the body of the speed's joint and all bodies beyond it.
    """
    lines = speed_lines(skeleton, q, None)
    unit = _unit_twists(axes).flatten(-3, -2).index_select(-2, constant(lines.element, q.device))
    return _by_speed(skeleton, q, lines, _signed(skeleton, lines, unit, lines.rate))


def moving_speed_twists(
    skeleton: Skeleton, q: Tensor, v: Tensor, axes: JointAxes, *, as_simbody: bool = False
) -> SpeedTwists:
    """The twists of :func:`speed_twists`, their time derivatives, and the bodies' twists, at given speeds.

    An axis of a joint is fixed in a frame that the joint's earlier motions carry; its unit twist changes by the cross
    product of that frame's twist with it, which is exact for a screw of any kind.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq].
        v: Generalized speeds, shape [..., nv].
        axes: Joint axes at ``q``, as for :func:`speed_twists`.
        as_simbody: Whether the axes of custom joints turn as in Simbody (see `simbody_rates`) instead of as they do.

    Source: Featherstone, Rigid Body Dynamics Algorithms (2008), sections 2.9 and 3.5.
    """
    rates = coordinate_rates(skeleton, q, v)
    lines = speed_lines(skeleton, q, rates)
    units = _unit_twists(axes)
    unit = units.flatten(-3, -2).index_select(-2, constant(lines.element, q.device))
    twists = _signed(skeleton, lines, unit, lines.rate)
    speeds = _by_speed(skeleton, q, lines, twists)
    body = sum_over_ancestors(skeleton, speeds * v[..., None])

    motion = torch.zeros(*v.shape[:-1], 6 * len(skeleton.body_names), dtype=v.dtype, device=v.device)
    speed = constant(lines.speed, v.device)
    driving = torch.where(constant(lines.own, v.device), rates.index_select(-1, speed), v.index_select(-1, speed))
    motion = motion.index_add(-1, constant(lines.element, v.device), lines.rate * driving)
    moving = units * motion.unflatten(-1, (-1, 6))[..., None]
    mid = _axis_carriers(skeleton, _carrier_twists(skeleton, body), moving, as_simbody=as_simbody)
    turned = twist_cross(mid.flatten(-3, -2).index_select(-2, constant(lines.element, q.device)), unit)
    assert lines.change is not None  # there are speeds
    changes = _signed(skeleton, lines, unit, lines.change) + _signed(skeleton, lines, turned, lines.rate)
    change = _by_speed(skeleton, q, lines, changes)
    if lines.own.any():  # d(E^-1)/dt = -E^-1 dE/dt E^-1
        matrix, turning = moving_speed_matrix(skeleton, q, rates)
        change = change - torch.linalg.solve(matrix.mT, turning.mT @ _by_own_angle(skeleton, q, lines, twists))
    return SpeedTwists(speeds, change, body)


def sum_over_ancestors(skeleton: Skeleton, twists: Tensor) -> Tensor:
    """For every body the sum of what the speeds of its joint and of those before it contribute.

    Args:
        skeleton: The skeleton.
        twists: One per speed, shape [..., nv, 6].

    Returns:
        Shape [..., B, 6].
    """
    return speed_moves_body(skeleton, twists).T @ twists


def speed_moves_body(skeleton: Skeleton, like: Tensor) -> Tensor:
    """Entry [j, b] is 1 where speed j moves body b, else 0; shape [nv, B], of the type and place of ``like``."""
    layout, owner = Layout.of(skeleton), coordinate_bodies(skeleton)
    # A speed that no joint uses (its bodies were taken away) moves nothing.
    used = np.zeros((skeleton.nv, 1), dtype=bool)
    used[[c for joint in skeleton.joints for c in joint.coordinates]] = True
    return layout.below.index_select(0, constant(owner, like.device)) * constant(used, like.device, like.dtype)


def twist_cross(first: Tensor, second: Tensor) -> Tensor:
    """Rate of change of a twist that is carried along with another one; each [..., 6], angular then linear."""
    w, v = first[..., :3], first[..., 3:]
    along, moved = second[..., :3], second[..., 3:]
    cross = torch.linalg.cross
    return torch.cat([cross(w, along), cross(w, moved) + cross(v, along)], dim=-1)


def speed_lines(skeleton: Skeleton, q: Tensor, v: Tensor | None) -> SpeedLines:
    """What each speed drives: the three axes of F for ball joints, the joint's elements for all others."""
    driven = driven_elements(skeleton, q, v)
    ball = {body for body in skeleton.balls}
    kept = [k for k, entry in enumerate(driven.entry) if entry // 6 not in ball or entry % 6 >= 3]
    element = [*driven.entry[kept], *(6 * body + i for body in skeleton.balls for i in range(3))]
    speed = [*driven.coordinate[kept], *(c for body in skeleton.balls for c in skeleton.joints[body].ball or ())]
    shape = (*driven.rate.shape[:-1], len(element) - len(kept))
    one = torch.ones(shape, dtype=q.dtype, device=q.device)
    chosen = constant(kept, q.device)
    rate = torch.cat([driven.rate.index_select(-1, chosen), one], dim=-1)
    change = None
    if driven.change is not None:
        change = torch.cat([driven.change.index_select(-1, chosen), torch.zeros_like(one)], dim=-1)
    elements, speeds = np.array(element, dtype=np.int64), np.array(speed, dtype=np.int64)
    own = np.array(
        [e % 6 >= 3 and c in (skeleton.joints[e // 6].ball or ()) for e, c in zip(elements, speeds, strict=True)]
    )
    return SpeedLines(elements, speeds, rate, change, own)


def coordinate_rates(skeleton: Skeleton, q: Tensor, v: Tensor) -> Tensor:
    """Speeds with those of ball joints replaced by their angles' rates, where anything follows these; [..., nv]."""
    if not any(joint.follows_own_angles for joint in skeleton.joints):
        return v
    return torch.linalg.solve(speed_matrix(skeleton, q), v[..., None])[..., 0]


def _by_own_angle(skeleton: Skeleton, q: Tensor, lines: SpeedLines, twist: Tensor) -> Tensor:
    """Twists per unit of each speed that ball joints' translations give by their own angles; [..., nv, 6]."""
    own = constant(lines.own, twist.device, twist.dtype)[:, None]
    return torch.linalg.solve(speed_matrix(skeleton, q).mT, _gathered(skeleton, lines, twist * own))


def _by_speed(skeleton: Skeleton, q: Tensor, lines: SpeedLines, twist: Tensor) -> Tensor:
    """Twists of the lines [..., K, 6] per unit of each speed, [..., nv, 6]."""
    if not lines.own.any():
        return _gathered(skeleton, lines, twist)
    other = constant(~lines.own, twist.device, twist.dtype)[:, None]
    return _gathered(skeleton, lines, twist * other) + _by_own_angle(skeleton, q, lines, twist)


def _unit_twists(axes: JointAxes) -> Tensor:
    """Twist of M against F per unit of each element, shape [..., B, 6 (element), 6]."""
    moment = torch.linalg.cross(axes.origin[..., None, :], axes.rotation)
    turning = torch.cat([axes.rotation, moment], dim=-1)
    sliding = torch.cat([torch.zeros_like(axes.translation), axes.translation], dim=-1)
    return torch.cat([turning, sliding], dim=-2)


def _signed(skeleton: Skeleton, lines: SpeedLines, twist: Tensor, rate: Tensor) -> Tensor:
    """Twists [..., K, 6] times rates [..., K], the other way round where the joint is."""
    sign = [-1.0 if skeleton.joints[e // 6].reversed else 1.0 for e in lines.element]
    return twist * (rate * constant(sign, rate.device, rate.dtype))[..., None]


def _gathered(skeleton: Skeleton, lines: SpeedLines, twist: Tensor) -> Tensor:
    """Twists of the lines [..., K, 6] summed up by speed, [..., nv, 6]."""
    out = torch.zeros(*twist.shape[:-2], skeleton.nv, 6, dtype=twist.dtype, device=twist.device)
    return out.index_add(-2, constant(lines.speed, twist.device), twist)


def _carrier_twists(skeleton: Skeleton, body: Tensor) -> Tensor:
    """Twist of the body that carries each joint's frame F, zero for ground; [..., B, 6]."""
    layout = Layout.of(skeleton)
    return body.index_select(-2, layout.carriers[0]) * layout.carried[0]


def _axis_carriers(skeleton: Skeleton, carrier: Tensor, motion: Tensor, *, as_simbody: bool) -> Tensor:
    """Twist of the frame in which each element's axis is fixed, shape [..., B, 6 (element), 6].

    Args:
        skeleton: The skeleton.
        carrier: Twists of the joints' frames F, shape [..., B, 6].
        motion: Twist that each element causes, shape [..., B, 6 (element), 6].
        as_simbody: As in :func:`moving_speed_twists`.
    """
    second, third = carrying_rotations(skeleton, as_simbody=as_simbody)
    if skeleton.balls:  # their speeds' axes are fixed in F
        balls = Layout.of(skeleton).balls
        second, third = second.index_fill(0, balls, 0.0), third.index_fill(0, balls, 0.0)
    turning = motion[..., :3, :]
    origin = carrier + motion[..., 3:, :].sum(-2)
    rotations = [origin, origin + (turning * second).sum(-2), origin + (turning * third).sum(-2)]
    return torch.stack([*rotations, carrier, carrier, carrier], dim=-2)
