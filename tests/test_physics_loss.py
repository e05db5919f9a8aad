"""SMPL-Dynamics' loss: each term by hand, frames that are missing, gradients, and what it makes of noise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.physics_loss import PhysicsLoss
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.signals.pose_rates.rotation_calculus import rotation_exp

FPS = 30.0


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_each_term_by_hand() -> None:
    torques, vectors = 400 * seeded(2, 9, 24, 3), 0.1 * seeded(2, 9, 24, 3, seed=1)
    given = rotation_exp(seeded(2, 9, 24, 3, seed=2))
    place, there = seeded(2, 9, 3, seed=3), seeded(2, 9, 3, seed=4)
    loss = PhysicsLoss(roughness=1e5, limit=350.0, excess=20.0, pose_error=0.2, place_error=0.5, weights=(2, 3, 5))
    found = loss(torques, rotation_exp(vectors) @ given, given, FPS, translation=place, given_translation=there)
    bend = torch.diff(torques, n=2, dim=1) * FPS**2
    assert float(found.smoothness) == pytest.approx(2 * float((bend / 1e5).square().mean()), rel=1e-12)
    over = (torques.norm(dim=-1) - 350).clamp(min=0) / 20
    assert float(found.limit) == pytest.approx(3 * float(over.square().mean()), rel=1e-12)
    pose = (vectors / 0.2).square().mean() + ((place - there) / 0.5).square().mean() / 24
    assert float(found.pose) == pytest.approx(5 * float(pose), rel=1e-12)
    assert float(found.total) == pytest.approx(float(found.smoothness + found.limit + found.pose), rel=1e-12)


def test_the_root_may_be_left_out_and_joints_have_their_own_limits() -> None:
    torques, eye = seeded(9, 24, 3), torch.eye(3, dtype=torch.float64).expand(9, 24, 3, 3)
    torques[:, 0] *= 1e6
    limit = torch.full((24,), 300.0, dtype=torch.float64)
    with_root, without = (PhysicsLoss(limit=limit, root=root)(torques, eye, None, FPS) for root in (True, False))
    assert float(with_root.total) > 1e6 and float(without.limit) == 0.0 and float(without.pose) == 0.0
    limit[5] = 1e-3
    assert float(PhysicsLoss(limit=limit, root=False)(torques, eye, None, FPS).limit) > 0


def test_missing_frames_do_not_count() -> None:
    torques, given = seeded(12, 24, 3) * 500, rotation_exp(seeded(12, 24, 3))
    turned = rotation_exp(0.1 * seeded(12, 24, 3, seed=1)) @ given
    torques[4, 7] = float("nan")
    turned[4, 7] = float("nan")
    found = PhysicsLoss()(torques, turned, given, FPS)
    assert all(bool(term.isfinite()) for term in found)
    expected = torch.diff(torques, n=2, dim=0)
    expected = expected[expected.isfinite()] * FPS**2 / 5000
    assert float(found.smoothness) == pytest.approx(float(expected.square().mean()), rel=1e-12)


def test_a_drop_in_loss_for_a_pose_estimator() -> None:
    layer = SMPLDynamics(fps=FPS, mass=75.0, height=1.8, sex="female")
    t = torch.arange(16, dtype=torch.float64)[:, None] / FPS
    swing = 0.3 * torch.sin(4 * t + seeded(72))
    place = 0.05 * torch.sin(4 * t + seeded(3))
    given = (swing[:, :3], swing[:, 3:], place)
    clean = layer.physics_terms(*given, given=given)
    noisy = swing + 0.05 * seeded(16, 72, seed=1)
    inputs = [x.clone().requires_grad_() for x in (noisy[:, :3], noisy[:, 3:], place)]
    found = layer.physics_terms(*inputs, given=given)
    assert clean.pose.item() == pytest.approx(0.0, abs=1e-12)
    assert found.smoothness.item() > 100 * clean.smoothness.item()
    assert found.pose.item() == pytest.approx(1.0, abs=0.2)
    gradients = torch.autograd.grad(found.total, inputs)
    for i, (x, gradient) in enumerate(zip(inputs, gradients, strict=True)):
        direction, step = seeded(*x.shape, seed=3), 1e-6
        totals = []
        for sign in (1, -1):
            moved = [y.detach() + sign * step * direction if k == i else y.detach() for k, y in enumerate(inputs)]
            totals.append(float(layer.physics_loss(*moved, given=given)))
        assert float((gradient * direction).sum()) == pytest.approx((totals[0] - totals[1]) / (2 * step), rel=1e-6)


def test_the_loss_is_a_number_to_add_and_to_go_backward_from() -> None:
    layer = SMPLDynamics(fps=FPS)
    pose = (0.1 * seeded(8, 69)).requires_grad_()
    still = (torch.zeros(8, 3, dtype=torch.float64), pose, torch.zeros(8, 3, dtype=torch.float64))
    loss = layer.physics_loss(*still)
    assert loss.shape == () and loss.item() == layer.physics_terms(*still).total.item()
    (pose.square().mean() + 1e-6 * loss).backward()
    assert pose.grad is not None and bool(pose.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_coarse_numbers_are_refused_in_one_line(dtype: torch.dtype) -> None:
    layer, still = SMPLDynamics(fps=FPS), [torch.zeros(8, n, dtype=dtype) for n in (3, 69, 3)]
    with pytest.raises(DataError, match=r"too coarse for accelerations; give float32 or float64 \(x.float\(\)\)"):
        layer(*still)


def test_says_what_is_wrong() -> None:
    with pytest.raises(DataError, match="roughness must be positive"):
        PhysicsLoss(roughness=0.0)
    with pytest.raises(DataError, match="weights are three numbers"):
        PhysicsLoss(weights=(1.0, -1.0, 1.0))
    with pytest.raises(DataError, match="at least three frames"):
        PhysicsLoss()(seeded(2, 24, 3), rotation_exp(seeded(2, 24, 3)), None, FPS)
    layer = SMPLDynamics(fps=FPS)
    with pytest.raises(DataError, match="given poses are a global orientation"):
        layer.physics_loss(seeded(5, 3), seeded(5, 69), seeded(5, 3), given=(seeded(5, 3),))
