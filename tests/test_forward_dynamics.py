"""Forward dynamics against Pinocchio, the `opensim` wheel and inverse dynamics; constraints, locks, gradients, and what
can't be solved."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import data_folder
from dynamics_cases import CASES, case, error, free_position_columns, rounded, scaled_condition, uncoupled
from motorque.errors import DataError, ModelError
from motorque.mechanics.dynamics import forward_dynamics, mass_matrix
from motorque.mechanics.forward_dynamics import forward_dynamics_torch, inverse_mass_matrix_torch
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch, tree_motion
from motorque.mechanics.loops import closing_rows
from motorque.mechanics.mass_matrix import mass_matrix_torch
from motorque.mechanics.reduced import fold
from motorque.mechanics.tree import tree_pose
from motorque.skeleton.skeleton import PointConstraint, Skeleton
from moving_bodies import WheelState

cases = pytest.mark.parametrize(("tree", "rotations"), CASES, ids=["-".join(c) for c in CASES])


def random_forces(v: Tensor) -> Tensor:
    return 20 * torch.randn(v.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


@cases
def test_undoes_inverse_dynamics(tree: str, rotations: str) -> None:
    body, q, v, a = case(tree, rotations)
    loads = {name: (random_forces(v)[:, :3], random_forces(v)[:, 3:6]) for name in body.body_names[-2:]}
    for x in (uncoupled(body), body):
        tau = inverse_dynamics_torch(x, q, v, a, loads=loads)
        assert error(forward_dynamics_torch(x, q, v, tau, loads=loads), a) < 1e-10
    free = list(body.free_coordinates)
    short = q[:, free_position_columns(body)], v[:, free]
    tau = inverse_dynamics_torch(body, *short, a[:, free], loads=loads)
    assert tau.shape[-1] == len(free)
    assert error(forward_dynamics_torch(body, *short, tau, loads=loads), a[:, free]) < 1e-10


@cases
def test_equals_pinocchios(tree: str, rotations: str) -> None:
    oracles = pytest.importorskip("oracle_models", reason="Pinocchio is not installed (pip install motorque[test])")
    body, q, v, _ = case(tree, rotations)
    body, tau = uncoupled(body), random_forces(v)
    oracle = oracles.PinocchioModel(body)
    assert error(forward_dynamics_torch(body, q, v, tau), oracle.forward_dynamics(q, v, tau)) < 1e-10
    assert error(inverse_mass_matrix_torch(body, q), torch.linalg.inv(oracle.mass_matrix(q)), dims=2) < 1e-10


@cases
def test_single_precision_loses_what_the_mass_matrix_does(tree: str, rotations: str) -> None:
    body, q, v, _ = case(tree, rotations, frames=40)
    single, exact, low, high = rounded(body, q, v, random_forces(v))
    found, wanted = forward_dynamics_torch(single, *low), forward_dynamics_torch(exact, *high)
    assert found.dtype == torch.float32
    off = (found.double() - wanted).abs().amax(-1) / wanted.abs().amax(-1)
    bound = 10 * torch.finfo(torch.float32).eps * scaled_condition(mass_matrix_torch(exact, high[0]))
    assert (off < bound).all()


MODELS = [
    "opensim_tests/IK/subject1_abdbonepin.osim",  # a point constraint and an ellipsoid joint
    "opensim_tests/Scale/toyLigamentModel.osim",  # a free joint
    "models/LaiUhlrich2022.osim",  # couplers
    "opensim_tests/StaticOptimization/DoublePendulum3D.osim",
]


@pytest.mark.parametrize("name", MODELS if data_folder().is_dir() else [])
def test_equals_the_wheels(name: str, data: Path, opensim: Any) -> None:
    wheel = WheelState(opensim, data / name)
    skeleton, rng = wheel.skeleton, np.random.default_rng(1)
    wheel.model.set_assembly_accuracy(1e-14)
    for _ in range(3):
        # Knees bent: where straight ones' splines end, second derivatives jump.
        start = wheel.set(rng.uniform(0.05, 0.4, skeleton.nq), np.zeros(skeleton.nv))
        q, v = skeleton.couple(torch.as_tensor(start)), torch.as_tensor(rng.normal(size=skeleton.nv))
        _, v, _ = skeleton.couple_derivatives(q, v, v)
        if skeleton.point_constraints:
            wheel.model.assemble(wheel.state)
            q = [wheel.coordinates.get(c.name).getValue(wheel.state) for c in skeleton.coordinates]
            q = torch.tensor(q, dtype=torch.float64)
            rows = _rows(skeleton, q, v)[0]
            v = v - torch.linalg.pinv(rows) @ (rows @ v)  # no speed that would part the points
        wheel.set(q.numpy(), v.numpy())
        found = forward_dynamics_torch(skeleton, q, v, torch.zeros_like(v), as_simbody=True)
        assert error(found, torch.as_tensor(wheel.accelerations())) < 1e-12


def _rows(skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor | None = None) -> tuple[Tensor, Tensor]:
    tree = tree_pose(skeleton, q)
    motion, _ = tree_motion(skeleton, tree, q, v, torch.zeros_like(v) if a is None else a)
    return closing_rows(skeleton, tree, q, motion)


def closed(tree: str, *, to_ground: bool = False) -> tuple[Skeleton, Tensor, Tensor, Tensor]:
    """A tree whose last body is held to another one, or to ground, where it is: no matter that it could not get there
    from another frame."""
    body, q, v, _ = case(tree, frames=1)
    place = tree_pose(body, q[0])
    names = body.body_names
    limb = {"custom": 1, "mixed": 4, "coupled": 5}[tree]
    ends = (-1 if to_ground else limb, len(names) - 1)
    where = place.poses.position[-1] + place.anchor + place.poses.rotation[-1] @ torch.tensor([0.1, 0.0, 0.2]).double()
    points = []
    for index in ends:
        local = where
        if index >= 0:
            local = place.poses.rotation[index].mT @ (where - place.poses.position[index] - place.anchor)
        points.append(tuple(local.tolist()))
    loop = PointConstraint("loop", ends[0], points[0], ends[1], points[1])
    return dataclasses.replace(body, point_constraints=(loop,)), q[0], v[0], random_forces(v)[0]


@pytest.mark.parametrize("to_ground", [False, True])
@pytest.mark.parametrize("tree", ["custom", "mixed", "coupled"])
def test_points_held_together_stay_so_by_a_force_between_them(tree: str, to_ground: bool) -> None:
    body, q, v, tau = closed(tree, to_ground=to_ground)
    a = forward_dynamics_torch(body, q, v, tau)
    rows, left = _rows(body, q, v, a)
    assert float(left.abs().max()) < 1e-10 * float(a.abs().max())
    free = forward_dynamics_torch(dataclasses.replace(body, point_constraints=()), q, v, tau)
    assert error(a, free) > 1e-3
    # What is missing in the equations of motion is the work of one force on the points.
    missing = fold(body, q, inverse_dynamics_torch(body, q, v, a)) - fold(body, q, tau)
    work = fold(body, q, rows).mT
    force = torch.linalg.lstsq(work, missing[:, None]).solution
    assert error((work @ force)[:, 0], missing) < 1e-9


@pytest.mark.parametrize("tree", ["ball", "custom", "coupled", "fullbody"])
def test_locked_coordinates_stay_as_they_are(tree: str) -> None:
    body, q, v, _ = case(tree)
    free = body.free_coordinates
    locked = [free[0], free[3], free[-1]]
    names = [body.coordinate_names[i] for i in locked]
    tau = random_forces(v)
    a = forward_dynamics_torch(body, q, v, tau, locked=names)
    assert (a[:, locked] == 0).all()
    # The equations of all other coordinates hold.
    missing = fold(body, q, inverse_dynamics_torch(body, q, v, a)) - fold(body, q, tau)
    others = [n for n, i in enumerate(free) if i not in locked]
    assert float(missing[:, others].abs().max()) < 1e-10 * float(missing.abs().max())
    everything = forward_dynamics_torch(body, q, v, tau, locked=[body.coordinate_names[i] for i in free])
    assert (everything[:, list(free)] == 0).all()


def test_a_lock_and_a_loop_together() -> None:
    body, q, v, tau = closed("custom")
    name = body.coordinate_names[2]
    a = forward_dynamics_torch(body, q, v, tau, locked=[name])
    assert float(a[2]) == 0
    assert float(_rows(body, q, v, a)[1].abs().max()) < 1e-10 * float(a.abs().max())


def test_batches_and_transforms() -> None:
    for tree in ("mixed", "coupled"):
        body, q, v, _ = case(tree)
        tau = random_forces(v)
        a = forward_dynamics_torch(body, q, v, tau)
        wide = forward_dynamics_torch(body, q.reshape(2, 3, -1), v.reshape(2, 3, -1), tau.reshape(2, 3, -1))
        torch.testing.assert_close(wide, a.unflatten(0, (2, 3)))
        torch.testing.assert_close(forward_dynamics_torch(body, q[1], v[1], tau[1]), a[1])
        assert forward_dynamics_torch(body, q[:0], v[:0], tau[:0]).shape == (0, body.nv)
        torch.testing.assert_close(torch.func.vmap(lambda *x, b=body: forward_dynamics_torch(b, *x))(q, v, tau), a)
        spoilt = tau.clone()
        spoilt[3, 1] = float("inf")
        found = forward_dynamics_torch(body, q, v, spoilt)
        kept = [0, 1, 2, 4, 5]
        assert not found[3].isfinite().all()
        torch.testing.assert_close(found[kept], a[kept], rtol=0, atol=0)
        spoilt = q.clone()
        spoilt[3] = float("nan")
        found = forward_dynamics_torch(body, spoilt, v, tau)
        torch.testing.assert_close(found[kept], a[kept], rtol=0, atol=0)


@pytest.mark.parametrize("tree", ["custom", "coupled", "fullbody"])
def test_gradients_are_central_differences(tree: str) -> None:
    body, *motion = case(tree, frames=1)
    state = [x[0].clone().requires_grad_() for x in (motion[0], motion[1], random_forces(motion[1]))]
    tensors = [x.clone().requires_grad_() for x in (body.mass, body.parent_position, body.inertia)]
    weights = torch.randn(body.nv, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def answer(*x: Tensor) -> Tensor:
        here = dataclasses.replace(body, mass=x[3], parent_position=x[4], inertia=x[5])
        return (forward_dynamics_torch(here, *x[:3]) * weights).sum()

    inputs = [*state, *tensors]
    gradients = torch.autograd.grad(answer(*inputs), inputs)
    source = torch.Generator().manual_seed(2)
    for index, gradient in enumerate(gradients):
        step = torch.randn(gradient.shape, generator=source, dtype=torch.float64)
        if index == 5:  # inertias stay symmetric
            step = 1e-2 * (step + step.mT)
        with torch.no_grad():
            ends = [
                answer(*(x + (s * step if n == index else 0) for n, x in enumerate(inputs)))
                for s in (-2e-5, -1e-5, 1e-5, 2e-5)
            ]
        slope = float((ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / 12e-5)
        assert abs(float((gradient * step).sum()) - slope) < 1e-6 * max(
            abs(slope), float((gradient * step).abs().max())
        )


def test_derivatives_of_derivatives() -> None:
    from random_trees import random_motion, random_tree

    body = random_tree(4, "ball", bodies=3).with_rotations("axis-angle")
    q, v, _ = (x[0].requires_grad_() for x in random_motion(body, 1))
    tau = random_forces(v).requires_grad_()
    assert torch.autograd.gradcheck(lambda *x: forward_dynamics_torch(body, *x), (q, v, tau))
    assert torch.autograd.gradgradcheck(lambda *x: forward_dynamics_torch(body, *x), (q, v, tau))
    assert torch.autograd.gradgradcheck(lambda *x: inverse_dynamics_torch(body, *x), (q, v, tau))


def massless(body: Skeleton, *names: str) -> Skeleton:
    """Without the masses of some bodies."""
    mass, inertia = body.mass.clone(), body.inertia.clone()
    for name in names:
        mass[body.body(name)], inertia[body.body(name)] = 0.0, 0.0
    return dataclasses.replace(body, mass=mass, inertia=inertia)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("tree", ["custom", "fullbody"])
def test_a_massless_leaf_is_named(tree: str, dtype: torch.dtype) -> None:
    body, q, v, _ = case(tree)
    parents = set(body.parents)
    leaf = next(b for b in reversed(range(len(body.parents))) if b not in parents and body.joints[b].coordinates)
    name = body.body_names[leaf]
    light = massless(body, name).to(dtype=dtype)
    arrays = [x.to(dtype) for x in (q, v, random_forces(v))]
    with pytest.raises(
        ModelError, match=rf"singular in frame 0: (.*) moves nothing that has mass \(body {name} and"
    ) as e:
        forward_dynamics_torch(light, *arrays)
    assert "\n" not in str(e.value)
    with pytest.raises(ModelError, match="moves nothing that has mass"):
        inverse_mass_matrix_torch(light, arrays[0])
    if tree == "custom":
        names = [body.coordinate_names[c] for c in body.joints[leaf].coordinates]
        assert forward_dynamics_torch(light, *arrays, locked=names).isfinite().all()
    assert not forward_dynamics_torch(light, *arrays, watch=False).isfinite().all()


def test_two_coordinates_that_move_the_same_are_named() -> None:
    """A massless body between two pins about one axis: nobody knows which of them turns."""
    from motorque.skeleton.builder import ZERO, Body, Frame, JointSpec, build_skeleton
    from motorque.skeleton.functions import Linear
    from motorque.skeleton.skeleton import Coordinate, Element

    turn = (ZERO, ZERO, Element(Linear(1.0, 0.0), 0), ZERO, ZERO, ZERO)
    joints = [
        JointSpec("first", "PinJoint", Frame("ground"), Frame("disc"), (Coordinate("one"),), turn),
        JointSpec("second", "PinJoint", Frame("disc"), Frame("arm"), (Coordinate("two"),), turn),
    ]
    nothing = Body("disc", 0.0, np.zeros(3), np.zeros((3, 3)))
    body = build_skeleton("doubled", [nothing, Body("arm", 2.0, np.ones(3) * 0.1, np.eye(3) * 0.01)], joints)
    q = torch.tensor([[0.3, 0.4]], dtype=torch.float64)
    with pytest.raises(ModelError, match="what one .body disc. moves is moved by other coordinates as well; lock one"):
        forward_dynamics_torch(body, q, q, q)
    assert forward_dynamics_torch(body, q, q, q, locked=["one"]).isfinite().all()


def test_constraints_that_say_the_same_are_named() -> None:
    body, q, v, tau = closed("mixed")
    (loop,) = body.point_constraints
    twice = dataclasses.replace(body, point_constraints=(loop, dataclasses.replace(loop, name="again")))
    with pytest.raises(ModelError, match="in frame 0 the point constraint 'again' says along X what joints"):
        forward_dynamics_torch(twice, q, v, tau)
    rigid = dataclasses.replace(loop, name="rigid", body_2=loop.body_1, point_2=loop.point_1)
    with pytest.raises(ModelError, match="the point constraint 'rigid' says along X"):
        forward_dynamics_torch(dataclasses.replace(body, point_constraints=(rigid,)), q, v, tau)
    with pytest.raises(ModelError, match="locked coordinates or other constraints"):
        forward_dynamics_torch(body, q, v, tau, locked=body.coordinate_names)


def test_wrong_locks_are_named() -> None:
    body, q, v, _ = case("coupled")
    follower = body.couplers[0]
    driven, leader = (body.coordinate_names[i] for i in (follower.dependent, follower.independent))
    with pytest.raises(
        ModelError, match=f"{driven} can't be locked, since coupler 'coupler0' drives it; lock {leader}"
    ):
        forward_dynamics_torch(body, q, v, v, locked=[driven])
    with pytest.raises(ModelError, match="no coordinate named 'tail'"):
        forward_dynamics_torch(body, q, v, v, locked=["tail"])
    with pytest.raises(DataError, match="locked must be a sequence of coordinate names, got 'tilt'"):
        forward_dynamics_torch(body, q, v, v, locked="tilt")


def test_wrong_inputs_are_named(backend: str) -> None:
    body, q, v, _ = case("mixed")
    tau, force = random_forces(v), torch.zeros(len(v), 3, dtype=torch.float64)
    turned = q.clone()
    turned[3] *= 1.01
    wrong: list[tuple[tuple[Tensor, ...], dict[str, Any], type[Exception], str]] = [
        ((q[:, :4], v, tau), {}, DataError, f"q needs {body.nq} columns, got shape"),
        ((q, v, tau[:, :4]), {}, DataError, f"tau needs {body.nv} columns, got shape"),
        ((q, v[:2], tau), {}, DataError, "the shapes do not fit each other"),
        ((q, v.float(), tau), {}, DataError, "v is float32 but the skeleton is float64"),
        ((q, v.to("meta"), tau), {}, DataError, "v is on meta but the skeleton on cpu"),
        ((turned, v, tau), {}, DataError, "in frame 3 the position of joint .* is no rotation"),
        ((q, v, tau), {"loads": {"tail": (force, force)}}, ModelError, "no body named 'tail'"),
        ((q, v, tau), {"locked": ["tail"]}, ModelError, "no coordinate named 'tail'"),
    ]
    for arrays, options, kind, message in wrong:
        with pytest.raises(kind, match=message) as caught:
            forward_dynamics(body, *arrays, backend=backend, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=f"q needs {body.nq} columns"):
        mass_matrix(body, q[:, :4], backend=backend)
    parents = set(body.parents)
    leaf = next(b for b in range(len(body.parents)) if b not in parents and body.joints[b].coordinates)
    with pytest.raises(ModelError, match=f"moves nothing that has mass .body {body.body_names[leaf]} and"):
        forward_dynamics(massless(body, body.body_names[leaf]), q, v, tau, backend=backend)


@pytest.mark.parametrize("tree", ["mixed", "coupled", "fullbody"])
def test_back_ends_agree(tree: str, backend: str) -> None:
    body, q, v, a = case(tree)
    columns, free = free_position_columns(body), list(body.free_coordinates)
    tau = inverse_dynamics_torch(body, q, v, a)
    assert error(forward_dynamics(body, q, v, tau, backend=backend), a) < 1e-10
    short = fold(body, q, tau)
    found = forward_dynamics(body, q[:, columns], v[:, free], short, backend=backend)
    assert error(found, a[:, free]) < 1e-10
