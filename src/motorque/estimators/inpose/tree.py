"""The 22 joints of SMPL's tree that the prior knows: the body without hands, as global rotations.

A global rotation takes the axes of a joint's body into the world: y up, the other two any way; in the T-pose all are
the identity, with x to the person's left and z forward. As numbers it has six: the first two columns, one after the
other, as everywhere in motorque (``spatial``; Zhou et al. 2019).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError
from motorque.series.poses import Poses
from motorque.skeleton.smpl import SMPL_JOINTS, SMPL_PARENTS, rest_joints

Array = NDArray[np.float64]

JOINTS = SMPL_JOINTS[:22]
PARENTS = SMPL_PARENTS[:22]
HEAD, LEFT_WRIST, RIGHT_WRIST = (JOINTS.index(name) for name in ("head", "left_wrist", "right_wrist"))
THREE = (HEAD, LEFT_WRIST, RIGHT_WRIST)
"""Where the three sensors of the paper sit: joints 15, 20 and 21."""
ANKLES = (JOINTS.index("left_ankle"), JOINTS.index("right_ankle"))
RATE = 60.0
"""Frames per second of everything that the prior sees."""
WINDOW = 41
"""Frames that the prior sees at once."""
SLIDE = 20
"""Frames from one window to the next where a recording is longer (the paper's appendix B says an overlap of 20)."""

# Rotation of the world into one with y up, by what is up there: about its x axis
_UPRIGHT = {"y": 0.0, "z": -math.pi / 2, "-y": math.pi, "-z": math.pi / 2}


def global_rotations(poses: Poses) -> tuple[Array, Array]:
    """Global rotations and the pelvis' place of poses, in a world with y up.

    Args:
        poses: The poses; of their 24 joints the hands are left out.

    Returns:
        Rotations, shape [T, 22, 3, 3], and the pelvis [m], shape [T, 3].
    """
    angle = _UPRIGHT[poses.up]
    c, s = math.cos(angle), math.sin(angle)
    upright = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    turns = np.empty((len(poses.times), len(JOINTS), 3, 3))
    for joint, parent in enumerate(PARENTS):
        turns[:, joint] = (upright if parent < 0 else turns[:, parent]) @ poses.rotations[:, joint]
    pelvis = poses.translation if poses.joint_positions is None else poses.translation + poses.joint_positions[0]
    return turns, pelvis @ upright.T


def resting(poses: Poses) -> Array:
    """Rest joints of poses [m], shape [22, 3], the pelvis at the origin; published proportions where they have none."""
    joints = poses.joint_positions
    if joints is None:
        joints = np.array(rest_joints(height=poses.height, sex=poses.sex))
    return joints[: len(JOINTS)] - joints[0]


def columns(turns: Array) -> Array:
    """Rotation matrices [..., 3, 3] as six numbers [..., 6]: the first two columns one after the other."""
    return np.concatenate([turns[..., 0], turns[..., 1]], axis=-1)


def places(columns6: Tensor, rest: Tensor, pelvis: Tensor | None = None) -> Tensor:
    """Where joints are, by the paper's Eq. 1.

    Args:
        columns6: Global rotations as six numbers, orthonormal or not (they are made so), shape [..., 22, 6].
        rest: Rest joints [m], shape [22, 3] or with the batch's dims, [..., 22, 3].
        pelvis: The pelvis [m], shape [..., 3]; at the origin if not given.

    Returns:
        Shape [..., 22, 3], in the world of the rotations [m].
    """
    turns = matrices(columns6)
    rest = rest.expand(*turns.shape[:-3], len(JOINTS), 3)
    found = [torch.zeros_like(rest[..., 0, :]) if pelvis is None else pelvis]
    for joint, parent in enumerate(PARENTS[1:], 1):
        bone = rest[..., joint, :] - rest[..., parent, :]
        found.append(found[parent] + (turns[..., parent, :, :] @ bone[..., None])[..., 0])
    return torch.stack(found, dim=-2)


def matrices(columns6: Tensor) -> Tensor:
    """The rotations nearest by Gram and Schmidt to six numbers, [..., 6] → [..., 3, 3]."""
    first = torch.nn.functional.normalize(columns6[..., :3], dim=-1, eps=1e-8)
    second = columns6[..., 3:]
    second = second - (first * second).sum(-1, keepdim=True) * first
    second = torch.nn.functional.normalize(second, dim=-1, eps=1e-8)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def angles_between(one: Tensor, other: Tensor) -> Tensor:
    """Geodesic angles between rotations given as six numbers [rad], [..., 6] and [..., 6] → [...]."""
    off = (matrices(one) - matrices(other)).square().sum((-1, -2)).sqrt()
    return 2.0 * torch.asin((off / (2.0 * math.sqrt(2.0))).clamp(max=1.0))


def standing_length(rest: Array) -> float:
    """How far the head's joint stands above the ankles in the T-pose [m]: the length that heights are measured in.

    Raises:
        DataError: The rest joints are nobody's: the head is not above the ankles.
    """
    length = float(rest[HEAD, 1] - rest[list(ANKLES), 1].mean())
    if not 0.1 < length < 10.0:
        raise DataError(f"rest joints: the head is {length:.3g} m above the ankles; give lengths in metres, y up")
    return length
