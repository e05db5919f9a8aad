"""Forward simulation: energy, rotations, gradients, constraints, and what it refuses."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.mechanics.dynamics import forward_dynamics
from motorque.mechanics.energy import kinetic_energy, momentum, potential_energy
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.simulate import Simulation, simulate
from motorque.mechanics.velocities import point_velocity
from motorque.skeleton.rotations import convert_positions
from motorque.skeleton.skeleton import PointConstraint, Skeleton
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


def test_wrong_settings_are_named() -> None:
    tree = random_tree(2, "revolute", bodies=3)
    q, v = start(tree)
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
        ({"q0": q[:2]}, DataError, "q needs"),
    ]
    for change, kind, message in wrong:
        given = {"q0": q, "v0": v, "controls": None, "times": times(0.1, 2), **change}
        with pytest.raises(kind, match=message):
            simulate(tree, **given)  # type: ignore[arg-type]


def test_accelerations_are_those_of_forward_dynamics() -> None:
    tree = random_tree(5, "mixed", bodies=4)
    q, v = start(tree)
    step = 1e-6
    run = simulate(tree, q, v, None, torch.tensor([0.0, step], dtype=DOUBLE), method="semi-implicit-euler", step=step)
    found = (run.v[1] - run.v[0]) / step
    expected = forward_dynamics(tree, q, v, torch.zeros_like(v))
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-8
