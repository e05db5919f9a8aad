"""Inverse dynamics: the generalized forces behind a motion, by the recursive Newton-Euler algorithm.

All frames at once, everything expressed in ground. Outward: velocities and accelerations of every body from its
parent's. Inward: the wrench that each joint must transmit, projected on the joint's axes.

Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 5.3; in classical vectors instead of spatial ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.kinematics import BodyPoses, forward_kinematics, joint_element_rates
from motorque.mechanics.simbody_rates import carrying_rotations
from motorque.mechanics.speeds import has_balls, rates_from_speeds, speed_matrix
from motorque.mechanics.twists import JointAxes, coordinate_bodies, coordinate_twists, joint_axes
from motorque.skeleton.skeleton import GROUND, Skeleton

Wrench = tuple[Tensor, Tensor]


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


def _turn(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector[..., None])[..., 0]


def body_motion(
    skeleton: Skeleton, q: Tensor, rate: Tensor, acceleration: Tensor, *, as_simbody: bool = False
) -> tuple[BodyPoses, JointAxes, BodyMotion]:
    """Poses, joint axes, velocities and accelerations of all bodies.

    Args:
        skeleton: The skeleton.
        q: Coordinates [rad or m], shape [..., nq].
        rate: Their first time derivatives, shape [..., nq].
        acceleration: Their second time derivatives, shape [..., nq].
        as_simbody: Whether the axes of custom joints turn as in Simbody (see `simbody_rates`) instead of as they do.
    """
    poses = forward_kinematics(skeleton, q)
    e0, e1, e2 = joint_element_rates(skeleton, q, rate, acceleration)
    axes = joint_axes(skeleton, q, poses, e0)
    # Motion of M against F: each rotation axis is carried by the rotations before it.
    spin = axes.rotation * e1[..., :3, None]
    carries_second, carries_third = carrying_rotations(skeleton, as_simbody=as_simbody)
    relative_velocity = spin.sum(-2)
    relative_acceleration = (
        (axes.rotation * e2[..., :3, None]).sum(-2)
        + torch.linalg.cross((spin * carries_second).sum(-2), spin[..., 1, :])
        + torch.linalg.cross((spin * carries_third).sum(-2), spin[..., 2, :])
    )
    slide_velocity = (axes.translation * e1[..., 3:, None]).sum(-2)
    slide_acceleration = (axes.translation * e2[..., 3:, None]).sum(-2)

    zero = torch.zeros_like(poses.position[..., 0, :])
    w: list[Tensor] = []
    dw: list[Tensor] = []
    v: list[Tensor] = []
    a: list[Tensor] = []
    cross = torch.linalg.cross
    for body, (parent, joint) in enumerate(zip(skeleton.parents, skeleton.joints, strict=True)):
        wp, dwp, vp, ap = (
            (zero, zero, zero, zero) if parent == GROUND else (w[parent], dw[parent], v[parent], a[parent])
        )
        p_parent = zero if parent == GROUND else poses.position[..., parent, :]
        rel_w, rel_dw = relative_velocity[..., body, :], relative_acceleration[..., body, :]
        slide_v, slide_a = slide_velocity[..., body, :], slide_acceleration[..., body, :]
        origin, p_body = axes.origin[..., body, :], poses.position[..., body, :]
        # Both parts of the joint are taken at M's origin; only which of them carries F differs.
        arm_in, arm_out = origin - p_parent, p_body - origin
        at_v, at_a = vp + cross(wp, arm_in), ap + cross(dwp, arm_in) + cross(wp, cross(wp, arm_in))
        if joint.reversed:
            wi = wp - rel_w
            dwi = dwp - rel_dw - cross(wi, rel_w)
            at_v = at_v - slide_v
            at_a = at_a - slide_a - 2 * cross(wi, slide_v)
        else:
            wi = wp + rel_w
            dwi = dwp + rel_dw + cross(wp, rel_w)
            at_v = at_v + slide_v
            at_a = at_a + slide_a + 2 * cross(wp, slide_v)
        w.append(wi)
        dw.append(dwi)
        v.append(at_v + cross(wi, arm_out))
        a.append(at_a + cross(dwi, arm_out) + cross(wi, cross(wi, arm_out)))
    motion = BodyMotion(*(torch.stack(x, dim=-2) for x in (w, dw, v, a)))
    return poses, axes, motion


def inverse_dynamics(
    skeleton: Skeleton,
    q: Tensor,
    v: Tensor,
    a: Tensor,
    *,
    wrenches: Mapping[str, Wrench] | None = None,
    as_simbody: bool = False,
) -> Tensor:
    """Generalized forces that produce a motion under gravity and external wrenches.

    Args:
        skeleton: The skeleton.
        q: Coordinates [rad or m], shape [..., nq]; coupled ones are taken as they are.
        v: Generalized speeds, shape [..., nv].
        a: Generalized accelerations, shape [..., nv].
        wrenches: External force [N] and moment about the **ground origin** [N·m] on a body, by body name, in ground,
            each of shape [..., 3].
        as_simbody: Whether the axes of custom joints turn as in Simbody, for an answer that equals OpenSim's, instead
            of as they do (see `simbody_rates`).

    Returns:
        Generalized forces [N·m or N], shape [..., nv], one for every coordinate, coupled ones included.

    Raises:
        DataError: Shapes do not fit the skeleton.
        ModelError: A wrench acts on a body that is not there.
    """
    for label, x in (("q", q), ("v", v), ("a", a)):
        if x.shape[-1] != skeleton.nq:
            raise DataError(f"{skeleton.name}: {label} needs {skeleton.nq} columns, got {x.shape[-1]}")
    rate, acceleration = rates_from_speeds(skeleton, q, v, a)
    poses, axes, motion = body_motion(skeleton, q, rate, acceleration, as_simbody=as_simbody)
    force, moment = inertial_wrenches(skeleton, poses, motion)
    for name, (external_force, external_moment) in (wrenches or {}).items():
        body = skeleton.body(name)
        if body == GROUND:
            continue
        index = torch.tensor([body], device=q.device)
        force = force.index_add(-2, index, -external_force[..., None, :].expand_as(force[..., :1, :]))
        moment = moment.index_add(-2, index, -external_moment[..., None, :].expand_as(moment[..., :1, :]))
    tau = project_wrenches(skeleton, q, axes, force, moment)
    if has_balls(skeleton):
        tau = torch.linalg.solve(speed_matrix(skeleton, q).transpose(-1, -2), tau[..., None])[..., 0]
    return tau


def inertial_wrenches(skeleton: Skeleton, poses: BodyPoses, motion: BodyMotion) -> Wrench:
    """Rate of change of every body's momentum less its weight: force [N] and moment about the ground origin [N·m].

    Returns:
        Two tensors of shape [..., B, 3].
    """
    arm = _turn(poses.rotation, skeleton.mass_center)
    w, dw = motion.angular_velocity, motion.angular_acceleration
    center_acceleration = (
        motion.acceleration + torch.linalg.cross(dw, arm) + torch.linalg.cross(w, torch.linalg.cross(w, arm))
    )
    force = skeleton.mass[:, None] * (center_acceleration - skeleton.gravity)
    inertia = poses.rotation @ skeleton.inertia @ poses.rotation.transpose(-1, -2)
    moment = _turn(inertia, dw) + torch.linalg.cross(w, _turn(inertia, w))
    return force, moment + torch.linalg.cross(poses.position + arm, force)


def project_wrenches(skeleton: Skeleton, q: Tensor, axes: JointAxes, force: Tensor, moment: Tensor) -> Tensor:
    """Generalized forces (per coordinate rate) of wrenches on all bodies, about the ground origin; [..., nq]."""
    total_force = list(force.unbind(-2))
    total_moment = list(moment.unbind(-2))
    for body in range(len(skeleton.body_names) - 1, -1, -1):
        parent = skeleton.parents[body]
        if parent != GROUND:
            total_force[parent] = total_force[parent] + total_force[body]
            total_moment[parent] = total_moment[parent] + total_moment[body]
    owner = torch.as_tensor(coordinate_bodies(skeleton), device=q.device)
    wrench = torch.cat([torch.stack(total_moment, -2), torch.stack(total_force, -2)], dim=-1)
    return (coordinate_twists(skeleton, q, axes) * wrench[..., owner, :]).sum(-1)
