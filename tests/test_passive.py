"""Forces of a model in one call: as the wheel has them, in every form of positions, and with gradients."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.files.osim import read_osim
from motorque.files.osim_forces import read_model_forces
from motorque.journal import Journal
from motorque.mechanics.body_forces import BodyFrame, Bushing, LinearStiffness, body_states
from motorque.mechanics.dynamics import forward_dynamics
from motorque.mechanics.inverse_dynamics import inverse_dynamics_torch
from motorque.mechanics.model_forces import CoordinateForce, Spring
from motorque.mechanics.passive import ModelForces
from motorque.mechanics.path_forces import PathForce, PointSpring
from motorque.skeleton.rotations import convert_positions
from motorque.skeleton.skeleton import Skeleton
from moving_bodies import positions_along
from random_trees import random_motion, random_tree
from test_constants import NoTransfer

DOUBLE = torch.float64


def loaded(path: Path, exclude: tuple[str, ...] = ("muscles",)) -> tuple[Skeleton, ModelForces]:
    file = read_osim(path, journal=Journal())
    return file.skeleton, read_model_forces(file, exclude, journal=Journal())


def generalized(skeleton: Skeleton, forces: ModelForces, q: Tensor, v: Tensor, *, as_simbody: bool = False) -> Tensor:
    """All of the forces as generalized ones, [..., nv]."""
    tau, loads = forces(skeleton, q, v, as_simbody=as_simbody)
    still = torch.zeros_like(v)
    without = inverse_dynamics_torch(skeleton, q, v, still)
    return tau + without - inverse_dynamics_torch(skeleton, q, v, still, loads=loads)


def wheel_forces(opensim: Any, path: Path, skeleton: Skeleton, q: Tensor, v: Tensor) -> Tensor:
    """Generalized forces of a model's forces but muscles, [T, nv]: what they change in its inverse dynamics."""
    found = []
    for all_off in (True, False):
        model = opensim.Model(str(path))
        state, solver = model.initSystem(), opensim.InverseDynamicsSolver(model)
        forces, coordinates = model.getForceSet(), model.getCoordinateSet()
        for i in range(forces.getSize()):
            if all_off or "Muscle" in forces.get(i).getConcreteClassName():
                forces.get(i).setAppliesForce(state, False)
        for name in skeleton.coordinate_names:
            coordinates.get(name).setLocked(state, False)
        slots = []
        for name in skeleton.coordinate_names:
            for other in skeleton.coordinate_names:
                coordinates.get(other).setSpeedValue(state, float(other == name))
            slots.append([state.getU().get(i) for i in range(state.getNU())].index(1.0))
        rows = []
        for positions, speeds in zip(q.tolist(), v.tolist(), strict=True):
            for name, position, speed in zip(skeleton.coordinate_names, positions, speeds, strict=True):
                coordinates.get(name).setValue(state, position, False)
                coordinates.get(name).setSpeedValue(state, speed)
            model.realizeDynamics(state)
            answer = solver.solve(state, opensim.Vector(state.getNU(), 0.0))
            rows.append([answer.get(slot) for slot in slots])
        found.append(torch.tensor(rows, dtype=DOUBLE))
    return found[0] - found[1]


def compare(opensim: Any, path: Path, count: int, *, spread: float) -> tuple[Skeleton, ModelForces]:
    """Hold a model's forces to the wheel's in random poses, on numbers that the wheel has written itself."""
    again = Path(f"again_{path.name}")
    model = opensim.Model(str(path))
    model.printToXML(str(again))
    skeleton, forces = loaded(again)
    assert len(forces.on_coordinates) + len(forces.on_bodies) == count
    generator = torch.Generator().manual_seed(0)
    q = skeleton.default_pose + spread * torch.randn(20, skeleton.nq, dtype=DOUBLE, generator=generator)
    if "pelvis_ty" in skeleton.coordinate_names and forces.contact is not None:
        column = skeleton.coordinate("pelvis_ty")
        deepest = forces.contact.forces(skeleton, q, torch.zeros_like(q)).depth.amax(-1)
        q[:, column] += deepest - torch.linspace(-0.01, 0.02, 20, dtype=DOUBLE)
    v = 2 * torch.randn(20, skeleton.nv, dtype=DOUBLE, generator=generator)
    expected = wheel_forces(opensim, again, skeleton, q, v)
    found = generalized(skeleton, forces, q, v, as_simbody=True)
    assert float(expected.abs().max()) > 1  # the forces matter here
    assert bool(((found - expected).abs().amax(0) <= 1e-9 * expected.abs().amax(0) + 1e-9 * expected.abs().max()).all())
    return skeleton, forces


@pytest.mark.parametrize(
    ("path", "count", "spread"),
    [
        ("arnold_synthetic/subject01/subject01.osim", 50, 0.2),
        ("opensim_tests/IK/subject1_abdbonepin.osim", 5, 0.5),
        ("opensim_tests/StaticOptimization/subject01_adjusted_spring.osim", 1, 0.5),
    ],
)
def test_model_forces_are_the_wheels(opensim, data: Path, path: str, count: int, spread: float) -> None:
    """Expressions, bushings, springs, activations, contacts and limits."""
    compare(opensim, data / path, count, spread=spread)


def springs_model(opensim: Any, path: Path) -> None:
    """Two bodies with a spring between points, taut and slack cords, a ligament and a limit on a ball joint's angle."""
    model, at = opensim.Model(), opensim.Vec3
    ground, zero = model.getGround(), opensim.Vec3(0)
    bodies = [opensim.Body(f"b{i}", 2.0, at(0.02, -0.2, 0.01), opensim.Inertia(0.02, 0.01, 0.03)) for i in range(2)]
    for i, (body, joint) in enumerate(zip(bodies, (opensim.BallJoint, opensim.UniversalJoint), strict=True)):
        model.addBody(body)
        parent = bodies[i - 1] if i else ground
        model.addJoint(joint(f"j{i}", parent, at(0, -0.4 * i, 0), at(0.1, 0.2, 0), body, zero, zero))
    spring = opensim.PointToPointSpring(ground, at(0.1, 0.2, 0.3), bodies[1], at(0.05, -0.3, 0.02), 150.0, 0.8)
    spring.setName("points")
    model.addForce(spring)
    for name, rest in (("cord", 0.75), ("slack", 5.0)):
        cord = opensim.PathSpring(name, rest, 900.0, 0.05)
        for i, (body, place) in enumerate(
            ((ground, (0.3, 0, 0)), (bodies[0], (0.1, -0.2, 0)), (bodies[1], (0.1, -0.3, 0.1)))
        ):
            cord.updGeometryPath().appendNewPathPoint(f"p{i}", body, at(*place))
        model.addForce(cord)
    ligament = opensim.Ligament()
    ligament.setName("ligament")
    ligament.setRestingLength(0.5)
    ligament.set_pcsa_force(70.0)
    ligament.updGeometryPath().appendNewPathPoint("a", ground, at(0.1, 0, 0))
    ligament.updGeometryPath().appendNewPathPoint("b", bodies[1], at(0.1, -0.2, 0))
    model.addForce(ligament)
    limit = opensim.CoordinateLimitForce("j0_coord_1", 20, 2.0, -10, 3.0, 0.5, 6.0, False)
    limit.setName("limit")
    model.addForce(limit)
    model.finalizeConnections()
    model.printToXML(str(path))


def test_springs_cords_and_ligaments_are_the_wheels(opensim, tmp_path: Path) -> None:
    path = tmp_path / "springs.osim"
    springs_model(opensim, path)
    skeleton, forces = compare(opensim, path, 5, spread=0.8)
    q, v = torch.randn(2, 30, skeleton.nv, dtype=DOUBLE, generator=torch.Generator().manual_seed(1)).unbind(0)
    states = body_states(skeleton, q, v)
    pulls = {force.name: force(*states)[0][1][0].norm(dim=-1) for force in forces.on_bodies}
    assert float(pulls["slack"].max()) == 0.0
    assert 0.0 == float(pulls["cord"].min()) < float(pulls["cord"].max())  # it goes slack, too
    assert 0.0 == float(pulls["ligament"].min()) < float(pulls["ligament"].max())


def test_a_ligaments_own_curve(opensim, data: Path) -> None:
    path = data / "opensim_tests/Scale/toyLigamentModel.osim"
    model = opensim.Model(str(path))
    model.printToXML("again.osim")
    skeleton, forces = loaded(Path("again.osim"))
    state = model.initSystem()
    model.realizeDynamics(state)
    q = skeleton.default_pose
    states = body_states(skeleton, q, torch.zeros_like(q))
    found = {f.name: float(f(*states)[0][1][0].norm()) for f in forces.on_bodies}
    expected = {name: model.getForceSet().get(name).getRecordValues(state).get(0) for name in found}
    assert len(found) == 4 and max(expected.values()) > 100
    assert found == pytest.approx(expected, rel=1e-9)


def ball_forces(skeleton: Skeleton) -> ModelForces:
    """A bushing, a spring between points, and springs on all coordinates of a tree."""
    turned = torch.linalg.qr(torch.randn(3, 3, dtype=DOUBLE, generator=torch.Generator().manual_seed(5)))[0]
    turned = turned * torch.linalg.det(turned)
    frames = [BodyFrame(i, turned, torch.tensor([0.1, 0.0, 0.2 * i], dtype=DOUBLE)) for i in (-1, 2)]
    bushing = Bushing("bush", frames[0], frames[1], LinearStiffness((3.0, 4, 5, 60, 70, 80)), (0.0,) * 6)
    points = torch.tensor([[0.1, 0.2, 0.3], [0.0, 0.1, 0.0]], dtype=DOUBLE)
    cord = PathForce("cord", (1, 3), points, PointSpring(90.0, 0.2))
    springs = tuple(CoordinateForce(f"s{i}", i, Spring(10.0 + i, 0.1, 0.0)) for i in range(skeleton.nv))
    return ModelForces(springs, (bushing, cord))


def test_every_rotation_format_gets_the_same() -> None:
    """Also springs on the angles of ball joints."""
    tree = random_tree(2, "ball", bodies=5)
    forces = ball_forces(tree)
    quaternions = tree.with_rotations("quaternion")
    q, v, _ = random_motion(tree, 6)
    expected = generalized(tree, forces, q, v)
    for rotations in ("quaternion", "axis-angle", "6d", "matrix"):
        other = tree.with_rotations(rotations)
        found = generalized(other, forces, convert_positions(q, tree, other), v)
        assert torch.allclose(found, expected, rtol=1e-9, atol=1e-8), rotations
    assert not torch.allclose(generalized(quaternions, forces, convert_positions(q, tree, quaternions), v,
                                          as_simbody=True), expected, rtol=1e-3)  # fmt: skip


def test_springs_give_back_what_they_take() -> None:
    """The power of elastic forces is the loss of their energy, on ball joints' angles as well."""
    tree = random_tree(2, "ball", bodies=5)
    forces = ball_forces(tree)
    only_springs = dataclasses.replace(forces, on_bodies=())
    q, v, _ = random_motion(tree, 6)
    matrices = tree.with_rotations("matrix")

    def energy(time: Tensor) -> Tensor:
        angles = convert_positions(positions_along(tree, q, v, time), matrices, tree)
        stiffness = torch.arange(tree.nv, dtype=DOUBLE) + 10
        return (0.5 * stiffness * (angles - 0.1) ** 2).sum(-1)

    step = torch.tensor(1e-6, dtype=DOUBLE)
    slope = (energy(step) - energy(-step)) / (2 * step)
    power = (generalized(tree, only_springs, q, v) * v).sum(-1)
    assert torch.allclose(power, -slope, rtol=1e-6, atol=1e-6)


def test_gradients_and_batches(data: Path) -> None:
    skeleton, forces = loaded(data / "arnold_synthetic/subject01/subject01.osim")
    generator = torch.Generator().manual_seed(0)
    q = skeleton.default_pose + 0.1 * torch.randn(4, skeleton.nq, dtype=DOUBLE, generator=generator)
    v, way, weights = (torch.randn(4, skeleton.nv, dtype=DOUBLE, generator=generator) for _ in range(3))
    found = generalized(skeleton, forces, q, v)
    batched = generalized(skeleton, forces, q.reshape(2, 2, -1), v.reshape(2, 2, -1))
    assert torch.allclose(batched.reshape(4, -1), found, rtol=1e-9, atol=1e-7)
    open_q = q.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((generalized(skeleton, forces, open_q, v) * weights).sum(), open_q)
    ends = [(generalized(skeleton, forces, q + sign * way, v) * weights).sum() for sign in (1e-6, -1e-6)]
    numeric = float(ends[0] - ends[1]) / 2e-6
    assert abs(float((gradient * way).sum()) - numeric) < 1e-6 * abs(numeric)


def test_reduced_coordinates_and_single_precision(data: Path) -> None:
    skeleton, forces = loaded(data / "arnold_synthetic/subject01/subject01.osim", ("muscles", "contact"))
    assert skeleton.couplers
    q = skeleton.couple(skeleton.default_pose + 0.1)
    v = torch.linspace(-1, 1, skeleton.nv, dtype=DOUBLE)
    q, v, _ = skeleton.couple_derivatives(q, v, torch.zeros_like(v))
    free = list(skeleton.free_coordinates)
    tau, loads = forces(skeleton, q[free], v[free])
    whole_tau, whole_loads = forces(skeleton, q, v)
    assert torch.allclose(tau, skeleton.coupling_matrix(q).mT @ whole_tau)
    full = forward_dynamics(skeleton, q, v, whole_tau, loads=whole_loads)
    assert torch.allclose(forward_dynamics(skeleton, q[free], v[free], tau, loads=loads), full[free], rtol=1e-9)
    small, single = forces.to(dtype=torch.float32), skeleton.to(dtype=torch.float32)
    tau, loads = small(single, q.float(), v.float())
    assert tau.dtype == torch.float32 and all(x.dtype == torch.float32 for pair in loads.values() for x in pair)
    assert torch.allclose(tau.double(), whole_tau, rtol=1e-4, atol=1e-4 * float(whole_tau.abs().max()))


def test_nothing_goes_to_the_device_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = random_tree(2, "revolute", bodies=5)
    there, forces = tree.to("meta"), ball_forces(tree).to("meta")
    q = torch.zeros(2, tree.nq, dtype=DOUBLE, device="meta")
    forces(there, q, q)
    with monkeypatch.context() as patched, NoTransfer():
        for name in ("tensor", "as_tensor", "from_numpy"):
            patched.setattr(torch, name, None)
        tau, loads = forces(there, q, q)
    assert tau.shape == (2, tree.nv) and loads


def test_points_in_one_place_have_no_direction() -> None:
    tree = random_tree(2, "revolute", bodies=4)
    cord = PathForce("cord", (1, 1), torch.zeros(2, 3, dtype=DOUBLE), PointSpring(90.0, 0.2))
    q, v, _ = random_motion(tree, 2)
    q.requires_grad_()
    force = cord(*body_states(tree, q, v))[0][1][0]
    assert bool((force == 0).all())
    (gradient,) = torch.autograd.grad(force.sum(), q)
    assert bool((gradient == 0).all())


def test_nothing_acts_where_there_is_nothing() -> None:
    tree = random_tree(2, "mixed", bodies=4)
    q, v, _ = random_motion(tree, 2)
    tau, loads = ModelForces()(tree, q, v)
    assert bool((tau == 0).all()) and not loads
    with pytest.raises(DataError, match="v needs"):
        ModelForces()(tree, q, v[:, :-1])


def test_forces_are_read_from_a_model_that_was_read() -> None:
    with pytest.raises(DataError, match=r"from a model that was read, read_osim.path., got str"):
        read_model_forces("model.osim", ["muscles"], journal=Journal())  # type: ignore[arg-type]


def test_paths_that_wrap_are_refused(opensim, tmp_path: Path) -> None:
    path = tmp_path / "springs.osim"
    springs_model(opensim, path)
    text = path.read_text()
    via = r'<ConditionalPathPoint name="p1"><coordinate>j1_coord_0</coordinate>\1</ConditionalPathPoint>'
    changed, count = re.subn(r'<PathPoint name="p1">(.*?)</PathPoint>', via, text, flags=re.DOTALL)
    assert count == 2
    path.write_text(changed)
    with pytest.raises(ModelError, match="'cord'.*not supported for forces; leave it out with --exclude-forces cord"):
        loaded(path)
    loaded(path, ("cord", "slack"))
    path.write_text(text.replace("<resting_length>0.5</resting_length>", "<resting_length>0</resting_length>"))
    with pytest.raises(ModelError, match="resting_length> must be positive"):
        loaded(path)
