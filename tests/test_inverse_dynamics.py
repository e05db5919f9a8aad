"""Inverse dynamics against two derivations that share nothing with it: Lagrange's equations by automatic
differentiation, and OpenSim's solver on models of every joint kind."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import data_folder
from motorque.errors import DataError, ModelError
from motorque.files.osim import read_osim
from motorque.journal import Journal
from motorque.mechanics.derivatives import inverse_dynamics_derivatives
from motorque.mechanics.dynamics import inverse_dynamics
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.speeds import has_balls, rates_from_speeds, speeds_from_rates
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import PointConstraint, Skeleton
from motorque.workflows.inverse_dynamics import say_loops
from moving_bodies import WheelState
from random_trees import random_motion, random_tree


def _lagrange(skeleton: Skeleton, q: torch.Tensor, v: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Generalized forces d/dt ∂T/∂q̇ − ∂T/∂q + ∂V/∂q from body poses alone."""

    def centers(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        poses = forward_kinematics(skeleton, x)
        return poses.rotation, poses.position + (poses.rotation @ skeleton.mass_center[..., None])[..., 0]

    def kinetic(x: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        (rotation, _), (turning, velocity) = torch.func.jvp(centers, (x,), (rate,))
        spin = turning @ rotation.transpose(-1, -2)
        w = torch.stack([spin[..., 2, 1], spin[..., 0, 2], spin[..., 1, 0]], -1)
        inertia = rotation @ skeleton.inertia @ rotation.transpose(-1, -2)
        return (
            0.5 * (skeleton.mass * velocity.square().sum(-1)).sum() + 0.5 * (w * (inertia @ w[..., None])[..., 0]).sum()
        )

    def potential(x: torch.Tensor) -> torch.Tensor:
        return -(skeleton.mass[:, None] * centers(x)[1] * skeleton.gravity).sum()

    momentum = torch.func.grad(kinetic, argnums=1)
    _, change = torch.func.jvp(momentum, (q, v), (v, a))
    return change - torch.func.grad(kinetic, argnums=0)(q, v) + torch.func.grad(potential)(q)


def test_agrees_with_lagrange_on_the_built_in_skeleton() -> None:
    skeleton = fullbody()
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        q, v, a = (torch.randn(skeleton.nq, generator=generator, dtype=torch.float64) * s for s in (0.4, 1.0, 5.0))
        tau = inverse_dynamics(skeleton, q, v, a)
        expected = _lagrange(skeleton, q, v, a)
        assert float((tau - expected).abs().max() / expected.abs().max()) < 1e-13


MODELS = [
    "opensim_tests/Scale/toyLigamentModel.osim",  # free joint: speeds are an angular velocity
    "opensim_tests/Scale/gait2354_simbody.osim",
    "opensim_tests/IK/subject1_abdbonepin.osim",  # scapulothoracic
    "opensim_tests/ID/arm26.osim",
    "opensim_tests/StaticOptimization/DoublePendulum3D.osim",
    "models/LaiUhlrich2022.osim",  # splines that turn the shank, coupled kneecaps
    "rajagopal_walk/subject_walk_scaled.osim",
]


@pytest.mark.parametrize("name", MODELS if data_folder().is_dir() else [])
def test_agrees_with_opensims_solver(name: str, data: Path, opensim, backend: str) -> None:
    wheel = WheelState(opensim, data / name)
    skeleton, solver = wheel.skeleton, opensim.InverseDynamicsSolver(wheel.model)
    rng = np.random.default_rng(0)
    for _ in range(5):
        q, v, a = rng.uniform(-0.5, 0.5, skeleton.nq), rng.normal(size=skeleton.nq), 3 * rng.normal(size=skeleton.nq)
        q = wheel.set(q, v)
        acceleration = np.zeros(skeleton.nv)
        acceleration[wheel.slots] = a
        expected = solver.solve(wheel.state, opensim.Vector.createFromMat(acceleration)).to_numpy()[wheel.slots]
        tau = inverse_dynamics(
            skeleton,
            *(torch.as_tensor(x) for x in (q, v, a)),
            ignore_constraints=True,
            as_simbody=True,
            backend=backend,  # type: ignore[arg-type]
        ).numpy()
        assert np.abs(tau - expected).max() <= 1e-12 * np.abs(expected).max()


def test_speeds_and_rates_invert_each_other(data: Path) -> None:
    skeleton = read_osim(data / "opensim_tests/Scale/toyLigamentModel.osim").skeleton
    assert has_balls(skeleton)
    q, rate, acceleration = (
        torch.randn(skeleton.nq, dtype=torch.float64, generator=torch.Generator().manual_seed(i)) for i in range(3)
    )
    v, a = speeds_from_rates(skeleton, q, rate, acceleration)
    back = rates_from_speeds(skeleton, q, v, a)
    torch.testing.assert_close(back[0], rate, rtol=0, atol=1e-12)
    torch.testing.assert_close(back[1], acceleration, rtol=0, atol=1e-11)


def test_an_external_wrench_does_the_work_that_it_does() -> None:
    """Power of the wrench along a coordinate's rate equals the generalized force it takes away."""
    skeleton = fullbody()
    q = 0.2 * torch.randn(skeleton.nq, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    zero = torch.zeros_like(q)
    force, point = torch.tensor([30.0, 700.0, -20.0]).double(), torch.tensor([0.05, -0.02, 0.01]).double()
    foot = skeleton.body("calcn_r")

    def contact(x: torch.Tensor) -> torch.Tensor:
        return forward_kinematics(skeleton, x).point(foot, point)

    moment = torch.linalg.cross(contact(q), force)
    change = inverse_dynamics(skeleton, q, zero, zero, loads={"calcn_r": (force, moment)}) - inverse_dynamics(
        skeleton, q, zero, zero
    )
    expected = -torch.func.jacrev(contact)(q).T @ force
    torch.testing.assert_close(change, expected, rtol=0, atol=1e-10)


def test_gradients_reach_poses_masses_and_lengths() -> None:
    skeleton = fullbody()
    q = 0.1 * torch.ones(skeleton.nq, dtype=torch.float64)
    mass = skeleton.mass.clone().requires_grad_()
    length = skeleton.parent_position.clone().requires_grad_()
    body = dataclasses.replace(skeleton, mass=mass, parent_position=length)
    inverse_dynamics(body, q, q, q).square().sum().backward()
    for tensor in (mass, length):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0


def test_wrong_shapes_and_bodies_are_named() -> None:
    skeleton = fullbody()
    q = torch.zeros(skeleton.nq, dtype=torch.float64)
    with pytest.raises(DataError, match=r"v needs 35 columns, got shape \[3\]"):
        inverse_dynamics(skeleton, q, q[:3], q)
    with pytest.raises(ModelError, match="'tail'"):
        inverse_dynamics(skeleton, q, q, q, loads={"tail": (torch.zeros(3), torch.zeros(3))})


def test_a_loop_is_refused_unless_ignored() -> None:
    skeleton = fullbody()
    zero = (0.0, 0.0, 0.0)
    held = PointConstraint("grip", skeleton.body("hand_r"), zero, skeleton.body("hand_l"), zero)
    looped = dataclasses.replace(skeleton, point_constraints=(held,))
    q = torch.zeros(skeleton.nq, dtype=torch.float64)
    with pytest.raises(ModelError, match="indeterminate, since the point constraints 'grip' close loops"):
        inverse_dynamics(looped, q, q, q)
    ignored = inverse_dynamics(looped, q, q, q, ignore_constraints=True)
    torch.testing.assert_close(ignored, inverse_dynamics(skeleton, q, q, q), rtol=0, atol=0)
    journal = Journal()
    say_loops(skeleton, journal)
    assert not journal.notices
    say_loops(looped, journal)
    assert "no force is taken to pass through the point constraints grip" in journal.notices[0].text


def test_derivatives_of_a_loop_are_refused_unless_ignored() -> None:
    """Before anything else is said of it: ball joints in other numbers would not help."""
    angles = random_tree(0, "ball", bodies=3).with_rotations("angles")
    held = PointConstraint("grip", 2, (0.0, 0.0, 0.0), -1, (0.0, 0.0, 0.0))
    q, v, a = random_motion(angles, 2)
    with pytest.raises(ModelError, match="indeterminate, since the point constraints 'grip' close loops"):
        inverse_dynamics_derivatives(dataclasses.replace(angles, point_constraints=(held,)), q, v, a)
    free = angles.with_rotations("quaternion")
    looped = dataclasses.replace(free, point_constraints=(held,))
    q, v, a = random_motion(free, 2)
    found = inverse_dynamics_derivatives(looped, q, v, a, ignore_constraints=True)
    torch.testing.assert_close(found.by_speed, inverse_dynamics_derivatives(free, q, v, a).by_speed, rtol=0, atol=0)
