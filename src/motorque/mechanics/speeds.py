"""Rates of coordinates and generalized speeds.

They are the same but for ball and free joints, whose three speeds are the angular velocity of the child in the parent,
expressed in the parent frame (as Simbody's), while their coordinates are body-fixed x-y-z angles.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.mechanics.kinematics import joint_elements, joint_transforms
from motorque.skeleton.skeleton import Skeleton


def has_balls(skeleton: Skeleton) -> bool:
    """Whether any joint's speeds differ from its coordinates' rates."""
    return any(joint.ball for joint in skeleton.joints)


def speed_matrix(skeleton: Skeleton, q: Tensor) -> Tensor:
    """E(q) with speeds v = E q̇; shape [..., nv, nq]. Singular where a ball joint's second angle is ±90°."""
    matrix = torch.eye(skeleton.nq, dtype=q.dtype, device=q.device).expand(*q.shape[:-1], -1, -1).clone()
    _, _, axes = joint_transforms(skeleton, joint_elements(skeleton, q))
    for body, joint in enumerate(skeleton.joints):
        if joint.ball:
            block = axes[..., body, :, :].transpose(-1, -2)
            matrix[..., joint.ball[0] : joint.ball[0] + 3, joint.ball[0] : joint.ball[0] + 3] = block
    return matrix


def moving_speed_matrix(skeleton: Skeleton, q: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
    """E(q) and its time derivative while the coordinates change at a rate; each [..., nv, nq]."""
    # PyTorch's signature also speaks of a third part, which exists only where auxiliary outputs are asked for.
    matrix, change = torch.func.jvp(lambda x: speed_matrix(skeleton, x), (q,), (rate,))[:2]
    return matrix, change


def speeds_from_rates(skeleton: Skeleton, q: Tensor, rate: Tensor, acceleration: Tensor) -> tuple[Tensor, Tensor]:
    """Generalized speeds and accelerations from derivatives of the coordinates.

    Args:
        skeleton: The skeleton.
        q: Coordinates [rad or m], shape [..., nq].
        rate: Their first time derivatives, shape [..., nq].
        acceleration: Their second time derivatives, shape [..., nq].

    Returns:
        Speeds and their time derivatives, each [..., nv].
    """
    if not has_balls(skeleton):
        return rate, acceleration
    matrix, change = moving_speed_matrix(skeleton, q, rate)
    v = (matrix @ rate[..., None])[..., 0]
    return v, (matrix @ acceleration[..., None] + change @ rate[..., None])[..., 0]


def rates_from_speeds(skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """First and second time derivatives of the coordinates from speeds and accelerations; each [..., nq]."""
    if not has_balls(skeleton):
        return v, a
    rate = torch.linalg.solve(speed_matrix(skeleton, q), v[..., None])[..., 0]
    matrix, change = moving_speed_matrix(skeleton, q, rate)
    return rate, torch.linalg.solve(matrix, (a[..., None] - change @ rate[..., None]))[..., 0]
