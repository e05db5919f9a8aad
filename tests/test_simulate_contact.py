"""Simulations that touch the floor: a person who is dropped and stands, bodies that bounce, slide and roll."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

import motorque as mq
from motorque.files.osim import read_osim
from motorque.files.osim_forces import read_model_forces
from motorque.journal import Journal
from motorque.mechanics.contact import ContactModel
from motorque.mechanics.contact_laws import ContactLaw, HuntCrossley, SmoothHuntCrossley
from motorque.mechanics.dynamics import forward_dynamics, mass_matrix
from motorque.mechanics.energy import kinetic_energy, potential_energy
from motorque.mechanics.simulate import Simulation, simulate
from motorque.skeleton.skeleton import ContactSphere, Skeleton
from random_trees import random_tree

DOUBLE = torch.float64
G = 9.80665
MASS, RADIUS = 4.0, 0.1


def times(end: float, count: int) -> Tensor:
    return torch.linspace(0, end, count, dtype=DOUBLE)


def marble() -> Skeleton:
    """A homogeneous ball free to move; its coordinates are three angles, then where its centre is in ground."""
    tree = random_tree(0, "revolute", bodies=1)
    eye, zero = torch.eye(3, dtype=DOUBLE), torch.zeros(1, 3, dtype=DOUBLE)
    return dataclasses.replace(
        tree,
        mass=torch.tensor([MASS], dtype=DOUBLE),
        mass_center=zero,
        inertia=0.4 * MASS * RADIUS**2 * eye[None],
        child_rotation=eye[None],
        child_position=zero,
        gravity=torch.tensor([0.0, -G, 0.0], dtype=DOUBLE),
        contact_spheres=(ContactSphere("marble", 0, (0.0, 0.0, 0.0), RADIUS),),
    )


def thrown(skeleton: Skeleton, height: float, ahead: float = 0.0) -> tuple[Tensor, Tensor]:
    """A marble whose lowest point is at a height, moving along X."""
    q, v = torch.zeros(2, skeleton.nv, dtype=DOUBLE).unbind(0)
    q[skeleton.coordinate("ty")], v[skeleton.coordinate("tx")] = RADIUS + height, ahead
    return q, v


def test_a_bounce_without_damping_keeps_all_energy() -> None:
    """What the floor holds is 2/5 k δ^2.5.

    At touch the plain law's force has a kink, over which Dormand and Prince's method now and then takes its error for a
    thousandth of what it is; hence the small tolerance.
    """
    ball = marble()
    law = HuntCrossley(stiffness=1e5, dissipation=0.0)
    contact, (q, v) = ContactModel.of(ball, law), thrown(ball, 0.05)
    run = simulate(ball, q, v, None, times(0.6, 25), contact=contact, rtol=1e-11, atol=1e-11)
    depth = contact.forces(ball, run.q, run.v).depth[..., 0]
    held = 0.4 * 1e5 * depth.clamp(min=0) ** 2.5
    kinetic = kinetic_energy(ball, run.q, run.v)
    energy = kinetic + potential_energy(ball, run.q) + held
    assert float(depth.max()) > 0.005 and float(run.v[..., ball.coordinate("ty")].max()) > 0.9
    assert float((energy - energy[0]).abs().max() / kinetic.max()) < 1e-6


def test_trial_steps_may_lead_deep_into_the_floor() -> None:
    """In free fall steps grow until one ends far below; that is not where the body is."""
    ball = marble()
    contact = ContactModel.of(ball, HuntCrossley(stiffness=1e7, dissipation=0.0))
    q, v = thrown(ball, 0.5)
    run = simulate(ball, q, v, None, times(1, 2), contact=contact, rtol=1e-8, atol=1e-8)
    fine = simulate(ball, q, v, None, times(1, 101), contact=contact, rtol=1e-8, atol=1e-8)
    assert float((run.q[-1] - fine.q[-1]).abs().max()) < 1e-4
    height = fine.q[:, ball.coordinate("ty")] - RADIUS
    assert float(height.min()) < 0.01 and float(height[50:].max()) > 0.49


@pytest.mark.parametrize("law", [SmoothHuntCrossley(), HuntCrossley()], ids=["smooth", "plain"])
def test_a_bounce_with_damping_loses_energy(law: ContactLaw) -> None:
    ball = marble()
    run = simulate(ball, *thrown(ball, 0.05), None, times(1.5, 151), contact=ContactModel.of(ball, law), rtol=1e-7)
    height = run.q[:, ball.coordinate("ty")] - RADIUS
    rises = [float(height[i]) for i in range(1, 150) if height[i - 1] < height[i] > height[i + 1]]
    assert rises and all(b < a for a, b in zip([0.05, *rises], rises, strict=False))
    force = ContactModel.of(ball, law).forces(ball, run.q[-1], run.v[-1]).force.sum(-2)
    assert abs(float(force[1]) / (MASS * G) - 1) < 0.01  # it lies still in the end


@pytest.mark.parametrize("method", ["dopri5", "rk4", "semi-implicit-euler"])
def test_a_sliding_ball_rolls_in_the_end(method: str) -> None:
    """Whatever the friction: 5/7 of its speed are left, but for how deep it lies in the floor."""
    ball = marble()
    depth = (MASS * G / 1e5) ** (2 / 3)
    contact = ContactModel.of(ball, HuntCrossley(stiffness=1e5, friction=0.5, slip_scale=2e-3))
    run = simulate(
        ball, *thrown(ball, -depth, ahead=1.0), None, times(0.15, 4), contact=contact, method=method, step=2e-4,
        rtol=1e-7, atol=1e-7,
    )  # fmt: skip
    arm = RADIUS - depth / 2
    expected = 1 / (1 + 0.4 * RADIUS**2 / arm**2)
    assert abs(float(run.v[-1, ball.coordinate("tx")]) - expected) < 1e-3
    assert abs(float(run.v[-1, ball.coordinate("tilt")]) * arm + expected) < 1e-3
    slowing = (float(run.v[1, ball.coordinate("tx")]) - 1) / 0.05
    assert abs(slowing / (-0.5 * G) - 1) < 0.01  # Coulomb's friction while it slides


def test_a_batch_touches_one_by_one_and_in_single_precision() -> None:
    ball = marble()
    starts = [thrown(ball, height, ahead=0.5) for height in (0.2, -0.001, 0.02)]
    q, v = (torch.stack(x) for x in zip(*starts, strict=True))

    def run(body: Skeleton, q: Tensor, v: Tensor) -> Simulation:
        moments = times(0.1, 3).to(q.dtype)
        return simulate(body, q, v, None, moments, contact="hunt-crossley", method="rk4", step=5e-4)

    together = run(ball, q, v)
    for i, (one_q, one_v) in enumerate(starts):
        alone = run(ball, one_q, one_v)
        assert torch.allclose(together.q[:, i], alone.q, rtol=0, atol=1e-12)
        assert torch.allclose(together.v[:, i], alone.v, rtol=0, atol=1e-12)
    single = run(ball.to(dtype=torch.float32), q.float(), v.float())
    assert single.q.dtype == torch.float32
    assert torch.allclose(single.q.double(), together.q, rtol=0, atol=1e-5)


@pytest.mark.parametrize("law", [SmoothHuntCrossley(), HuntCrossley()], ids=["smooth", "plain"])
def test_gradients_go_through_a_bounce(law: ContactLaw) -> None:
    ball = marble()
    q, v = thrown(ball, 0.002, ahead=0.3)
    v[ball.coordinate("ty")] = -1.0
    way = torch.linspace(0.5, -0.3, ball.nv, dtype=DOUBLE)
    stiffness = torch.tensor(law.stiffness, dtype=DOUBLE)

    def end(q: Tensor, v: Tensor, stiffness: Tensor) -> Tensor:
        contact = ContactModel.of(ball, dataclasses.replace(law, stiffness=stiffness))
        run = simulate(ball, q, v, None, times(0.05, 2), contact=contact, method="rk4", step=5e-4)
        return (run.v[-1] * torch.arange(1.0, 7.0, dtype=DOUBLE)).sum() + run.q[-1].sum()

    inputs = [q, v, stiffness]
    leaves = [x.clone().requires_grad_() for x in inputs]
    end(*leaves).backward()
    for i, direction in enumerate((way, way, torch.tensor(1.0, dtype=DOUBLE))):
        size = 1e-6 * float(stiffness) if i == 2 else 1e-6
        ends = []
        for sign in (1, -1):
            changed = [x + sign * size * direction if k == i else x for k, x in enumerate(inputs)]
            with torch.no_grad():
                ends.append(float(end(*changed)))
        expected = (ends[0] - ends[1]) / (2 * size)
        found = float((leaves[i].grad * direction).sum())
        assert abs(expected) > 1e-9
        assert abs(found - expected) < 1e-5 * abs(expected), i


STIFFNESS = {"arm": 50, "elbow": 50, "pro_sup": 20, "mtp": 50, "subtalar": 300, "pelvis_t": 5000, "": 1000}
"""Of a posture, by how the coordinates' names begin [N·m/rad or N/m]; pelvis_ty has none."""


def dropped(law: str | ContactModel, method: str, end: float, **options: float) -> tuple[Skeleton, Simulation]:
    """A person dropped from 5 cm who holds his posture, critically damped, and is kept from tipping over.

    Up and down nothing holds him but the floor.
    """
    body = mq.fullbody()
    q, still = body.default_pose.clone(), torch.zeros(body.nv, dtype=DOUBLE)
    q[body.coordinate("pelvis_ty")] += ContactModel.of(body).forces(body, q, still).depth.max() + 0.05
    moved = torch.zeros(body.nv, dtype=DOUBLE)
    moved[list(body.free_coordinates)] = 1 / torch.linalg.inv(mass_matrix(body, q)).diagonal()
    kinds = [next(k for k in STIFFNESS if name.startswith(k)) for name in body.coordinate_names]
    stiffness = torch.tensor([float(STIFFNESS[kind]) for kind in kinds], dtype=DOUBLE) * (moved > 0)
    stiffness[body.coordinate("pelvis_ty")] = 0.0
    damping = 2 * torch.sqrt(stiffness * moved)

    def posture(time: float, now: Tensor, v: Tensor) -> Tensor:
        return stiffness * (q - now) - damping * v

    return body, simulate(body, q, still, posture, times(end, 21), contact=law, method=method, **options)  # type: ignore[arg-type]


def check_standing(body: Skeleton, run: Simulation, contact: ContactModel) -> None:
    found = contact.forces(body, run.q, run.v)
    total = found.force.sum(-2) / (body.mass.sum() * G)
    assert float(total[0, 1]) < 1e-6  # it starts in the air
    assert float(total[:, 1].max()) < 6  # lands as a person does, who comes down at a metre per second
    assert abs(float(total[-5:, 1].mean()) - 1) < 0.02  # and stands
    assert float(found.depth.max()) < 0.03 and float(run.v[-1].abs().max()) < 0.2
    assert float(run.v.abs().max()) < 20
    left, right = (
        sum(float(found.force[-1, i, 1]) for i, b in enumerate(contact.bodies) if body.body_names[b].endswith(side))
        for side in ("_l", "_r")
    )
    assert abs(left / right - 1) < 0.05


def test_a_dropped_person_stands() -> None:
    body, run = dropped("hunt-crossley", "semi-implicit-euler", 0.8, step=5e-4)
    check_standing(body, run, ContactModel.of(body))


@pytest.mark.slow
def test_a_dropped_person_stands_with_any_law_and_method() -> None:
    contact = ContactModel.of(mq.fullbody(), HuntCrossley())
    check_standing(*dropped(contact, "semi-implicit-euler", 0.8, step=2e-4), contact)
    contact = ContactModel.of(mq.fullbody())
    body, adaptive = dropped("hunt-crossley", "dopri5", 0.8, rtol=1e-5, atol=1e-5)
    check_standing(body, adaptive, contact)
    _, fixed = dropped("hunt-crossley", "rk4", 0.8, step=2.5e-4)
    assert float((adaptive.q - fixed.q).abs().max()) < 1e-6
    _, simple = dropped("hunt-crossley", "semi-implicit-euler", 0.8, step=2e-4)
    assert float((adaptive.q - simple.q).abs().max()) < 1e-3


def test_a_models_own_forces_act(data: Path) -> None:
    """Its 50 expressions, bushings, springs, activations and contacts, as accelerations have them."""
    file = read_osim(data / "arnold_synthetic/subject01/subject01.osim", journal=Journal())
    skeleton, forces = file.skeleton, read_model_forces(file, ["muscles"], journal=Journal())
    assert forces.contact is not None
    q, v = skeleton.default_pose.clone(), torch.zeros(skeleton.nv, dtype=DOUBLE)
    q[skeleton.coordinate("pelvis_ty")] += forces.contact.forces(skeleton, q, v).depth.max() - 0.005
    step = 1e-5
    run = simulate(skeleton, q, v, None, times(step, 2), forces=forces, method="semi-implicit-euler", step=step)
    tau, loads = forces(skeleton, q, v)
    locked = [c.name for i, c in enumerate(skeleton.coordinates) if c.locked and i in skeleton.free_coordinates]
    expected = forward_dynamics(skeleton, q, v, tau, loads=loads, locked=locked)
    without = forward_dynamics(skeleton, q, v, torch.zeros_like(v), locked=locked)
    assert float((expected - without).abs().max()) > 1
    assert float((run.v[1] / step - expected).abs().max() / expected.abs().max()) < 1e-6


@pytest.mark.parametrize("method", ["rk4", "semi-implicit-euler"])
def test_the_default_step_is_short_enough_for_contact(method: str) -> None:
    """The built-in skeleton's default pose stands four centimetres deep in the floor."""
    body = mq.skeleton.fullbody()
    still = torch.zeros(body.nv, dtype=DOUBLE)
    run = simulate(body, body.default_pose, still, None, times(0.02, 2), contact="hunt-crossley", method=method)
    assert torch.isfinite(run.q).all()
    assert run.evaluations == 100 * (4 if method == "rk4" else 1)
