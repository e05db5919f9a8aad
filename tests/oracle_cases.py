"""Trees and motions on which the mechanics are held to other engines, and how far answers may be from theirs."""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.skeleton import Skeleton, fullbody, smpl
from motorque.skeleton.rotations import convert_positions
from motorque.spatial import ROTATION_FORMATS
from random_trees import random_motion, random_tree

DOUBLE, SINGLE = 1e-9, 1e-5
"""The largest error over the sample's largest component."""

TREES = {
    "ball": lambda: random_tree(0, "ball"),
    "revolute": lambda: random_tree(2, "revolute"),
    "custom": lambda: random_tree(3, "custom"),
    "coupled": lambda: random_tree(1, "mixed", couplers=2),
    "mixed": lambda: random_tree(18, "mixed"),  # two ball joints run from child to parent
    "smpl": smpl,
    "fullbody": lambda: fullbody(sex="f").with_free_root(),  # splines, polynomials and couplers
}
FORMATS = {
    "revolute": ("angles",),
    "custom": ("angles",),
    "coupled": ("angles", "quaternion"),
    "smpl": ("axis-angle", "6d"),
    "fullbody": ("angles", "quaternion"),
}
"""Rotation formats in which a tree is looked at; the others are in all."""
CASES = [(name, f) for name in TREES for f in FORMATS.get(name, ROTATION_FORMATS)]


def tree(name: str, rotations: str) -> Skeleton:
    """One of :data:`TREES` in a rotation format."""
    return TREES[name]().with_rotations(rotations)  # type: ignore[arg-type]


def motion(body: Skeleton, frames: int = 24, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Positions, speeds and accelerations, the same motion in every format; coupled coordinates move freely."""
    plain = body.with_rotations("angles")
    q, v, a = random_motion(plain, frames, seed=seed)
    return convert_positions(q, plain, body), v, a


def error(found: Tensor, wanted: Tensor, *, dims: int = 1) -> float:
    """The largest error over each sample's largest component; a sample is the last dimensions."""
    assert found.shape == wanted.shape and wanted.dtype == torch.float64
    difference = (found.detach().double() - wanted.detach()).abs().flatten(-dims).amax(-1)
    return float((difference / wanted.detach().abs().flatten(-dims).amax(-1)).max())


def rounded(body: Skeleton, *tensors: Tensor) -> tuple[Skeleton, Skeleton, list[Tensor], list[Tensor]]:
    """A skeleton and tensors in single precision, and what they then are in double."""
    single = body.to(dtype=torch.float32)
    low = [x.float() for x in tensors]
    return single, single.to(dtype=torch.float64), low, [x.double() for x in low]
