"""The programs for inverse dynamics, mass matrix and forward dynamics, against the torch back end: in numpy on many
trees, and as kernels on a few."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from compiled_programs import DTYPES, by_numpy, compiled
from dynamics_cases import error, free_position_columns
from motorque.mechanics.compiled import machine
from motorque.mechanics.compiled.emitter import Program
from motorque.mechanics.compiled.factored import solve
from motorque.mechanics.compiled.programs import PROGRAMS, Task
from motorque.mechanics.compiled.structure import structure_of
from motorque.mechanics.compiled.trace import Trace
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch
from motorque.mechanics.mass_matrix import bias_forces_torch, mass_matrix_torch
from motorque.skeleton.builder import ZERO, Attachments, Body, Frame, JointSpec, build_skeleton, euler_xyz
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.functions import Linear, Polynomial, Sine, simm_spline
from motorque.skeleton.skeleton import Coordinate, Element, Skeleton
from motorque.spatial import ROTATION_FORMATS
from random_trees import random_motion, random_tree

COMPILES = pytest.mark.skipif(bool(machine.why_not()), reason=machine.why_not() or "never")
IDENTITY = Linear(1.0, 0.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTORQUE_CACHE", str(tmp_path))


def coordinates(name: str, count: int) -> tuple[Coordinate, ...]:
    return tuple(Coordinate(f"{name}_{i}") for i in range(count))


def bodies(count: int) -> list[Body]:
    rng = np.random.default_rng(0)
    made = []
    for i in range(count):
        spread = rng.normal(size=(3, 3)) * 0.1
        inertia = spread @ spread.T + 0.01 * np.eye(3)
        made.append(
            Body(f"b{i}", rng.uniform(1.0, 5.0), rng.normal(size=3) * 0.1, np.trace(inertia) * np.eye(3) - inertia)
        )
    return made


def odd_joints() -> Skeleton:
    """What random trees lack: products of functions, splines, sines, two roots, a free joint within that runs from
    child to parent, rotations about one point driven two by two, and a coupler.
    """
    turned = euler_xyz((0.4, -0.3, 0.9))
    product = Element(Sine(0.2, 1.3, 0.1, 0.05), 0, Polynomial((0.5, -0.2, 1.1)), 1)
    spline = Element(simm_spline((-2.0, -0.5, 0.4, 2.0), (0.1, 0.4, 0.2, 0.3)), 1)
    ellipsoid = (Element(IDENTITY, 0), Element(IDENTITY, 1), Element(Linear(-1.0, 0.2), 2), product, spline, product)
    both = (Element(IDENTITY, 0), Element(Linear(0.7, 0.0), 0), Element(IDENTITY, 1), ZERO, Element(IDENTITY, 2), ZERO)
    free = tuple(Element(IDENTITY, i) for i in range(6))
    frames = [Frame(f"b{i}", np.array([0.1, 0.2 - 0.1 * i, 0.05 * i]), turned) for i in range(6)]
    specs = [
        JointSpec("a", "CustomJoint", Frame("ground"), frames[0], coordinates("a", 3), ellipsoid),
        JointSpec("b", "FreeJoint", frames[1], frames[0], coordinates("b", 6), free, ball=True),
        JointSpec("c", "CustomJoint", frames[1], frames[2], coordinates("c", 3), both, np.eye(3)[[1, 0, 2]]),
        JointSpec("d", "CustomJoint", Frame("ground", np.ones(3)), Frame("b3"), coordinates("d", 6), free),
        JointSpec("e", "PlanarJoint", frames[3], frames[4], coordinates("e", 3), (ZERO, ZERO, *free[:3], ZERO)),
        JointSpec("f", "CustomJoint", frames[5], frames[4], coordinates("f", 3), (*free[:3], ZERO, ZERO, ZERO)),
    ]
    coupler = ("follows", "e_1", "c_2", Polynomial((0.3, -0.4, 0.1)), 0.8)
    return build_skeleton("odd", bodies(6), specs, Attachments(couplers=[coupler]), gravity=(1.0, -9.0, 2.0))


TREES: dict[str, Callable[[], Skeleton]] = {
    **{f"ball in {f}": lambda f=f: random_tree(0, "ball", bodies=5).with_rotations(f) for f in ROTATION_FORMATS},
    **{f"mixed {n}": lambda n=n: random_tree(n, "mixed", bodies=7).with_rotations("quaternion") for n in range(4)},
    **{f"custom {n}": lambda n=n: random_tree(n, "custom", bodies=6) for n in range(3)},
    "pins and massless": lambda: random_tree(2, "revolute", bodies=8),
    "coupled": lambda: random_tree(5, "custom", bodies=7, couplers=2),
    "odd joints": odd_joints,
    "fullbody": fullbody,
}


def loaded_motion(skeleton: Skeleton, frames: int = 4) -> tuple[list[Tensor], dict[str, tuple[Tensor, Tensor]]]:
    motion = list(skeleton.couple_derivatives(*random_motion(skeleton, frames)))
    force, moment = (x.repeat(frames, 1) * 50 for x in torch.tensor([[[1.0, -2, 3]], [[-1.0, 1, 2]]]).double())
    return motion, {skeleton.body_names[1]: (force, moment)}


@pytest.mark.parametrize("as_simbody", [False, True], ids=["", "as Simbody"])
@pytest.mark.parametrize("name", TREES)
def test_programs_agree_with_torch_in_full_and_reduced_columns(name: str, as_simbody: bool) -> None:
    skeleton = TREES[name]()
    (q, v, a), loads = loaded_motion(skeleton)
    wrenches = torch.cat(next(iter(loads.values())), -1)
    structure, values = structure_of(skeleton, as_simbody=as_simbody)
    numbers = values.pack(skeleton)
    columns, free = free_position_columns(skeleton), list(skeleton.free_coordinates)
    matrix = mass_matrix_torch(skeleton, q)
    tau = inverse_dynamics_torch(skeleton, q, v, a, loads=loads, as_simbody=as_simbody)
    folded = (skeleton.coupling_matrix(q).mT @ tau[..., None])[..., 0]
    bias = bias_forces_torch(skeleton, q, v, loads=loads, as_simbody=as_simbody)
    solved = torch.linalg.solve(matrix, folded - bias)

    def answer(kind: str, *arrays: Tensor, reduced: bool) -> Tensor:
        program = PROGRAMS[kind](structure, Task(kind, reduced, (1,) if len(arrays) > 1 else ()))
        found, *_ = by_numpy(program, list(arrays), numbers)
        return torch.as_tensor(found)

    assert error(answer("inverse_dynamics", q, v, a, wrenches, reduced=False), tau) < 1e-12
    few = [q[:, columns], v[:, free], a[:, free]]
    assert error(answer("inverse_dynamics", *few, wrenches, reduced=True), folded) < 1e-12
    for reduced, positions in ((False, q), (True, few[0])):
        found = answer("mass_matrix", positions, reduced=reduced).reshape(matrix.shape)
        assert error(found, matrix, dims=2) < 1e-13
        assert torch.equal(found, found.mT)
    assert error(answer("forward_dynamics", *few[:2], folded, wrenches, reduced=True), solved) < 1e-9
    # What full columns say of dependent coordinates is not looked at, but what pushes them counts.
    driven = [c for c in range(skeleton.nv) if c not in free]
    q, v = q.clone(), v.clone()
    q[:, [skeleton.coordinate_columns[c] for c in driven]] = torch.nan
    v[:, driven] = torch.nan
    assert error(answer("forward_dynamics", q, v, tau, wrenches, reduced=False), a) < 1e-9


@COMPILES
@pytest.mark.parametrize("name", ["ball in quaternion", "mixed 1", "coupled", "odd joints"])
@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
def test_kernels_are_as_exact_as_their_precision(name: str, dtype: torch.dtype) -> None:
    skeleton = TREES[name]().to(dtype=dtype)
    exact = skeleton.to(dtype=torch.float64)  # the same numbers, rounded as they are
    motion, _ = loaded_motion(exact, 21)
    free, columns = list(exact.free_coordinates), free_position_columns(exact)
    low = [x[:, kept].to(dtype) for x, kept in zip(motion, (columns, free, free), strict=True)]
    q, v, a = (x.double() for x in low)
    structure, values = structure_of(exact, as_simbody=False)
    matrix, tau = mass_matrix_torch(exact, q), inverse_dynamics_torch(exact, q, v, a)
    pushed = tau.to(dtype)
    solved = torch.linalg.solve(matrix, pushed.double() - bias_forces_torch(exact, q, v))
    scale = matrix.diagonal(dim1=-2, dim2=-1).rsqrt()
    condition = float(torch.linalg.cond(matrix * scale[..., None] * scale[..., None, :]).max())

    def answer(kind: str, *arrays: Tensor) -> Tensor:
        program = PROGRAMS[kind](structure, Task(kind, reduced=True))
        (found, *_), _, _ = compiled(program, dtype).run([x.contiguous() for x in arrays], values.pack(skeleton))
        return found

    small = 1e-12 if dtype == torch.float64 else 1e-5
    assert error(answer("inverse_dynamics", *low), tau) < small
    assert error(answer("mass_matrix", low[0]).reshape(matrix.shape), matrix, dims=2) < small
    bound = 1e-9 if dtype == torch.float64 else 10 * torch.finfo(dtype).eps * condition
    assert error(answer("forward_dynamics", *low[:2], pushed), solved) < bound


def test_zeros_between_branches_are_known_beforehand() -> None:
    skeleton = fullbody()
    structure, _ = structure_of(skeleton, as_simbody=False)
    program = PROGRAMS["mass_matrix"](structure, Task("mass_matrix"))
    count = len(skeleton.free_coordinates)
    known = torch.tensor([s.value == 0 for s in program.outputs[0]]).reshape(count, count)
    matrix = mass_matrix_torch(skeleton, random_motion(skeleton, 3)[0])
    assert torch.equal(known, (matrix.abs() < 1e-14).all(0))
    assert known.sum() > 400


def test_the_articulated_body_algorithm_needs_few_operations() -> None:
    """Per ball joint: so that a change which loses a zero shows."""
    structure, _ = structure_of(random_tree(1, "ball", bodies=20).with_rotations("matrix"), as_simbody=False)
    for kind, most in (("inverse_dynamics", 475), ("mass_matrix", 700), ("forward_dynamics", 850)):
        program = PROGRAMS[kind](structure, Task(kind))
        wanted = [*program.outputs[0], *program.watched]
        assert program.trace.count(wanted) < 20 * most, kind
        assert program.trace.count(program.results) - program.trace.count(wanted) < 20 * 65, kind


def test_a_massless_leaf_has_no_finite_acceleration() -> None:
    """And spoils no other joint's."""
    pin = (ZERO, ZERO, Element(IDENTITY, 0), ZERO, ZERO, ZERO)
    ball = (*(Element(IDENTITY, i) for i in range(3)), ZERO, ZERO, ZERO)
    specs = [
        JointSpec("root", "PinJoint", Frame("ground"), Frame("b0"), coordinates("a", 1), pin),
        JointSpec("arm", "PinJoint", Frame("b0"), Frame("b1", np.ones(3)), coordinates("b", 1), pin),
        JointSpec("ball", "BallJoint", Frame("b0", np.ones(3)), Frame("b2"), coordinates("c", 3), ball, ball=True),
    ]
    whole = build_skeleton("leaf", bodies(3), specs)
    for dropped, its in ((1, [1]), (2, [2, 3, 4])):
        mass, inertia, center = whole.mass.clone(), whole.inertia.clone(), whole.mass_center.clone()
        mass[dropped], inertia[dropped], center[dropped] = 0.0, 0.0, 0.0
        skeleton = dataclasses.replace(whole, mass=mass, inertia=inertia, mass_center=center)
        structure, values = structure_of(skeleton, as_simbody=False)
        q, v, tau = random_motion(skeleton, 3)
        program = PROGRAMS["forward_dynamics"](structure, Task("forward_dynamics"))
        found = torch.as_tensor(by_numpy(program, [q, v, tau], values.pack(skeleton))[0])
        others = [c for c in range(5) if c not in its]
        assert not torch.isfinite(found[:, its]).any()
        assert torch.isfinite(found[:, others]).all()


def test_elimination_solves_and_fills_nothing_on_a_tree() -> None:
    """An arrow matrix whose first row is full fills up wholly when it is eliminated first."""
    trace, n = Trace(), 12
    zero = trace.constant(0.0)
    entries = [[trace.input(0, r * n + c) if 0 in (r, c) or r == c else zero for c in range(n)] for r in range(n)]
    entries = [[entries[min(r, c)][max(r, c)] for c in range(n)] for r in range(n)]
    right = [trace.input(1, c) for c in range(n)]
    program = Program(trace, [n * n, n], [solve(entries, right)[0]])
    rng = np.random.default_rng(0)
    matrix = np.where([[0 in (r, c) or r == c for c in range(n)] for r in range(n)], rng.normal(size=(5, n, n)), 0.0)
    matrix = matrix + matrix.transpose(0, 2, 1) + 10 * np.eye(n)
    b = rng.normal(size=(5, n))
    found = by_numpy(program, [torch.as_tensor(matrix.reshape(5, -1)), torch.as_tensor(b)], torch.zeros(0))[0]
    np.testing.assert_allclose(found, np.linalg.solve(matrix, b[..., None])[..., 0], rtol=1e-13, atol=1e-15)
    assert program.trace.count(program.results) < 12 * n
