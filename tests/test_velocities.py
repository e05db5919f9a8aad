"""Velocities and accelerations against Pinocchio, forward-mode derivatives of poses, and the `opensim` wheel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import data_folder
from motorque.errors import DataError, ModelError
from motorque.files.osim import read_osim
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.mechanics.velocities import (
    body_accelerations,
    body_velocities,
    center_of_mass_acceleration,
    center_of_mass_velocity,
    point_acceleration,
    point_velocity,
)
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import Skeleton
from motorque.spatial import ROTATION_FORMATS
from moving_bodies import WheelState, derivatives, poses_along, spin_of
from random_trees import random_motion, random_tree

KINDS = ("ball", "revolute", "custom", "mixed")


def largest(difference: Tensor, reference: Tensor) -> float:
    return float(difference.abs().max() / reference.abs().max())


@pytest.mark.parametrize("rotations", ROTATION_FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_pinocchio(kind: str, rotations: str) -> None:
    oracle_models = pytest.importorskip("oracle_models", reason="pinocchio or mujoco is not installed")
    skeleton = random_tree(3, kind).with_rotations(rotations)
    q, v, a = random_motion(skeleton, 6)
    expected = oracle_models.PinocchioModel(skeleton).body_motions(q, v, a)
    velocity, acceleration = body_velocities(skeleton, q, v), body_accelerations(skeleton, q, v, a)
    for row, ours in ((4, velocity.linear), (5, velocity.angular), (6, acceleration.linear), (7, acceleration.angular)):
        assert largest(ours - expected[..., row, :], expected[..., row, :]) < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_derivatives_of_poses(kind: str) -> None:
    skeleton = random_tree(5, kind, bodies=6).with_rotations("quaternion")
    q, v, a = random_motion(skeleton, 4, seed=1)
    body, point = skeleton.body_names[-1], torch.tensor([0.3, -0.1, 0.2]).double()
    index = skeleton.body(body)
    poses = forward_kinematics(skeleton, q)
    velocity, acceleration = body_velocities(skeleton, q, v), body_accelerations(skeleton, q, v, a)

    rate, second = derivatives(lambda t: poses_along(skeleton, q, v, a, t).position)
    assert largest(velocity.linear - rate, rate) < 1e-13
    assert largest(acceleration.linear - second, second) < 1e-12
    rate, second = derivatives(lambda t: poses_along(skeleton, q, v, a, t).rotation)
    spin = spin_of(rate @ poses.rotation.mT)
    spin_rate = spin_of(second @ poses.rotation.mT + rate @ rate.mT)
    assert largest(velocity.angular - spin, spin) < 1e-13
    assert largest(acceleration.angular - spin_rate, spin_rate) < 1e-12
    rate, second = derivatives(lambda t: poses_along(skeleton, q, v, a, t).point(index, point))
    assert largest(point_velocity(skeleton, q, v, body, point) - rate, rate) < 1e-13
    assert largest(point_acceleration(skeleton, q, v, a, body, point) - second, second) < 1e-12
    rate, second = derivatives(lambda t: center_of_mass(skeleton, poses_along(skeleton, q, v, a, t)))
    assert largest(center_of_mass_velocity(skeleton, q, v) - rate, rate) < 1e-13
    assert largest(center_of_mass_acceleration(skeleton, q, v, a) - second, second) < 1e-12


MODELS = [
    "opensim_tests/Scale/toyLigamentModel.osim",  # a free joint
    "opensim_tests/IK/subject1_abdbonepin.osim",  # an ellipsoid joint
    "opensim_tests/ID/arm26.osim",
    "rajagopal_walk/subject_walk_scaled.osim",  # knees whose one coordinate turns about three axes
]


@pytest.mark.parametrize("name", MODELS if data_folder().is_dir() else [])
def test_agrees_with_the_wheel(name: str, data, opensim) -> None:
    """Velocities, and accelerations under gravity alone, of every body and of a point on it."""
    wheel = WheelState(opensim, data / name)
    skeleton, tolerance = wheel.skeleton, 1e-12
    rng = np.random.default_rng(0)
    offset = (0.11, -0.07, 0.05)
    for _ in range(3):
        v = rng.normal(size=skeleton.nv)
        q = torch.tensor(wheel.set(rng.uniform(-0.4, 0.4, skeleton.nq), v))
        v = torch.tensor(v)
        a = torch.tensor(wheel.accelerations())
        velocity, acceleration = body_velocities(skeleton, q, v), body_accelerations(skeleton, q, v, a, as_simbody=True)
        pairs: list[tuple[list[float], Tensor]] = []
        for index, body in enumerate(skeleton.body_names):
            if not wheel.model.getBodySet().contains(body):
                continue  # the body between a scapulothoracic joint's two parts is not in the wheel's list
            theirs, state, station = wheel.body(body), wheel.state, opensim.Vec3(*offset)
            moved = point_velocity(skeleton, q, v, body, offset)
            pushed = point_acceleration(skeleton, q, v, a, body, offset, as_simbody=True)
            pairs += [
                (theirs.getLinearVelocityInGround(state), velocity.linear[index]),
                (theirs.getAngularVelocityInGround(state), velocity.angular[index]),
                (theirs.getLinearAccelerationInGround(state), acceleration.linear[index]),
                (theirs.getAngularAccelerationInGround(state), acceleration.angular[index]),
                (theirs.findStationVelocityInGround(state, station), moved),
                (theirs.findStationAccelerationInGround(state, station), pushed),
            ]
        assert len(pairs) >= 6 * (len(skeleton.body_names) - 1)
        for expected, ours in pairs:
            reference = np.array([expected[i] for i in range(3)])
            assert np.abs(ours.numpy() - reference).max() <= tolerance * max(np.abs(reference).max(), 1.0)
        whole = wheel.model.calcMassCenterVelocity(wheel.state), wheel.model.calcMassCenterAcceleration(wheel.state)
        ours_whole = (
            center_of_mass_velocity(skeleton, q, v),
            center_of_mass_acceleration(skeleton, q, v, a, as_simbody=True),
        )
        for expected, ours in zip(whole, ours_whole, strict=True):
            reference = np.array([expected[i] for i in range(3)])
            assert np.abs(ours.numpy() - reference).max() <= tolerance * max(np.abs(reference).max(), 1.0)


def test_simbodys_knee_differs_by_one_term(data) -> None:
    """Without ``as_simbody`` accelerations are those of the poses, which Simbody's are not."""
    skeleton = read_osim(data / "rajagopal_walk/subject_walk_scaled.osim").skeleton
    q, v, a = random_motion(skeleton, 3)
    q = q * 0.4
    _, second = derivatives(lambda t: poses_along(skeleton, q, v, a, t).position)
    assert largest(body_accelerations(skeleton, q, v, a).linear - second, second) < 1e-12
    assert largest(body_accelerations(skeleton, q, v, a, as_simbody=True).linear - second, second) > 1e-5


def test_coupled_coordinates_follow() -> None:
    """Without columns for coupled coordinates the answers are those of all columns with the couplers obeyed."""
    skeleton = random_tree(2, "mixed", bodies=10, couplers=2)
    q, v, a = random_motion(skeleton, 5)
    columns = [skeleton.coordinate_columns[c] for c in skeleton.free_coordinates]
    full = skeleton.couple_derivatives(q, v, a)
    short = q[..., columns], v[..., list(skeleton.free_coordinates)], a[..., list(skeleton.free_coordinates)]
    for ours, expected in zip(body_accelerations(skeleton, *short), body_accelerations(skeleton, *full), strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
    assert largest(body_accelerations(skeleton, q, v, a).linear - expected, expected) > 1e-2
    second = derivatives(lambda t: _coupled_position(skeleton, *short, t))[1]
    torch.testing.assert_close(body_accelerations(skeleton, *short).linear, second, rtol=1e-11, atol=1e-11)


def _coupled_position(skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor, time: Tensor) -> Tensor:
    """Origins along a motion of the free coordinates, whatever the ball joints do (they stay in this one)."""
    free = list(skeleton.free_coordinates)
    balls = {c for body in skeleton.balls for c in skeleton.joints[body].ball or ()}
    assert skeleton.rotations == "angles"
    columns = torch.tensor([i for i, c in enumerate(free) if c not in balls])
    # Ball joints' angles do not move along with their speeds: their part is added by the curve of `poses_along`.
    angles = torch.zeros_like(q).index_copy(-1, columns, (v * time + 0.5 * a * time**2)[..., columns])
    everything = torch.zeros(*q.shape[:-1], skeleton.nq, dtype=q.dtype)
    positions = skeleton.couple(everything.index_copy(-1, torch.tensor(free), q + angles))
    turning = torch.zeros(*q.shape[:-1], skeleton.nv, dtype=q.dtype)
    spin, spin_rate = (turning.index_copy(-1, torch.tensor(free), x) for x in (v, a))
    only_balls = torch.zeros(skeleton.nv, dtype=q.dtype).index_fill(0, torch.tensor(sorted(balls)), 1.0)
    return poses_along(skeleton, positions, spin * only_balls, spin_rate * only_balls, time).position


def test_gradients_of_any_order_and_batches() -> None:
    skeleton = random_tree(7, "mixed", bodies=4).with_rotations("axis-angle")
    q, v, a = (x.requires_grad_() for x in random_motion(skeleton, 2))
    assert torch.autograd.gradcheck(lambda *x: body_accelerations(skeleton, *x).linear, (q, v, a))
    assert torch.autograd.gradgradcheck(lambda *x: body_accelerations(skeleton, *x).linear.square().sum(), (q, v, a))
    one = body_accelerations(skeleton, q[0], v[0], a[0])
    many = body_accelerations(skeleton, q[:, None], v[:, None].expand(2, 3, -1), a[:, None])
    assert many.linear.shape == (2, 3, len(skeleton.body_names), 3)
    torch.testing.assert_close(many.linear[0, 2], one.linear, rtol=0, atol=1e-13)


def test_wrong_inputs_are_named() -> None:
    skeleton = fullbody()
    q = torch.zeros(4, skeleton.nq, dtype=torch.float64)
    with pytest.raises(ModelError, match="no body named 'knee'"):
        point_velocity(skeleton, q, q, "knee", (0.0, 0.0, 0.0))
    with pytest.raises(DataError, match=r"v needs \d+ columns"):
        body_velocities(skeleton, q, q[:, :-1])
    with pytest.raises(DataError, match="three components"):
        point_velocity(skeleton, q, q, "pelvis", (0.0, 0.0))
    with pytest.raises(DataError, match=r"points of shape \[3, 3\] do not fit"):
        point_velocity(skeleton, q, q, "pelvis", torch.zeros(3, 3, dtype=torch.float64))
    with pytest.raises(DataError, match="float32"):
        point_velocity(skeleton, q, q, "pelvis", torch.zeros(3))
    turned = skeleton.with_free_root().with_rotations("quaternion")
    with pytest.raises(DataError, match="is no rotation: the squared length"):
        body_velocities(turned, torch.ones(2, turned.nq, dtype=torch.float64), q[:2])
    assert float(point_velocity(skeleton, q, q + 1, "ground", (1.0, 2.0, 3.0)).abs().max()) == 0.0


def test_ellipsoid_joints_need_their_angles(data) -> None:
    """Their translations follow the angles, which no other format has: forward kinematics could not tell where."""
    skeleton = read_osim(data / "opensim_tests/IK/subject1_abdbonepin.osim").skeleton
    assert [joint.kind for joint in skeleton.joints if joint.follows_own_angles] == ["EllipsoidJoint"]
    with pytest.raises(ModelError, match="follows an angle of joint 'scapulothoracic_surface'"):
        skeleton.with_rotations("quaternion")
