"""The parts of the equations of motion M(q) a + h(q, v) = tau: mass matrix, bias forces, gravity forces.

The mass matrix is made by the composite-rigid-body algorithm: what moves when one speed changes is the joint's body and
all that hangs on it, as one rigid body; its momentum per unit of that speed, projected on the speeds of all joints
before it, is a column. Bodies become composite level by level; the projections are two products.

With couplers, all of these are in the free coordinates, of which they are functions: columns of coupled coordinates are
computed anew, not read.

Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 6.2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.mechanics.arguments import Wrench
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch
from motorque.mechanics.reduced import fill, fill_positions, fold
from motorque.mechanics.speed_twists import speed_twists
from motorque.mechanics.tree import Layout, TreePose, symmetric_inertias, tree_pose, turn
from motorque.mechanics.twists import coordinate_bodies
from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import GROUND, Skeleton


def mass_matrix_torch(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Mass matrix: `dynamics.mass_matrix` without its checks, for all devices.

    Args:
        skeleton: The skeleton.
        q: Positions [rad or m, or as ``skeleton.rotations`` says], shape [..., nq], or without coupled coordinates.

    Returns:
        Symmetric, in the free coordinates, shape [..., number free, number free].
    """
    q = fill_positions(skeleton, q)
    matrix = full_mass_matrix(skeleton, tree_pose(skeleton, q), q)
    if not skeleton.couplers:
        return matrix
    coupling = skeleton.coupling_matrix(q)
    return _symmetric(coupling.mT @ matrix @ coupling)


def bias_forces_torch(
    skeleton: Skeleton,
    q: Tensor,
    v: Tensor,
    *,
    loads: Mapping[str, Wrench] | None = None,
    as_simbody: bool = False,
) -> Tensor:
    """Forces at which nothing but couplers accelerates: `dynamics.bias_forces` without its checks, for all devices.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        v: Generalized speeds, shape [..., nv], alike.
        loads: As for :func:`inverse_dynamics_torch`.
        as_simbody: Alike.

    Returns:
        Generalized forces of the free coordinates, shape [..., number free].
    """
    q, v, a = fill(skeleton, q, v)
    return fold(skeleton, q, inverse_dynamics_torch(skeleton, q, v, a, loads=loads, as_simbody=as_simbody))


def gravity_forces_torch(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Forces that hold the body still in a pose: the gradient of its potential energy.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.

    Returns:
        Generalized forces of the free coordinates, shape [..., number free].
    """
    v = torch.zeros(*q.shape[:-1], skeleton.nv, dtype=q.dtype, device=q.device)
    return bias_forces_torch(skeleton, q, v)


def own_twists(skeleton: Skeleton, tree: TreePose, q: Tensor) -> Tensor:
    """Twist per unit of each speed about the origin of its own joint's frame M, in ground; [..., nv, 6]."""
    axes = dataclasses.replace(tree.axes, origin=torch.zeros_like(tree.axes.origin))
    return speed_twists(skeleton, q, axes)


@dataclass(frozen=True, eq=False)
class SpeedMomenta:
    """What moves per unit of each speed, about the origin of its own joint's frame M, where no digits are lost.

    Args:
        twist: Its twist, angular then linear, shape [..., nv, 6].
        momentum: Its momentum, angular then linear, shape [..., nv, 6].
        origin: That origin against the tree's anchor [m], shape [..., nv, 3].
    """

    twist: Tensor
    momentum: Tensor
    origin: Tensor

    def inertia(self) -> Tensor:
        """The mass matrix's diagonal, shape [..., nv]."""
        return (self.twist * self.momentum).sum(-1)


def speed_momenta(skeleton: Skeleton, tree: TreePose, q: Tensor) -> SpeedMomenta:
    """Momentum, per unit of each speed, of the joint's body and all that hangs on it.

    Args:
        skeleton: The skeleton.
        tree: Its bodies at ``q``.
        q: Positions, shape [..., nq].
    """
    twist = own_twists(skeleton, tree, q)
    inside = constant(coordinate_bodies(skeleton), q.device)
    mass, moment, inertia = composite_bodies(skeleton, tree)
    moment, inertia = moment.index_select(-2, inside), inertia.index_select(-3, inside)
    w, v = twist.split(3, dim=-1)
    linear = mass[inside, None] * v + torch.linalg.cross(w, moment)
    angular = turn(inertia, w) + torch.linalg.cross(moment, v)
    return SpeedMomenta(twist, torch.cat([angular, linear], dim=-1), tree.axes.origin.index_select(-2, inside))


def full_mass_matrix(skeleton: Skeleton, tree: TreePose, q: Tensor) -> Tensor:
    """Mass matrix of all coordinates as if nothing coupled them, shape [..., nv, nv].

    Args:
        skeleton: The skeleton.
        tree: Its bodies at ``q``.
        q: Positions, shape [..., nq].
    """
    moving = speed_momenta(skeleton, tree, q)
    (w, v), (angular, linear) = moving.twist.split(3, dim=-1), moving.momentum.split(3, dim=-1)
    cross = torch.linalg.cross
    twist = torch.cat([w, v + cross(moving.origin, w)], dim=-1)
    momentum = torch.cat([angular + cross(moving.origin, linear), linear], dim=-1)
    # About the anchor for two joints; for two speeds of one joint the difference of large numbers would remain.
    owner = tuple(coordinate_bodies(skeleton).tolist())
    first, second, place = (constant(x, q.device) for x in _entries(skeleton.parents, owner))
    within = (moving.twist.index_select(-2, first) * moving.momentum.index_select(-2, second)).sum(-1)
    products = (twist @ momentum.mT).flatten(-2)
    nothing = torch.zeros_like(products[..., :1])
    count = skeleton.nv
    return torch.cat([products, within, nothing], dim=-1).index_select(-1, place).unflatten(-1, (count, count))


@lru_cache(maxsize=64)
def _entries(
    parents: tuple[int, ...], owner: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Where a mass matrix's entries come from.

    Args:
        parents: Parents of the bodies.
        owner: The body whose joint each speed belongs to.

    Returns:
        The pairs of speeds of one joint, i up to j, shapes [P] and [P]; for every entry its place among the products of
        all twists with all momenta, then those of these pairs, then a zero, shape [nv²].
    """
    count, bodies = len(owner), np.array(owner, dtype=np.int64)
    moved = np.zeros((len(parents), len(parents)), dtype=bool)
    for body, parent in enumerate(parents):
        moved[body, body] = True
        if parent != GROUND:
            moved[:, body] |= moved[:, parent]
    below = moved[bodies][:, bodies]
    first, second = np.nonzero(np.triu(bodies[:, None] == bodies))
    i, j = np.indices((count, count))
    place = np.where(below, i * count + j, np.where(below.T, j * count + i, count * count + len(first)))
    place[first, second] = place[second, first] = count * count + np.arange(len(first))
    return first, second, place.ravel()


def composite_bodies(skeleton: Skeleton, tree: TreePose) -> tuple[Tensor, Tensor, Tensor]:
    """Every body and all that hangs on it as one rigid body, in the axes of ground, about its joint's origin.

    Returns:
        Masses [kg], shape [B]; mass times the centre's place [kg·m], shape [..., B, 3]; inertia about the joint's
        origin [kg·m²], shape [..., B, 3, 3].
    """
    layout, origin = Layout.of(skeleton), tree.axes.origin
    mass = layout.below @ skeleton.mass
    moment, inertia = rigid_bodies(skeleton, tree)
    shift = origin - origin.index_select(-2, layout.parents)
    found: list[tuple[Tensor, Tensor]] = []
    beyond: tuple[Tensor, Tensor, Tensor] | None = None
    for bodies, parents in reversed(layout.levels):
        h, j = moment.index_select(-2, bodies), inertia.index_select(-3, bodies)
        if beyond is not None:
            h, j = h.index_add(-2, beyond[2], beyond[0]), j.index_add(-3, beyond[2], beyond[1])
        found.append((h, j))
        arm, m = shift.index_select(-2, bodies), mass[bodies, None]
        moved = h + m * arm
        # Steiner: the inertia about a point from which this one is seen at ``arm``.
        beyond = (moved, j + _steiner(arm, h) + _steiner(arm, moved), parents)
    found.reverse()
    return (
        mass,
        torch.cat([h for h, _ in found], dim=-2).index_select(-2, layout.order),
        torch.cat([j for _, j in found], dim=-3).index_select(-3, layout.order),
    )


def rigid_bodies(skeleton: Skeleton, tree: TreePose) -> tuple[Tensor, Tensor]:
    """Every body for itself: mass times the centre's place [kg·m] and inertia [kg·m²], as :func:`composite_bodies`."""
    rotation, mass = tree.poses.rotation, skeleton.mass[:, None]
    arm = tree.poses.position - tree.axes.origin + turn(rotation, skeleton.mass_center)
    inertia = rotation @ symmetric_inertias(skeleton) @ rotation.mT
    return mass * arm, inertia + _steiner(mass * arm, arm)


def _steiner(a: Tensor, b: Tensor) -> Tensor:
    """a·b 1 - (a bᵀ + b aᵀ) / 2, shape [..., 3, 3]."""
    eye = torch.eye(3, dtype=a.dtype, device=a.device)
    return (a * b).sum(-1)[..., None, None] * eye - _symmetric(a[..., :, None] * b[..., None, :])


def _symmetric(matrix: Tensor) -> Tensor:
    return 0.5 * (matrix + matrix.mT)
