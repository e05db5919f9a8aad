"""SMPL's parameters as its users have them, brought to 24 rotation matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.signals.pose_rates.interface import where_there
from motorque.signals.pose_rates.rotation_calculus import rotation_exp
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.spatial import rotation_to_matrix

_JOINTS = len(SMPL_JOINTS)
_WIDTHS = {3: "axis-angle", 6: "6d", 9: "matrix"}
WITHOUT_HANDS = 21
"""Joints of a body pose of SMPL-H and SMPL-X, whose hands have joints of their own."""


def smpl_rotations(global_orient: Tensor, body_pose: Tensor) -> Tensor:
    """Rotation matrices of SMPL's 24 joints.

    Args:
        global_orient: The root's orientation as a rotation vector [rad], shape [..., 3], as 6D (the matrix's first two
            columns, one after the other), shape [..., 6], or as a matrix, shape [..., 3, 3].
        body_pose: The other joints' rotations in the same format and in SMPL's order: 23, or 21 of SMPL-H or SMPL-X,
            whose two hand joints then stay straight; flat, [..., 69 or 63], [..., 138 or 126], or one by one,
            [..., joints, 3], [..., joints, 6], [..., joints, 3, 3].

    Returns:
        Shape [..., 24, 3, 3].

    Raises:
        DataError: Shapes, devices or precisions do not fit.
    """
    for name, x in (("global_orient", global_orient), ("body_pose", body_pose)):
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise DataError(f"SMPL: {name} must be a tensor of floats, got {getattr(x, 'dtype', type(x).__name__)}")
        if x.dtype not in (torch.float32, torch.float64):
            raise DataError(
                f"SMPL: {name} is {x.dtype}, too coarse for accelerations; give float32 or float64 (x.float()), inside "
                "of autocast too"
            )
    if global_orient.dtype != body_pose.dtype or global_orient.device != body_pose.device:
        raise DataError(
            f"SMPL: global_orient is {global_orient.dtype} on {global_orient.device}, body_pose {body_pose.dtype} on "
            f"{body_pose.device}; bring one to the other"
        )
    found = _matched(global_orient, body_pose)
    if found is None:
        raise DataError(
            "SMPL: a pose is global_orient [..., 3] and body_pose [..., 69] (63 of SMPL-H or SMPL-X) as rotation "
            "vectors, or alike as 6D or matrices, with the same frames; got shapes "
            f"{list(global_orient.shape)} and {list(body_pose.shape)}"
        )
    root, body = found
    parts = [root, body]
    missing = _JOINTS - 1 - body.shape[-3]
    if missing:
        eye = torch.eye(3, dtype=body.dtype, device=body.device)
        parts.append(eye.expand(*body.shape[:-3], missing, 3, 3))
    return torch.cat(parts, dim=-3)


def _matched(root: Tensor, body: Tensor) -> tuple[Tensor, Tensor] | None:
    """Both as matrices, [..., 1, 3, 3] and [..., joints, 3, 3]; None if the shapes are no pose's."""
    for width in (9, 6, 3):
        ends = ([3, 3], [9]) if width == 9 else ([width],)
        for end in ends:
            if list(root.shape[-len(end) :]) != end:
                continue
            batch = root.shape[: root.ndim - len(end)]
            for joints in (_JOINTS - 1, WITHOUT_HANDS):
                if list(body.shape) in ([*batch, joints * width], [*batch, joints, *end], [*batch, joints, width]):
                    return _matrices(root.reshape(*batch, 1, width), width), _matrices(
                        body.reshape(*batch, joints, width), width
                    )
    return None


def _matrices(values: Tensor, width: int) -> Tensor:
    there = values.isfinite().all(-1, keepdim=True)
    whole = bool(there.all())
    if not whole:  # what is missing has no gradient, rather than one of NaN
        still = torch.zeros(width, dtype=values.dtype, device=values.device)
        still[{3: [], 6: [0, 4], 9: [0, 4, 8]}[width]] = 1.0
        values = torch.where(there, values, still)
    # The exponential has all derivatives at zero, where poses of straight hands are.
    matrix = rotation_exp(values) if width == 3 else rotation_to_matrix(values, _WIDTHS[width])
    return matrix if whole else where_there(there[..., None], matrix)
