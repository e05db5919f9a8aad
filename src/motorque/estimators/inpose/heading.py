"""Turning movements about the vertical, so that a window's person faces forward and the prior need not learn headings.

Nothing that is known or asked for depends on where forward is: measurements are turned with the window, what is sampled
is turned back, and guidance by positions is the same in all turned worlds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.estimators.inpose.tree import HEAD


def heading(columns6: Tensor) -> Tensor:
    """Angle about the vertical of the turn nearest to rotations [rad], [..., 6] → [...].

    It is that of the swing-twist decomposition about y: undefined only for a body upside down.
    """
    x1, z1 = columns6[..., 0], columns6[..., 2]
    third = torch.linalg.cross(columns6[..., :3], columns6[..., 3:])
    return torch.atan2(third[..., 0] - z1, x1 + third[..., 2])


def turned(values: Tensor, angle: Tensor) -> Tensor:
    """Vectors turned about the vertical.

    Args:
        values: Vectors one after the other in the last dim, shape [B, ..., 3 k]: points (k = 1) or rotations (k = 2).
        angle: For each of the batch [rad], shape [B].

    Returns:
        The same shape.
    """
    shape = (-1,) + (1,) * (values.ndim - 1)
    c, s = torch.cos(angle).reshape(shape), torch.sin(angle).reshape(shape)
    v = values.unflatten(-1, (-1, 3))
    x, y, z = v[..., 0], v[..., 1], v[..., 2]
    return torch.stack([c * x + s * z, y, c * z - s * x], dim=-1).flatten(-2)


def forward_angle(columns6: Tensor, seen: Tensor) -> Tensor:
    """By how much each window must be turned so that its sensors face forward in the middle [rad], shape [B].

    Args:
        columns6: Measured rotations, shape [B, T, 22, 6].
        seen: Where they were measured, bool, shape [B, T, 22].

    The head counts where it was seen at all, else the joint of the tree's lowest number that was; of its frames the one
    nearest to the middle. Windows without any rotation are not turned.
    """
    batch, frames, joints = seen.shape
    preference = torch.tensor([HEAD, *(j for j in range(joints) if j != HEAD)])
    any_frame = seen.any(dim=1)[:, preference]  # [B, J] in order of preference
    joint = preference[any_frame.int().argmax(dim=1)]
    rows = torch.arange(batch)
    there = seen[rows, :, joint]  # [B, T]
    away = (torch.arange(frames) - (frames - 1) / 2).abs()
    frame = torch.where(there, away, away.new_tensor(float("inf"))).argmin(dim=1)
    angle = -heading(columns6[rows, frame, joint])
    return torch.where(any_frame.any(dim=1), angle, torch.zeros_like(angle))
