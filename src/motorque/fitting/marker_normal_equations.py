"""Newton's method for markers without ever forming a Jacobian.

The velocity of a marker at p is v + ω × p, linear in the twist (ω, v) that a coordinate causes. So the normal matrix of
all markers that a coordinate moves has the form of a rigid body's inertia, with marker weights in place of masses, and
the whole matrix follows by the composite-rigid-body algorithm: sums over subtrees, then one product of twists. The
curvature that Gauss-Newton leaves out is as cheap: an axis nearer to ground turns the velocities that all further ones
cause.

Source: the algorithm is Featherstone, Rigid Body Dynamics Algorithms (2008), section 6.2, applied to weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from motorque.mechanics.kinematics import forward_kinematics, joint_elements, marker_positions
from motorque.mechanics.twists import coordinate_bodies, coordinate_twists, descendant_matrix, joint_axes
from motorque.skeleton.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class MarkerSystem:
    """What stays the same over all frames and iterations of a fit to markers.

    Args:
        whole: The skeleton, with exactly the markers to be fitted.
    """

    whole: Skeleton
    skeleton: Skeleton = field(init=False)  # without the bodies that no marker needs
    below: Tensor = field(init=False)  # [B, M]: marker m hangs on body b or beyond
    owner: Tensor = field(init=False)  # [nq]: body of each coordinate's joint
    along: Tensor = field(init=False)  # [2, nq, nq]: which entries [c, d] hold as computed, d between c and ground, and
    before: Tensor = field(init=False)  # which from [d, c]; within a joint `before` has the outer axis for d

    def __post_init__(self) -> None:
        skeleton = self.whole.bearing_markers()
        object.__setattr__(self, "skeleton", skeleton)
        device, dtype = skeleton.mass.device, skeleton.mass.dtype
        descend = torch.as_tensor(descendant_matrix(skeleton), device=device)
        body = skeleton.marker_body
        below = descend[:, body.clamp(min=0)] & (body >= 0)
        owner = torch.as_tensor(coordinate_bodies(skeleton), device=device)
        object.__setattr__(self, "below", below.to(dtype))
        object.__setattr__(self, "owner", owner)
        along = descend[owner][:, owner].T.contiguous()
        object.__setattr__(self, "along", _either_way(along, dtype))
        rank = torch.tensor([_rank(skeleton, c) for c in range(skeleton.nq)], device=device)
        same = owner[:, None] == owner[None]
        object.__setattr__(self, "before", _either_way(along & (~same | (rank[None] <= rank[:, None])), dtype))

    def normal_equations(self, q: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Half the weighted sum of squares, its gradient, its Gauss-Newton matrix and what that lacks of the Hessian.

        Args:
            q: Coordinates [rad or m], shape [T, nq].
            targets: Measured markers [m], shape [T, M, 3], any finite number where the weight is zero.
            weights: Weight of each marker, shape [T, M].

        Returns:
            Cost [T], gradient [T, nq], Gauss-Newton matrix and curvature [T, nq, nq], by all coordinates, couplers not
            yet applied. The curvature leaves out the bending of coordinate functions, which is small.
        """
        skeleton = self.skeleton
        elements = joint_elements(skeleton, q)
        poses = forward_kinematics(skeleton, q, elements)
        twists = coordinate_twists(skeleton, q, joint_axes(skeleton, q, poses, elements))
        p = marker_positions(skeleton, q, poses)
        r = p - targets
        w = weights[..., None]
        force = w * r
        cost = 0.5 * (force * r).sum((-1, -2))
        wp = w * p
        # Everything that is summed over the markers beyond each body, in one product.
        squares, turned = wp[..., :, None] * p[..., None, :], p[..., :, None] * force[..., None, :]
        features = torch.cat(
            [w, wp, squares.flatten(-2), turned.flatten(-2), torch.linalg.cross(p, force), force], dim=-1
        )
        sums = (self.below @ features)[..., self.owner, :]
        weight, first = sums[..., :1], sums[..., 1:4]
        second, pull = sums[..., 4:13].unflatten(-1, (3, 3)), sums[..., 13:22].unflatten(-1, (3, 3))
        omega, v = twists[..., :3], twists[..., 3:]
        linear = weight * v + torch.linalg.cross(omega, first)
        trace = second.diagonal(dim1=-1, dim2=-2).sum(-1, keepdim=True)
        angular = torch.linalg.cross(first, v) + trace * omega - (second @ omega[..., None])[..., 0]
        momentum = torch.cat([angular, linear], dim=-1)
        product = momentum @ twists.transpose(-1, -2)  # [c, d] holds for d between c and ground
        matrix = _symmetric(product, self.along)
        gradient = (twists * sums[..., 22:]).sum(-1)
        # Second derivatives: the outer axis ω_d turns the velocity J_c, so the entry is ω_d · Σ J_c × force.
        bend = torch.linalg.cross(v, sums[..., 25:]) + (pull @ omega[..., None])[..., 0]
        bend = bend - pull.diagonal(dim1=-1, dim2=-2).sum(-1, keepdim=True) * omega
        raw = bend @ omega.transpose(-1, -2)
        curvature = _symmetric(raw, self.before)
        return cost, gradient, matrix, curvature


def _either_way(holds: Tensor, dtype: torch.dtype) -> Tensor:
    """Two 0-1 masks [2, n, n]: entries that hold as they stand, and those that only hold transposed."""
    return torch.stack([holds, holds.T & ~holds]).to(dtype)


def _symmetric(half: Tensor, masks: Tensor) -> Tensor:
    """A symmetric matrix from its computed entries and their mirror images (in place), shape [T, n, n]."""
    mirrored = half.transpose(-1, -2) * masks[1]
    return half.mul_(masks[0]).add_(mirrored)


def _rank(skeleton: Skeleton, coordinate: int) -> int:
    """Place of a coordinate's first element in its joint, from the outside: translations, then the rotations."""
    order = (3, 4, 5, 0, 1, 2)
    for joint in skeleton.joints:
        if coordinate in joint.coordinates:
            driven = [n for n, e in enumerate(order) if joint.elements[e].coordinate == coordinate]
            rank = driven[0] if driven else 0
            return -rank if joint.reversed else rank
    return 0
