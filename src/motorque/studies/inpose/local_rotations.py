"""Rotations of joints against their parents, as BoDiffusion and most regressions are asked for, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.estimators.inpose.tree import PARENTS, matrices


def local_rotations(columns6: Tensor) -> Tensor:
    """Rotations against the parent joint, the pelvis' global, both as six numbers, [..., 22, 6] → [..., 22, 6]."""
    turns = matrices(columns6)
    parents = turns[..., [0, *PARENTS[1:]], :, :]
    own = parents.mT @ turns
    found = torch.cat([own[..., 0], own[..., 1]], dim=-1)
    return torch.cat([columns6[..., :1, :], found[..., 1:, :]], dim=-2)


def global_matrices(local6: Tensor) -> Tensor:
    """Global rotation matrices of local rotations as six numbers, [..., 22, 6] → [..., 22, 3, 3]; keeps gradients."""
    own = matrices(local6)
    found = [own[..., 0, :, :]]
    for joint, parent in enumerate(PARENTS[1:], 1):
        found.append(found[parent] @ own[..., joint, :, :])
    return torch.stack(found, dim=-3)
