"""Points of two bodies that must coincide, held together by a stiff penalty in inverse kinematics."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.twists import coordinate_bodies, coordinate_twists, descendant_matrix, joint_axes
from motorque.skeleton.skeleton import GROUND, Skeleton

STAGES = (1e1, 1e3, 1e5, 1e7)
"""Weights of a constraint's square against markers whose weights sum to one, each fit starting from the one before: a
stiff constraint from the start would allow only tiny steps along its curved surface. The last lets 1 cm of pull open it
by about 1 nm."""


@dataclass(frozen=True, eq=False)
class PointConstraintPenalty:
    """Half the stiff sum of squared distances between constrained points, with derivatives."""

    skeleton: Skeleton
    stiffness: float = STAGES[-1]

    def normal_equations(self, q: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Penalty [T], its gradient [T, nq] and Gauss-Newton matrix [T, nq, nq] by all coordinates."""
        skeleton = self.skeleton
        poses = forward_kinematics(skeleton, q)
        twists = coordinate_twists(skeleton, q, joint_axes(skeleton, q, poses))
        below = torch.as_tensor(descendant_matrix(skeleton), device=q.device)
        owner = torch.as_tensor(coordinate_bodies(skeleton), device=q.device)
        gaps, jacobians = [], []
        for c in skeleton.point_constraints:
            gap, jacobian = torch.zeros((), dtype=q.dtype, device=q.device), torch.zeros_like(twists[..., 3:])
            for sign, body, point in ((1.0, c.body_1, c.point_1), (-1.0, c.body_2, c.point_2)):
                p = poses.point(body, torch.tensor(point, dtype=q.dtype, device=q.device))
                gap = gap + sign * p
                if body != GROUND:
                    column = twists[..., 3:] + torch.linalg.cross(
                        twists[..., :3], p[..., None, :].expand_as(twists[..., :3])
                    )
                    jacobian = jacobian + sign * column * below[owner, body][:, None]
            gaps.append(gap)
            jacobians.append(jacobian)
        r = torch.cat(gaps, dim=-1)
        j = torch.cat(jacobians, dim=-1)
        return (
            0.5 * self.stiffness * r.square().sum(-1),
            self.stiffness * (j @ r[..., None])[..., 0],
            self.stiffness * j @ j.transpose(-1, -2),
        )
