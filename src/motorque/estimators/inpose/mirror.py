"""Mirror images of movements: left becomes right, across the plane x = 0 of the world."""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.estimators.inpose.tree import JOINTS


def _other_side(name: str) -> str:
    side, _, rest = name.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)


SWAPPED = tuple(JOINTS.index(_other_side(name)) for name in JOINTS)
"""For each joint the one on the other side."""
# S R S for S = diag(-1, 1, 1): of the first column y and z, of the second x change their signs
_SIGNS = (1.0, -1.0, -1.0, -1.0, 1.0, 1.0)


def mirrored(columns6: Tensor) -> Tensor:
    """Global rotations of the mirror image, as six numbers, [..., 22, 6] → [..., 22, 6]."""
    return columns6[..., list(SWAPPED), :] * columns6.new_tensor(_SIGNS)


def mirrored_points(points: Tensor) -> Tensor:
    """Points or bones by joint in the mirror image, [..., 22, 3] → [..., 22, 3]."""
    return mirrored_place(points[..., list(SWAPPED), :])


def mirrored_place(place: Tensor) -> Tensor:
    """One place in the mirror image, [..., 3] → [..., 3]."""
    return place * place.new_tensor((-1.0, 1.0, 1.0))


def mirrored_flags(flags: Tensor) -> Tensor:
    """What holds for joints, in the mirror image, [..., 22] → [..., 22]."""
    return flags[..., torch.tensor(SWAPPED)]
