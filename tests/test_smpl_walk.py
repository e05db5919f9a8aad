"""The generated walk on SMPL's tree, held to the built-in skeleton's walk from which it is made."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motorque.errors import DataError
from motorque.mechanics.kinematics import forward_kinematics
from motorque.skeleton.smpl import SMPL_JOINTS, smpl, smpl_positions
from motorque.synthesis.smpl_walk import smpl_walk


@pytest.fixture(scope="module")
def walk():
    return smpl_walk()


@pytest.fixture(scope="module")
def joints(walk) -> np.ndarray:
    """Joints in ground (X forward, Y up, Z right) [m], shape [T, 24, 3]."""
    skeleton = smpl(height=walk.height, mass=walk.mass, rotations="matrix")
    q = smpl_positions(torch.from_numpy(walk.rotations), torch.from_numpy(walk.translation))
    return forward_kinematics(skeleton, q).position.numpy()


def test_it_walks_forward_upright_with_legs_and_arms_in_turn(walk, joints) -> None:
    at = {name: joints[:, i] for i, name in enumerate(SMPL_JOINTS)}
    speed = (joints[-1, 0] - joints[0, 0]) / (walk.times[-1] - walk.times[0])
    assert speed[0] == pytest.approx(1.28, abs=0.06)
    assert np.abs(speed[1:]).max() < 0.02
    assert (at["head"][:, 1] - at["pelvis"][:, 1]).min() > 0.5
    assert (at["left_wrist"][:, 1] < at["left_elbow"][:, 1]).all()
    assert (at["left_hip"][:, 2] < at["right_hip"][:, 2]).all()
    ahead = {n: (at[n] - at["pelvis"])[:, 0] for n in ("left_ankle", "left_wrist", "right_ankle")}
    assert np.corrcoef(ahead["left_ankle"], ahead["right_ankle"])[0, 1] < -0.8
    assert np.corrcoef(ahead["left_ankle"], ahead["left_wrist"])[0, 1] < -0.5


def test_feet_stay_where_they_stand(walk, joints) -> None:
    """Legs are two centimetres off the built-in skeleton's, so feet creep a little; they must not slide."""
    toe = joints[:, SMPL_JOINTS.index("left_foot")]
    low = toe[:, 1] < np.quantile(toe[:, 1], 0.4)
    speed = np.linalg.norm(np.gradient(toe, walk.times, axis=0), axis=1)
    assert np.median(speed[low]) < 0.15
    assert speed.max() > 2.5


def test_palms_look_at_the_body(walk) -> None:
    """SMPL's palms look down in the T-pose: hanging arms turn them to the thighs, within the pronation of a walk."""
    world = np.broadcast_to(np.eye(3), walk.rotations[:, 0].shape)
    chain = [SMPL_JOINTS.index(n) for n in ("pelvis", "spine1", "spine2", "spine3", "left_collar", "left_shoulder")]
    for joint in (*chain, SMPL_JOINTS.index("left_elbow"), SMPL_JOINTS.index("left_wrist")):
        world = world @ walk.rotations[:, joint]
    palm = -world[:, :, 1]
    assert (palm[:, 0] < -0.7).all()  # to the right, which for the left hand is inwards


def test_rate_and_count_are_as_asked_and_wrong_ones_are_named() -> None:
    walk = smpl_walk(rate=60.0, frames=10)
    assert walk.rate == pytest.approx(60.0) and len(walk.times) == 10
    with pytest.raises(DataError, match="rate"):
        smpl_walk(rate=0.0)
