"""Jacobians and their time derivatives against Pinocchio, velocities and accelerations, and the `opensim` wheel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import data_folder
from motorque.errors import DataError, ModelError
from motorque.mechanics.jacobians import (
    body_jacobian,
    body_jacobian_rate,
    center_of_mass_jacobian,
    center_of_mass_jacobian_rate,
    point_jacobian,
    point_jacobian_rate,
)
from motorque.mechanics.velocities import (
    body_accelerations,
    body_velocities,
    center_of_mass_acceleration,
    center_of_mass_velocity,
    point_acceleration,
    point_velocity,
)
from motorque.skeleton.fullbody import fullbody
from motorque.spatial import ROTATION_FORMATS
from moving_bodies import WheelState, derivatives, poses_along, positions_along
from random_trees import random_motion, random_tree

KINDS = ("ball", "revolute", "custom", "mixed")


def largest(difference: Tensor, reference: Tensor) -> float:
    return float(difference.abs().max() / reference.abs().max())


def times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]


@pytest.mark.parametrize("rotations", ROTATION_FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_pinocchio(kind: str, rotations: str) -> None:
    oracle_models = pytest.importorskip("oracle_models", reason="pinocchio or mujoco is not installed")
    skeleton = random_tree(4, kind).with_rotations(rotations)
    oracle = oracle_models.PinocchioModel(skeleton)
    q, _, _ = random_motion(skeleton, 5)
    for body in skeleton.body_names:
        linear_first = oracle.body_jacobian(q, body)
        expected = torch.cat([linear_first[..., 3:, :], linear_first[..., :3, :]], dim=-2)
        assert largest(body_jacobian(skeleton, q, body) - expected, expected) < 1e-13
    expected = oracle.center_of_mass_jacobian(q)
    assert largest(center_of_mass_jacobian(skeleton, q) - expected, expected) < 1e-13


@pytest.mark.parametrize("rotations", ROTATION_FORMATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("as_simbody", [False, True])
def test_velocities_and_accelerations_are_their_products(kind: str, rotations: str, as_simbody: bool) -> None:
    """J v and J a + J̇ v, also for single frames and in batches of two dimensions."""
    skeleton = random_tree(6, kind, bodies=6).with_rotations(rotations)
    q, v, a = (x.unflatten(0, (2, 3)) for x in random_motion(skeleton, 6, seed=2))
    simbody = {"as_simbody": as_simbody}
    velocity, acceleration = body_velocities(skeleton, q, v), body_accelerations(skeleton, q, v, a, **simbody)
    point = torch.tensor([0.2, 0.1, -0.3], dtype=torch.float64)
    for index, body in enumerate(skeleton.body_names):
        jacobian, rate = body_jacobian(skeleton, q, body), body_jacobian_rate(skeleton, q, v, body, **simbody)
        expected = torch.cat([velocity.angular[..., index, :], velocity.linear[..., index, :]], dim=-1)
        assert largest(times(jacobian, v) - expected, expected) < 1e-13
        expected = torch.cat([acceleration.angular[..., index, :], acceleration.linear[..., index, :]], dim=-1)
        assert largest(times(jacobian, a) + times(rate, v) - expected, expected) < 1e-13
        jacobian = point_jacobian(skeleton, q, body, point)
        rate = point_jacobian_rate(skeleton, q, v, body, point, **simbody)
        expected = point_velocity(skeleton, q, v, body, point)
        assert largest(times(jacobian, v) - expected, expected) < 1e-13
        expected = point_acceleration(skeleton, q, v, a, body, point, **simbody)
        assert largest(times(jacobian, a) + times(rate, v) - expected, expected) < 1e-13
    jacobian, rate = center_of_mass_jacobian(skeleton, q), center_of_mass_jacobian_rate(skeleton, q, v, **simbody)
    expected = center_of_mass_velocity(skeleton, q, v)
    assert largest(times(jacobian, v) - expected, expected) < 1e-13
    expected = center_of_mass_acceleration(skeleton, q, v, a, **simbody)
    assert largest(times(jacobian, a) + times(rate, v) - expected, expected) < 1e-13
    one = point_jacobian(skeleton, q[1, 2], skeleton.body_names[-1], point)
    many = point_jacobian(skeleton, q, skeleton.body_names[-1], point.expand(2, 3, 3))
    torch.testing.assert_close(many[1, 2], one, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_rates_are_derivatives_of_the_jacobians(kind: str) -> None:
    """Entry by entry, which the product with the speeds alone does not show."""
    skeleton = random_tree(8, kind, bodies=6)
    q, v, _ = random_motion(skeleton, 3, seed=4)
    matrices = skeleton.with_rotations("matrix")
    body, point = skeleton.body_names[-1], (0.1, 0.2, 0.3)

    def change(jacobian) -> Tensor:
        """By central differences along the motion, from its poses: fourth order."""
        step = 2e-3
        at = {
            n: jacobian(positions_along(skeleton, q, v, torch.tensor(n * step, dtype=q.dtype))) for n in (-2, -1, 1, 2)
        }
        return (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)

    pairs = [
        (body_jacobian_rate(skeleton, q, v, body), lambda x: body_jacobian(matrices, x, body)),
        (point_jacobian_rate(skeleton, q, v, body, point), lambda x: point_jacobian(matrices, x, body, point)),
        (center_of_mass_jacobian_rate(skeleton, q, v), lambda x: center_of_mass_jacobian(matrices, x)),
    ]
    for rate, jacobian in pairs:
        expected = change(jacobian)
        assert largest(rate - expected, expected) < 1e-8


def test_coupled_coordinates_follow() -> None:
    """Without columns for coupled coordinates: the same velocities and accelerations, by fewer columns."""
    skeleton = random_tree(2, "mixed", bodies=10, couplers=2)
    q, v, a = random_motion(skeleton, 5)
    columns = [skeleton.coordinate_columns[c] for c in skeleton.free_coordinates]
    q, v, a = q[..., columns], v[..., list(skeleton.free_coordinates)], a[..., list(skeleton.free_coordinates)]
    acceleration = body_accelerations(skeleton, q, v, a)
    for index, body in enumerate(skeleton.body_names):
        jacobian, rate = body_jacobian(skeleton, q, body), body_jacobian_rate(skeleton, q, v, body)
        assert jacobian.shape == rate.shape == (5, 6, len(skeleton.free_coordinates))
        expected = torch.cat([acceleration.angular[..., index, :], acceleration.linear[..., index, :]], dim=-1)
        assert largest(times(jacobian, a) + times(rate, v) - expected, expected) < 1e-13
    jacobian, rate = center_of_mass_jacobian(skeleton, q), center_of_mass_jacobian_rate(skeleton, q, v)
    expected = center_of_mass_acceleration(skeleton, q, v, a)
    assert largest(times(jacobian, a) + times(rate, v) - expected, expected) < 1e-13


def test_points_move_as_automatic_differentiation_says() -> None:
    skeleton = random_tree(9, "mixed").with_rotations("6d")
    q, v, a = random_motion(skeleton, 3)
    body, point = skeleton.body_names[-1], torch.tensor([0.3, -0.1, 0.2], dtype=torch.float64)
    index = skeleton.body(body)
    rate, second = derivatives(lambda t: poses_along(skeleton, q, v, a, t).point(index, point))
    jacobian, change = point_jacobian(skeleton, q, body, point), point_jacobian_rate(skeleton, q, v, body, point)
    assert largest(times(jacobian, v) - rate, rate) < 1e-13
    assert largest(times(jacobian, a) + times(change, v) - second, second) < 1e-12


MODELS = [
    "opensim_tests/Scale/toyLigamentModel.osim",  # a free joint
    "opensim_tests/IK/subject1_abdbonepin.osim",  # an ellipsoid joint
    "rajagopal_walk/subject_walk_scaled.osim",  # knees whose one coordinate turns about three axes
]


@pytest.mark.parametrize("name", MODELS if data_folder().is_dir() else [])
def test_agrees_with_the_wheel(name: str, data, opensim) -> None:
    """Simbody's station and frame Jacobians and their biases J̇ v."""
    wheel = WheelState(opensim, data / name)
    skeleton, matter, state = wheel.skeleton, wheel.model.getMatterSubsystem(), wheel.state
    rng, offset = np.random.default_rng(1), (0.11, -0.07, 0.05)
    station = opensim.Vec3(*offset)
    v = rng.normal(size=skeleton.nv)
    q, v = torch.tensor(wheel.set(rng.uniform(-0.4, 0.4, skeleton.nq), v)), torch.tensor(v)
    for body in skeleton.body_names:
        if not wheel.model.getBodySet().contains(body):
            continue  # the body between a scapulothoracic joint's two parts is not in the wheel's list
        mobilized, found = wheel.body(body).getMobilizedBodyIndex(), opensim.Matrix()
        matter.calcStationJacobian(state, mobilized, station, found)
        expected = torch.tensor(found.to_numpy()[:, wheel.slots])
        assert float((point_jacobian(skeleton, q, body, offset) - expected).abs().max()) < 1e-12
        matter.calcFrameJacobian(state, mobilized, station, found)
        expected = torch.tensor(found.to_numpy()[:, wheel.slots])
        ours = body_jacobian(skeleton, q, body)
        assert float((ours[:3] - expected[:3]).abs().max()) < 1e-12
        bias = matter.calcBiasForStationJacobian(state, mobilized, station)
        change = times(point_jacobian_rate(skeleton, q, v, body, offset, as_simbody=True), v)
        expected = torch.tensor([bias[i] for i in range(3)], dtype=torch.float64)
        assert float((change - expected).abs().max()) < 1e-11


def test_gradients_of_any_order() -> None:
    skeleton = random_tree(7, "mixed", bodies=4).with_rotations("6d")
    q, v, _ = (x.requires_grad_() for x in random_motion(skeleton, 2))
    body, weights = skeleton.body_names[-1], torch.randn(6, skeleton.nv, dtype=torch.float64)

    def weighted(x: Tensor, y: Tensor) -> Tensor:
        return (body_jacobian_rate(skeleton, x, y, body) * weights).sum()

    assert torch.autograd.gradcheck(weighted, (q, v))
    assert torch.autograd.gradgradcheck(weighted, (q, v))


def test_wrong_inputs_are_named() -> None:
    skeleton = fullbody()
    q = torch.zeros(4, skeleton.nq, dtype=torch.float64)
    with pytest.raises(ModelError, match="no body named 'knee'"):
        body_jacobian(skeleton, q, "knee")
    with pytest.raises(ModelError, match="no body named 'knee'"):
        point_jacobian_rate(skeleton, q, q, "knee", (0.0, 0.0, 0.0))
    with pytest.raises(DataError, match=r"q needs \d+ columns"):
        center_of_mass_jacobian(skeleton, q[:, :-1])
    with pytest.raises(DataError, match=r"v needs \d+ columns"):
        center_of_mass_jacobian_rate(skeleton, q, q[:, :-1])
    with pytest.raises(DataError, match="three components"):
        point_jacobian(skeleton, q, "pelvis", (0.0, 0.0))
    with pytest.raises(DataError, match="do not fit"):
        point_jacobian_rate(skeleton, q, q[:3], "pelvis", (0.0, 0.0, 0.0))
    with pytest.raises(DataError, match="float32"):
        body_jacobian(skeleton, q.float(), "pelvis")
    assert float(point_jacobian(skeleton, q, "ground", (1.0, 2.0, 3.0)).abs().max()) == 0.0
    assert body_jacobian_rate(skeleton, q, q + 1, "ground").shape == (4, 6, skeleton.nv)
