"""Mechanics against Pinocchio on the same trees: every kind of joint, every rotation format, both precisions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

pytest.importorskip("pinocchio", reason="Pinocchio is not installed (pip install motorque[test])")

from motorque.mechanics.derivatives import inverse_dynamics_derivatives
from motorque.mechanics.dynamics import inverse_dynamics
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.position_rates import position_rates
from motorque.skeleton import Skeleton, fullbody, smpl
from motorque.skeleton.rotations import convert_positions
from motorque.spatial import ROTATION_FORMATS
from oracle_models import PinocchioModel
from random_trees import random_motion, random_tree

FRAMES = 24
DOUBLE, SINGLE = 1e-9, 1e-5
"""The largest error over the sample's largest component."""
TREES = {
    "ball": lambda: random_tree(0, "ball"),
    "revolute": lambda: random_tree(2, "revolute"),
    "custom": lambda: random_tree(3, "custom"),
    "mixed": lambda: random_tree(18, "mixed"),  # two ball joints run from child to parent
    "smpl": smpl,
    "fullbody": lambda: fullbody(sex="f").with_free_root(),  # splines, polynomials and couplers
}
BALLS = ("ball", "mixed", "smpl", "fullbody")
CASES = [(name, f) for name in TREES for f in (ROTATION_FORMATS if name in BALLS else ("angles",))]
cases = pytest.mark.parametrize(("tree", "rotations"), CASES, ids=["-".join(c) for c in CASES])


def case(tree: str, rotations: str) -> tuple[Skeleton, Tensor, Tensor, Tensor]:
    """A tree and a motion, the same in every format."""
    plain = TREES[tree]().with_rotations("angles")
    body = plain.with_rotations(rotations)  # type: ignore[arg-type]
    q, v, a = random_motion(plain, FRAMES)
    return body, convert_positions(q, plain, body), v, a


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


@cases
def test_bodies_are_where_pinocchio_has_them(tree: str, rotations: str) -> None:
    body, q, v, a = case(tree, rotations)
    wanted = PinocchioModel(body).body_motions(q, v, a)
    found = forward_kinematics(body, q)
    assert torch.allclose(found.rotation, wanted[..., :3, :], atol=1e-13)
    assert torch.allclose(found.position, wanted[..., 3, :], atol=1e-13)


@cases
def test_inverse_dynamics(tree: str, rotations: str, backend: str) -> None:
    body, q, v, a = case(tree, rotations)
    assert (
        error(inverse_dynamics(body, q, v, a, backend=backend), PinocchioModel(body).inverse_dynamics(q, v, a)) < DOUBLE
    )
    single, exact, low, high = rounded(body, q, v, a)
    found = inverse_dynamics(single, *low, backend=backend)
    assert found.dtype == torch.float32
    assert error(found, PinocchioModel(exact).inverse_dynamics(*high)) < SINGLE


@pytest.mark.parametrize("tree", ["custom", "mixed", "smpl"])
def test_inverse_dynamics_under_loads(tree: str, backend: str) -> None:
    body, q, v, a = case(tree, "quaternion")
    source = torch.Generator().manual_seed(3)
    heavy = [name for name, mass in zip(body.body_names, body.mass.tolist(), strict=True) if mass][1:4]
    loads = {
        name: tuple(torch.randn(FRAMES, 3, generator=source, dtype=torch.float64) * 100 for _ in range(2))
        for name in heavy
    }
    found = inverse_dynamics(body, q, v, a, loads=loads, backend=backend)
    wanted = PinocchioModel(body).inverse_dynamics(q, v, a, loads)
    assert error(found, wanted) < DOUBLE
    assert error(found, inverse_dynamics(body, q, v, a, backend=backend)) > 1e-2


def tangent(body: Skeleton, q: Tensor, gradient: Tensor) -> Tensor:
    """A gradient by positions as one by small motions along the speeds, [..., nv]; what leaves a format is left out."""
    v = torch.zeros(*q.shape[:-1], body.nv, dtype=q.dtype).requires_grad_()
    (found,) = torch.autograd.grad(position_rates(body, q.detach(), v), v, gradient)
    return found


@cases
def test_gradients_equal_pinocchios_derivatives(tree: str, rotations: str, backend: str) -> None:
    body, *motion = case(tree, rotations)
    inputs = [x.requires_grad_() for x in motion]
    weights = torch.randn(FRAMES, body.nv, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    answers = []
    for forces in (
        inverse_dynamics(body, *inputs, backend=backend),
        PinocchioModel(body).inverse_dynamics(*inputs),
    ):
        by_q, by_v, by_a = torch.autograd.grad((forces * weights).sum(), inputs)
        answers.append((tangent(body, inputs[0], by_q), by_v, by_a))
    for found, wanted in zip(*answers, strict=True):
        assert error(found, wanted) < DOUBLE


@pytest.mark.parametrize("tree", ["ball", "custom", "mixed"])
def test_full_jacobians_equal_pinocchios_derivatives(tree: str, backend: str) -> None:
    body, *motion = case(tree, "quaternion")
    found = inverse_dynamics_derivatives(body, *motion, backend=backend)
    inputs = [x.requires_grad_() for x in motion]
    forces = PinocchioModel(body).inverse_dynamics(*inputs)
    rows = []
    for i in range(body.nv):
        by_q, by_v, by_a = torch.autograd.grad(forces[:, i].sum(), inputs, retain_graph=True)
        rows.append((tangent(body, inputs[0], by_q), by_v, by_a))
    wanted = [torch.stack(x, dim=-2) for x in zip(*rows, strict=True)]
    for one, two in zip((found.by_position, found.by_speed, found.by_acceleration), wanted, strict=True):
        assert error(one, two, dims=2) < DOUBLE


def test_the_oracle_differentiates_what_it_answers() -> None:
    """Pinocchio's derivatives brought to motorque's coordinates are those of the answers brought there."""
    for tree in ("custom", "mixed"):
        body, *motion = case(tree, "axis-angle")
        oracle = PinocchioModel(body)
        inputs = [x[:2].requires_grad_() for x in motion]
        assert torch.autograd.gradcheck(oracle.inverse_dynamics, inputs, eps=1e-6, atol=1e-5, rtol=1e-6)
