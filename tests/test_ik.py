"""Inverse kinematics on the built-in skeleton: poses come back from their markers, and the fit keeps its rules."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.fitting.ik import CoordinateTask, inverse_kinematics
from motorque.fitting.ik_start import rigid_fit, starting_poses
from motorque.fitting.marker_normal_equations import MarkerSystem
from motorque.fitting.point_constraints import PointConstraintPenalty
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics, marker_positions
from motorque.series import Markers
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import PointConstraint, Skeleton

RECOVERED = 1e-6
"""How near recovered coordinates come to those that made the markers [rad, m]."""


@pytest.fixture(scope="module")
def skeleton() -> Skeleton:
    return fullbody()


def poses(skeleton: Skeleton, count: int, seed: int = 0, spread: float = 0.6) -> Tensor:
    """Random poses within the ranges and a spread of the default, couplers obeyed; the root goes anywhere."""
    rng = np.random.default_rng(seed)
    default = skeleton.default_pose.numpy()
    low = np.maximum([c.range[0] for c in skeleton.coordinates], default - spread)
    high = np.minimum([c.range[1] for c in skeleton.coordinates], default + spread)
    q = rng.uniform(low, high, (count, skeleton.nq))
    q[:, skeleton.coordinate("pelvis_rotation")] = rng.uniform(-3, 3, count)
    q[:, skeleton.coordinate("pelvis_tx")] = rng.uniform(-5, 5, count)
    return skeleton.couple(torch.as_tensor(q))


def markers_of(skeleton: Skeleton, q: Tensor, rate: float = 100.0) -> Markers:
    return Markers(np.arange(len(q)) / rate, marker_positions(skeleton, q).numpy(), skeleton.marker_names)


def glide(skeleton: Skeleton, count: int) -> Tensor:
    """A smooth motion from one random pose to another and back, turning once round the vertical."""
    a, b = poses(skeleton, 2, seed=9)
    phase = torch.linspace(0, 2 * np.pi, count, dtype=torch.float64)[:, None]
    q = a + (b - a) * (1 - phase.cos()) / 2
    q[:, skeleton.coordinate("pelvis_rotation")] = phase[:, 0]
    return skeleton.couple(q)


def test_poses_come_back_from_their_markers(skeleton: Skeleton) -> None:
    q = poses(skeleton, 60)
    result = inverse_kinematics(skeleton, markers_of(skeleton, q), in_sequence=False)
    assert result.converged.all()
    np.testing.assert_allclose(result.motion.values, q.numpy(), atol=RECOVERED)
    assert result.errors.max() < RECOVERED
    np.testing.assert_allclose(result.rms, np.sqrt((result.errors**2).mean(1)), rtol=1e-12)
    np.testing.assert_allclose(
        result.model_markers.positions, marker_positions(skeleton, torch.as_tensor(result.motion.values)), atol=1e-12
    )


def test_a_turn_goes_on_over_180_degrees(skeleton: Skeleton) -> None:
    q = glide(skeleton, 150)
    result = inverse_kinematics(skeleton, markers_of(skeleton, q))
    turn = result.motion.column("pelvis_rotation")
    assert turn[-1] - turn[0] == pytest.approx(2 * np.pi, abs=RECOVERED)
    others = [n for n in skeleton.coordinate_names if n != "pelvis_rotation"]
    for name in others:
        np.testing.assert_allclose(result.motion.column(name), q[:, skeleton.coordinate(name)], atol=RECOVERED)


def test_gaps_cost_nothing_where_enough_is_seen(skeleton: Skeleton) -> None:
    q = poses(skeleton, 20, seed=1)
    markers = markers_of(skeleton, q)
    positions = markers.positions.copy()
    rng = np.random.default_rng(2)
    lost = rng.random(positions.shape[:2]) < 0.15
    bodies = np.array([m.body for m in skeleton.markers])
    for frame in range(len(q)):  # at least three markers stay on each body that has them
        for body in set(bodies):
            on = np.flatnonzero(bodies == body)
            lost[frame, on[: max(3, len(on) - 2)]] = False
    assert lost.any(axis=1).all()
    positions[lost] = np.nan
    result = inverse_kinematics(skeleton, Markers(markers.times, positions, markers.names), in_sequence=False)
    np.testing.assert_allclose(result.motion.values, q.numpy(), atol=RECOVERED)
    assert np.array_equal(np.isnan(result.errors), lost)


def test_frames_without_markers_are_said(skeleton: Skeleton) -> None:
    q = glide(skeleton, 30)
    markers = markers_of(skeleton, q)
    markers.positions[12:15] = np.nan
    journal = Journal()
    result = inverse_kinematics(skeleton, markers, journal=journal)
    said = [n.text for n in journal.notices if n.kind == "warning"]
    assert said == ["3 frames have no marker at all (first at 0.12 s); their pose is a guess"]
    assert np.isfinite(result.motion.values).all()
    assert np.isnan(result.errors[12:15]).all()
    assert (result.rms[12:15] == 0).all()


def changed(skeleton: Skeleton, name: str, **how: object) -> Skeleton:
    coordinates = tuple(dataclasses.replace(c, **how) if c.name == name else c for c in skeleton.coordinates)
    return dataclasses.replace(skeleton, coordinates=coordinates)


def test_a_locked_coordinate_keeps_its_default(skeleton: Skeleton) -> None:
    locked = changed(skeleton, "knee_angle_r", locked=True, default=0.3)
    q = poses(skeleton, 5, seed=3)
    values = inverse_kinematics(locked, markers_of(skeleton, q), in_sequence=False).motion
    assert (values.column("knee_angle_r") == 0.3).all()
    # and the kneecap follows it
    np.testing.assert_allclose(values.values, locked.couple(torch.as_tensor(values.values)), atol=1e-15)
    q[:, skeleton.coordinate("knee_angle_r")] = 0.3
    found = inverse_kinematics(locked, markers_of(skeleton, skeleton.couple(q)), in_sequence=False).motion
    np.testing.assert_allclose(found.values, skeleton.couple(q).numpy(), atol=RECOVERED)


def test_clamped_coordinates_stop_and_unclamped_ones_do_not(skeleton: Skeleton) -> None:
    q = poses(skeleton, 5, seed=4)
    q[:, skeleton.coordinate("hip_flexion_l")] = -0.8  # beyond its range of -30°
    markers = markers_of(skeleton, q)
    low = skeleton.coordinates[skeleton.coordinate("hip_flexion_l")].range[0]
    stopped = inverse_kinematics(skeleton, markers, in_sequence=False)
    assert (stopped.motion.column("hip_flexion_l") == low).all()
    free = inverse_kinematics(changed(skeleton, "hip_flexion_l", clamped=False), markers, in_sequence=False)
    np.testing.assert_allclose(free.motion.values, q.numpy(), atol=RECOVERED)


def test_a_task_pulls_as_hard_as_its_weight(skeleton: Skeleton) -> None:
    """One coordinate free, one task: the answer is the weighted mean that the cost's formula gives."""
    free = "elbow_flex_r"
    for c in skeleton.coordinates:
        if c.name not in (free, "knee_angle_r_beta", "knee_angle_l_beta"):
            skeleton = changed(skeleton, c.name, locked=True)
    q = skeleton.default_pose[None].clone()
    q[:, skeleton.coordinate(free)] = 1.0
    markers = markers_of(skeleton, q)
    name = next(m.name for m in skeleton.markers if skeleton.body_names[m.body] == "radius_r")
    wrist = {name: 7.0}  # alone, so that its weight cancels
    before = inverse_kinematics(skeleton, markers, weights=wrist)
    assert before.motion.column(free)[0] == pytest.approx(1.0, abs=RECOVERED)

    def cost(angle: float, weight: float) -> float:
        pose = q[0].clone()
        pose[skeleton.coordinate(free)] = angle
        apart = marker_positions(skeleton, pose).numpy() - markers.positions[0]
        squared = (apart[skeleton.marker_names.index(name)] ** 2).sum()
        return float(squared / 2 + weight * (angle - 0.4) ** 2 / 2)

    pulled = []
    for weight in (1e-3, 1e-2, 1e-1, 1e3):
        task = {free: CoordinateTask(weight, np.full(1, 0.4)), "knee_angle_r": CoordinateTask(9.0, 1.0)}
        value = inverse_kinematics(skeleton, markers, weights=wrist, tasks=task).motion.column(free)[0]
        assert all(cost(value, weight) <= cost(value + step, weight) for step in (1e-5, -1e-5))
        pulled.append(value)
    assert 1.0 > pulled[0] > pulled[1] > pulled[2] > pulled[3]
    assert pulled[3] == pytest.approx(0.4, abs=1e-4)
    with pytest.raises(ModelError, match="no coordinate named 'elbow'"):
        inverse_kinematics(skeleton, markers, tasks={"elbow": CoordinateTask(1.0, 0.0)})


def test_weights_choose_the_markers(skeleton: Skeleton) -> None:
    q = poses(skeleton, 4, seed=5)
    markers = markers_of(skeleton, q)
    wrong = skeleton.marker_names[3]
    markers.positions[:, 3] += 0.2
    journal = Journal()
    strange = Markers(
        markers.times, np.concatenate([markers.positions, markers.positions[:, :1]], 1), (*markers.names, "strange")
    )
    weights = {n: 2.0 for n in skeleton.marker_names if n != wrong}
    result = inverse_kinematics(skeleton, strange, weights=weights, in_sequence=False, journal=journal)
    np.testing.assert_allclose(result.motion.values, q.numpy(), atol=RECOVERED)
    assert wrong not in result.model_markers.names and result.weights == weights
    assert [n.text for n in journal.notices] == [
        "1 markers of the recording are not on the model and are not used: strange"
    ]


def test_recordings_without_a_use_are_refused(skeleton: Skeleton) -> None:
    markers = markers_of(skeleton, poses(skeleton, 2))
    other = Markers(markers.times, markers.positions, tuple(f"x{n}" for n in markers.names))
    with pytest.raises(DataError, match="no marker of the recording .* is on the model"):
        inverse_kinematics(skeleton, other)
    with pytest.raises(DataError, match="weight above zero"):
        inverse_kinematics(skeleton, markers, weights={"other": 1.0})
    with pytest.raises(DataError, match="ever seen"):
        inverse_kinematics(skeleton, Markers(markers.times, markers.positions * np.nan, markers.names))


def test_points_that_must_coincide_do(skeleton: Skeleton) -> None:
    """A hand held to the pelvis: the constraint wins against markers that would have it 10 cm off."""
    hand, pelvis = skeleton.body("hand_r"), skeleton.body("pelvis")
    q = poses(skeleton, 3, seed=6)
    point = torch.tensor([0.0, -0.05, 0.0], dtype=torch.float64)
    model = []
    for pose in q:
        p = forward_kinematics(skeleton, pose)
        there = p.point(hand, point) + torch.tensor([0.1, 0.0, 0.0], dtype=torch.float64)
        inside = p.rotation[pelvis].T @ (there - p.position[pelvis])
        constraint = PointConstraint("grip", hand, tuple(point.tolist()), pelvis, tuple(inside.tolist()))
        model.append(dataclasses.replace(skeleton, point_constraints=(constraint,)))
    for pose, held in zip(q, model, strict=True):
        found = inverse_kinematics(held, markers_of(skeleton, pose[None]))
        p = forward_kinematics(held, torch.as_tensor(found.motion.values[0]))
        c = held.point_constraints[0]
        gap = p.point(hand, torch.tensor(c.point_1).double()) - p.point(pelvis, torch.tensor(c.point_2).double())
        assert gap.norm() < 1e-6
        penalty = PointConstraintPenalty(held, 3.0)
        cost, gradient, matrix = penalty.normal_equations(pose[None])
        jacobian = torch.func.jacrev(lambda x, penalty=penalty: penalty.normal_equations(x[None])[0][0])(pose)
        assert cost[0].item() == pytest.approx(0.5 * 3.0 * 0.1**2, rel=1e-9)
        torch.testing.assert_close(gradient[0], jacobian, rtol=1e-9, atol=1e-12)
        assert torch.linalg.eigvalsh(matrix[0]).min() > -1e-9


def test_gradient_and_hessian_are_those_of_the_cost(skeleton: Skeleton) -> None:
    """By automatic differentiation; only the bending of the knee's coordinate functions is left out."""
    q = poses(skeleton, 4, seed=7, spread=1.5)
    rng = np.random.default_rng(8)
    targets = marker_positions(skeleton, q) + torch.as_tensor(0.05 * rng.normal(size=(4, len(skeleton.markers), 3)))
    weights = torch.as_tensor(rng.uniform(0, 2, (4, len(skeleton.markers))))
    weights[:, ::7] = 0.0
    found = MarkerSystem(skeleton).normal_equations(q, targets, weights)
    bends = [i for i, name in enumerate(skeleton.coordinate_names) if name.startswith("knee_angle")]
    for frame in range(4):

        def cost(x: Tensor, frame: int = frame) -> Tensor:
            off = marker_positions(skeleton, x) - targets[frame]
            return 0.5 * (weights[frame] * off.square().sum(-1)).sum()

        def residuals(x: Tensor, frame: int = frame) -> Tensor:
            return (weights[frame].sqrt()[:, None] * marker_positions(skeleton, x)).flatten()

        value, gradient, matrix, curvature = (part[frame] for part in found)
        torch.testing.assert_close(value, cost(q[frame]), rtol=1e-12, atol=0)
        torch.testing.assert_close(gradient, torch.func.grad(cost)(q[frame]), rtol=1e-9, atol=1e-10)
        jacobian = torch.func.jacfwd(residuals)(q[frame])
        torch.testing.assert_close(matrix, jacobian.T @ jacobian, rtol=1e-9, atol=1e-10)
        hessian = torch.func.hessian(cost)(q[frame])
        ours = matrix + curvature
        assert (curvature.abs() > 1e-3).sum() > 100
        for i in bends:
            ours[i, i] = hessian[i, i]
        torch.testing.assert_close(ours, hessian, rtol=1e-9, atol=1e-10)


def test_couplers_fold_the_derivatives(skeleton: Skeleton) -> None:
    q = poses(skeleton, 1, seed=10)[0]
    targets = marker_positions(skeleton, q)[None] + 0.03
    weights = torch.ones(1, len(skeleton.markers), dtype=torch.float64)
    system, free = MarkerSystem(skeleton), list(skeleton.free_coordinates)
    _, gradient, matrix, _ = system.normal_equations(q[None], targets, weights)
    gradient, matrix = skeleton.fold_couplers(q[None], gradient, matrix)

    def points(x: Tensor) -> Tensor:
        return marker_positions(skeleton, skeleton.couple(q.index_copy(0, torch.tensor(free), x))).flatten()

    jacobian = torch.func.jacfwd(points)(q[free])
    expected = jacobian.T @ (points(q[free]) - targets.flatten())
    torch.testing.assert_close(gradient[0, free], expected, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(matrix[0][free][:, free], jacobian.T @ jacobian, rtol=1e-9, atol=1e-10)


def test_rigid_fits_are_exact_and_never_mirror() -> None:
    rng = np.random.default_rng(11)
    points, weights = rng.normal(size=(6, 3)), rng.uniform(0.5, 2, (4, 6))
    turn = np.linalg.qr(rng.normal(size=(4, 3, 3)))[0]
    turn *= np.linalg.det(turn)[:, None, None]
    shift = rng.normal(size=(4, 3))
    target = np.einsum("tij,mj->tmi", turn, points) + shift[:, None]
    target[:, 5], weights[:, 5] = 99.0, 0.0  # one that does not count
    rotation, translation = rigid_fit(points, target, weights)
    np.testing.assert_allclose(rotation, turn, atol=1e-12)
    np.testing.assert_allclose(translation, shift, atol=1e-12)
    mirrored, _ = rigid_fit(points, target * [1, 1, -1], weights)
    np.testing.assert_allclose(np.linalg.det(mirrored), 1.0, rtol=1e-12)


def test_starts_have_the_root_where_it_is(skeleton: Skeleton) -> None:
    q = skeleton.default_pose.repeat(8, 1)
    rng = np.random.default_rng(12)
    q[:, :6] += torch.as_tensor(rng.uniform(-1, 1, (8, 6)))
    weights = torch.ones(8, len(skeleton.markers), dtype=torch.float64)
    found = starting_poses(skeleton, marker_positions(skeleton, q), weights, skeleton.default_pose)
    torch.testing.assert_close(found, q, rtol=0, atol=1e-9)
    weights[:, 2:] = 0.0  # two markers can't say how a body is turned
    found = starting_poses(skeleton, marker_positions(skeleton, q), weights, skeleton.default_pose)
    assert torch.equal(found, skeleton.default_pose.expand_as(found))
