"""Numbers of a skeleton that change after it was used: the compiled back end sees each of them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from compiled_motions import motion, relative, with_gradients
from motorque.mechanics.compiled import machine
from motorque.mechanics.compiled.structure import structure_of
from motorque.mechanics.dynamics import forward_dynamics, inverse_dynamics
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.scaling import scale_lengths
from motorque.skeleton.skeleton import Skeleton

pytestmark = pytest.mark.skipif(bool(machine.why_not()), reason=machine.why_not() or "never")


@pytest.fixture(scope="module")
def body() -> Skeleton:
    return fullbody()


def test_two_people_of_one_model_share_their_code(body: Skeleton) -> None:
    scaled = scale_lengths(body, torch.full((len(body.body_names), 3), 1.1, dtype=torch.float64))
    first, second = (structure_of(s, as_simbody=False) for s in (body, scaled))
    assert first[0] == second[0]
    q, v, a = motion(body, 20)
    tau = inverse_dynamics(scaled, q, v, a, backend="compiled")
    assert relative(tau, inverse_dynamics(scaled, q, v, a, backend="torch")) < 1e-12
    assert relative(tau, inverse_dynamics(body, q, v, a, backend="torch")) > 1e-3


def test_a_change_in_place_is_seen(body: Skeleton) -> None:
    mine = dataclasses.replace(body, mass=body.mass.clone())
    q, v, a = motion(body, 20)
    before = inverse_dynamics(mine, q, v, a, backend="compiled")
    mine.mass.mul_(2.0)
    after = inverse_dynamics(mine, q, v, a, backend="compiled")
    assert relative(after, inverse_dynamics(mine, q, v, a, backend="torch")) < 1e-12
    assert relative(after, before) > 1e-3


@pytest.mark.parametrize("how", ["in place", "data", "numpy"])
def test_a_number_that_was_zero_may_become_another(body: Skeleton, how: str) -> None:
    zero = tuple(int(i) for i in (body.mass_center == 0).nonzero()[0])
    mine = dataclasses.replace(body, mass_center=body.mass_center.clone(), gravity=body.gravity.clone())
    arrays = motion(mine, 5)
    for function, backend in [(f, b) for f in (inverse_dynamics, forward_dynamics) for b in ("compiled", "torch")]:
        function(mine, *arrays, backend=backend)
    for tensor, place in ((mine.mass_center, zero), (mine.gravity, (0,))):
        if how == "in place":
            tensor[place] = 0.3
        elif how == "data":
            tensor.data[place] = 0.3
        else:
            tensor.numpy()[place] = 0.3
    for function in (inverse_dynamics, forward_dynamics):
        fresh = dataclasses.replace(mine)  # nothing is remembered of it
        wanted = function(fresh, *arrays, backend="torch")
        assert relative(function(mine, *arrays, backend="compiled"), wanted) < 1e-11
        assert relative(function(body, *arrays, backend="compiled"), wanted) > 1e-3


def test_training_changes_what_is_evaluated_between_its_steps(body: Skeleton) -> None:
    mine, opened = with_gradients(body, ("inertia", "mass_center"))
    arrays = motion(body, 5)

    def evaluated(backend: str) -> Tensor:
        with torch.no_grad():
            return inverse_dynamics(mine, *arrays, backend=backend)

    optimizer = torch.optim.SGD(opened, lr=1e-5)
    for _ in range(2):
        assert relative(evaluated("compiled"), evaluated("torch")) < 1e-12
        inverse_dynamics(mine, *arrays, backend="compiled").square().sum().backward()
        optimizer.step()
    assert relative(evaluated("compiled"), evaluated("torch")) < 1e-12
    assert relative(inverse_dynamics(mine, *arrays, backend="compiled").detach(), evaluated("torch")) < 1e-12


def test_a_change_after_the_forward_pass_does_not_reach_its_gradient(body: Skeleton) -> None:
    mine = dataclasses.replace(body, mass=body.mass.clone())
    gradients = []
    for factor in (1.0, 2.0):
        q, v, a = (x.requires_grad_() for x in motion(body, 5))
        tau = inverse_dynamics(mine, q, v, a, backend="compiled")
        mine.mass.mul_(factor)
        gradients.append(torch.autograd.grad(tau.sum(), q)[0])
    assert torch.equal(*gradients)


def test_inference_mode(body: Skeleton) -> None:
    arrays = motion(body, 5)
    wanted = inverse_dynamics(body, *arrays, backend="torch")
    with torch.inference_mode():
        mine = dataclasses.replace(body, mass=body.mass.clone())
        assert relative(inverse_dynamics(mine, *arrays, backend="compiled"), wanted) < 1e-12
        assert torch.isfinite(forward_dynamics(mine, *arrays, backend="compiled")).all()
        mine.mass.mul_(2.0)
        twice = inverse_dynamics(mine, *arrays, backend="torch")
        assert relative(inverse_dynamics(mine, *arrays, backend="compiled"), twice) < 1e-12
