"""Mechanics against MuJoCo: a second opinion, on trees with inertias that solid bodies can have."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("mujoco", reason="MuJoCo is not installed (pip install motorque[test])")
pytest.importorskip("pinocchio", reason="Pinocchio is not installed (pip install motorque[test])")

from motorque.mechanics.dynamics import bias_forces, forward_dynamics, inverse_dynamics, mass_matrix
from motorque.mechanics.energy import kinetic_energy, potential_energy
from motorque.skeleton import Skeleton, smpl
from oracle_cases import DOUBLE, error, motion
from oracle_models import MujocoModel
from random_trees import random_tree

TREES = {
    "ball": lambda: random_tree(4, "ball"),
    "revolute": lambda: random_tree(1, "revolute"),
    "custom": lambda: random_tree(5, "custom"),  # six joints run from child to parent
    "mixed": lambda: random_tree(28, "mixed"),  # so does a ball joint
    "smpl": lambda: smpl(sex="m", up="z"),
}
CASES = [(name, "angles") for name in TREES] + [("mixed", "quaternion"), ("smpl", "axis-angle"), ("ball", "6d")]
cases = pytest.mark.parametrize(("name", "rotations"), CASES, ids=["-".join(c) for c in CASES])


def tree(name: str, rotations: str) -> Skeleton:
    return TREES[name]().with_rotations(rotations)  # type: ignore[arg-type]


@cases
def test_inverse_dynamics(name: str, rotations: str, backend: str) -> None:
    body = tree(name, rotations)
    q, v, a = motion(body, seed=9)
    found, oracle = inverse_dynamics(body, q, v, a, backend=backend), MujocoModel(body)
    assert error(found, oracle.inverse_dynamics(q, v, a)) < DOUBLE
    assert error(bias_forces(body, q, v, backend=backend), oracle.bias(q, v)) < DOUBLE


@cases
def test_mass_matrix_and_forward_dynamics(name: str, rotations: str, backend: str) -> None:
    body = tree(name, rotations)
    q, v, a = motion(body, seed=9)
    oracle = MujocoModel(body)
    assert error(mass_matrix(body, q, backend=backend), oracle.mass_matrix(q), dims=2) < DOUBLE
    tau = 10 * a
    assert error(forward_dynamics(body, q, v, tau, backend=backend), oracle.forward_dynamics(q, v, tau)) < DOUBLE


@cases
def test_energies(name: str, rotations: str) -> None:
    body = tree(name, rotations)
    q, v, _ = motion(body, seed=9)
    wanted = MujocoModel(body).energies(q, v)
    found = torch.stack([kinetic_energy(body, q, v), potential_energy(body, q)], dim=-1)
    # MuJoCo's massless bodies weigh 1e-13 kg, and its potential energy may be near zero.
    assert float(((found - wanted).abs() / wanted.abs().amax(-1, keepdim=True)).max()) < DOUBLE
