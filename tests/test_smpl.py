"""SMPL's tree: its frames, its masses after de Leva, joint positions with gradients, poses as they come."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

import motorque.skeleton
import motorque.skeleton.fullbody
import motorque.skeleton.smpl
from motorque.errors import DataError
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.skeleton import Skeleton, smpl, smpl_positions
from motorque.skeleton.anthropometry import segments
from motorque.skeleton.rotations import convert_positions
from motorque.skeleton.smpl import SMPL_JOINTS, SMPL_PARENTS, rest_joints
from motorque.skeleton.smpl_segments import COLLAR_SHARE

EXACT = 1e-12


def person(seed: int = 0) -> Tensor:
    """Somebody's rest joints: off the table's by up to 1 cm, and not at the pelvis's origin."""
    generator = torch.Generator().manual_seed(seed)
    rest = torch.tensor(rest_joints(height=1.66, sex="f"), dtype=torch.float64)
    rest = rest + 0.01 * (2 * torch.rand(24, 3, generator=generator, dtype=torch.float64) - 1)
    return rest + torch.tensor([0.01, -0.22, 0.03], dtype=torch.float64)


def smpl_kinematics(pose: np.ndarray, translation: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joint rotations and positions in SMPL's world, as its paper chains them (equations 3 and 4)."""
    rotation, position = [], []
    for joint, parent in enumerate(SMPL_PARENTS):
        own = Rotation.from_rotvec(pose[joint]).as_matrix()
        rotation.append(own if parent < 0 else rotation[parent] @ own)
        shift = rest[0] + translation if parent < 0 else rotation[parent] @ (rest[joint] - rest[parent])
        position.append(shift if parent < 0 else position[parent] + shift)
    return np.array(rotation), np.array(position)


def test_built_in_skeletons_are_found_from_the_door() -> None:
    code = "import motorque as mq; assert mq.skeleton.smpl().nv == 75 and mq.skeleton.fullbody().nv == 35"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_functions_are_not_hidden_by_their_modules() -> None:
    assert isinstance(motorque.skeleton.smpl(), Skeleton)
    assert isinstance(motorque.skeleton.fullbody(), Skeleton)


def test_the_tree() -> None:
    body = smpl()
    assert (body.nq, body.nv, body.body_names, body.parents) == (75, 75, SMPL_JOINTS, SMPL_PARENTS)
    assert [j.kind for j in body.joints] == ["FreeJoint"] + ["BallJoint"] * 23
    assert all(name[:4] in ("left", "righ") or "_" not in name for name in body.body_names)
    for rotations, columns in (("quaternion", 99), ("6d", 147), ("matrix", 219), ("angles", 75)):
        assert smpl(rotations=rotations).nq == columns


@pytest.mark.parametrize("up", ["y", "z", "-y", "-z"])
def test_poses_are_used_as_they_come(up: str) -> None:
    rng = np.random.default_rng(3)
    pose, translation, rest = rng.normal(size=(24, 3)), rng.normal(size=3), person()
    body = smpl(joint_positions=rest, up=up)
    found = forward_kinematics(body, smpl_positions(torch.tensor(pose).flatten(), torch.tensor(translation)))
    rotation, position = smpl_kinematics(pose, translation, rest.numpy())
    # SMPL's world in ground: forward z to X, left x to -Z, and what is up there to Y
    to_ground = {
        "y": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
        "z": [[0, -1, 0], [0, 0, 1], [-1, 0, 0]],
        "-y": [[0, 0, -1], [0, -1, 0], [-1, 0, 0]],
        "-z": [[0, 1, 0], [0, 0, -1], [-1, 0, 0]],
    }[up]
    np.testing.assert_allclose(found.position, position @ np.transpose(to_ground), atol=EXACT)
    np.testing.assert_allclose(found.rotation, to_ground @ rotation, atol=EXACT)


@pytest.mark.parametrize("up", ["y", "z", "-y", "-z"])
def test_stands_upright_by_default_and_looks_forward(up: str) -> None:
    body = smpl(height=1.8, sex="m", up=up)
    assert body.gravity.tolist() == [0.0, -9.80665, 0.0]
    poses = forward_kinematics(body, body.default_pose)
    at = {name: poses.position[i] for i, name in enumerate(SMPL_JOINTS)}
    assert at["left_hand"][2] < -0.6 and at["right_hand"][2] > 0.6
    assert at["left_foot"][0] > at["left_ankle"][0] + 0.05
    assert float(at["left_ankle"][1]) == pytest.approx(0.039 * 1.8, abs=1e-12)
    for sphere in body.contact_spheres:
        center = poses.point(sphere.body, torch.tensor(sphere.center, dtype=torch.float64))
        assert float(center[1]) == pytest.approx(sphere.radius, abs=1e-12)
        assert (float(center[2]) < 0) == sphere.name.endswith("_l")
    middle = center_of_mass(body, poses)
    heel, toe = (min(float(p[0]) for p in (at["left_ankle"],)) - 0.1, float(at["left_foot"][0]) + 0.1)
    assert heel < float(middle[0]) < toe


@pytest.mark.parametrize("sex", ["f", "m", "unknown"])
def test_masses_are_de_levas(sex: str) -> None:
    body, table = smpl(sex=sex, mass=70.0, height=1.7), segments(sex)
    mass = dict(zip(SMPL_JOINTS, body.mass.tolist(), strict=True))
    assert body.total_mass() == pytest.approx(70.0, rel=1e-12)
    total = sum(
        s.mass * (1 + (n in ("upper_arm", "forearm", "hand", "thigh", "shank", "foot"))) for n, s in table.items()
    )
    share = 70.0 / total
    upper = table["upper_trunk"].mass
    for names, wanted in (
        (("left_hip",), table["thigh"].mass),
        (("right_knee",), table["shank"].mass),
        (("left_ankle", "left_foot"), table["foot"].mass),
        (("right_wrist", "right_hand"), table["hand"].mass),
        (("neck", "head"), table["head"].mass),
        (("left_collar",), COLLAR_SHARE * upper),
        (("pelvis",), table["lower_trunk"].mass),
        (("spine1", "spine2"), table["middle_trunk"].mass),
        (("spine3", "left_collar", "right_collar"), upper),
    ):
        assert sum(mass[n] for n in names) == pytest.approx(wanted * share, rel=1e-9), names


@pytest.mark.parametrize("sex", ["f", "m"])
def test_cut_segments_keep_the_tables_centres_of_mass(sex: str) -> None:
    """Parts of trunk, foot and hand together have the whole's centre of mass, and its inertia where in line."""
    body, table = smpl(sex=sex), segments(sex)
    rest = torch.tensor(rest_joints(sex=sex), dtype=torch.float64)
    center = rest + body.mass_center
    hips = 0.5 * (rest[1] + rest[2])

    def together(names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Centre of mass, and radii of gyration about x, y, z."""
        i = [SMPL_JOINTS.index(n) for n in names]
        m = body.mass[i]
        middle = (m[:, None] * center[i]).sum(0) / m.sum()
        arm = center[i] - middle
        moments = body.inertia[i].diagonal(dim1=-2, dim2=-1) + m[:, None] * ((arm**2).sum(-1, True) - arm**2)
        return middle, (moments.sum(0) / m.sum()).sqrt()

    scale = float(rest[4, 1] - rest[1, 1]) / -table["thigh"].length
    middle, radii = together(("spine1", "spine2"))
    part = table["middle_trunk"]
    level = table["lower_trunk"].length + (1 - part.center) * part.length
    assert float(middle[1] - hips[1]) == pytest.approx(level * scale, abs=1e-9)
    wanted = torch.tensor([part.radii[1], part.radii[2], part.radii[0]], dtype=torch.float64) * part.length * scale
    assert torch.allclose(radii, wanted, rtol=1e-9)
    middle, radii = together(("left_wrist", "left_hand"))
    part = table["hand"]
    assert float(middle[0] - rest[20, 0]) == pytest.approx(part.center * part.length * scale, abs=1e-9)
    wanted = torch.tensor([part.radii[2], part.radii[0], part.radii[1]], dtype=torch.float64) * part.length * scale
    assert torch.allclose(radii, wanted, rtol=1e-9)
    middle, radii = together(("left_ankle", "left_foot"))
    part = table["foot"]
    heel = rest[7, 2] - 0.2635 * part.length * scale
    assert float(middle[2] - heel) == pytest.approx(part.center * part.length * scale, abs=1e-9)


def test_inertias_are_those_of_bodies() -> None:
    for body in (smpl(sex="f"), smpl(sex="m"), smpl(joint_positions=person())):
        assert torch.equal(body.inertia, body.inertia.mT) or torch.allclose(body.inertia, body.inertia.mT, atol=1e-15)
        moments = torch.linalg.eigvalsh(body.inertia)
        assert (moments > 0).all() and (moments[:, 2] < moments[:, 0] + moments[:, 1]).all()
        assert (body.mass > 0.1).all()


def test_hands_may_hang_straight_down() -> None:
    """Which way such a hand's palm looks is not known; two that hang all but straight are told no other way."""
    rest = person()
    for wrist, hand in ((20, 22), (21, 23)):
        rest[hand] = rest[wrist] - 0.06 * torch.tensor([0.0, 1.0, 0.0], dtype=rest.dtype)
    hanging = smpl(joint_positions=rest).inertia
    rest[22:, 2] += 1e-5
    assert torch.isfinite(hanging).all()
    torch.testing.assert_close(hanging, smpl(joint_positions=rest).inertia, rtol=0.0, atol=1e-6)


def test_left_and_right_are_mirror_images() -> None:
    body = smpl(sex="f")
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    for i, name in enumerate(SMPL_JOINTS):
        if name.startswith("left"):
            j = SMPL_JOINTS.index(name.replace("left", "right"))
            assert torch.allclose(body.mass[i], body.mass[j], rtol=EXACT)
            assert torch.allclose(body.mass_center[i] @ flip, body.mass_center[j], atol=EXACT)
            assert torch.allclose(flip @ body.inertia[i] @ flip, body.inertia[j], atol=EXACT)


@pytest.mark.parametrize("height", [1.1, 1.95])
def test_height_scales_lengths_and_makes_the_stature(height: float) -> None:
    one, two = (smpl(height=h, sex="m", mass=70.0) for h in (1.0, height))
    assert torch.allclose(two.parent_position[1:], height * one.parent_position[1:], atol=EXACT)
    others = [i for i, name in enumerate(SMPL_JOINTS) if "collar" not in name]  # these are as thick as muscle is dense
    assert torch.allclose(two.inertia[others], height**2 * one.inertia[others], rtol=1e-9)
    rest = np.array(rest_joints(height=height, sex="m"))
    # From C7 to the vertex 242.9 mm where thigh and shank are 856.2 mm (de Leva 1996)
    stature = 0.039 * height + (rest[12, 1] - rest[7, 1]) + 242.9 / 856.2 * (rest[1, 1] - rest[7, 1])
    assert stature == pytest.approx(height, rel=1e-9)


def test_gradients_reach_the_joint_positions() -> None:
    rest = person().requires_grad_()

    def everything(x: Tensor) -> Tensor:
        body = smpl(joint_positions=x)
        parts = (body.mass, body.mass_center, body.inertia, body.parent_position)
        return torch.cat([p.flatten() for p in parts])

    assert torch.autograd.gradcheck(everything, (rest,), eps=1e-6, atol=1e-6)
    body = smpl(joint_positions=person().float().requires_grad_())
    assert body.mass.dtype == torch.float32 and body.inertia.requires_grad


def test_positions_from_smpls_parameters() -> None:
    source = torch.Generator().manual_seed(4)
    pose, translation = (torch.randn(*s, generator=source, dtype=torch.float64) for s in ((5, 72), (3,)))
    q = smpl_positions(pose, translation)
    assert torch.equal(q[:, :3], pose[:, :3]) and torch.equal(q[:, 6:], pose[:, 3:])
    assert torch.equal(q[:, 3:6], translation.expand(5, 3))
    matrices = torch.tensor(Rotation.from_rotvec(pose.reshape(-1, 3).numpy()).as_matrix()).reshape(5, 24, 3, 3)
    other = smpl_positions(matrices, translation)
    back = convert_positions(other, smpl(rotations="matrix"), smpl(rotations="matrix").with_rotations("axis-angle"))
    here, there = (forward_kinematics(smpl(), x).position for x in (q, back))
    assert torch.allclose(here, there, atol=EXACT)
    with pytest.raises(DataError, match=r"24 rotations and its translation three numbers, got shapes \[5, 70\]"):
        smpl_positions(pose[:, :70], translation)


def test_wrong_input_is_named() -> None:
    rest = person()
    for options, message in (
        ({"sex": "x"}, "sex must be f, m or unknown, got 'x'"),
        ({"up": "x"}, "up must be y, z, -y or -z, got 'x'"),
        ({"height": 178.0}, "a height of 178 m is no person's; give it in metres"),
        ({"mass": 0.0}, "a mass of 0 kg is no person's"),
        ({"height": 1.7, "joint_positions": rest}, "either a height or joint positions"),
        ({"joint_positions": rest[:22]}, r"float tensor of shape \[24, 3\], got \[22, 3\]"),
        ({"joint_positions": rest[:, [2, 1, 0]]}, "not SMPL's rest pose in its axes"),
        ({"joint_positions": rest * torch.tensor([-1.0, 1.0, 1.0])}, "not SMPL's rest pose in its axes"),
        ({"joint_positions": rest * float("nan")}, "not SMPL's rest pose in its axes"),
        ({"joint_positions": rest * 1000}, "give them in metres"),
        ({"rotations": "euler"}, "there is no rotation format 'euler'"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            smpl(**options)
        assert "\n" not in str(caught.value)
