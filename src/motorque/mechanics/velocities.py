"""Velocities and accelerations of bodies, of points on them and of the centre of mass, in ground.

Speeds are the skeleton's: of a ball joint the angular velocity of its frame M in its frame F, whatever gives its
rotation. Positions, speeds and accelerations have columns for all coordinates, and coupled ones are taken as they are,
or no columns for coupled ones, which then follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.arguments import check
from motorque.mechanics.inverse_dynamics import BodyMotion, tree_motion
from motorque.mechanics.kinematics import BodyPoses
from motorque.mechanics.reduced import fill
from motorque.mechanics.tree import tree_pose
from motorque.skeleton.rotations import check_rotations
from motorque.skeleton.skeleton import GROUND, Skeleton

Point = Tensor | Sequence[float]
"""A body-fixed point in its body [m]: [3], or one for every frame, [..., 3]."""


class Rates(NamedTuple):
    """First or second time derivatives of where bodies are, in ground.

    Args:
        angular: Angular velocity [rad/s] or acceleration [rad/s²], shape [..., B, 3].
        linear: Velocity [m/s] or acceleration [m/s²] of the bodies' origins, shape [..., B, 3].
    """

    angular: Tensor
    linear: Tensor


def body_velocities(skeleton: Skeleton, q: Tensor, v: Tensor) -> Rates:
    """Angular velocities of all bodies, as SMPL's too, and velocities of their origins, in ground.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        v: Speeds, shape [..., nv], or without coupled ones.

    Raises:
        DataError: Shapes do not fit the skeleton or each other, or a rotation is none.
    """
    motion = _motion(skeleton, q, v, None)[1]
    return Rates(motion.angular_velocity, motion.velocity)


def body_accelerations(skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor, *, as_simbody: bool = False) -> Rates:
    """Angular accelerations of all bodies and accelerations of their origins, in ground.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        v: Speeds, shape [..., nv], or without coupled ones.
        a: Their time derivatives, shape [..., nv], or without coupled ones.
        as_simbody: Whether the axes of custom joints turn as in Simbody (see `simbody_rates`) instead of as they do.

    Raises:
        DataError: Shapes do not fit the skeleton or each other, or a rotation is none.
    """
    motion = _motion(skeleton, q, v, a, as_simbody=as_simbody)[1]
    return Rates(motion.angular_acceleration, motion.acceleration)


def point_velocity(skeleton: Skeleton, q: Tensor, v: Tensor, body: str, point: Point) -> Tensor:
    """Velocity of a body-fixed point in ground [m/s], shape [..., 3].

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        v: Speeds, shape [..., nv], or without coupled ones.
        body: Name of the body; ground does not move.
        point: The point in the body [m], shape [3] or [..., 3].

    Raises:
        DataError: Shapes do not fit the skeleton or each other, or a rotation is none.
        ModelError: There is no such body.
    """
    index, place = skeleton.body(body), check_point(skeleton, point, q)
    poses, motion = _motion(skeleton, q, v, None)
    return _at(index, _arm(poses, index, place), motion)[0]


def point_acceleration(
    skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor, body: str, point: Point, *, as_simbody: bool = False
) -> Tensor:
    """Acceleration of a body-fixed point in ground [m/s²], shape [..., 3].

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        v: Speeds, shape [..., nv], or without coupled ones.
        a: Their time derivatives, shape [..., nv], or without coupled ones.
        body: Name of the body; ground does not move.
        point: The point in the body [m], shape [3] or [..., 3].
        as_simbody: Whether the axes of custom joints turn as in Simbody (see `simbody_rates`) instead of as they do.

    Raises:
        DataError: Shapes do not fit the skeleton or each other, or a rotation is none.
        ModelError: There is no such body.
    """
    index, place = skeleton.body(body), check_point(skeleton, point, q)
    poses, motion = _motion(skeleton, q, v, a, as_simbody=as_simbody)
    return _at(index, _arm(poses, index, place), motion)[1]


def center_of_mass_velocity(skeleton: Skeleton, q: Tensor, v: Tensor) -> Tensor:
    """Velocity of the whole body's centre of mass in ground [m/s], shape [..., 3].

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        v: Speeds, shape [..., nv], or without coupled ones.

    Raises:
        DataError: Shapes do not fit the skeleton or each other, or a rotation is none.
    """
    poses, motion = _motion(skeleton, q, v, None)
    return _mean(skeleton, _centers(skeleton, poses, motion)[0])


def center_of_mass_acceleration(
    skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor, *, as_simbody: bool = False
) -> Tensor:
    """Acceleration of the whole body's centre of mass in ground [m/s²], shape [..., 3].

    Arguments and errors as in :func:`body_accelerations`.
    """
    poses, motion = _motion(skeleton, q, v, a, as_simbody=as_simbody)
    return _mean(skeleton, _centers(skeleton, poses, motion)[1])


def check_pose(skeleton: Skeleton, q: Tensor) -> None:
    """Hold positions' rotations to being some; on a GPU that would wait for the device, and is left out.

    Raises:
        DataError: A quaternion or matrix is no rotation.
    """
    if q.device.type == "cpu":
        check_rotations(skeleton, q)


def check_point(skeleton: Skeleton, point: Point, like: Tensor) -> Tensor:
    """A body-fixed point as a tensor.

    Args:
        skeleton: The skeleton.
        point: The point [m], shape [3] or [..., 3], or three numbers.
        like: A tensor of positions or speeds, [..., columns].

    Raises:
        DataError: It has not three components, does not fit the batch, or is of another device or precision.
    """
    place = point if isinstance(point, Tensor) else torch.tensor(point, dtype=like.dtype, device=like.device)
    if place.ndim == 0 or place.shape[-1] != 3:
        raise DataError(f"{skeleton.name}: a point has three components, got shape {list(place.shape)}")
    if place.dtype != like.dtype or place.device != like.device:
        raise DataError(
            f"{skeleton.name}: the point is {place.dtype} on {place.device} but the motion {like.dtype} on "
            f"{like.device}; bring both to one"
        )
    try:
        np.broadcast_shapes(place.shape[:-1], like.shape[:-1])
    except ValueError:
        raise DataError(
            f"{skeleton.name}: points of shape {list(place.shape)} do not fit positions of shape {list(like.shape)}"
        ) from None
    return place


def _motion(
    skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor | None, *, as_simbody: bool = False
) -> tuple[BodyPoses, BodyMotion]:
    """What was given, checked and with coupled coordinates filled in, as poses and motion of the bodies."""
    given = check(skeleton, q, {"v": v} if a is None else {"v": v, "a": a})
    q, v = given.tensors["q"], given.tensors["v"]
    a = given.tensors.get("a")
    if given.reduced:
        q, v, a = fill(skeleton, q, v, a)
    check_pose(skeleton, q)
    tree = tree_pose(skeleton, q)
    motion, _ = tree_motion(skeleton, tree, q, v, torch.zeros_like(v) if a is None else a, as_simbody=as_simbody)
    return tree.poses, motion


def _cross(first: Tensor, second: Tensor) -> Tensor:
    return torch.linalg.cross(first, second)


def _arm(poses: BodyPoses, body: int, point: Tensor) -> Tensor:
    """From a body's origin to its point, in ground [m], shape [..., 3]."""
    if body == GROUND:
        return point
    return (poses.rotation[..., body, :, :] @ point[..., None])[..., 0]


def _at(body: int, arm: Tensor, motion: BodyMotion) -> tuple[Tensor, Tensor]:
    """Velocity and acceleration of a body at an arm from its origin, each [..., 3]."""
    if body == GROUND:
        still = torch.zeros(*np.broadcast_shapes(motion.velocity.shape[:-2], arm.shape[:-1]), 3).to(arm)
        return still, still
    w, dw = motion.angular_velocity[..., body, :], motion.angular_acceleration[..., body, :]
    turning = _cross(w, arm)
    return (
        motion.velocity[..., body, :] + turning,
        motion.acceleration[..., body, :] + _cross(dw, arm) + _cross(w, turning),
    )


def _centers(skeleton: Skeleton, poses: BodyPoses, motion: BodyMotion) -> tuple[Tensor, Tensor]:
    """Velocities and accelerations of the bodies' centres of mass, each [..., B, 3]."""
    arm = (poses.rotation @ skeleton.mass_center[..., None])[..., 0]
    turning = _cross(motion.angular_velocity, arm)
    return (
        motion.velocity + turning,
        motion.acceleration + _cross(motion.angular_acceleration, arm) + _cross(motion.angular_velocity, turning),
    )


def _mean(skeleton: Skeleton, of_centers: Tensor) -> Tensor:
    return (skeleton.mass[:, None] * of_centers).sum(-2) / skeleton.mass.sum()
