"""Mass matrix, forward dynamics, energies, momentum and velocities against Pinocchio on the same trees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

pytest.importorskip("pinocchio", reason="Pinocchio is not installed (pip install motorque[test])")

from motorque.mechanics.dynamics import bias_forces, forward_dynamics, gravity_forces, mass_matrix
from motorque.mechanics.energy import kinetic_energy, momentum, potential_energy
from motorque.mechanics.jacobians import body_jacobian, center_of_mass_jacobian, point_jacobian
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.mechanics.velocities import (
    body_accelerations,
    body_velocities,
    center_of_mass_acceleration,
    center_of_mass_velocity,
    point_acceleration,
    point_velocity,
)
from motorque.skeleton import Skeleton
from oracle_cases import CASES, DOUBLE, SINGLE, error, motion, rounded, tree
from oracle_models import PinocchioModel

cases = pytest.mark.parametrize(("name", "rotations"), CASES, ids=["-".join(c) for c in CASES])


class Coupled:
    """Pinocchio's answers in the free coordinates, by the principle of d'Alembert."""

    def __init__(self, body: Skeleton) -> None:
        self.body, self.oracle = body, PinocchioModel(body)

    def mass_matrix(self, q: Tensor) -> Tensor:
        q = self.body.couple(q)
        free = self.body.coupling_matrix(q)
        return free.mT @ self.oracle.mass_matrix(q) @ free

    def inverse_dynamics(self, q: Tensor, v: Tensor, a: Tensor) -> Tensor:
        q, v, a = self.body.couple_derivatives(q, v, a)
        return (self.body.coupling_matrix(q).mT @ self.oracle.inverse_dynamics(q, v, a)[..., None])[..., 0]

    def forward_dynamics(self, q: Tensor, v: Tensor, tau: Tensor) -> Tensor:
        """Of all coordinates."""
        if not self.body.couplers:
            return self.oracle.forward_dynamics(q, v, tau)
        folded = (self.body.coupling_matrix(self.body.couple(q)).mT @ tau[..., None])[..., 0]
        free = torch.linalg.solve(self.mass_matrix(q), folded - self.inverse_dynamics(q, v, torch.zeros_like(v)))
        a = torch.zeros_like(v)
        a[..., list(self.body.free_coordinates)] = free
        return self.body.couple_derivatives(q, v, a)[2]


@cases
def test_mass_matrix(name: str, rotations: str, backend: str) -> None:
    body = tree(name, rotations)
    q, _, _ = motion(body)
    assert error(mass_matrix(body, q, backend=backend), Coupled(body).mass_matrix(q), dims=2) < DOUBLE
    single, exact, (low,), (high,) = rounded(body, q)
    found = mass_matrix(single, low, backend=backend)
    assert found.dtype == torch.float32
    assert error(found, Coupled(exact).mass_matrix(high), dims=2) < SINGLE


@cases
def test_bias_and_gravity(name: str, rotations: str, backend: str) -> None:
    body = tree(name, rotations)
    q, v, _ = motion(body)
    zero = torch.zeros_like(v)
    assert error(bias_forces(body, q, v, backend=backend), Coupled(body).inverse_dynamics(q, v, zero)) < DOUBLE
    assert error(gravity_forces(body, q), Coupled(body).inverse_dynamics(q, zero, zero)) < DOUBLE
    single, exact, low, high = rounded(body, q, v)
    assert error(bias_forces(single, *low, backend=backend), Coupled(exact).inverse_dynamics(*high, zero)) < SINGLE


@cases
def test_forward_dynamics(name: str, rotations: str, backend: str) -> None:
    body = tree(name, rotations)
    q, v, _ = motion(body)
    tau = torch.randn(v.shape, generator=torch.Generator().manual_seed(8), dtype=torch.float64) * 30
    oracle = Coupled(body)
    assert error(forward_dynamics(body, q, v, tau, backend=backend), oracle.forward_dynamics(q, v, tau)) < DOUBLE
    single, exact, low, high = rounded(body, q, v, tau)
    found = forward_dynamics(single, *low, backend=backend)
    wanted = Coupled(exact).forward_dynamics(*high)
    mass = Coupled(exact).mass_matrix(high[0])
    size = mass.diagonal(dim1=-2, dim2=-1).rsqrt()
    condition = torch.linalg.cond(size[..., None] * mass * size[..., None, :])
    allowed = 10 * torch.finfo(torch.float32).eps * condition
    difference = (found.double() - wanted).abs().amax(-1) / wanted.abs().amax(-1)
    assert float((difference / allowed).max()) < 1


@cases
def test_energies_and_momentum(name: str, rotations: str) -> None:
    body = tree(name, rotations)
    q, v, _ = motion(body)
    oracle = PinocchioModel(body)
    energies = torch.stack([kinetic_energy(body, q, v), potential_energy(body, q)], dim=-1)
    wanted = oracle.energies(q, v)
    assert float(((energies - wanted) / wanted).abs().max()) < DOUBLE
    found = momentum(body, q, v)
    assert error(torch.stack([found.linear, found.angular], dim=-2), oracle.momentum(q, v), dims=2) < DOUBLE


@cases
def test_velocities_and_accelerations(name: str, rotations: str) -> None:
    body = tree(name, rotations)
    q, v, a = motion(body)
    oracle = PinocchioModel(body)
    velocity, turning, acceleration, twisting = oracle.body_motions(q, v, a)[..., 4:, :].unbind(-2)
    found, second = body_velocities(body, q, v), body_accelerations(body, q, v, a)
    for one, two in (
        (found.angular, turning),
        (found.linear, velocity),
        (second.angular, twisting),
        (second.linear, acceleration),
    ):
        assert error(one, two, dims=2) < DOUBLE
    place, *rates = oracle.center_of_mass(q, v, a).unbind(-2)
    assert error(center_of_mass(body, forward_kinematics(body, q)), place) < DOUBLE
    assert error(center_of_mass_velocity(body, q, v), rates[0]) < DOUBLE
    assert error(center_of_mass_acceleration(body, q, v, a), rates[1]) < DOUBLE
    # A body-fixed point, by the formula for rigid bodies on Pinocchio's motion of the body
    last = len(body.body_names) - 1
    point = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    arm = (forward_kinematics(body, q).rotation[:, last] @ point[:, None])[..., 0]
    w, dw, cross = turning[:, last], twisting[:, last], torch.linalg.cross
    label = body.body_names[last]
    assert error(point_velocity(body, q, v, label, point), velocity[:, last] + cross(w, arm)) < DOUBLE
    wanted = acceleration[:, last] + cross(dw, arm) + cross(w, cross(w, arm))
    assert error(point_acceleration(body, q, v, a, label, point), wanted) < DOUBLE


@cases
def test_jacobians(name: str, rotations: str) -> None:
    body = tree(name, rotations)
    q, _, _ = motion(body)
    oracle = PinocchioModel(body)
    point = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    poses = forward_kinematics(body, q)
    for index in {0, len(body.body_names) // 2, len(body.body_names) - 1}:
        label = body.body_names[index]
        linear, angular = oracle.body_jacobian(q, label).split(3, dim=-2)
        assert error(body_jacobian(body, q, label), torch.cat([angular, linear], dim=-2), dims=2) < DOUBLE
        arm = (poses.rotation[:, index] @ point[:, None]).expand_as(angular)
        moved = linear + torch.linalg.cross(angular, arm, dim=-2)
        assert error(point_jacobian(body, q, label, point), moved, dims=2) < DOUBLE
    assert error(center_of_mass_jacobian(body, q), oracle.center_of_mass_jacobian(q), dims=2) < DOUBLE
