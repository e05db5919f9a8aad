"""Rotations as numbers: the formats in which a pose can give them, to and from rotation matrices."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from motorque.errors import DataError

RotationFormat = Literal["angles", "quaternion", "axis-angle", "6d", "matrix"]
"""How the position of a ball joint is given.

``angles``: three body-fixed angles about the joint's own axes [rad], as OpenSim has them; singular where the second one
is ±90°. ``quaternion``: x, y, z, w, of unit length. ``axis-angle``: rotation vector [rad], as SMPL has it. ``6d``: the
first two columns of the rotation matrix, one after the other; their Gram-Schmidt frame counts (Zhou et al., On the
Continuity of Rotation Representations in Neural Networks, CVPR 2019). ``matrix``: nine entries, row by row. All map the
joint's child frame M to its parent frame F.
"""
ROTATION_FORMATS: tuple[str, ...] = get_args(RotationFormat)
_WIDTH = {"angles": 3, "quaternion": 4, "axis-angle": 3, "6d": 6, "matrix": 9}
ROTATION_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-6}
"""How far a quaternion's squared length, or a matrix's columns and determinant, may be from one: no rounding error
reaches it, and the dynamics of what passes are those of a rotation to about as many digits. Of the two vectors of 6D
also the sine between them below which they are taken for parallel."""
CHECKED_ROTATIONS = ("quaternion", "matrix", "6d")
"""Formats of which not all numbers are rotations."""


def rotation_width(rotations: str) -> int:
    """Numbers per rotation in a format.

    Raises:
        DataError: There is no such format.
    """
    if rotations not in _WIDTH:
        raise DataError(f"there is no rotation format {rotations!r}; there are {', '.join(ROTATION_FORMATS)}")
    return _WIDTH[rotations]


def rotation_to_matrix(values: Tensor, rotations: str) -> Tensor:
    """Rotation matrices from one of the formats but ``angles``, whose axes only the joint knows.

    Args:
        values: Shape [..., width], see :func:`rotation_width`.
        rotations: The format.

    Returns:
        Shape [..., 3, 3].

    Raises:
        DataError: There is no such format, or it is ``angles``.
    """
    width = rotation_width(rotations)
    if values.shape[-1] != width:
        raise DataError(f"a rotation as {rotations} has {width} numbers, got {values.shape[-1]}")
    import roma  # slow to import, and most models need none of it

    if rotations == "quaternion":
        return roma.unitquat_to_rotmat(values)
    if rotations == "axis-angle":
        return roma.rotvec_to_rotmat(values)
    if rotations == "6d":
        return roma.special_gramschmidt(values.unflatten(-1, (2, 3)).transpose(-1, -2))
    if rotations == "matrix":
        return values.unflatten(-1, (3, 3))
    raise DataError("body-fixed angles need the joint's axes; forward_kinematics has them")


def matrix_to_rotation(matrix: Tensor, rotations: str) -> Tensor:
    """Rotation matrices [..., 3, 3] in one of the formats but ``angles``; shape [..., width].

    Raises:
        DataError: There is no such format, or it is ``angles``.
    """
    rotation_width(rotations)
    import roma

    if rotations == "quaternion":
        return roma.rotmat_to_unitquat(matrix)
    if rotations == "axis-angle":
        return roma.rotmat_to_rotvec(matrix)
    if rotations == "6d":
        return matrix[..., :2].transpose(-1, -2).flatten(-2)
    if rotations == "matrix":
        return matrix.flatten(-2)
    raise DataError("body-fixed angles need the joint's axes")


def rotation_error(values: Tensor, rotations: str) -> Tensor:
    """How far numbers are from a rotation; zero for formats of which every value is one.

    Args:
        values: Shape [..., width].
        rotations: The format.

    Returns:
        Shape [...]: for quaternions the error of the squared length; for matrices the largest error of the squared
        column lengths and the determinant (which together are 1 for rotations alone, by Hadamard's inequality); for 6D
        1 where a vector is zero or the two are parallel, NaN where a number is none, else 0.
    """
    if rotations == "quaternion":
        return (values.square().sum(-1) - 1).abs()
    if rotations == "matrix":
        matrix = values.unflatten(-1, (3, 3))
        lengths = (matrix.square().sum(-2) - 1).abs().amax(-1)
        return torch.maximum(lengths, (torch.linalg.det(matrix) - 1).abs())
    if rotations == "6d":
        one, two = values.unflatten(-1, (2, 3)).unbind(-2)
        sizes = one.square().sum(-1) * two.square().sum(-1)
        across = torch.linalg.cross(one, two).square().sum(-1)
        least = ROTATION_TOLERANCE.get(values.dtype, 1e-2) ** 2
        return torch.where(across > least * sizes, 0.0, 1.0 + 0.0 * sizes)
    return torch.zeros_like(values[..., 0])
