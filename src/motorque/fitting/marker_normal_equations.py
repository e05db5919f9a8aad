"""Gauss-Newton for markers without ever forming a Jacobian.

The velocity of a marker at p is v + ω × p, linear in the twist (ω, v) that a coordinate causes. So the normal matrix of
all markers that a coordinate moves has the form of a rigid body's inertia, with marker weights in place of masses, and
the whole matrix follows by the composite-rigid-body algorithm: sums over subtrees, then one product of twists.

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
        skeleton: The skeleton, with exactly the markers to be fitted.
    """

    skeleton: Skeleton
    below: Tensor = field(init=False)  # [B, M]: marker m hangs on body b or beyond
    owner: Tensor = field(init=False)  # [nq]: body of each coordinate's joint
    along: Tensor = field(init=False)  # [nq, nq]: coordinate d is c's own or lies between c and ground

    def __post_init__(self) -> None:
        skeleton = self.skeleton
        device, dtype = skeleton.mass.device, skeleton.mass.dtype
        descend = torch.as_tensor(descendant_matrix(skeleton), device=device)
        body = skeleton.marker_body
        below = descend[:, body.clamp(min=0)] & (body >= 0)
        owner = torch.as_tensor(coordinate_bodies(skeleton), device=device)
        object.__setattr__(self, "below", below.to(dtype))
        object.__setattr__(self, "owner", owner)
        object.__setattr__(self, "along", descend[owner][:, owner].T.contiguous())

    def normal_equations(self, q: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Half the weighted sum of squares, its gradient and its Gauss-Newton matrix.

        Args:
            q: Coordinates [rad or m], shape [T, nq].
            targets: Measured markers [m], shape [T, M, 3], any finite number where the weight is zero.
            weights: Weight of each marker, shape [T, M].

        Returns:
            Cost [T], gradient [T, nq] and matrix [T, nq, nq], by all coordinates, couplers not yet applied.
        """
        skeleton = self.skeleton
        elements = joint_elements(skeleton, q)
        poses = forward_kinematics(skeleton, q)
        twists = coordinate_twists(skeleton, q, joint_axes(skeleton, q, poses, elements))
        p = marker_positions(skeleton, q, poses)
        r = p - targets
        w = weights[..., None]
        force = w * r
        cost = 0.5 * (force * r).sum((-1, -2))
        pp = p[..., :, None] * p[..., None, :]
        # Everything that is summed over the markers beyond each body, in one product.
        features = torch.cat([w, w * p, w * pp.flatten(-2), torch.linalg.cross(p, force), force], dim=-1)
        sums = (self.below @ features)[..., self.owner, :]
        weight, first = sums[..., :1], sums[..., 1:4]
        second = sums[..., 4:13].unflatten(-1, (3, 3))
        omega, v = twists[..., :3], twists[..., 3:]
        linear = weight * v + torch.linalg.cross(omega, first)
        trace = second.diagonal(dim1=-1, dim2=-2).sum(-1, keepdim=True)
        angular = torch.linalg.cross(first, v) + trace * omega - (second @ omega[..., None])[..., 0]
        momentum = torch.cat([angular, linear], dim=-1)
        product = momentum @ twists.transpose(-1, -2)  # [c, d] holds for d between c and ground
        matrix = torch.where(self.along, product, torch.where(self.along.T, product.transpose(-1, -2), 0.0))
        gradient = (twists * sums[..., 13:]).sum(-1)
        return cost, gradient, matrix
