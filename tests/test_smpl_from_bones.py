"""Motion capture's bones on SMPL's tree: the same joint centres, SMPL's own signs, and zero for its T-pose."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motorque.errors import DataError, FileFormatError
from motorque.files.bone_axes import TO_GROUND
from motorque.fitting.lead_frame import without_lead_frame
from motorque.fitting.load_poses import load_poses
from motorque.fitting.smpl_from_bones import joint_centres, poses_from_bones
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series.bones import BoneMotion, chain_poses
from motorque.series.poses import Poses
from motorque.skeleton import smpl, smpl_positions
from motorque.skeleton.smpl import SMPL_JOINTS, rest_joints

RIGID = 1e-6
"""How far joint centres may be off where all bones are rigid [m]: a micrometre, for rounded numbers in files."""

SPLAY = np.deg2rad(20.0)
# Acclaim's bones as CMU has them: joint, parent, place from the parent in the rest pose in animation axes (x left, y
# up, z forward) [m]; legs are splayed.
_LEG = 0.4 * np.array([np.sin(SPLAY), -np.cos(SPLAY), 0.0])
_ROLL = np.array([[np.cos(SPLAY), -np.sin(SPLAY), 0], [np.sin(SPLAY), np.cos(SPLAY), 0], [0, 0, 1]])
_TOES = _ROLL @ [0.04, -0.03, 0.12]  # soles are splayed with their legs
_BONES: list[tuple[str, str, tuple[float, ...]]] = [
    ("root", "", (0, 0, 0)), ("lowerback", "root", (0, 0, 0)), ("upperback", "lowerback", (0, 0.11, 0)),
    ("thorax", "upperback", (0, 0.11, 0)), ("lowerneck", "thorax", (0, 0.11, 0)),
    ("upperneck", "lowerneck", (0, 0.09, 0)), ("head", "upperneck", (0, 0.09, 0)),
]  # fmt: skip
for _s, _x in (("l", 1.0), ("r", -1.0)):
    _mirror = np.array([_x, 1.0, 1.0])
    _BONES += [
        (f"{_s}{name}", parent if parent in ("root", "thorax") else f"{_s}{parent}", tuple(_mirror * arm))
        for name, parent, arm in (
            ("femur", "root", (0.09, -0.1, 0.0)), ("tibia", "femur", _LEG), ("foot", "tibia", _LEG),
            ("toes", "foot", _TOES), ("toes_end", "toes", (0.0, 0.0, 0.06)),
            ("clavicle", "thorax", (0.0, 0.11, 0.0)), ("humerus", "clavicle", (0.18, 0.04, 0.0)),
            ("radius", "humerus", (0.28, 0.0, 0.0)), ("wrist", "radius", (0.18, 0.0, 0.0)),
            ("hand", "wrist", (0.08, 0.0, 0.0)), ("fingers", "hand", (0.04, 0.0, 0.0)),
            ("thumb", "wrist", (0.08, 0.0, 0.0)), ("thumb_end", "thumb", (0.03, 0.0, 0.03)),
        )
    ]  # fmt: skip


def bones(turns: dict[str, np.ndarray], frames: int = 1, root: np.ndarray | None = None) -> BoneMotion:
    """A recording in which some bones are turned, against their parents, by rotation vectors in animation axes."""
    names = [name for name, _, _ in _BONES]
    parents = tuple(names.index(parent) if parent else -1 for _, parent, _ in _BONES)
    offsets = np.array([arm for _, _, arm in _BONES]) @ TO_GROUND.T
    local = np.broadcast_to(np.eye(3), (frames, len(names), 3, 3)).copy()
    for name, vector in turns.items():
        own = Rotation.from_rotvec(np.broadcast_to(vector, (frames, 3)).copy()).as_matrix()
        local[:, names.index(name)] = TO_GROUND @ own @ TO_GROUND.T
    place = np.zeros((frames, 3)) if root is None else root
    positions, rotations = chain_poses(parents, offsets, place, local)
    return BoneMotion(np.arange(frames) / 30, tuple(names), parents, positions, rotations, offsets)


def test_smpls_t_pose_is_zero() -> None:
    """The rest pose with its legs brought together is SMPL's T-pose, but for the toes' yaw."""
    turned = {"lfemur": -SPLAY, "rfemur": SPLAY}
    vectors = poses_from_bones(
        bones({name: np.array([0, 0, angle]) for name, angle in turned.items()})
    ).rotation_vectors
    yaw = np.arctan2(0.04, 0.12)
    wanted = np.zeros((24, 3))
    wanted[[SMPL_JOINTS.index("left_ankle"), SMPL_JOINTS.index("right_ankle")], 1] = yaw, -yaw
    np.testing.assert_allclose(vectors[0], wanted, atol=1e-12)


def test_rest_joints_are_the_bones_lengths_in_the_t_pose() -> None:
    poses = poses_from_bones(bones({}))
    rest = poses.joint_positions
    assert rest is not None
    at = dict(zip(SMPL_JOINTS, rest, strict=True))
    np.testing.assert_allclose(at["left_ankle"] - at["left_hip"], [0, -0.8, 0], atol=1e-12)
    np.testing.assert_allclose(at["right_wrist"] - at["right_shoulder"], [-0.54, 0, 0], atol=1e-12)
    np.testing.assert_allclose(at["left_foot"] - at["left_ankle"], [0, -0.03, np.hypot(0.04, 0.12)], atol=1e-12)
    body = smpl(joint_positions=torch.tensor(rest), mass=70.0)
    assert body.total_mass() == pytest.approx(70.0)


def test_signs_are_smpls() -> None:
    bent = {
        "ltibia": np.array([0.9, 0, 0]),  # the shank goes back
        "rfemur": np.array([-0.6, 0, 0]),  # the thigh goes forward
        "lradius": np.array([0, -0.7, 0]),  # the forearm goes forward
        "thorax": np.array([0, 0.5, 0]),  # the trunk turns to the left
    }
    vectors = poses_from_bones(bones(bent)).rotation_vectors[0]
    at = {name: SMPL_JOINTS.index(name) for name in SMPL_JOINTS}
    np.testing.assert_allclose(vectors[at["spine3"]], [0, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(vectors[at["left_elbow"]], [0, -0.7, 0], atol=1e-12)
    assert vectors[at["left_knee"], 0] == pytest.approx(0.9, rel=0.15)
    assert vectors[at["right_hip"], 0] < -0.5


def test_joint_centres_are_the_bones_again() -> None:
    rng = np.random.default_rng(0)
    frames = 20
    turns = {name: 0.5 * rng.normal(size=(frames, 3)) for name, _, _ in _BONES if name not in ("upperneck",)}
    for still in ("lwrist", "rwrist", "lthumb", "rthumb"):  # a forearm of two bones turns about its length only
        turns[still] = turns[still] * ([1, 0, 0] if "wrist" in still else 1)
    motion = bones(turns, frames, rng.normal(size=(frames, 3)))
    poses = poses_from_bones(motion)
    found = joint_centres(poses)
    for name, theirs in (("hip", "femur"), ("knee", "tibia"), ("ankle", "foot"), ("foot", "toes"), ("wrist", "hand"),
                         ("shoulder", "humerus"), ("elbow", "radius"), ("collar", "clavicle")):  # fmt: skip
        for side in ("left", "right"):
            wanted = motion.positions[:, motion.index(side[0] + theirs)] @ TO_GROUND
            np.testing.assert_allclose(found[:, SMPL_JOINTS.index(f"{side}_{name}")], wanted, atol=1e-12)


def test_the_skeleton_puts_the_joints_where_the_poses_do() -> None:
    """The chain here and the mechanics' own kinematics, in ground."""
    rng = np.random.default_rng(1)
    motion = bones({"root": rng.normal(size=(5, 3)), "lfemur": rng.normal(size=(5, 3))}, 5, rng.normal(size=(5, 3)))
    poses = poses_from_bones(motion)
    body = smpl(joint_positions=torch.tensor(poses.joint_positions), up=poses.up, rotations="matrix")
    positions = smpl_positions(torch.tensor(poses.rotations), torch.tensor(poses.translation))
    found = forward_kinematics(body, positions).position
    np.testing.assert_allclose(found, joint_centres(poses) @ TO_GROUND.T, atol=1e-12)


RECORDINGS = (
    "asfamc/35/35_01.amc", "asfamc/02/02_01.amc", "asfamc/49/49_19.amc", "asfamc/01/01_02.amc", "bvh/131_01.bvh",
    "bvh/005/005_01.bvh", "bvh/006/006_01.bvh", "bvh/007/007_01.bvh", "expmap/test/walking/walking_1.txt",
)  # fmt: skip


@pytest.mark.parametrize("name", RECORDINGS)
def test_cmus_joint_centres_agree_with_its_own_hierarchy(data: Path, name: str) -> None:
    from motorque.fitting.load_poses import _bones
    from motorque.fitting.retarget_source import roles_of
    from motorque.fitting.smpl_from_bones import _joints_of

    path, journal = data / "cmu" / name, Journal()
    motion = _bones(path, path.suffix, None, None, journal)
    motion = motion.frames(slice(None, None, max(1, len(motion.times) // 300)))
    poses = poses_from_bones(motion, journal=journal)
    place, _ = _joints_of(motion, roles_of(motion)[0])
    off = np.linalg.norm(joint_centres(poses) @ TO_GROUND.T - motion.positions[:, place], axis=-1)
    for joint in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist"):
        both = [SMPL_JOINTS.index(f"{side}_{joint}") for side in ("left", "right")]
        assert off[:, both].max() < RIGID, joint
    assert off[:, [SMPL_JOINTS.index(j) for j in ("neck", "head")]].mean() < 0.01
    smpl(joint_positions=torch.tensor(poses.joint_positions), mass=70.0)


@pytest.mark.parametrize("name", ["asfamc/35/35_01.amc", "asfamc/02/02_01.amc", "bvh/006/006_01.bvh"])
def test_a_walk_is_a_walk_in_smpls_angles(data: Path, name: str) -> None:
    """Knees bend about x forward, elbows about y, arms hang, and SMPL's lengths are a person's."""
    poses = load_poses(data / "cmu" / name)
    mean = poses.rotation_vectors.mean(axis=0)
    at = {joint: mean[SMPL_JOINTS.index(joint)] for joint in SMPL_JOINTS}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        knee, elbow, shoulder = (at[f"{side}_{joint}"] for joint in ("knee", "elbow", "shoulder"))
        assert 0.2 < knee[0] < 1.0 and np.abs(knee[1:]).max() < 0.3
        assert elbow[1] * sign < -0.1 and abs(elbow[1]) > np.abs(elbow[[0, 2]]).max()
        assert -sign * shoulder[2] > 0.8
        assert np.abs(at[f"{side}_ankle"]).max() < 0.3
    rest = poses.joint_positions
    assert rest is not None
    table = np.array(rest_joints(height=1.75))
    for first, last in ((1, 4), (4, 7), (16, 18), (18, 20), (7, 10)):
        ours, usual = (float(np.linalg.norm(x[last] - x[first])) for x in (rest, table))
        assert 0.75 < ours / usual < 1.25, (SMPL_JOINTS[first], ours, usual)


def test_two_encodings_of_one_recording_give_one_motion(data: Path) -> None:
    """35_01 as angles and as exponential maps: the same rotations to the digits of the file."""
    one = load_poses(data / "cmu/asfamc/35/35_01.amc")
    two = load_poses(data / "cmu/expmap/test/walking/walking_1.txt", skeleton=data / "cmu/asfamc/35/35.asf")
    frames = min(len(one.times), len(two.times))
    gap = np.abs(one.rotations[:frames] - two.rotations[:frames]).max()
    shifted = np.abs(one.rotations[1:frames] - two.rotations[: frames - 1]).max()
    assert min(gap, shifted) < 1e-4


def test_files_and_options_that_do_not_go_together(tmp_path: Path) -> None:
    (tmp_path / "35_01.amc").write_text(":FULLY-SPECIFIED\n1\nroot 0 0 0 0 0 0\n")
    with pytest.raises(DataError, match=r"35\.asf.*--skeleton"):
        load_poses(tmp_path / "35_01.amc")
    with pytest.raises(FileFormatError, match="is no file of poses"):
        load_poses(tmp_path / "x.trc")
    with pytest.raises(DataError, match="--up: goes with SMPL poses"):
        load_poses(tmp_path / "x.bvh", up="z")
    with pytest.raises(DataError, match="goes with an .amc file"):
        load_poses(tmp_path / "x.npz", skeleton=tmp_path / "a.asf")
    with pytest.raises(DataError, match="no recording's"):
        load_poses(tmp_path / "x.bvh", fps=0.0)


def test_unknown_bones_are_named() -> None:
    motion = bones({})
    other = dataclasses.replace(motion, names=tuple(f"bone{i}" for i in range(len(motion.names))))
    with pytest.raises(DataError, match="bone0, bone1.*known are Acclaim"):
        poses_from_bones(other)


def test_a_rest_pose_before_the_first_frame_is_left_out() -> None:
    """As CMU's BVH files by MotionBuilder have it; a fast start, a gap or a still person is none."""
    place = np.zeros((30, 3))
    place[1:, 2] = 2.5 + 0.04 * np.arange(29)
    vectors = np.zeros((30, 24, 3))
    poses = Poses.from_rotation_vectors(vectors, place, rate=30.0)
    journal = Journal()
    found = without_lead_frame(poses, journal, "walk.bvh")
    assert np.array_equal(found.times, poses.times[1:]) and np.array_equal(found.translation, poses.translation[1:])
    (notice,) = journal.notices
    assert notice.kind == "repair" and "2.5 m from the second" in notice.text and notice.about == "walk.bvh"
    for changed in (place[1:], 0.05 * place, np.where(np.arange(30)[:, None] == 4, np.nan, place[:, ::-1] * 0)):
        other = Poses.from_rotation_vectors(vectors[: len(changed)], changed, rate=30.0)
        assert without_lead_frame(other, journal) is other
    assert len(journal.notices) == 1
