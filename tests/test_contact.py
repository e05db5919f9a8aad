"""Contact spheres: as the wheel has them, batched, smooth where they must be, and what they refuse."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

import motorque as mq
from motorque.errors import DataError, ModelError
from motorque.files.osim import read_osim
from motorque.files.osim_forces import read_model_forces
from motorque.journal import Journal
from motorque.mechanics.body_forces import BodyFrame, SphereOnFloor, body_states, body_wrenches
from motorque.mechanics.contact import ContactModel, Floor
from motorque.mechanics.contact_laws import ContactLaw, HuntCrossley, SmoothHuntCrossley
from motorque.mechanics.velocities import point_velocity
from motorque.skeleton.rotations import convert_positions
from motorque.skeleton.skeleton import ContactSphere, Skeleton
from random_trees import random_tree
from test_constants import NoTransfer

DOUBLE = torch.float64
LAWS = [SmoothHuntCrossley(), HuntCrossley()]
TILTED = Floor(torch.tensor([0.1, -0.2, 0.3], dtype=DOUBLE), torch.tensor([0.36, 0.8, 0.48], dtype=DOUBLE))


def lowered(skeleton: Skeleton, contact: ContactModel, q: Tensor, depths: Tensor) -> Tensor:
    """Poses moved up or down so that the lowest sphere of each is at a depth [m]."""
    height = skeleton.coordinate_columns[skeleton.coordinate("pelvis_ty")]
    found = contact.forces(skeleton, q, torch.zeros(len(q), skeleton.nv, dtype=DOUBLE)).depth.amax(-1)
    return q.index_add(-1, torch.tensor([height]), (found - depths)[:, None])


def poses(skeleton: Skeleton, contact: ContactModel, frames: int, deepest: float = 0.02) -> tuple[Tensor, Tensor]:
    """Random poses whose lowest sphere is anywhere from a little above the floor to the depth; every fifth is at rest.

    The first touches exactly.
    """
    generator = torch.Generator().manual_seed(4)
    q = skeleton.default_pose + 0.15 * torch.randn(frames, skeleton.nq, dtype=DOUBLE, generator=generator)
    v = torch.randn(frames, skeleton.nv, dtype=DOUBLE, generator=generator)
    v[::5] = 0.0
    depths = torch.linspace(-deepest, deepest, frames, dtype=DOUBLE)
    depths[0] = 0.0
    return lowered(skeleton, contact, q, depths), v


def test_forces_are_the_wheels(opensim, data: Path) -> None:
    """All 12 spheres, in, at and above the floor; and one by one as in inverse dynamics."""
    path = data / "models/LaiArnoldModified2017_contacts.osim"
    file = read_osim(path, journal=Journal())
    skeleton, forces = file.skeleton, read_model_forces(file, ["muscles"], journal=Journal())
    contact = ContactModel.of_forces(forces.on_bodies)
    assert contact is not None and len(contact.names) == 12
    q, v = poses(skeleton, contact, 60)
    found = contact.forces(skeleton, q, v)
    assert bool((found.depth > 0.005).any() & (found.depth < -0.005).any())

    model = opensim.Model(str(path))
    state, coordinates = model.initSystem(), model.getCoordinateSet()
    for name in skeleton.coordinate_names:
        coordinates.get(name).setLocked(state, False)
    forces_there = [model.getForceSet().get(name) for name in contact.names]
    expected = torch.empty(len(q), 12, 6, dtype=DOUBLE)
    for frame, (positions, speeds) in enumerate(zip(q.tolist(), v.tolist(), strict=True)):
        for name, position, speed in zip(skeleton.coordinate_names, positions, speeds, strict=True):
            coordinates.get(name).setValue(state, position, False)
            coordinates.get(name).setSpeedValue(state, speed)
        model.realizeDynamics(state)
        for sphere, force in enumerate(forces_there):
            values = force.getRecordValues(state)
            expected[frame, sphere] = torch.tensor([values.get(i) for i in range(6)], dtype=DOUBLE)

    origin = body_states(skeleton, q, v)[0].position[:, list(contact.bodies)]
    mine = torch.cat([found.force, torch.linalg.cross(found.point - origin, found.force)], -1)
    single = [(force, force(*body_states(skeleton, q, v))[0][1]) for force in forces.on_bodies]
    assert [force.name for force, _ in single] == list(contact.names)
    for part in (slice(0, 3), slice(3, 6)):
        there = expected[..., part].norm(dim=-1)
        assert float(there.max()) > 50
        # What the wheel has in the air is made of rounding errors, hence the smallest force that is looked at.
        assert bool(((mine - expected)[..., part].norm(dim=-1) <= 1e-10 * there + 1e-9).all())
    small = contact.to(dtype=torch.float32).forces(skeleton.to(dtype=torch.float32), q.float(), v.float())
    rounded = torch.cat([small.force, torch.linalg.cross(small.point - origin.float(), small.force)], -1).double()
    for part in (slice(0, 3), slice(3, 6)):
        # Of the frame's largest, where a foot bears something; in the air a rounded height of a metre is all there is.
        error, there = (x[..., part].norm(dim=-1).amax(-1) for x in (rounded - expected, expected))
        bears = expected[..., :3].norm(dim=-1).amax(-1) > 10
        assert int(bears.sum()) > 20 and bool((error <= 1e-4 * there)[bears].all())
    for sphere, (_, (force, moment)) in enumerate(single):
        assert torch.allclose(force, found.force[:, sphere], rtol=1e-10, atol=1e-9)
        assert torch.allclose(moment, torch.linalg.cross(found.point, found.force)[:, sphere], rtol=1e-10, atol=1e-9)


def test_defaults_are_the_models(data: Path) -> None:
    """The built-in skeleton's spheres touch as those of the model that they are from."""
    file = read_osim(data / "models/LaiArnoldModified2017_contacts.osim", journal=Journal())
    contact = read_model_forces(file, ["muscles"], journal=Journal()).contact
    built_in = ContactModel.of(mq.fullbody())
    assert contact is not None and isinstance(contact.law, SmoothHuntCrossley)
    assert isinstance(built_in.law, SmoothHuntCrossley) and len(built_in.names) == 12
    for field in dataclasses.fields(SmoothHuntCrossley):
        assert getattr(contact.law, field.name).tolist() == [getattr(built_in.law, field.name)] * 12
    k = 0.5 * 1e6 ** (2 / 3)
    assert abs(HuntCrossley().stiffness - 4 / 3 * k * (0.032 * k) ** 0.5) < 1  # type: ignore[operator]


def test_hunt_crossley_is_the_papers() -> None:
    law = HuntCrossley(stiffness=2e4, dissipation=0.5, friction=0.7, slip_scale=0.02)
    depth, closing = torch.tensor([0.01, 0.02], dtype=DOUBLE), torch.tensor([0.3, -0.2], dtype=DOUBLE)
    slip = torch.tensor([[0.3, 0.0, -0.4], [0.0, 0.0, 0.01]], dtype=DOUBLE)
    pressed, rubbed = law(depth, closing, slip, 0.03)
    expected = torch.tensor([2e4 * 0.01**1.5 * 1.15, 2e4 * 0.02**1.5 * 0.9], dtype=DOUBLE)
    assert torch.allclose(pressed, expected, rtol=1e-14)
    along = slip / (slip.norm(dim=-1, keepdim=True) + 0.02)
    assert torch.allclose(rubbed, -0.7 * expected[:, None] * along, rtol=1e-14)


def test_nothing_pulls() -> None:
    depth = torch.linspace(-0.05, 0.05, 101, dtype=DOUBLE)[:, None]
    closing = torch.linspace(-20, 20, 401, dtype=DOUBLE)
    slip = torch.zeros(101, 401, 3, dtype=DOUBLE)
    pressed, _ = HuntCrossley()(depth, closing, slip, 0.032)
    assert float(pressed.min()) == 0.0 and bool((pressed[:50] == 0).all())
    assert bool((pressed[51:, closing < -1 / 3] == 0).all()) and float(pressed.max()) > 1000
    smooth = SmoothHuntCrossley()
    pressed, _ = smooth(depth, closing, slip, 0.032)
    at_rest, _ = smooth(depth, torch.zeros_like(closing), slip, 0.032)
    assert bool((pressed >= -0.01 * at_rest).all())  # as OpenSim's own law, and no more
    assert float(pressed[:1].abs().max()) < 1e-8  # 50 mm over the floor, however fast


@pytest.mark.parametrize("law", LAWS, ids=["smooth", "plain"])
@pytest.mark.parametrize(
    ("depth", "closing", "slip"),
    [
        (-0.3, -1.0, (0.5, 0.0, 0.2)),
        (-0.004, 0.2, (0.1, 0.0, 0.0)),
        (0.006, 0.1, (0.0, 0.0, 0.0)),
        (0.006, -0.1, (1e-4, 0.0, -2e-4)),
        (0.02, 0.3, (0.9, 0.0, -0.7)),
        (0.02, -0.9, (0.9, 0.0, -0.7)),
    ],
    ids=["air", "near", "sticking", "creeping", "sliding", "leaving"],
)
def test_derivatives_of_laws(law: ContactLaw, depth: float, closing: float, slip: tuple[float, ...]) -> None:
    inputs = [torch.tensor([x], dtype=DOUBLE, requires_grad=True) for x in (depth, closing, slip)]

    def forces(*x: Tensor) -> tuple[Tensor, Tensor]:
        return law(*x, 0.032)

    assert torch.autograd.gradcheck(forces, inputs, eps=1e-9, atol=1e-4, rtol=1e-6)
    first = torch.autograd.grad(sum(f.sum() for f in forces(*inputs)), inputs, create_graph=True)
    second = torch.autograd.grad(sum(f.sum() for f in first), inputs, allow_unused=True)
    assert all(x is None or bool(torch.isfinite(x).all()) for x in (*first, *second))


@pytest.mark.parametrize("law", LAWS, ids=["smooth", "plain"])
def test_derivatives_at_touch(law: ContactLaw) -> None:
    """Exactly at touch and at rest: the plain law's derivative with depth is zero there, from both sides."""
    inputs = [torch.zeros(1, *shape, dtype=DOUBLE, requires_grad=True) for shape in ((), (), (3,))]
    pressed, rubbed = law(*inputs, 0.032)
    first = torch.autograd.grad(pressed.sum() + rubbed.sum(), inputs, create_graph=True, allow_unused=True)
    assert all(x is None or bool(torch.isfinite(x).all()) for x in first)
    found = first[0].item()
    if isinstance(law, HuntCrossley):
        assert found == 0.0
    else:
        near = [law(torch.tensor([x], dtype=DOUBLE), *inputs[1:], 0.032)[0].item() for x in (-1e-6, 1e-6)]
        assert abs(found - (near[1] - near[0]) / 2e-6) < 1e-6 * abs(found)


@pytest.mark.parametrize("law", LAWS, ids=["smooth", "plain"])
def test_derivatives_in_poses_and_speeds(law: ContactLaw) -> None:
    """Against central differences, with feet in the air, touching and in the floor; and with sizes of the spheres."""
    skeleton = mq.fullbody()
    contact = ContactModel.of(skeleton, law)
    q, v = poses(skeleton, contact, 8)
    generator = torch.Generator().manual_seed(2)
    # Exactly at touch and at rest, where central differences are no guide, are other tests'.
    q, v = q[1:], torch.randn(7, skeleton.nv, dtype=DOUBLE, generator=generator)
    inputs = (q, v, contact.centers, contact.radii)
    ways = [torch.randn(x.shape, dtype=DOUBLE, generator=generator) for x in inputs]
    weights = torch.randn(7, 12, 6, dtype=DOUBLE, generator=generator)

    def weighted(q: Tensor, v: Tensor, centers: Tensor, radii: Tensor) -> Tensor:
        found = dataclasses.replace(contact, centers=centers, radii=radii).forces(skeleton, q, v)
        return (torch.cat([found.force, torch.linalg.cross(found.point, found.force)], -1) * weights).sum((-1, -2))

    open_inputs = [x.clone().requires_grad_() for x in inputs]
    gradients = torch.autograd.grad(weighted(*open_inputs).sum(), open_inputs)
    for which, (gradient, way) in enumerate(zip(gradients, ways, strict=True)):
        ends = []
        for sign in (1e-6, -1e-6):
            moved = [x + sign * way if i == which else x for i, x in enumerate(inputs)]
            ends.append(float(weighted(*moved).sum()))
        numeric = (ends[0] - ends[1]) / 2e-6
        assert abs(float((gradient * way).sum()) - numeric) <= 1e-6 * max(abs(numeric), 1.0), which


def test_work_is_that_of_the_spheres() -> None:
    """The wrenches on bodies do the work that the forces do where they act; on a tilted floor too."""
    skeleton = mq.fullbody()
    for floor in (None, TILTED):
        contact = ContactModel.of(skeleton, HuntCrossley(), floor=floor)
        q, v = poses(skeleton, contact, 6)
        found = contact.forces(skeleton, q, v)
        at, motion = body_states(skeleton, q, v)
        work = torch.zeros(6, dtype=DOUBLE)
        for name, (force, moment) in contact.loads(skeleton, q, v).items():
            body = skeleton.body(name)
            spin = motion.angular_velocity[:, body]
            velocity_of_ground_origin = motion.velocity[:, body] - torch.linalg.cross(spin, at.position[:, body])
            work = work + (force * velocity_of_ground_origin).sum(-1) + (moment * spin).sum(-1)
        expected = torch.zeros(6, dtype=DOUBLE)
        for sphere, body in enumerate(contact.bodies):
            offset = found.point[:, sphere] - at.position[:, body]
            inside = (at.rotation[:, body].mT @ offset[..., None])[..., 0]
            velocity = point_velocity(skeleton, q, v, skeleton.body_names[body], inside)
            expected = expected + (found.force[:, sphere] * velocity).sum(-1)
        assert float(expected.abs().max()) > 10
        assert torch.allclose(work, expected, rtol=1e-9, atol=1e-9)


def test_a_tilted_floor_is_the_level_one_turned() -> None:
    turn = torch.tensor([[0.8, 0.36, 0.48], [-0.6, 0.48, 0.64], [0.0, -0.8, 0.6]], dtype=DOUBLE)
    law, n = SmoothHuntCrossley(), turn[:, 1]
    spheres = (ContactSphere("one", 0, (0.1, 0.0, 0.0), 0.05), ContactSphere("two", 0, (0.0, 0.1, 0.1), 0.04))
    tree = dataclasses.replace(random_tree(0, "revolute", bodies=1), contact_spheres=spheres)
    q, v = torch.randn(2, 9, tree.nv, dtype=DOUBLE, generator=torch.Generator().manual_seed(1)).unbind(0)
    here, motion = body_states(tree, q, v)
    low = here.position[:, 0, 1].mean()
    level = ContactModel.of(tree, law, floor=Floor.level(float(low), like=low)).at(here, motion)

    there = dataclasses.replace(here, rotation=turn @ here.rotation, position=here.position @ turn.T)
    moved = dataclasses.replace(
        motion, velocity=motion.velocity @ turn.T, angular_velocity=motion.angular_velocity @ turn.T
    )
    tilted = ContactModel.of(tree, law, floor=Floor(low * n, n)).at(there, moved)
    assert torch.allclose(tilted.depth, level.depth, atol=1e-12)
    assert torch.allclose(tilted.force, level.force @ turn.T, rtol=1e-9, atol=1e-9)
    assert torch.allclose(tilted.point, level.point @ turn.T, atol=1e-12)


def test_a_floor_that_moves_is_pushed_back() -> None:
    """A half space on a body: the pair of forces has no net force or moment, and only relative motion counts."""
    tree = random_tree(3, "revolute", bodies=4)
    q, v = torch.randn(2, 5, tree.nv, dtype=DOUBLE, generator=torch.Generator().manual_seed(1)).unbind(0)
    frame = BodyFrame(2, torch.eye(3, dtype=DOUBLE), torch.zeros(3, dtype=DOUBLE))
    force = SphereOnFloor("pair", 1, torch.zeros(3, dtype=DOUBLE), 3.0, frame, SmoothHuntCrossley(stiffness=1e3))
    assert ContactModel.of_forces([force]) is None
    wrenches = body_wrenches([force], *body_states(tree, q, v))
    assert float(wrenches[1][0].norm(dim=-1).max()) > 1
    for one, other in zip(wrenches[1], wrenches[2], strict=True):
        assert torch.equal(one, -other)


def test_the_rotation_format_does_not_matter() -> None:
    angles = mq.skeleton.smpl().with_rotations("axis-angle")
    contact = ContactModel.of(angles)
    generator = torch.Generator().manual_seed(3)
    q = 0.3 * torch.randn(4, angles.nq, dtype=DOUBLE, generator=generator)
    v = torch.randn(4, angles.nv, dtype=DOUBLE, generator=generator)
    expected = contact.loads(angles, q, v)
    assert set(expected) == {angles.body_names[s.body] for s in angles.contact_spheres}
    for rotations in ("quaternion", "6d", "matrix"):
        other = angles.with_rotations(rotations)
        found = contact.loads(other, convert_positions(q, angles, other), v)
        for name, (force, moment) in expected.items():
            assert torch.allclose(found[name][0], force, rtol=1e-9, atol=1e-9)
            assert torch.allclose(found[name][1], moment, rtol=1e-9, atol=1e-9)


def test_batches_reduced_coordinates_and_single_precision() -> None:
    skeleton = mq.fullbody()
    contact = ContactModel.of(skeleton)
    q, v = poses(skeleton, contact, 6)
    q, v, _ = skeleton.couple_derivatives(q, v, torch.zeros_like(v))
    expected = contact.forces(skeleton, q, v).force
    batched = contact.forces(skeleton, q.reshape(2, 3, -1), v.reshape(2, 3, -1)).force
    assert torch.allclose(batched.reshape(6, 12, 3), expected, rtol=1e-12, atol=1e-12)
    free = list(skeleton.free_coordinates)
    assert torch.allclose(contact.forces(skeleton, q[:, free], v[:, free]).force, expected, rtol=1e-12, atol=1e-12)
    single = skeleton.to(dtype=torch.float32)
    found = contact.to(dtype=torch.float32).forces(single, q.float(), v.float()).force
    assert found.dtype == torch.float32
    # A depth of centimetres has lost two of single precision's seven digits to positions of metres.
    assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())
    with pytest.raises(DataError, match=r"the contact spheres are torch.float64 .*contact.to"):
        contact.forces(single, q.float(), v.float())


def test_parameters_may_differ_between_spheres_and_carry_gradients() -> None:
    skeleton = mq.fullbody()
    stiffness = torch.linspace(5e5, 2e6, 12, dtype=DOUBLE, requires_grad=True)
    dissipation = torch.linspace(0, 2, 12, dtype=DOUBLE, requires_grad=True)  # the first sphere has none
    contact = ContactModel.of(skeleton, SmoothHuntCrossley(stiffness=stiffness, dissipation=dissipation))
    q, v = poses(skeleton, contact, 3)
    found = contact.forces(skeleton, q, v).force
    for sphere in (0, 11):
        law = SmoothHuntCrossley(stiffness=stiffness[sphere].item(), dissipation=dissipation[sphere].item())
        one = ContactModel.of(skeleton, law).forces(skeleton, q, v).force
        assert torch.allclose(found[:, sphere], one[:, sphere], rtol=1e-12, atol=1e-12)
    for gradient in torch.autograd.grad(found.square().sum(), [stiffness, dissipation]):
        assert bool(torch.isfinite(gradient).all()) and float(gradient.abs().max()) > 0


@pytest.mark.parametrize("law", LAWS, ids=["smooth", "plain"])
def test_nothing_goes_to_the_device_twice(law: ContactLaw, monkeypatch: pytest.MonkeyPatch) -> None:
    skeleton = mq.fullbody().to("meta")
    contact = ContactModel.of(skeleton, law)
    q = torch.zeros(2, skeleton.nq, dtype=DOUBLE, device="meta")
    contact.loads(skeleton, q, q)
    with monkeypatch.context() as patched, NoTransfer():
        for name in ("tensor", "as_tensor", "from_numpy"):
            patched.setattr(torch, name, None)
        loads = contact.loads(skeleton, q, q)
    assert {force.shape for pair in loads.values() for force in pair} == {(2, 3)}


def test_wrong_contacts_are_named() -> None:
    tree = random_tree(0, "revolute", bodies=2)
    with pytest.raises(ModelError, match="no contact spheres"):
        ContactModel.of(tree)
    grounded = dataclasses.replace(tree, contact_spheres=(ContactSphere("stone", -1, (0.0, 0.0, 0.0), 0.1),))
    with pytest.raises(ModelError, match="'stone' is fixed to ground"):
        ContactModel.of(grounded)
    with pytest.raises(ModelError, match="unit vector"):
        Floor(torch.zeros(3), torch.tensor([0.0, 2.0, 0.0]))
    with pytest.raises(ModelError, match="dissipation must not be negative, got -1"):
        SmoothHuntCrossley(dissipation=-1.0)
    with pytest.raises(ModelError, match="friction must not be negative"):
        HuntCrossley(friction=float("nan"))
    with pytest.raises(ModelError, match="slip scale must be positive"):
        HuntCrossley(slip_scale=0.0)
    with pytest.raises(ModelError, match="1 spheres need as many bodies"):
        ContactModel(
            ("one",), (0, 1), torch.zeros(1, 3), torch.ones(1), HuntCrossley(), Floor.level(like=torch.ones(1))
        )
