"""Energy and momentum against Pinocchio and against what changes them."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from dynamics_cases import CASES, case, error, free_position_columns, rounded, uncoupled
from motorque.errors import DataError
from motorque.mechanics.energy import kinetic_energy, momentum, potential_energy
from motorque.mechanics.forward_dynamics import forward_dynamics_torch
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.mechanics.mass_matrix import mass_matrix_torch
from motorque.skeleton.skeleton import Skeleton
from moving_bodies import positions_along

cases = pytest.mark.parametrize(("tree", "rotations"), CASES, ids=["-".join(c) for c in CASES])


@cases
def test_equal_pinocchios(tree: str, rotations: str) -> None:
    oracles = pytest.importorskip("oracle_models", reason="Pinocchio is not installed (pip install motorque[test])")
    body, q, v, _ = case(tree, rotations)
    oracle = oracles.PinocchioModel(uncoupled(body))
    energies = torch.stack([kinetic_energy(body, q, v), potential_energy(body, q)], dim=-1)
    assert error(energies, oracle.energies(q, v)) < 1e-13
    assert error(torch.stack(momentum(body, q, v), dim=-2), oracle.momentum(q, v), dims=2) < 1e-13
    single, exact, low, high = rounded(body, q, v)
    assert error(kinetic_energy(single, *low)[:, None], kinetic_energy(exact, *high)[:, None]) < 1e-5
    assert error(torch.stack(momentum(single, *low), -2), torch.stack(momentum(exact, *high), -2), dims=2) < 1e-5


@pytest.mark.parametrize("tree", ["mixed", "coupled", "fullbody"])
def test_kinetic_energy_is_half_the_mass_matrix_product(tree: str) -> None:
    body, q, v, _ = case(tree)
    columns, free = free_position_columns(body), list(body.free_coordinates)
    slow = v[:, free]
    half = 0.5 * (slow * (mass_matrix_torch(body, q) @ slow[..., None])[..., 0]).sum(-1)
    torch.testing.assert_close(kinetic_energy(body, q, v), half, rtol=1e-12, atol=0)
    torch.testing.assert_close(kinetic_energy(body, q[:, columns], slow), half, rtol=1e-12, atol=0)
    torch.testing.assert_close(potential_energy(body, q[:, columns]), potential_energy(body, q))
    for one, two in zip(momentum(body, q[:, columns], slow), momentum(body, q, v), strict=True):
        torch.testing.assert_close(one, two)


def changes(body: Skeleton, q: Tensor, v: Tensor, a: Tensor) -> list[Tensor]:
    """Time derivatives of the total energy and of linear and angular momentum."""
    matrices = body.with_rotations("matrix")

    def along(time: Tensor) -> tuple[Tensor, ...]:
        place, speed = positions_along(body, q, v, time), v + time * a
        total = kinetic_energy(matrices, place, speed) + potential_energy(matrices, place)
        return total, *momentum(matrices, place, speed)

    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    return list(torch.func.jvp(along, (zero,), (one,))[1])


@pytest.mark.parametrize("tree", ["ball", "mixed", "smpl"])
def test_power_changes_energy_and_only_outer_forces_momentum(tree: str) -> None:
    body, q, v, _ = case(tree)
    source = torch.Generator().manual_seed(0)
    tau = 20 * torch.randn(v.shape, generator=source, dtype=torch.float64)
    root = list(body.joints[0].coordinates)
    tau[:, root] = 0.0
    force, point = torch.randn(2, len(q), 3, generator=source, dtype=torch.float64) * torch.tensor([[[90.0]], [[1.0]]])
    loads = {body.body_names[-1]: (force, torch.linalg.cross(point, force))}
    weight = body.mass.sum() * body.gravity
    for pushed in ({}, loads):
        a = forward_dynamics_torch(body, q, v, tau, loads=pushed)
        energy, linear, angular = changes(body, q, v, a)
        outer = force if pushed else torch.zeros_like(force)
        if not pushed:
            power = (tau * v).sum(-1)
            assert float((energy - power).abs().max() / power.abs().max()) < 1e-11
        assert error(linear, weight + outer) < 1e-11
        arm = point - center_of_mass(body, forward_kinematics(body, q))
        turning = torch.linalg.cross(arm, outer)
        scale = kinetic_energy(body, q, v)[:, None]  # the rate's size where nothing turns the body
        assert float(((angular - turning) / scale).abs().max()) < 1e-11


def test_a_body_that_spins_far_away_has_the_same_energy() -> None:
    body, q, v, _ = case("smpl")
    places = [body.coordinate_columns[c] for c in body.joints[0].coordinates if not body.coordinates[c].rotational]
    far = q.clone()
    far[:, places] += 100.0
    torch.testing.assert_close(kinetic_energy(body, far, v), kinetic_energy(body, q, v), rtol=1e-14, atol=0)
    for one, two in zip(momentum(body, far, v), momentum(body, q, v), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-12)
    lifted = potential_energy(body, far) - potential_energy(body, q)
    wanted = -body.mass.sum() * (body.gravity * (far - q)[:, places]).sum(-1)
    torch.testing.assert_close(lifted, wanted, rtol=1e-12, atol=0)


def test_gradients_and_batches() -> None:
    body, q, v, _ = case("mixed", "axis-angle")
    inputs = q[0].clone().requires_grad_(), v[0].clone().requires_grad_()
    mass = body.mass.clone().requires_grad_()

    def answers(x: Tensor, y: Tensor, m: Tensor) -> tuple[Tensor, ...]:
        here = dataclasses.replace(body, mass=m)
        return kinetic_energy(here, x, y), potential_energy(here, x), *momentum(here, x, y)

    assert torch.autograd.gradcheck(answers, (*inputs, mass))
    assert torch.autograd.gradgradcheck(lambda x, y: kinetic_energy(body, x, y), inputs)
    assert kinetic_energy(body, q.reshape(2, 3, -1), v[0]).shape == (2, 3)
    assert potential_energy(body, q[:0]).shape == (0,)


def test_wrong_inputs_are_named() -> None:
    body, q, v, _ = case("mixed")
    with pytest.raises(DataError, match="v needs"):
        kinetic_energy(body, q, v[:, :2])
    with pytest.raises(DataError, match="q is float32 but the skeleton is float64"):
        potential_energy(body, q.float())
    spoilt = q.clone()
    spoilt[2] *= 1.1
    for call in (
        lambda x: kinetic_energy(body, x, v),
        lambda x: potential_energy(body, x),
        lambda x: momentum(body, x, v),
    ):
        with pytest.raises(DataError, match="in frame 2 the position of joint .* is no rotation"):
            call(spoilt)
