"""What speeds mean for positions: their rates in every rotation format, and speeds of another form of a skeleton."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.arguments import check
from motorque.mechanics.kinematics import joint_elements, joint_transforms
from motorque.mechanics.speeds import rates_from_speeds, speeds_from_rates
from motorque.mechanics.velocities import check_pose
from motorque.skeleton.rotations import convert_positions
from motorque.skeleton.skeleton import Skeleton


def position_rates(skeleton: Skeleton, q: Tensor, v: Tensor) -> Tensor:
    """Time derivative of positions at given speeds, linear in these.

    A ball joint's angular velocity w (of M in F, in F) turns a quaternion by half its product with it, a rotation
    vector by the inverse of SO(3)'s left Jacobian, the columns of 6D and matrix by the cross product with it, and
    angles by the inverse of their axes.

    Args:
        skeleton: The skeleton.
        q: Positions [rad or m, or as ``skeleton.rotations`` says], shape [..., nq].
        v: Generalized speeds, shape [..., nv].

    Returns:
        Shape [..., nq]; not finite where the format has none (angles in gimbal lock, rotation vectors of 2 pi).

    Raises:
        DataError: Shapes do not fit the skeleton or each other, devices or precisions differ, or a rotation is none.

    Source: Solà, Deray, Atchuthan, A micro Lie theory for state estimation in robotics (2018), appendix B.
    """
    given = check(skeleton, q, {"v": v})
    if given.reduced:
        raise DataError(
            f"{skeleton.name}: rates of positions need the columns of all coordinates, coupled ones included"
        )
    q, v = given.tensors["q"], given.tensors["v"]
    check_pose(skeleton, q)
    if not skeleton.balls:
        return v
    balls = torch.tensor([skeleton.joints[b].ball for b in skeleton.balls], device=q.device)
    spin = v.index_select(-1, balls.flatten()).unflatten(-1, (-1, 3))
    if skeleton.rotations == "angles":
        _, _, axes = joint_transforms(skeleton, joint_elements(skeleton, q))
        turning = axes[..., list(skeleton.balls), :, :].mT
        rates = torch.linalg.solve(turning, spin[..., None])[..., 0]
        return v.index_copy(-1, balls.flatten(), rates.flatten(-2))
    plain, columns = skeleton.position_columns
    kept = [c for c, column in enumerate(skeleton.coordinate_columns) if column >= 0]
    values = q[..., [c for ball in columns for c in ball]].unflatten(-1, (len(columns), -1))
    rates = _rotation_rates(values, spin, skeleton.rotations)
    order = [*plain, *(c for ball in columns for c in ball)]
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return torch.cat([v[..., kept], rates.flatten(-2)], dim=-1)[..., inverse]


def _rotation_rates(values: Tensor, spin: Tensor, rotations: str) -> Tensor:
    """Rates of rotations [..., width] that turn at angular velocities [..., 3]."""
    cross = torch.linalg.cross
    if rotations == "quaternion":
        vector, scalar = values[..., :3], values[..., 3:]
        return 0.5 * torch.cat([scalar * spin + cross(spin, vector), -(spin * vector).sum(-1, keepdim=True)], dim=-1)
    if rotations == "axis-angle":
        square = values.square().sum(-1, keepdim=True)
        small = square < 1e-4
        safe = torch.where(small, 1.0, square)
        angle = safe.sqrt()
        exact = 1 / safe - 1 / (2 * angle * torch.tan(0.5 * angle))
        factor = torch.where(small, 1 / 12 + square / 720, exact)
        once = cross(values, spin)
        return spin - 0.5 * once + factor * cross(values, once)
    if rotations == "6d":
        return cross(spin[..., None, :], values.unflatten(-1, (2, 3))).flatten(-2)
    return cross(spin[..., None, :], values.unflatten(-1, (3, 3)).mT).mT.flatten(-2)


def convert_speeds(
    q: Tensor, v: Tensor, a: Tensor, from_skeleton: Skeleton, to_skeleton: Skeleton
) -> tuple[Tensor, Tensor]:
    """Speeds and accelerations as another form of the same skeleton has them.

    Between rotation formats they are the same; between a root of three angles and a free one (``with_free_root``) the
    angles' rates become an angular velocity, or the other way round.

    Args:
        q: Positions of the first skeleton, shape [..., nq].
        v: Its speeds, shape [..., nv].
        a: Its accelerations, shape [..., nv].
        from_skeleton: The skeleton whose motion this is.
        to_skeleton: The same with another root or other ``rotations``.

    Returns:
        Speeds and accelerations of the second, each [..., nv]; not finite where they are rates of angles in gimbal
        lock.

    Raises:
        DataError: The skeletons have not the same coordinates, or numbers of columns do not fit.
    """
    angles = convert_positions(q, from_skeleton, to_skeleton.with_rotations("angles"))
    for name, x in (("v", v), ("a", a)):
        if x.shape[-1:] != (from_skeleton.nv,):
            raise DataError(f"{from_skeleton.name}: {name} needs {from_skeleton.nv} columns, got shape {list(x.shape)}")
    gained, lost = (
        _with_balls_of(one, other) for one, other in ((to_skeleton, from_skeleton), (from_skeleton, to_skeleton))
    )
    v, a = rates_from_speeds(lost, angles, v, a)
    return speeds_from_rates(gained, angles, v, a)


def _with_balls_of(one: Skeleton, other: Skeleton) -> Skeleton:
    """A skeleton of angles whose only ball joints are those that it alone has of the two."""
    joints = tuple(
        dataclasses.replace(mine, ball=None) if theirs.ball else mine
        for mine, theirs in zip(one.joints, other.joints, strict=True)
    )
    return dataclasses.replace(one, joints=joints, rotations="angles")
