"""Points of two bodies held together, as conditions on accelerations."""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.errors import ModelError
from motorque.mechanics.inverse_dynamics import BodyMotion
from motorque.mechanics.mass_matrix import own_twists
from motorque.mechanics.tree import TreePose, turn
from motorque.mechanics.twists import coordinate_bodies, descendant_matrix
from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import GROUND, Skeleton

SMALLEST_SINE = 1e3
"""Rounding errors to which a condition may differ from what the others say before it counts as said by them."""


def refuse_loops(skeleton: Skeleton) -> None:
    """Raise a ModelError if points are held together: what the joints of a closed loop provide, and what the forces
    between the points, can't be told from a motion.
    """
    if skeleton.point_constraints:
        names = ", ".join(repr(c.name) for c in skeleton.point_constraints)
        raise ModelError(
            f"{skeleton.name}: inverse dynamics are indeterminate, since the point constraints {names} close loops; "
            "ignore_constraints=True gives the forces that would do without them, as OpenSim's solver does"
        )


def closing_rows(skeleton: Skeleton, tree: TreePose, q: Tensor, motion: BodyMotion) -> tuple[Tensor, Tensor]:
    """Conditions on accelerations under which points that coincide stay together.

    Args:
        skeleton: The skeleton, with C point constraints.
        tree: Its bodies at ``q``.
        q: Positions, shape [..., nq].
        motion: How the bodies move, at the accelerations to which others are added.

    Returns:
        How the points' relative accelerations follow those of the coordinates, shape [..., 3 C, nv], and what these
        still have to bring about [m/s²], shape [..., 3 C].
    """
    twists, owner = own_twists(skeleton, tree, q), coordinate_bodies(skeleton)
    inside = constant(owner, q.device)
    origin = tree.axes.origin.index_select(-2, inside)
    w, v = twists.split(3, dim=-1)
    below = constant(descendant_matrix(skeleton)[owner], q.device)
    cross = torch.linalg.cross
    rows, missing = [], []
    for constraint in skeleton.point_constraints:
        row, left = torch.zeros_like(v), torch.zeros_like(motion.velocity[..., 0, :])
        ends = ((1.0, constraint.body_1, constraint.point_1), (-1.0, constraint.body_2, constraint.point_2))
        for sign, body, point in ends:
            if body == GROUND:
                continue
            arm = turn(tree.poses.rotation[..., body, :, :], constant(point, q.device, q.dtype))
            place = tree.poses.position[..., body, :] + arm
            column = v + cross(w, (place[..., None, :] - origin).expand_as(w))
            row = row + sign * torch.where(below[:, body, None], column, 0.0)
            spin, spin_rate = motion.angular_velocity[..., body, :], motion.angular_acceleration[..., body, :]
            arm = arm.expand_as(spin)
            left = left - sign * (
                motion.acceleration[..., body, :] + cross(spin_rate, arm) + cross(spin, cross(spin, arm))
            )
        rows.append(row.mT)
        missing.append(left)
    return torch.cat(rows, dim=-2), torch.cat(missing, dim=-1)


@torch.no_grad()
def watch_rows(skeleton: Skeleton, rows: Tensor) -> None:
    """Hold each condition to say something that no joint, coupler or other condition says.

    Args:
        skeleton: The skeleton.
        rows: As of :func:`closing_rows`, for the coordinates that are free to move, shape [..., 3 C, n].

    Raises:
        ModelError: One of them does not.
    """
    eps = torch.finfo(rows.dtype).eps
    length = rows.norm(dim=-1, keepdim=True)
    longest = length.amax(dim=-2, keepdim=True)
    unit = torch.where(length > SMALLEST_SINE * eps * longest, rows / length, 0.0)
    sine = torch.linalg.qr(unit.mT, mode="r")[1].diagonal(dim1=-2, dim2=-1).abs()
    if sine.shape[-1] < rows.shape[-2]:  # more conditions than coordinates
        sine = torch.nn.functional.pad(sine, (0, rows.shape[-2] - sine.shape[-1]))
    bad = (sine < SMALLEST_SINE * eps).reshape(-1, rows.shape[-2])
    if bool(bad.any()):
        frame, row = (int(i) for i in bad.nonzero()[0])
        name = skeleton.point_constraints[row // 3].name
        raise ModelError(
            f"{skeleton.name}: in frame {frame} the point constraint {name!r} says along {'XYZ'[row % 3]} what joints, "
            "locked coordinates or other constraints say already; take one of them away, or let a body move there"
        )
