"""The mechanics on a CUDA device, against the CPU; skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from motorque.mechanics.dynamics import bias_forces, forward_dynamics, inverse_dynamics, mass_matrix
from motorque.mechanics.jacobians import center_of_mass_jacobian
from motorque.mechanics.kinematics import forward_kinematics
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import smpl
from random_trees import random_motion, random_tree

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.mark.parametrize(
    "body", [fullbody(), smpl(rotations="quaternion"), random_tree(3, "custom", couplers=2)], ids=lambda b: b.name
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_answers_as_on_the_cpu(body: Skeleton, dtype: torch.dtype, tolerance: float) -> None:
    here, there = body.to(dtype=dtype), body.to(dtype=dtype, device="cuda")
    q, v, a = (x.to(dtype) for x in random_motion(body, 50))
    for function, arrays in (
        (inverse_dynamics, (q, v, a)),
        (mass_matrix, (q,)),
        (bias_forces, (q, v)),
        (forward_dynamics, (q, v, a)),
        (center_of_mass_jacobian, (q,)),
        (lambda s, x: forward_kinematics(s, x).position, (q,)),
    ):
        wanted = function(here, *arrays)
        found = function(there, *(x.cuda() for x in arrays))
        assert found.is_cuda
        assert float((found.cpu() - wanted).abs().max() / wanted.abs().max()) < tolerance


def test_gradients_stay_on_the_device() -> None:
    body = fullbody().to(device="cuda")
    arrays = [x.cuda().requires_grad_() for x in random_motion(fullbody(), 20)]
    inverse_dynamics(body, *arrays).square().sum().backward()
    assert all(x.grad is not None and x.grad.is_cuda and bool(torch.isfinite(x.grad).all()) for x in arrays)


def test_dynamics_do_not_wait_for_the_device() -> None:
    body = fullbody().to(device="cuda")
    arrays = [x.cuda() for x in random_motion(fullbody(), 20)]
    inverse_dynamics(body, *arrays)  # what follows from the structure is brought over now
    torch.cuda.set_sync_debug_mode("error")
    try:
        inverse_dynamics(body, *arrays)
        mass_matrix(body, arrays[0])
    finally:
        torch.cuda.set_sync_debug_mode("default")
