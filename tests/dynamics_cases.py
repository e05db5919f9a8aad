"""Trees and motions on which the dynamics are held to others, and how far an answer is from the right one."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.rotations import convert_positions
from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import smpl
from motorque.spatial import ROTATION_FORMATS
from random_trees import random_motion, random_tree

TREES = {
    "ball": lambda: random_tree(0, "ball"),
    "revolute": lambda: random_tree(2, "revolute"),  # massless bodies within
    "custom": lambda: random_tree(3, "custom"),
    "mixed": lambda: random_tree(18, "mixed"),  # ball joints that run from child to parent
    "coupled": lambda: random_tree(5, "mixed", couplers=2),
    "smpl": smpl,
    "fullbody": lambda: fullbody().with_free_root(),  # splines, polynomials and couplers
}
WITH_BALLS = ("ball", "mixed", "coupled", "smpl", "fullbody")
CASES = [(name, f) for name in TREES for f in (ROTATION_FORMATS if name in WITH_BALLS else ("angles",))]


def case(tree: str, rotations: str = "quaternion", frames: int = 6) -> tuple[Skeleton, Tensor, Tensor, Tensor]:
    """A tree and positions, speeds and accelerations that obey its couplers, the same in every format."""
    plain = TREES[tree]().with_rotations("angles")
    motion = plain.couple_derivatives(*random_motion(plain, frames))
    body = plain.with_rotations(rotations)  # type: ignore[arg-type]
    return body, convert_positions(motion[0], plain, body), *motion[1:]


def free_position_columns(skeleton: Skeleton) -> list[int]:
    """Columns of positions that no coupler drives."""
    driven = {skeleton.coordinate_columns[c.dependent] for c in skeleton.couplers}
    return [c for c in range(skeleton.nq) if c not in driven]


def uncoupled(skeleton: Skeleton) -> Skeleton:
    """The same skeleton without its couplers."""
    return dataclasses.replace(skeleton, couplers=())


def rounded(skeleton: Skeleton, *tensors: Tensor) -> tuple[Skeleton, Skeleton, list[Tensor], list[Tensor]]:
    """A skeleton and tensors in single precision, and what they then are in double."""
    single = skeleton.to(dtype=torch.float32)
    low = [x.float() for x in tensors]
    return single, single.to(dtype=torch.float64), low, [x.double() for x in low]


def error(found: Tensor, wanted: Tensor, *, dims: int = 1) -> float:
    """The largest error over each sample's largest component; a sample is the last dimensions."""
    assert found.shape == wanted.shape
    difference = (found.detach().double() - wanted.detach().double()).abs().flatten(-dims).amax(-1)
    return float((difference / wanted.detach().double().abs().flatten(-dims).amax(-1)).max())


def scaled_condition(matrix: Tensor) -> Tensor:
    """Condition number of mass matrices scaled to a diagonal of ones, shape [...]."""
    scale = matrix.diagonal(dim1=-2, dim2=-1).rsqrt()
    return torch.linalg.cond(scale[..., :, None] * matrix * scale[..., None, :])
