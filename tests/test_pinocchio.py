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
from motorque.skeleton import Skeleton
from oracle_cases import CASES, DOUBLE, SINGLE, error, motion, rounded, tree
from oracle_models import PinocchioModel

cases = pytest.mark.parametrize(("name", "rotations"), CASES, ids=["-".join(c) for c in CASES])


@cases
def test_bodies_are_where_pinocchio_has_them(name: str, rotations: str) -> None:
    body = tree(name, rotations)
    q, v, a = motion(body)
    wanted = PinocchioModel(body).body_motions(q, v, a)
    found = forward_kinematics(body, q)
    assert torch.allclose(found.rotation, wanted[..., :3, :], atol=1e-13)
    assert torch.allclose(found.position, wanted[..., 3, :], atol=1e-13)


@cases
def test_inverse_dynamics(name: str, rotations: str, backend: str) -> None:
    body = tree(name, rotations)
    q, v, a = motion(body)
    assert (
        error(inverse_dynamics(body, q, v, a, backend=backend), PinocchioModel(body).inverse_dynamics(q, v, a)) < DOUBLE
    )
    single, exact, low, high = rounded(body, q, v, a)
    found = inverse_dynamics(single, *low, backend=backend)
    assert found.dtype == torch.float32
    assert error(found, PinocchioModel(exact).inverse_dynamics(*high)) < SINGLE


@pytest.mark.parametrize("name", ["custom", "mixed", "smpl"])
def test_inverse_dynamics_under_loads(name: str, backend: str) -> None:
    body = tree(name, "quaternion")
    q, v, a = motion(body)
    source = torch.Generator().manual_seed(3)
    heavy = [label for label, mass in zip(body.body_names, body.mass.tolist(), strict=True) if mass][1:4]
    loads = {
        label: tuple(torch.randn(len(q), 3, generator=source, dtype=torch.float64) * 100 for _ in range(2))
        for label in heavy
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
def test_gradients_equal_pinocchios_derivatives(name: str, rotations: str, backend: str) -> None:
    body = tree(name, rotations)
    inputs = [x.requires_grad_() for x in motion(body)]
    weights = torch.randn(len(inputs[0]), body.nv, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    answers = []
    for forces in (
        inverse_dynamics(body, *inputs, backend=backend),
        PinocchioModel(body).inverse_dynamics(*inputs),
    ):
        by_q, by_v, by_a = torch.autograd.grad((forces * weights).sum(), inputs)
        answers.append((tangent(body, inputs[0], by_q), by_v, by_a))
    for found, wanted in zip(*answers, strict=True):
        assert error(found, wanted) < DOUBLE


@pytest.mark.parametrize("name", ["ball", "custom", "mixed"])
def test_full_jacobians_equal_pinocchios_derivatives(name: str, backend: str) -> None:
    body = tree(name, "quaternion")
    inputs = motion(body)
    found = inverse_dynamics_derivatives(body, *inputs, backend=backend)
    inputs = [x.requires_grad_() for x in inputs]
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
    for name in ("custom", "mixed"):
        body = tree(name, "axis-angle")
        oracle = PinocchioModel(body)
        inputs = [x.requires_grad_() for x in motion(body, 2)]
        assert torch.autograd.gradcheck(oracle.inverse_dynamics, inputs, eps=1e-6, atol=1e-5, rtol=1e-6)
