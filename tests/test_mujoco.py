"""Mechanics against MuJoCo: a second opinion, on trees whose every inertia a solid body could have."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("mujoco", reason="MuJoCo is not installed (pip install motorque[test])")
pytest.importorskip("pinocchio", reason="Pinocchio is not installed (pip install motorque[test])")

from motorque.mechanics.dynamics import inverse_dynamics
from motorque.skeleton import Skeleton, smpl
from motorque.skeleton.rotations import convert_positions
from oracle_models import MujocoModel
from random_trees import random_motion, random_tree
from test_pinocchio import error

FRAMES = 16
TOLERANCE = 1e-9
"""The largest error over the sample's largest component."""
TREES = {
    "ball": lambda: random_tree(4, "ball"),
    "revolute": lambda: random_tree(1, "revolute"),
    "custom": lambda: random_tree(5, "custom"),  # six joints run from child to parent
    "mixed": lambda: random_tree(28, "mixed"),  # so does a ball joint
    "smpl": lambda: smpl(sex="m", up="z"),
}
CASES = [(name, "angles") for name in TREES] + [("mixed", "quaternion"), ("smpl", "axis-angle"), ("ball", "6d")]
cases = pytest.mark.parametrize(("tree", "rotations"), CASES, ids=["-".join(c) for c in CASES])


def case(tree: str, rotations: str) -> tuple[Skeleton, torch.Tensor, torch.Tensor, torch.Tensor]:
    plain = TREES[tree]().with_rotations("angles")
    body = plain.with_rotations(rotations)  # type: ignore[arg-type]
    q, v, a = random_motion(plain, FRAMES, seed=9)
    return body, convert_positions(q, plain, body), v, a


@cases
def test_inverse_dynamics(tree: str, rotations: str, backend: str) -> None:
    body, q, v, a = case(tree, rotations)
    found = inverse_dynamics(body, q, v, a, backend=backend)
    assert error(found, MujocoModel(body).inverse_dynamics(q, v, a)) < TOLERANCE
