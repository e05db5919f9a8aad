"""Energy and momentum of the whole body."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from motorque.mechanics.arguments import check
from motorque.mechanics.inverse_dynamics import BodyMotion, tree_motion
from motorque.mechanics.reduced import fill, fill_positions
from motorque.mechanics.tree import TreePose, symmetric_inertias, tree_pose, turn
from motorque.skeleton.rotations import check_rotations
from motorque.skeleton.skeleton import Skeleton


class Momentum(NamedTuple):
    """Momentum of the whole body in ground.

    Args:
        linear: [kg·m/s], shape [..., 3].
        angular: About the centre of mass of the whole body [kg·m²/s], shape [..., 3].
    """

    linear: Tensor
    angular: Tensor


def kinetic_energy(skeleton: Skeleton, q: Tensor, v: Tensor) -> Tensor:
    """Kinetic energy [J], shape [...]; half the speeds' product with the mass matrix.

    Args:
        skeleton: The skeleton.
        q: Positions [rad or m, or as ``skeleton.rotations`` says], shape [..., nq], or without coupled coordinates.
        v: Generalized speeds [rad/s or m/s], shape [..., nv], or without coupled ones.

    Raises:
        DataError: Shapes do not fit the skeleton or each other, devices or precisions differ, or a rotation is none.
    """
    tree, motion = _moving(skeleton, q, v)
    spin, momentum = _spin(skeleton, tree, motion)
    _, velocity = _centers(skeleton, tree, motion)
    return 0.5 * ((skeleton.mass * velocity.square().sum(-1)).sum(-1) + (spin * momentum).sum((-2, -1)))


def potential_energy(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Potential energy under gravity [J], zero with the centre of mass at the origin of ground; shape [...].

    Springs and other forces of a model are not in it.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.

    Raises:
        DataError: As for :func:`kinetic_energy`.
    """
    given = check(skeleton, q, {})
    q = fill_positions(skeleton, q) if given.reduced else q
    check_rotations(skeleton, q)
    tree = tree_pose(skeleton, q)
    places = tree.poses.position + turn(tree.poses.rotation, skeleton.mass_center) + tree.anchor[..., None, :]
    return -((skeleton.mass[:, None] * places).sum(-2) * skeleton.gravity).sum(-1)


def momentum(skeleton: Skeleton, q: Tensor, v: Tensor) -> Momentum:
    """Linear momentum, and angular momentum about the centre of mass.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        v: Generalized speeds, shape [..., nv], or without coupled ones.

    Raises:
        DataError: As for :func:`kinetic_energy`.
    """
    tree, motion = _moving(skeleton, q, v)
    _, spins = _spin(skeleton, tree, motion)
    places, velocity = _centers(skeleton, tree, motion)
    linear = skeleton.mass[:, None] * velocity
    center = (skeleton.mass[:, None] * places).sum(-2, keepdim=True) / skeleton.mass.sum()
    angular = turn(tree.poses.rotation, spins) + torch.linalg.cross(places - center, linear)
    return Momentum(linear.sum(-2), angular.sum(-2))


def _moving(skeleton: Skeleton, q: Tensor, v: Tensor) -> tuple[TreePose, BodyMotion]:
    given = check(skeleton, q, {"v": v})
    q, v = given.tensors["q"], given.tensors["v"]
    q, v, a = fill(skeleton, q, v) if given.reduced else (q, v, torch.zeros_like(v))
    check_rotations(skeleton, q)
    tree = tree_pose(skeleton, q)
    return tree, tree_motion(skeleton, tree, q, v, a)[0]


def _spin(skeleton: Skeleton, tree: TreePose, motion: BodyMotion) -> tuple[Tensor, Tensor]:
    """Angular velocity of each body and angular momentum about its own centre, in its own axes; each [..., B, 3]."""
    spin = turn(tree.poses.rotation.mT, motion.angular_velocity)
    return spin, turn(symmetric_inertias(skeleton), spin)


def _centers(skeleton: Skeleton, tree: TreePose, motion: BodyMotion) -> tuple[Tensor, Tensor]:
    """Place of each body's centre of mass against the tree's anchor [m] and its velocity [m/s]; each [..., B, 3]."""
    arm = turn(tree.poses.rotation, skeleton.mass_center)
    return tree.poses.position + arm, motion.velocity + torch.linalg.cross(motion.angular_velocity, arm)
