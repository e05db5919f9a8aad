"""SMPL's poses to torques: against Pinocchio in the poses' own world, gradients of every input, inputs as they come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import motorque
from gradient_checks import checked_gradients
from known_rotations import FPS, UP, moving, seeded
from motorque.errors import DataError, ModelError
from motorque.mechanics.contact import ContactModel
from motorque.mechanics.contact_laws import SmoothHuntCrossley
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.mechanics.smpl_inputs import smpl_rotations
from motorque.mechanics.smpl_output import SMPLDynamicsOutput
from motorque.signals.pose_rates.rotation_calculus import rotation_exp
from motorque.skeleton.smpl import SMPL_JOINTS, SMPL_PARENTS, rest_joints


def somebody(seed: int = 0) -> Tensor:
    rest = torch.tensor(rest_joints(height=1.66, sex="f"), dtype=torch.float64)
    return rest + 0.01 * (2 * torch.rand(24, 3, generator=torch.Generator().manual_seed(seed)).double() - 1) + 0.05


class Pinocchio:
    """SMPL's tree as Pinocchio has it: a free-flying root in the poses' world, spherical joints, SMPL's own axes."""

    def __init__(self, layer: SMPLDynamics) -> None:
        self.pin: Any = pytest.importorskip(
            "pinocchio", reason="Pinocchio is not installed (pip install motorque[test])"
        )
        pin, body = self.pin, layer.skeleton()
        self.model = pin.Model()
        self.model.gravity.linear = -9.80665 * np.array(UP[layer.up], dtype=float)
        for i, (name, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS, strict=True)):
            world = body.parent_rotation[0].T @ body.parent_position[0]
            place = (world if parent < 0 else body.parent_position[i]).numpy()
            joint = pin.JointModelFreeFlyer() if parent < 0 else pin.JointModelSpherical()
            added = self.model.addJoint(parent + 1, joint, pin.SE3(np.eye(3), place), name)
            assert added == i + 1
            inertia = pin.Inertia(float(body.mass[i]), body.mass_center[i].numpy(), body.inertia[i].numpy())
            self.model.appendBodyToJoint(added, inertia, pin.SE3.Identity())
        self.data = self.model.createData()

    def __call__(self, out: SMPLDynamicsOutput, loads: dict[str, tuple[Tensor, Tensor]]) -> tuple[np.ndarray, ...]:
        """Torques and forces at joints in the world, each [T, 24, 3], centres of mass [T, 3]."""
        pin, m = self.pin, out.motion
        torques, forces, centers = [], [], []
        for t in range(len(m.q)):
            r, w, dw = m.rotation[t].numpy(), m.v[t].numpy(), m.a[t].numpy()
            back = r.transpose(0, 2, 1)
            place = m.q[t, 9:12].numpy()  # after the root's nine numbers
            spin, spin_rate = (np.concatenate([x[:3], x[6:]]).reshape(24, 3) for x in (w, dw))
            own, own_rate = ((back @ x[..., None])[..., 0] for x in (spin, spin_rate))
            slide, slide_rate = back[0] @ w[3:6], back[0] @ (dw[3:6] - np.cross(w[:3], w[3:6]))
            q = np.concatenate([place, *(pin.Quaternion(x).coeffs() for x in r)])
            v = np.concatenate([slide, own.ravel()])
            a = np.concatenate([slide_rate, own_rate.ravel()])
            pin.forwardKinematics(self.model, self.data, q)
            acting = pin.StdVec_Force()
            for i, name in enumerate(("world", *SMPL_JOINTS)):
                force, moment = (x[t].numpy() for x in loads[name]) if name in loads else (np.zeros(3),) * 2
                acting.append(self.data.oMi[i].actInv(pin.Force(force, moment)))
            pin.rnea(self.model, self.data, q, v, a, acting)
            turned = [self.data.oMi[i + 1].rotation for i in range(24)]
            torques.append([turned[i] @ self.data.f[i + 1].angular for i in range(24)])
            forces.append([turned[i] @ self.data.f[i + 1].linear for i in range(24)])
            centers.append(pin.centerOfMass(self.model, self.data, q).copy())
        return np.array(torques), np.array(forces), np.array(centers)


@pytest.mark.parametrize("up", list(UP))
@pytest.mark.parametrize("loaded", [False, True])
def test_torques_are_pinocchios(up: str, loaded: bool, backend: str) -> None:
    options: dict[str, Any] = {"joint_positions": somebody()} if loaded else {"height": 1.8}
    layer = SMPLDynamics(fps=FPS, mass=75.0, sex="female", up=up, backend=backend, **options)  # type: ignore[arg-type]
    loads = {
        n: (500 * seeded(12, 3, seed=k), 50 * seeded(12, 3, seed=k + 9)) for k, n in enumerate(["left_ankle", "head"])
    }
    out = layer(*moving(12), loads if loaded else None)
    torques, forces, centers = Pinocchio(layer)(out, loads if loaded else {})
    largest = np.abs(torques).max()
    np.testing.assert_allclose(out.torques.numpy(), torques, rtol=0, atol=1e-12 * largest)
    np.testing.assert_allclose(out.forces.numpy(), forces, rtol=0, atol=1e-12 * np.abs(forces).max())
    np.testing.assert_allclose(out.com.numpy(), centers, atol=1e-13)
    np.testing.assert_allclose(out.root_force.numpy(), forces[:, 0], rtol=0, atol=1e-12 * np.abs(forces).max())
    np.testing.assert_allclose(out.root_moment.numpy(), torques[:, 0], rtol=0, atol=1e-12 * largest)
    in_parent = torch.tensor(torques).clone()
    turned = out.motion.global_rotation[:, list(SMPL_PARENTS[1:])]
    in_parent[:, 1:] = (turned.mT @ in_parent[:, 1:, :, None])[..., 0]
    assert torch.allclose(out.torques_in("parent"), in_parent, rtol=0, atol=1e-11 * float(largest))
    asked = SMPLDynamics(fps=FPS, mass=75.0, sex="female", up=up, frame="parent", **options)  # type: ignore[arg-type]
    found = asked(*moving(12), loads if loaded else None).torques
    assert torch.allclose(found, in_parent, rtol=0, atol=1e-11 * float(largest))


def test_standing_still_is_statics() -> None:
    """The root carries the weight; the knees of the T-pose, in line with the hips, need hardly a moment."""
    layer = SMPLDynamics(fps=FPS, mass=70.0, height=1.7, up="z")
    out = layer(torch.zeros(5, 3).double(), torch.zeros(5, 69).double(), torch.zeros(5, 3).double())
    turned = SMPLDynamics(fps=FPS, mass=70.0, height=1.7, up="y")(*(torch.zeros(5, n).double() for n in (3, 69, 3)))
    weight = 70 * 9.80665
    assert torch.allclose(turned.root_force, torch.tensor([0.0, weight, 0.0]).double().expand(5, 3), atol=1e-9)
    assert torch.allclose(out.root_force, torch.tensor([0.0, 0.0, weight]).double().expand(5, 3), atol=1e-9)
    shoulder = turned.torques[0, SMPL_JOINTS.index("left_shoulder")]
    assert 5 < float(shoulder[2]) < 15 and abs(float(shoulder[1])) < 1e-9  # an arm held out to the left (x), about z
    knee = turned.torques[0, SMPL_JOINTS.index("left_knee")]
    assert float(knee.norm()) < 1.0


def test_gradients_of_every_input(backend: str) -> None:
    def by_height(*x: Tensor) -> list[Tensor]:
        layer = SMPLDynamics(fps=FPS, mass=x[3], height=x[4], sex="male", up="z", backend=backend)
        out = layer(*x[:3], {"left_ankle": (x[5], x[6])})
        return [out.torques, out.forces, out.com, out.root_force]

    def by_joints(*x: Tensor) -> list[Tensor]:
        out = SMPLDynamics(fps=FPS, mass=x[3], joint_positions=x[4], backend=backend)(*x[:3])
        return [out.torques, out.joint_positions]

    poses = list(moving(7, batch=(2,)))
    mass = torch.tensor(72.0, dtype=torch.float64)
    loads = [300 * seeded(2, 7, 3), 30 * seeded(2, 7, 3, seed=1)]
    height = torch.tensor(1.75, dtype=torch.float64)
    checked_gradients(by_height, [*poses, mass, height, *loads], step=1e-5, entries=4)
    checked_gradients(by_joints, [*poses, mass, somebody()], step=1e-5, entries=4)


def test_gradients_of_ten_thousand_frames() -> None:
    def torques(*x: Tensor) -> list[Tensor]:
        layer = SMPLDynamics(fps=FPS, mass=x[3], joint_positions=x[4], up="z")
        out = layer(*x[:3], {"right_foot": (x[5], x[6])})
        return [out.torques, out.root_force]

    poses = list(moving(10_000))
    mass = torch.tensor(72.0, dtype=torch.float64)
    loads = [300 * seeded(10_000, 3), 30 * seeded(10_000, 3, seed=1)]
    checked_gradients(torques, [*poses, mass, somebody(), *loads], step=1e-5, entries=2)


@pytest.mark.parametrize("rates", ["savitzky-golay", "butterworth", "central-twice"])
def test_gradients_through_other_rates(rates: str) -> None:
    def torques(*x: Tensor) -> list[Tensor]:
        return [SMPLDynamics(fps=FPS, mass=70.0, height=1.7, rates=rates)(*x).torques]

    checked_gradients(torques, list(moving(24)), step=1e-5)


def test_gradients_of_gradients() -> None:
    layer = SMPLDynamics(fps=FPS, mass=70.0, height=1.7)
    poses = [x.requires_grad_() for x in moving(5)]
    # Straight joints exactly: where most implementations of axis-angle have no second derivative
    poses[1] = (poses[1].detach() * (torch.arange(69) < 60)).requires_grad_()
    direction = [seeded(*x.shape, seed=k) for k, x in enumerate(poses)]

    def slope(*x: Tensor) -> Tensor:
        found = torch.autograd.grad(layer(*x).torques.square().sum(), x, create_graph=True)
        return torch.stack([(g * d).sum() for g, d in zip(found, direction, strict=True)]).sum()

    found = torch.autograd.grad(slope(*poses), poses)
    step = 1e-6
    for k, gradient in enumerate(found):
        toward = seeded(*gradient.shape, seed=9 + k)
        sides = [
            float(slope(*((x + s * step * toward * (i == k)).detach().requires_grad_() if i == k else x
                          for i, x in enumerate(poses))).detach())
            for s in (1, -1)
        ]  # fmt: skip
        assert float((gradient * toward).sum()) == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-6)


def test_inputs_as_they_come() -> None:
    root, body, place = moving(6, batch=(2,))
    layer = motorque.SMPLDynamics(fps=FPS, mass=75.0, height=1.8, sex="female")
    wanted = layer(root, body, place).torques
    assert wanted.shape == (2, 6, 24, 3)
    r = smpl_rotations(root, body)
    assert torch.allclose(r[..., 0, :, :], rotation_exp(root)) and torch.allclose(
        r[..., 3, :, :], rotation_exp(body[..., 6:9])
    )
    sixes = r[..., :2].transpose(-1, -2).flatten(-2)
    forms = [
        (root, body.unflatten(-1, (23, 3))),
        (r[..., 0, :, :], r[..., 1:, :, :]),
        (r[..., 0, :, :].flatten(-2), r[..., 1:, :, :].flatten(-3)),
        (sixes[..., 0, :], sixes[..., 1:, :].flatten(-2)),
        (sixes[..., 0, :], sixes[..., 1:, :]),
    ]
    for one, others in forms:
        assert torch.allclose(layer(one, others, place).torques, wanted, atol=1e-9)
    straight = body.clone()
    straight[..., 63:] = 0
    expected = layer(root, straight, place).torques
    assert torch.allclose(layer(root, body[..., :63], place).torques, expected, atol=1e-9)
    assert torch.allclose(layer(root[1], body[1], place[1]).torques, wanted[1], atol=1e-9)
    low = layer(root.float(), body.float(), place.float())
    assert low.torques.dtype == torch.float32
    assert float((low.torques.double() - wanted).abs().max()) < 2e-3 * float(wanted.abs().max())


def test_rotations_beyond_half_turns_are_the_same_rotations() -> None:
    root, body, place = moving(8)
    length = root.norm(dim=-1, keepdim=True)
    around = root * (1 - 2 * torch.pi / length)  # the other vector of the same rotation
    assert float(around.norm(dim=-1).max()) > torch.pi
    layer = SMPLDynamics(fps=FPS)
    assert torch.allclose(layer(around, body, place).torques, layer(root, body, place).torques, atol=1e-8)


@pytest.mark.parametrize("form", ["axis-angle", "6d", "matrix"])
def test_missing_frames_are_missing_and_nothing_else(form: str) -> None:
    root, body, place = moving(20)
    gone = torch.zeros(20, dtype=torch.bool)
    gone[[7, 8, 15]] = True
    layer = SMPLDynamics(fps=FPS)
    whole = layer(root, body, place).torques
    r = smpl_rotations(root, body)
    inputs = {
        "axis-angle": (root, body),
        "6d": tuple(x.flatten(1) for x in r[..., :2].transpose(-1, -2).flatten(-2).split([1, 23], dim=1)),
        "matrix": tuple(x.flatten(1) for x in r.flatten(-2).split([1, 23], dim=1)),
    }[form]
    nan = torch.tensor(float("nan"), dtype=torch.float64)
    mask = gone.clone()
    mask[15] = False
    poses = [inputs[0], torch.where(mask[:, None], nan, inputs[1]), place.clone()]
    poses[2][15, 1] = nan
    leaves = [x.clone().requires_grad_() for x in poses]
    out = layer(*leaves)
    for found in (out.torques, out.forces, out.com, out.root_force, out.joint_positions):
        assert bool((found.isnan().flatten(1).any(-1) == gone).all())
    far = [t for t in range(20) if not gone[max(t - 2, 0) : t + 3].any()]
    assert torch.allclose(out.torques[far], whole[far], atol=1e-8)
    total = out.torques[~gone].square().sum() + out.forces[~gone].sum() + out.com[~gone].sum()
    assert all(bool(g.isfinite().all()) for g in torch.autograd.grad(total, leaves))


@pytest.mark.parametrize("up", ["y", "z"])
def test_contact_of_the_feet(up: str) -> None:
    """What contact gives the feet is what the root no longer needs, and the ankles do."""
    vertical = UP[up].index(1)
    still = [torch.zeros(5, n, dtype=torch.float64) for n in (3, 69, 3)]
    if up == "z":
        still[0][:, 0] = torch.pi / 2
    options: dict[str, Any] = {"fps": FPS, "mass": 70.0, "height": 1.7, "up": up}
    free = SMPLDynamics(**options)
    standing = float(free.skeleton().default_pose[9:12][vertical]) + 0.4  # on a platform
    still[2][:, vertical] = standing - 0.005
    for contact in ("hunt-crossley", SmoothHuntCrossley(), ContactModel.of(free.skeleton())):
        height = 0.4 if not isinstance(contact, ContactModel) else 0.0
        place = still[2] - (0.4 - height) * torch.tensor(UP[up], dtype=torch.float64)
        layer = SMPLDynamics(**options, contact=contact, floor_height=height)
        out, without = layer(*still[:2], place), free(*still[:2], place)
        assert without.contact_loads is None and out.contact_loads is not None
        names = set(out.contact_loads)
        assert names == {"left_ankle", "right_ankle", "left_foot", "right_foot"}
        pushed = sum(force for force, _ in out.contact_loads.values())
        assert float(pushed[0, vertical]) > 100
        assert torch.allclose(out.root_force + pushed, without.root_force, atol=1e-8)
        twisted = sum(moment for _, moment in out.contact_loads.values())
        pelvis = out.joint_positions[:, 0]
        expected = without.root_moment - (twisted - torch.linalg.cross(pelvis, pushed))
        assert torch.allclose(out.root_moment, expected, atol=1e-8)
    given = layer(*still[:2], place, {"head": (torch.zeros(5, 3).double(), torch.zeros(5, 3).double())})
    assert given.contact_loads is None and torch.allclose(given.torques, without.torques)


def test_gradients_through_contact() -> None:
    layer = SMPLDynamics(fps=FPS, mass=70.0, height=1.7, contact="hunt-crossley")
    root, body, place = moving(7)
    place = 0.02 * place + layer.skeleton().default_pose[9:12] - torch.tensor([0.0, 0.01, 0.0], dtype=torch.float64)
    checked_gradients(lambda *x: [layer(*x).torques], [0.02 * root, 0.02 * body, place], step=1e-7)


def test_a_layer_in_a_network() -> None:
    """Parameters of the person can be learnt; others add nothing to a network's state."""
    assert SMPLDynamics(fps=FPS, mass=75.0, height=1.8).state_dict() == {}
    mass = torch.nn.Parameter(torch.tensor(60.0, dtype=torch.float64))
    layer = SMPLDynamics(fps=FPS, mass=mass, height=1.7)
    poses = moving(6)
    with torch.no_grad():
        wanted = SMPLDynamics(fps=FPS, mass=75.0, height=1.7)(*poses).torques
    descent = torch.optim.LBFGS(layer.parameters(), lr=0.5, max_iter=60, tolerance_change=1e-14)

    def loss() -> Tensor:
        descent.zero_grad()
        value = (layer(*poses).torques - wanted).square().mean()
        value.backward()
        return value

    for _ in range(3):
        descent.step(loss)
    assert float(mass.detach()) == pytest.approx(75.0, abs=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SMPLDynamics(fps=0), "frame rate must be a positive"),
        (lambda: SMPLDynamics(fps=None), "frame rate must be a positive"),
        (lambda: SMPLDynamics(fps=30, mass=7500.0), "7500 kg is no person's"),
        (lambda: SMPLDynamics(fps=30, height=180.0), "180 m is no person's; give it in metres"),
        (lambda: SMPLDynamics(fps=30, height="tall"), "height must be a number or a tensor, got 'tall'"),
        (lambda: SMPLDynamics(fps=30, sex="woman"), "sex must be female, male or neutral"),
        (lambda: SMPLDynamics(fps=30, up="x"), "up must be y, z"),
        (lambda: SMPLDynamics(fps=30, frame="ground"), "axes of the 'world' or of the 'parent'"),
        (lambda: SMPLDynamics(fps=30, contact="sticky"), "contact is 'hunt-crossley'"),
        (lambda: SMPLDynamics(fps=30, rates="magic"), "no way to rates"),
        (lambda: SMPLDynamics(fps=30, mass=torch.ones(3)), "mass must be one number"),
        (lambda: SMPLDynamics(fps=30)(*(torch.zeros(6, n) for n in (3, 72, 3))), "a pose is global_orient"),
        (lambda: SMPLDynamics(fps=30)(torch.zeros(5, 3), torch.zeros(6, 69), torch.zeros(6, 3)), "a pose is global"),
        (lambda: SMPLDynamics(fps=30)(*(torch.zeros(1, n) for n in (3, 69, 3))), "1 frames are too few"),
        (lambda: SMPLDynamics(fps=30)(torch.zeros(6, 3).long(), torch.zeros(6, 69), torch.zeros(6, 3)), "of floats"),
        (lambda: SMPLDynamics(fps=30)(torch.zeros(6, 3).double(), torch.zeros(6, 69), torch.zeros(6, 3)), "bring one"),
        (lambda: SMPLDynamics(fps=30)(*(torch.zeros(6, n) for n in (3, 69, 3)), {"head": torch.zeros(6, 3)}), "a load"),
    ],
)  # fmt: skip
def test_says_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_load_on_nobody() -> None:
    zeros = torch.zeros(6, 3)
    with pytest.raises(ModelError, match="no body named 'tail'"):
        SMPLDynamics(fps=30)(zeros, torch.zeros(6, 69), zeros, {"tail": (zeros, zeros)})
