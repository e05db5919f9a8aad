"""Forward simulation: energy, rotations, gradients, constraints, and what it refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.files.osim import read_osim
from motorque.journal import Journal
from motorque.mechanics.dynamics import forward_dynamics
from motorque.mechanics.energy import kinetic_energy, momentum, potential_energy
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.position_rates import position_rates
from motorque.mechanics.simulate import Simulation, simulate
from motorque.mechanics.velocities import point_velocity
from motorque.skeleton.builder import ZERO, Body, Frame, JointSpec, build_skeleton
from motorque.skeleton.functions import Linear, Sine
from motorque.skeleton.rotations import convert_positions
from motorque.skeleton.skeleton import Coordinate, Element, PointConstraint, Skeleton
from random_trees import random_motion, random_tree

DOUBLE = torch.float64


def start(skeleton: Skeleton, seed: int = 0) -> tuple[Tensor, Tensor]:
    q, v, _ = random_motion(skeleton, 1, seed=seed)
    return q[0], v[0]


def times(end: float, count: int) -> Tensor:
    return torch.linspace(0, end, count, dtype=DOUBLE)


@pytest.mark.parametrize("gravity", [0.0, 1.0])
def test_energy_of_a_body_in_flight_stays(gravity: float) -> None:
    """The issue's bound, over ten seconds."""
    tree = random_tree(1, "ball", bodies=4)
    tree = dataclasses.replace(tree, gravity=gravity * tree.gravity)
    run = simulate(tree, *start(tree), None, times(10, 21), rtol=1e-9, atol=1e-9)
    kinetic = kinetic_energy(tree, run.q, run.v)
    energy = kinetic + potential_energy(tree, run.q)
    assert float((energy - energy[0]).abs().max() / kinetic.max()) < 1e-6
    assert float((run.q[-1] - run.q[0]).abs().max()) > 1  # it moved
    if not gravity:
        spins = momentum(tree, run.q, run.v).angular
        assert float((spins - spins[0]).abs().max() / spins.abs().max()) < 1e-6


def test_a_body_falls_as_bodies_do() -> None:
    tree = random_tree(1, "ball", bodies=2)
    run = simulate(tree, *start(tree), None, times(1, 11), rtol=1e-9, atol=1e-9)
    linear = momentum(tree, run.q, run.v).linear
    expected = linear[0] + run.times[:, None] * tree.mass.sum() * tree.gravity
    assert float((linear - expected).abs().max() / expected.abs().max()) < 1e-8


def test_every_rotation_format_is_the_same_motion() -> None:
    tree = random_tree(1, "ball", bodies=3).with_rotations("quaternion")
    q, v = start(tree)
    truth = simulate(tree, q, v, None, times(1, 5), rtol=1e-8, atol=1e-8)
    lengths = torch.stack([truth.q[..., list(c)].norm(dim=-1) for c in tree.position_columns[1]])
    assert float((lengths - 1).abs().max()) < 4e-16
    for rotations in ("angles", "axis-angle", "6d", "matrix"):
        other = tree.with_rotations(rotations)
        run = simulate(other, convert_positions(q, tree, other), v, None, times(1, 5), rtol=1e-8, atol=1e-8)
        assert run.q.shape == (5, other.nq)
        one, two = (forward_kinematics(s, x).rotation for s, x in ((tree, truth.q), (other, run.q)))
        assert float((one - two).abs().max()) < 1e-12
        assert float((run.v - truth.v).abs().max()) < 1e-12


@pytest.mark.parametrize(("method", "order"), [("semi-implicit-euler", 1), ("rk4", 4)])
def test_fixed_steps_converge_with_their_order(method: str, order: int) -> None:
    tree = random_tree(1, "ball", bodies=3)
    q, v = start(tree)
    truth = simulate(tree, q, v, None, times(0.4, 2), rtol=1e-11, atol=1e-11)
    errors = [
        float((simulate(tree, q, v, None, times(0.4, 2), method=method, step=step).v - truth.v).abs().max())
        for step in (0.02, 0.01)
    ]
    assert 0.7 * 2**order < errors[0] / errors[1] < 1.6 * 2**order


def test_a_batch_is_the_motions_one_by_one() -> None:
    tree = random_tree(2, "mixed", bodies=4)
    q, v, _ = random_motion(tree, 3)
    both = simulate(tree, q, v, None, times(0.5, 4), rtol=1e-9, atol=1e-9)
    assert both.q.shape == (4, 3, tree.nq)
    for i in range(3):
        alone = simulate(tree, q[i], v[i], None, times(0.5, 4), rtol=1e-9, atol=1e-9)
        assert float((alone.v - both.v[:, i]).abs().max()) < 1e-6


def test_torques_may_be_given_in_time_or_by_a_controller() -> None:
    tree = random_tree(2, "revolute", bodies=3)
    q, v = start(tree)
    moments = times(0.5, 6)
    source = torch.Generator().manual_seed(0)
    torques = torch.randn(6, tree.nv, dtype=DOUBLE, generator=source)

    def controller(time: float, q: Tensor, v: Tensor) -> Tensor:
        assert q.shape[-1] == tree.nq and v.shape[-1] == tree.nv
        place = min(max(time, 0.0) / 0.1, 4.9999999)
        return torch.lerp(torques[int(place)], torques[int(place) + 1], place - int(place))

    given = simulate(tree, q, v, torques, moments, rtol=1e-9, atol=1e-9)
    asked = simulate(tree, q, v, controller, moments, rtol=1e-9, atol=1e-9)
    free = simulate(tree, q, v, None, moments, rtol=1e-9, atol=1e-9)
    assert float((given.q - asked.q).abs().max()) < 1e-6
    assert float((given.q - free.q).abs().max()) > 1e-3


@pytest.mark.parametrize("method", ["rk4", "dopri5", "semi-implicit-euler"])
def test_gradients_flow_through_the_steps(method: str) -> None:
    tree = random_tree(3, "ball", bodies=3).with_rotations("axis-angle")
    q, v = start(tree)
    moments = times(0.1, 3)
    source = torch.Generator().manual_seed(1)
    torques = torch.randn(3, tree.nv, dtype=DOUBLE, generator=source)
    mass = tree.mass.clone()
    inputs = [q, v, torques, mass]
    ways = [torch.randn(x.shape, dtype=DOUBLE, generator=source) for x in inputs]

    def end(q: Tensor, v: Tensor, torques: Tensor, mass: Tensor) -> Tensor:
        body = dataclasses.replace(tree, mass=mass)
        run = simulate(body, q, v, torques, moments, method=method, step=0.01, rtol=1e-10, atol=1e-10)
        return run.v[-1].sum() + run.q[-1].square().sum()

    leaves = [x.clone().requires_grad_() for x in inputs]
    end(*leaves).backward()
    for i, way in enumerate(ways):
        steps = [1e-5 * way if k == i else torch.zeros_like(x) for k, x in enumerate(inputs)]
        changed = [[x + sign * d for x, d in zip(inputs, steps, strict=True)] for sign in (1, -1)]
        with torch.no_grad():
            expected = float(end(*changed[0]) - end(*changed[1])) / 2e-5
        found = float((leaves[i].grad * way).sum())
        assert abs(found - expected) < 1e-6 * max(abs(expected), 1.0)


def test_couplers_are_obeyed() -> None:
    tree = random_tree(3, "custom", bodies=5, couplers=2)
    q, v = start(tree)
    q = tree.couple(q)
    run = simulate(tree, q, v, None, times(0.3, 4), rtol=1e-9, atol=1e-9)
    assert float((tree.couple(run.q) - run.q).abs().max()) < 1e-12
    energy = kinetic_energy(tree, run.q, run.v) + potential_energy(tree, run.q)
    assert float((energy - energy[0]).abs().max() / kinetic_energy(tree, run.q, run.v).max()) < 1e-6


def closed(tree: Skeleton, q: Tensor) -> Skeleton:
    """The last body's origin tied to where it is in ground."""
    place = forward_kinematics(tree, q).position[-1]
    tie = PointConstraint("tie", len(tree.body_names) - 1, (0.0, 0.0, 0.0), -1, tuple(place.tolist()))
    return dataclasses.replace(tree, point_constraints=(tie,))


def test_points_stay_together() -> None:
    tree = random_tree(2, "revolute", bodies=6)
    q, _ = start(tree)
    tied = closed(tree, q)
    run = simulate(tied, q, torch.zeros(tied.nv, dtype=DOUBLE), None, times(0.5, 6), rtol=1e-8, atol=1e-8)
    ends = forward_kinematics(tied, run.q).position[:, -1]
    assert float((ends - ends[0]).abs().max()) < 1e-9
    assert float((run.q[-1] - run.q[0]).abs().max()) > 1e-3
    speed = point_velocity(tied, run.q, run.v, tied.body_names[-1], torch.zeros(3, dtype=DOUBLE))
    assert float(speed.abs().max()) < 1e-9


def test_locked_coordinates_keep_still() -> None:
    tree = random_tree(2, "revolute", bodies=4)
    name = tree.coordinate_names[-1]
    locked = tuple(dataclasses.replace(c, locked=c.name == name) for c in tree.coordinates)
    tree = dataclasses.replace(tree, coordinates=locked)
    q, v = start(tree)
    with pytest.raises(DataError, match=f"{name} is locked but moves at the start"):
        simulate(tree, q, v, None, times(0.2, 3))
    v = v.index_fill(0, torch.tensor([tree.coordinate(name)]), 0.0)
    run = simulate(tree, q, v, None, times(0.2, 3))
    assert float((run.q[:, tree.coordinate(name)] - q[tree.coordinate(name)]).abs().max()) == 0
    loose = simulate(tree, q, v, None, times(0.2, 3), locked=())
    assert float((loose.q - run.q).abs().max()) > 1e-4


def test_loads_and_forces_act() -> None:
    tree = random_tree(1, "ball", bodies=2)
    q, v = start(tree)
    push = torch.tensor([10.0, 0.0, 0.0], dtype=DOUBLE)
    name = tree.body_names[0]

    def loads(time: float, q: Tensor, v: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        return {name: (push, torch.zeros(3, dtype=DOUBLE))}

    def drag(skeleton: Skeleton, q: Tensor, v: Tensor) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]:
        return torch.zeros_like(v), loads(0.0, q, v)

    runs: list[Simulation] = [
        simulate(tree, q, v, None, times(0.5, 3), rtol=1e-8, atol=1e-8, **options)  # type: ignore[arg-type]
        for options in (
            {},
            {"loads": loads},
            {"loads": loads(0.0, q, v)},
            {"forces": drag},
            {"forces": drag, "loads": loads},
        )
    ]
    linear = [momentum(tree, r.q[-1], r.v[-1]).linear[0] for r in runs]
    for run, factor in zip(linear[1:], (1, 1, 1, 2), strict=True):
        assert abs(float(run - linear[0]) - 5.0 * factor) < 1e-5


def test_a_diverging_integration_says_when_and_where() -> None:
    tree = random_tree(2, "revolute", bodies=3)
    q, v = start(tree)

    def mad(time: float, q: Tensor, v: Tensor) -> Tensor:
        return 1e4 * v if time > 0.1 else torch.zeros_like(v)

    for method in ("rk4", "semi-implicit-euler", "dopri5"):
        with pytest.raises(DataError, match=r"the integration diverges at 0\.\d+ s, \w+ first") as caught:
            simulate(tree, q, v, mad, times(1, 11), method=method, step=0.01)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["rk4", "semi-implicit-euler", "dopri5"])
def test_an_acceleration_that_is_no_number_is_named_with_its_time_and_motion(method: str) -> None:
    tree = random_tree(2, "revolute", bodies=3)
    q, v = start(tree)

    def blind(time: float, q: Tensor, v: Tensor) -> Tensor:
        tau = torch.zeros_like(v)
        if time > 0.1:
            tau[2] = torch.nan
        return tau

    many = q.expand(4, -1), v.expand(4, -1)
    with pytest.raises(DataError, match=r"diverges at 0\.\d+ s in motion 2, \w+ first .its acceleration is no number"):
        simulate(tree, *many, blind, times(1, 11), method=method, step=0.01)
    with pytest.raises(DataError, match=r"diverges at 0 s, \w+ first .its acceleration is no number"):
        simulate(tree, q, v, lambda t, q, v: v * torch.nan, times(1, 11), method=method, step=0.01)


def test_no_motions_are_simulated_too() -> None:
    tree = random_tree(0, "ball", bodies=3)
    q, v = start(tree)
    for method in ("rk4", "semi-implicit-euler", "dopri5"):
        run = simulate(tree, q.expand(2, 0, -1), v.expand(2, 0, -1), None, times(0.1, 3), method=method)
        assert run.q.shape == (3, 2, 0, tree.nq) and run.v.shape == (3, 2, 0, tree.nv)


def test_what_acts_may_be_the_same_for_all_motions() -> None:
    tree = random_tree(2, "revolute", bodies=3)
    q, v = start(tree)
    tau = torch.linspace(-1, 1, 3 * tree.nv, dtype=DOUBLE).reshape(3, tree.nv)
    force = torch.ones(3, dtype=DOUBLE)
    loads = {tree.body_names[-1]: (force, force)}
    one = simulate(tree, q, v, tau, times(0.1, 3), loads=loads)
    two = simulate(tree, q.expand(2, -1), v.expand(2, -1), tau, times(0.1, 3), loads=loads)
    assert float((two.q - one.q[:, None]).abs().max()) < 1e-9


def test_a_joint_whose_translations_follow_its_angles_is_simulated_in_these() -> None:
    """An ellipsoid joint: it has no quaternion to integrate, and its speeds are no rates of its angles."""
    tree = ellipsoid()
    q, v = torch.tensor([[0.3, 0.2, -0.3, 0.4], [1.0, -2.0, 1.5, 0.5]], dtype=DOUBLE).unbind(0)
    run = simulate(tree, q, v, None, times(0.15, 151), rtol=1e-10, atol=1e-10)
    energy = kinetic_energy(tree, run.q, run.v) + potential_energy(tree, run.q)
    assert float((energy - energy[0]).abs().max()) < 1e-6 * float(kinetic_energy(tree, run.q, run.v).max())
    rate = (run.q[2:] - run.q[:-2]) / 0.002
    expected = position_rates(tree, run.q, run.v)[1:-1]
    assert float((rate - expected).abs().max()) < 1e-4 * float(expected.abs().max())
    assert float((rate - run.v[1:-1]).abs().max()) > 0.1 * float(expected.abs().max())
    for method, step in (("rk4", 1e-3), ("semi-implicit-euler", 1e-4)):
        other = simulate(tree, q, v, None, times(0.15, 151), method=method, step=step)
        assert float((other.q - run.q).abs().max()) < 1e-3


def test_a_model_with_an_ellipsoid_joint_and_a_loop_is_simulated(data: Path) -> None:
    body = read_osim(data / "opensim_tests/IK/subject1_abdbonepin.osim", journal=Journal()).skeleton
    run = simulate(body, body.default_pose, torch.zeros(body.nv, dtype=DOUBLE), None, times(0.02, 3))
    assert torch.isfinite(run.q).all()


def ellipsoid() -> Skeleton:
    """A block on a pin, and one that turns about a centre that moves as it turns."""
    follows = (
        *(Element(Linear(1.0, 0.0), i) for i in range(3)),
        Element(Sine(0.1, 1.0, 0.0, 0.0), 1),
        Element(Sine(0.2, 1.0, 0.0, 0.0), 0),
        Element(Linear(0.05, 0.0), 2),
    )
    pin = (ZERO, ZERO, Element(Linear(1.0, 0.0), 0), ZERO, ZERO, ZERO)
    bodies = [Body(name, 2.0, np.array([0.05, 0.1, -0.1]), 0.02 * np.eye(3)) for name in ("block", "blade")]
    turns = tuple(Coordinate(f"turn{i}") for i in range(3))
    joints = [
        JointSpec("pin", "PinJoint", Frame("ground"), Frame("block"), (Coordinate("swing"),), pin),
        JointSpec("slide", "EllipsoidJoint", Frame("block"), Frame("blade"), turns, follows, ball=True),
    ]
    return build_skeleton("ellipsoid", bodies, joints)


def test_wrong_settings_are_named() -> None:
    tree = random_tree(2, "revolute", bodies=3)
    q, v = start(tree)
    zeros = torch.zeros(2, tree.nv, dtype=DOUBLE)
    wrong = [
        (
            {"method": "leapfrog"},
            DataError,
            "no integration method 'leapfrog'; there are semi-implicit-euler, rk4, dopri5",
        ),
        ({"times": torch.tensor([0.0, 0.0], dtype=DOUBLE)}, DataError, "at least two increasing times"),
        ({"step": 0.0}, DataError, "step must be positive, got 0.0"),
        ({"rtol": -1.0}, DataError, "rtol must be positive"),
        ({"contact": "glue"}, DataError, "no contact 'glue'"),
        ({"contact": "hunt-crossley"}, ModelError, "no contact spheres"),
        ({"controls": torch.zeros(3, 2, dtype=DOUBLE)}, DataError, "controls need a row per time"),
        ({"locked": ["knee"]}, ModelError, "no coordinate named 'knee'"),
        ({"locked": "tilt"}, DataError, "locked must be a sequence of coordinate names, got 'tilt'"),
        ({"times": torch.tensor([0.0, torch.inf], dtype=DOUBLE)}, DataError, "times must be finite, got inf"),
        ({"times": torch.tensor([0.0, 1.0])}, DataError, "times are float32 but the skeleton is float64"),
        ({"q0": q * torch.nan}, DataError, "q0 holds a number that is none, in column 0"),
        ({"q0": torch.stack([q, q * torch.inf])}, DataError, "q0 holds a number that is none in motion 1, in column 0"),
        ({"v0": v * torch.nan}, DataError, "v0 holds a number that is none, in column 0"),
        ({"contact": True}, DataError, "there is no contact True; give 'hunt-crossley' or a ContactModel"),
        ({"controls": zeros.numpy()}, DataError, "controls must be a torch tensor, a function of time, .* got ndarray"),
        ({"controls": zeros[0, 0]}, DataError, r"controls need a row per time .* got \[\]"),
        ({"controls": zeros.float()}, DataError, "controls is float32 on cpu but the skeleton float64 on cpu"),
        ({"controls": zeros[:, None].expand(2, 3, -1)}, DataError, r"controls is for motions of shape \[3\], but q0"),
        (
            {"controls": zeros[:, None].expand(2, 3, -1), "q0": q.expand(4, -1)},
            DataError,
            r"for motions of shape \[3\], but q0 and v0 start motions of shape \[4\]; give a start for each",
        ),
        ({"controls": lambda t, q, v: v[:2]}, DataError, "what the controller returns must have 8 columns"),
        ({"controls": lambda t, q, v: None}, DataError, "what the controller returns must be a torch tensor, got None"),
        ({"controls": lambda t, q, v: v.expand(3, -1)}, DataError, r"what the controller returns is for motions of"),
        ({"loads": {"body1": (torch.zeros(3, 3, dtype=DOUBLE), zeros[0, :3])}}, DataError, "the load on body1 is for"),
        ({"q0": q[:2]}, DataError, "q needs"),
    ]
    for change, kind, message in wrong:
        given = {"q0": q, "v0": v, "controls": None, "times": times(0.1, 2), **change}
        with pytest.raises(kind, match=message) as caught:
            simulate(tree, **given)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)


def test_accelerations_are_those_of_forward_dynamics() -> None:
    tree = random_tree(5, "mixed", bodies=4)
    q, v = start(tree)
    step = 1e-6
    run = simulate(tree, q, v, None, torch.tensor([0.0, step], dtype=DOUBLE), method="semi-implicit-euler", step=step)
    found = (run.v[1] - run.v[0]) / step
    expected = forward_dynamics(tree, q, v, torch.zeros_like(v))
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-8
