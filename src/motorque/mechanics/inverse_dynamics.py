"""Inverse dynamics: the generalized forces behind a motion, by the recursive Newton-Euler algorithm.

All frames at once, everything expressed in the axes of ground. Outward: velocities and accelerations of every body from
its parent's. Inward: the wrench that each joint must transmit, projected on the joint's axes. Both are sums along the
tree, see `tree`.

Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 5.3; in classical vectors instead of spatial ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from motorque.mechanics.arguments import Wrench
from motorque.mechanics.kinematics import BodyPoses, joint_element_rates
from motorque.mechanics.reduced import fill, fold, is_reduced
from motorque.mechanics.simbody_rates import carrying_rotations
from motorque.mechanics.speed_twists import SpeedLines, speed_lines
from motorque.mechanics.speeds import rates_from_speeds, speed_matrix
from motorque.mechanics.tree import Layout, TreePose, summed_inward, summed_outward, symmetric_inertias, tree_pose, turn
from motorque.mechanics.twists import JointAxes
from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import GROUND, Skeleton


@dataclass(frozen=True, eq=False)
class BodyMotion:
    """Velocities and accelerations of all bodies in ground, at their origins.

    Args:
        angular_velocity: [rad/s], shape [..., B, 3].
        angular_acceleration: [rad/s²], shape [..., B, 3].
        velocity: [m/s], shape [..., B, 3].
        acceleration: [m/s²], shape [..., B, 3].
    """

    angular_velocity: Tensor
    angular_acceleration: Tensor
    velocity: Tensor
    acceleration: Tensor


def body_motion(
    skeleton: Skeleton, q: Tensor, rate: Tensor, acceleration: Tensor, *, as_simbody: bool = False
) -> tuple[BodyPoses, JointAxes, BodyMotion]:
    """Poses, joint axes, velocities and accelerations of all bodies from *rates* of coordinates, all angles.

    Args:
        skeleton: The skeleton, with ``rotations="angles"``.
        q: Coordinates [rad or m], shape [..., nq].
        rate: Their first time derivatives, shape [..., nq].
        acceleration: Their second time derivatives, shape [..., nq].
        as_simbody: Whether the axes of custom joints turn as in Simbody (see `simbody_rates`) instead of as they do.
    """
    tree = tree_pose(skeleton, q, by_angles=True)
    _, e1, e2 = joint_element_rates(skeleton, q, rate, acceleration)
    motion = _outward(skeleton, tree, e1, e2, carrying_rotations(skeleton, as_simbody=as_simbody))
    anchor = tree.anchor[..., None, :]
    poses = dataclasses.replace(tree.poses, position=tree.poses.position + anchor)
    return poses, dataclasses.replace(tree.axes, origin=tree.axes.origin + anchor), motion


def tree_motion(
    skeleton: Skeleton, tree: TreePose, q: Tensor, v: Tensor, a: Tensor, *, as_simbody: bool = False
) -> tuple[BodyMotion, SpeedLines]:
    """Velocities and accelerations of all bodies from generalized speeds, and what these drive.

    Args:
        skeleton: The skeleton.
        tree: Its bodies at ``q``.
        q: Positions, shape [..., nq].
        v: Generalized speeds, shape [..., nv].
        a: Their time derivatives, shape [..., nv].
        as_simbody: As for :func:`body_motion`.
    """
    angular = any(joint.follows_own_angles for joint in skeleton.joints)
    rate, acceleration = rates_from_speeds(skeleton, q, v, a) if angular else (v, a)
    lines = speed_lines(skeleton, q, rate)
    speed = constant(lines.speed, q.device)
    driving, pulling = v.index_select(-1, speed), a.index_select(-1, speed)
    if angular:
        own = constant(lines.own, q.device)
        driving = torch.where(own, rate.index_select(-1, speed), driving)
        pulling = torch.where(own, acceleration.index_select(-1, speed), pulling)
    assert lines.change is not None  # there are speeds
    e1, e2 = lines.rate * driving, lines.rate * pulling + lines.change * driving
    second, third = carrying_rotations(skeleton, as_simbody=as_simbody)
    if skeleton.balls:  # their speeds' axes stay where they are in F
        balls = Layout.of(skeleton).balls
        second, third = second.index_fill(0, balls, 0.0), third.index_fill(0, balls, 0.0)
    return _outward(
        skeleton, tree, _by_element(skeleton, lines, e1), _by_element(skeleton, lines, e2), (second, third)
    ), lines


def _by_element(skeleton: Skeleton, lines: SpeedLines, x: Tensor) -> Tensor:
    count = len(skeleton.body_names)
    flat = torch.zeros(*x.shape[:-1], 6 * count, dtype=x.dtype, device=x.device)
    return flat.index_add(-1, constant(lines.element, x.device), x).unflatten(-1, (count, 6))


def _outward(skeleton: Skeleton, tree: TreePose, e1: Tensor, e2: Tensor, carries: tuple[Tensor, Tensor]) -> BodyMotion:
    """Motion of all bodies from the first and second derivatives of the joints' elements, each [..., B, 6].

    ``carries`` says which rotations of a joint carry its second and third axis, as of `carrying_rotations`.
    """
    layout, axes, position = Layout.of(skeleton), tree.axes, tree.poses.position
    sign, cross = layout.sign, torch.linalg.cross
    # Motion of M against F, seen from F: each rotation axis is carried by the rotations before it.
    spin = axes.rotation * e1[..., :3, None]
    turning = spin.sum(-2)
    turning_rate = (
        (axes.rotation * e2[..., :3, None]).sum(-2)
        + cross((spin * carries[0]).sum(-2), spin[..., 1, :])
        + cross((spin * carries[1]).sum(-2), spin[..., 2, :])
    )
    slide = (axes.translation * e1[..., 3:, None]).sum(-2)
    slide_rate = (axes.translation * e2[..., 3:, None]).sum(-2)

    def of_parent(x: Tensor) -> Tensor:
        return x.index_select(-2, layout.parents) * layout.has_parent

    w = summed_outward(layout, sign * turning)
    w_parent = of_parent(w)
    w_frame = torch.where(sign < 0, w, w_parent)
    dw = summed_outward(layout, sign * (turning_rate + cross(w_frame, turning)))
    dw_parent = of_parent(dw)
    # Both parts of the joint are taken at M's origin; only which of them carries F differs.
    arm_in, arm_out = axes.origin - of_parent(position), position - axes.origin
    swing_in, swing_out = cross(w_parent, arm_in), cross(w, arm_out)
    v = summed_outward(layout, sign * slide + swing_in + swing_out)
    a = summed_outward(
        layout,
        sign * (slide_rate + 2 * cross(w_frame, slide))
        + (cross(dw_parent, arm_in) + cross(w_parent, swing_in))
        + (cross(dw, arm_out) + cross(w, swing_out)),
    )
    return BodyMotion(w, dw, v, a)


def inverse_dynamics_torch(
    skeleton: Skeleton,
    q: Tensor,
    v: Tensor,
    a: Tensor,
    *,
    loads: Mapping[str, Wrench] | None = None,
    as_simbody: bool = False,
) -> Tensor:
    """Generalized forces behind a motion: `dynamics.inverse_dynamics` without its checks, for all devices.

    Args:
        skeleton: The skeleton.
        q: Positions [rad or m, or as ``skeleton.rotations`` says], shape [..., nq], or without coupled coordinates.
        v: Generalized speeds, shape [..., nv], alike; of a ball joint the angular velocity in its frame F.
        a: Their time derivatives, alike.
        loads: External force [N] and moment about the **ground origin** [N·m] on bodies, by name, in ground, each of
            shape [..., 3].
        as_simbody: Whether the axes of custom joints turn as in Simbody, for an answer that equals OpenSim's, instead
            of as they do (see `simbody_rates`).

    Returns:
        Generalized forces [N·m or N], shape [..., nv], one for every coordinate, coupled ones included; or without
        coupled coordinates, if positions have none.

    Raises:
        ModelError: A load acts on a body that is not there.
    """
    reduced = is_reduced(skeleton, q)
    if reduced:
        q, v, a = fill(skeleton, q, v, a)
    tau, _ = tree_forces(skeleton, tree_pose(skeleton, q), q, v, a, loads=loads, as_simbody=as_simbody)
    return fold(skeleton, q, tau) if reduced else tau


def tree_forces(
    skeleton: Skeleton,
    tree: TreePose,
    q: Tensor,
    v: Tensor,
    a: Tensor,
    *,
    loads: Mapping[str, Wrench] | None = None,
    as_simbody: bool = False,
) -> tuple[Tensor, BodyMotion]:
    """As :func:`inverse_dynamics_torch` for all coordinates of a tree whose bodies at ``q`` are known; also how they
    move.
    """
    motion, lines = tree_motion(skeleton, tree, q, v, a, as_simbody=as_simbody)
    force, moment = inertial_wrenches(skeleton, tree.poses, motion)
    if loads:
        pushed, twisted = loads_about(skeleton, tree.anchor, loads)
        force, moment = force - pushed, moment - twisted
    return project_wrenches(skeleton, tree, q, lines, force, moment), motion


def loads_about(skeleton: Skeleton, point: Tensor, loads: Mapping[str, Wrench]) -> Wrench:
    """Loads as one force [N] and one moment [N·m] per body, about a point [..., 3]; each [..., B, 3]."""
    count = len(skeleton.body_names)
    shape = np.broadcast_shapes(point.shape, *(x.shape for wrench in loads.values() for x in wrench))
    forces, moments = ([torch.zeros_like(point).expand(shape)] * count for _ in range(2))
    for name, (force, moment) in loads.items():
        body = skeleton.body(name)
        if body != GROUND:
            forces[body] = force.expand(shape)
            moments[body] = moment - torch.linalg.cross(point.expand(shape), force.expand(shape))
    return torch.stack(forces, -2), torch.stack(moments, -2)


def inertial_wrenches(skeleton: Skeleton, poses: BodyPoses, motion: BodyMotion) -> Wrench:
    """Rate of change of every body's momentum less its weight: force [N] and moment [N·m] about the point from which
    positions are measured, for which ground's origin is the usual one.

    Returns:
        Two tensors of shape [..., B, 3].
    """
    arm, cross = turn(poses.rotation, skeleton.mass_center), torch.linalg.cross
    w, dw = motion.angular_velocity, motion.angular_acceleration
    center_acceleration = motion.acceleration + cross(dw, arm) + cross(w, cross(w, arm))
    force = skeleton.mass[:, None] * (center_acceleration - skeleton.gravity)
    spin, spin_rate = turn(poses.rotation.mT, w), turn(poses.rotation.mT, dw)  # where the inertia stays
    inertia = symmetric_inertias(skeleton)
    moment = turn(inertia, spin_rate) + cross(spin, turn(inertia, spin))
    return force, turn(poses.rotation, moment) + cross(poses.position + arm, force)


def project_wrenches(
    skeleton: Skeleton, tree: TreePose, q: Tensor, lines: SpeedLines, force: Tensor, moment: Tensor
) -> Tensor:
    """Generalized forces that do the work of wrenches on all bodies.

    Args:
        skeleton: The skeleton.
        tree: Its bodies at ``q``.
        q: Positions, shape [..., nq].
        lines: What the speeds drive at ``q``.
        force: Forces [N], shape [..., B, 3].
        moment: Moments about the tree's anchor [N·m], shape [..., B, 3].

    Returns:
        Shape [..., nv].
    """
    layout, axes = Layout.of(skeleton), tree.axes
    force, moment = summed_inward(layout, torch.cat([force, moment], dim=-1)).split(3, dim=-1)
    moment = moment - torch.linalg.cross(axes.origin, force)
    along = torch.cat([turn(axes.rotation, moment), turn(axes.translation, force)], dim=-1) * layout.sign
    shares = lines.rate * along.flatten(-2).index_select(-1, constant(lines.element, along.device))
    speed = constant(lines.speed, shares.device)
    none = torch.zeros(*shares.shape[:-1], skeleton.nv, dtype=shares.dtype, device=shares.device)
    if not lines.own.any():
        return none.index_add(-1, speed, shares)
    own = constant(lines.own, shares.device)
    by_angle = none.index_add(-1, speed, torch.where(own, shares, 0.0))
    by_angle = torch.linalg.solve(speed_matrix(skeleton, q).mT, by_angle[..., None])[..., 0]
    return none.index_add(-1, speed, torch.where(own, 0.0, shares)) + by_angle
