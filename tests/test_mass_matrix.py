"""Mass matrix, bias and gravity forces against Pinocchio, the `opensim` wheel, inverse dynamics and each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import data_folder
from dynamics_cases import CASES, case, error, free_position_columns, rounded, uncoupled
from motorque.mechanics.energy import potential_energy
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch
from motorque.mechanics.mass_matrix import bias_forces_torch, full_mass_matrix, gravity_forces_torch, mass_matrix_torch
from motorque.mechanics.position_rates import position_rates
from motorque.mechanics.tree import tree_pose
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import Skeleton
from moving_bodies import WheelState

cases = pytest.mark.parametrize(("tree", "rotations"), CASES, ids=["-".join(c) for c in CASES])


@cases
def test_equals_pinocchios(tree: str, rotations: str) -> None:
    oracles = pytest.importorskip("oracle_models", reason="Pinocchio is not installed (pip install motorque[test])")
    body, q, v, _ = case(tree, rotations)
    body = uncoupled(body)
    oracle = oracles.PinocchioModel(body)
    assert error(mass_matrix_torch(body, q), oracle.mass_matrix(q), dims=2) < 1e-12
    assert error(bias_forces_torch(body, q, v), oracle.bias(q, v)) < 1e-12
    assert error(gravity_forces_torch(body, q), oracle.bias(q, torch.zeros_like(v))) < 1e-12
    single, exact, (low,), (high,) = rounded(body, q)
    found = mass_matrix_torch(single, low)
    assert found.dtype == torch.float32
    assert error(found, oracles.PinocchioModel(exact).mass_matrix(high), dims=2) < 1e-5


@pytest.mark.parametrize("tree", ["coupled", "fullbody"])
def test_with_couplers_it_is_what_inverse_dynamics_says(tree: str) -> None:
    body, q, v, _ = case(tree)
    free, columns = list(body.free_coordinates), free_position_columns(body)
    short, slow = q[:, columns], v[:, free]
    matrix = mass_matrix_torch(body, short)
    rest = inverse_dynamics_torch(body, short, slow, torch.zeros_like(slow))
    units = torch.eye(len(free), dtype=q.dtype)
    by_columns = [inverse_dynamics_torch(body, short, slow, unit.expand_as(slow)) - rest for unit in units]
    assert error(matrix, torch.stack(by_columns, dim=-1), dims=2) < 1e-12
    assert error(bias_forces_torch(body, short, slow), rest) < 1e-13
    # Columns of coupled coordinates are computed anew.
    spoilt, fast = q.clone(), v.clone()
    driven = [c for c in range(body.nq) if c not in columns]
    spoilt[:, driven] = 9.0
    fast[:, [c for c in range(body.nv) if c not in free]] = 9.0
    torch.testing.assert_close(mass_matrix_torch(body, spoilt), matrix, rtol=0, atol=0)
    torch.testing.assert_close(bias_forces_torch(body, spoilt, fast), bias_forces_torch(body, short, slow))


MODELS = [
    "opensim_tests/IK/subject1_abdbonepin.osim",  # an ellipsoid joint
    "opensim_tests/Scale/toyLigamentModel.osim",  # a free joint
    "models/LaiUhlrich2022.osim",
    "opensim_tests/ID/arm26.osim",
]


@pytest.mark.parametrize("name", MODELS if data_folder().is_dir() else [])
def test_equals_the_wheels(name: str, data: Path, opensim: Any) -> None:
    wheel = WheelState(opensim, data / name)
    skeleton, rng = wheel.skeleton, np.random.default_rng(0)
    for _ in range(3):
        q = torch.as_tensor(wheel.set(rng.uniform(-0.4, 0.4, skeleton.nq), rng.normal(size=skeleton.nv)))
        matrix = opensim.Matrix(skeleton.nv, skeleton.nv)
        wheel.model.getMatterSubsystem().calcM(wheel.state, matrix)
        wanted = torch.as_tensor(matrix.to_numpy()[np.ix_(wheel.slots, wheel.slots)])
        assert error(full_mass_matrix(skeleton, tree_pose(skeleton, q), q), wanted, dims=2) < 1e-13


@pytest.mark.parametrize("rotations", ["angles", "quaternion"])
def test_gravity_forces_are_the_gradient_of_potential_energy(rotations: str) -> None:
    body, q, _, _ = case("mixed", rotations)
    v = torch.eye(body.nv, dtype=q.dtype)
    q.requires_grad_()
    (slope,) = torch.autograd.grad(potential_energy(body, q).sum(), q)
    along = torch.stack([(slope * position_rates(body, q.detach(), e.expand(len(q), -1))).sum(-1) for e in v], dim=-1)
    assert error(gravity_forces_torch(body, q), along) < 1e-12


def test_single_precision_is_not_spent_on_the_distance_from_the_origin() -> None:
    body, q, v, a = case("smpl")
    q, places = q.clone(), [body.coordinate_columns[body.coordinate(name)] for name in _translations(body)]
    for distance in (10.0, 1000.0):
        q[:, places] = distance
        single, exact, low, high = rounded(body, q, v, a)
        assert error(inverse_dynamics_torch(single, *low), inverse_dynamics_torch(exact, *high)) < 2e-6
        assert error(mass_matrix_torch(single, low[0]), mass_matrix_torch(exact, high[0]), dims=2) < 2e-6


def _translations(body: Skeleton) -> list[str]:
    root = body.joints[0]
    return [body.coordinate_names[c] for c in root.coordinates if not body.coordinates[c].rotational]


def test_batches_devices_and_transforms() -> None:
    body, q, _, _ = case("fullbody")
    matrix = mass_matrix_torch(body, q)
    assert matrix.shape == (6, len(body.free_coordinates), len(body.free_coordinates))
    torch.testing.assert_close(mass_matrix_torch(body, q.reshape(2, 3, -1)), matrix.unflatten(0, (2, 3)))
    torch.testing.assert_close(mass_matrix_torch(body, q[2]), matrix[2])
    assert mass_matrix_torch(body, q[:0]).shape == (0, *matrix.shape[1:])
    assert mass_matrix_torch(body.to("meta"), q.to("meta")).shape == matrix.shape
    torch.testing.assert_close(torch.func.vmap(lambda x: mass_matrix_torch(body, x))(q), matrix)
    # What transforms saw is not kept for later.
    fresh = fullbody().with_free_root().with_rotations("quaternion")
    torch.func.vmap(lambda x: mass_matrix_torch(fresh, x))(q)
    torch.testing.assert_close(mass_matrix_torch(fresh, q), matrix)


def test_what_is_not_finite_stays_in_its_frame() -> None:
    body, q, v, _ = case("mixed")
    good = mass_matrix_torch(body, q)
    q[2, 0] = float("nan")
    found = mass_matrix_torch(body, q)
    assert found[2].isnan().any()
    kept = [0, 1, 3, 4, 5]
    torch.testing.assert_close(found[kept], good[kept], rtol=0, atol=0)


def test_gradients() -> None:
    body, q, _, _ = case("custom", frames=1)
    inputs = q[0].clone().requires_grad_()

    def answer(x: Tensor) -> Tensor:
        return mass_matrix_torch(body, x)

    assert torch.autograd.gradcheck(answer, (inputs,), eps=1e-6, atol=1e-6, rtol=1e-6)
