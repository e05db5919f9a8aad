"""Gradients of the compiled back end: those of torch, and torch itself where kernels have none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from compiled_motions import motion, with_gradients
from dynamics_cases import case
from motorque.mechanics.compiled import machine
from motorque.mechanics.dynamics import forward_dynamics, inverse_dynamics
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import Skeleton

pytestmark = pytest.mark.skipif(bool(machine.why_not()), reason=machine.why_not() or "never")


@pytest.fixture(scope="module")
def body() -> Skeleton:
    return fullbody()


FIELDS = ("mass", "mass_center", "inertia", "parent_position", "child_position", "translation_scale", "gravity")


@pytest.mark.parametrize("frames", [5, 21])
def test_gradients_reach_motion_loads_and_every_number_of_the_body(body: Skeleton, frames: int) -> None:
    answers = []
    for backend in ("compiled", "torch"):
        skeleton, opened = with_gradients(body, FIELDS)
        arrays = [x.requires_grad_() for x in motion(body, frames)]
        source = torch.Generator().manual_seed(5)
        force, moment = (torch.randn(frames, 3, generator=source, dtype=torch.float64) * 300 for _ in range(2))
        loads = {"calcn_r": (force.requires_grad_(), moment.requires_grad_()), "ground": (force, moment)}
        tau = inverse_dynamics(skeleton, *arrays, loads=loads, backend=backend)
        weights = torch.randn(tau.shape, generator=source, dtype=torch.float64)
        wanted = [*arrays, force, moment, *opened]
        answers.append([tau.detach(), *torch.autograd.grad((tau * weights).sum(), wanted)])
    for one, two in zip(*answers, strict=True):
        assert one.shape == two.shape
        assert float((one - two).abs().max()) < 1e-11 * float(two.abs().max())


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("function", [inverse_dynamics, forward_dynamics])
def test_gradients_of_inertias_are_symmetric_and_the_same(
    function: Callable[..., Tensor], symmetric: bool, backend: str
) -> None:
    tree, *arrays = case("custom", "angles", frames=2)
    inertia = tree.inertia.clone()
    if not symmetric:
        inertia[2, 0, 1] += 0.3 * inertia[2, 0, 0]

    def weighted(x: Tensor) -> Tensor:
        result = function(dataclasses.replace(tree, inertia=x), *arrays, backend=backend)
        return (result * torch.linspace(-1, 1, result.numel(), dtype=torch.float64).reshape(result.shape)).sum()

    opened = inertia.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(weighted(opened), opened)
    scale = float(gradient.abs().max())
    assert float((gradient - gradient.mT).abs().max()) < 1e-12 * scale
    for place in ((2, 0, 1), (2, 1, 0), (0, 1, 1), (0, 2, 0)):
        step = torch.zeros_like(inertia)
        step[place] = 1e-5
        difference = (weighted(inertia + step) - weighted(inertia - step)) / 2e-5
        assert abs(float(difference - gradient[place])) < 1e-6 * scale


@pytest.mark.parametrize("function", [inverse_dynamics, forward_dynamics])
def test_many_gradients_at_once_come_from_torch(function: Callable[..., Tensor]) -> None:
    tree, q, *others = case("ball", "quaternion", frames=2)
    mass = tree.mass.clone().requires_grad_()
    tree, q = dataclasses.replace(tree, mass=mass), q.requires_grad_()
    rows = []
    for backend in ("compiled", "torch"):
        result = function(tree, q, *others, backend=backend)
        weights = torch.eye(result.numel(), dtype=torch.float64).reshape(-1, *result.shape)
        rows.append(torch.autograd.grad(result, (q, mass), weights, is_grads_batched=True))
    for one, two in zip(*rows, strict=True):
        assert float((one - two).detach().abs().max()) < 1e-10 * float(two.detach().abs().max())
    jacobian = torch.autograd.functional.jacobian(
        lambda x: function(tree, x, *others, backend="compiled"), q.detach(), vectorize=True
    )
    assert torch.isfinite(jacobian).all()


def test_gradients_of_gradients_come_from_torch(body: Skeleton) -> None:
    answers = []
    for backend in ("compiled", "torch"):
        q, v, a = (x.requires_grad_() for x in motion(body, 2))
        (first,) = torch.autograd.grad(
            inverse_dynamics(body, q, v, a, backend=backend).square().sum(), v, create_graph=True
        )
        answers.append(torch.autograd.grad(first.square().sum(), (q, v, a)))
    for one, two in zip(*answers, strict=True):
        assert float((one - two).abs().max()) < 1e-10 * float(two.abs().max())
