"""The generated walk on SMPL's tree: poses of somebody who walks, from published curves and no recording.

The stride is that of the built-in skeleton (`synthesis.stride`): segments are turned as they are there, given SMPL's
axes and rest pose. What SMPL has more joints for is shared out: the trunk's bend in equal parts to the three joints of
the spine, and half of the trunk's turn is taken back by neck and head, which are held steadier (Pozzo, Berthoz, Lefort
1990, Exp Brain Res 82: 97-106, find the head's turns at a few degrees in walking).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import DataError
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series.poses import Poses
from motorque.skeleton import Skeleton
from motorque.skeleton.anthropometry import Sex
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.smpl import SMPL_JOINTS, SMPL_PARENTS, rest_joints
from motorque.synthesis.stride import Stride, fit_stride

Array = NDArray[np.float64]

HEIGHT, MASS = 1.70, 75.0
RESTLESS = 0.008  # strides; people are no clocks
START = 0.35  # of a stride, as in the built-in recording

# Whose segment of the built-in skeleton a joint turns, left and right; the other joints get what is said above
SEGMENTS = {
    "hip": "femur", "knee": "tibia", "ankle": "calcn", "foot": "toes", "shoulder": "humerus", "elbow": "ulna",
    "wrist": "hand",
}  # fmt: skip
# Ground (X forward, Y up, Z right) from SMPL's world (x left, y up, z forward)
_TO_GROUND = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])


def smpl_walk(
    *,
    rate: float = 30.0,
    frames: int = 120,
    height: float = HEIGHT,
    mass: float = MASS,
    sex: Sex = "unknown",
    duration: float = 1.04,
    start: float = START,
) -> Poses:
    """A walk along z, up y.

    Args:
        rate: Frames per second [Hz].
        frames: How many.
        height: Stature [m].
        mass: Body mass [kg], of the poses; the movement does not depend on it.
        sex: Whose proportions SMPL's tree has.
        duration: Of one stride [s].
        start: Where in the stride of the right foot it begins.

    Raises:
        DataError: No frames, a rate that is none, or a height that no person has.
    """
    if frames < 1 or not (np.isfinite(rate) and rate > 0):
        raise DataError(f"a walk needs frames and a rate, got {frames} at {rate:g} Hz")
    skeleton, stride = _stride(height, duration)
    times = np.arange(frames) / rate
    waver = RESTLESS * (np.sin(2 * np.pi * 0.21 * times + 1.0) + 0.6 * np.sin(2 * np.pi * 0.47 * times))
    q = stride.at(skeleton, start + times / duration + waver)
    rotations, translation = smpl_poses_of(skeleton, q, rest=np.array(rest_joints(height=height, sex=sex)))
    return Poses(times, rotations, translation, "y", sex, height, mass, source="generated walk")


def smpl_poses_of(skeleton: Skeleton, q: Array, *, rest: Array) -> tuple[Array, Array]:
    """Poses on SMPL's tree of the built-in skeleton's coordinates.

    Args:
        skeleton: The built-in skeleton, of any size.
        q: Its coordinates [rad or m], shape [T, nq].
        rest: Rest joints of SMPL's tree from the pelvis's, in SMPL's axes [m], shape [24, 3].

    Returns:
        Local rotations, shape [T, 24, 3, 3], and the pelvis joint's place [m], shape [T, 3], in SMPL's world: x to the
        left of ground's X, y up, z along ground's X. The middle of the hips is where it was.
    """
    poses = forward_kinematics(skeleton, torch.from_numpy(np.ascontiguousarray(q)))
    turned = _TO_GROUND.T @ poses.rotation.numpy() @ _TO_GROUND
    world = np.empty((len(q), len(SMPL_JOINTS), 3, 3))

    def put(name: str, values: Array) -> None:
        world[:, SMPL_JOINTS.index(name)] = values

    pelvis, torso = (turned[:, skeleton.body(name)] for name in ("pelvis", "torso"))
    put("pelvis", pelvis)
    bend = Rotation.from_matrix(pelvis.swapaxes(-1, -2) @ torso).as_rotvec()
    for i, name in enumerate(("spine1", "spine2", "spine3"), 1):
        put(name, pelvis @ Rotation.from_rotvec(bend * i / 3).as_matrix())
    trunk = Rotation.from_matrix(torso).as_rotvec()
    put("neck", Rotation.from_rotvec(0.75 * trunk).as_matrix())
    put("head", Rotation.from_rotvec(0.5 * trunk).as_matrix())
    for side, letter, sign in (("left", "l", 1.0), ("right", "r", -1.0)):
        put(f"{side}_collar", torso)
        # From the T-pose: arms down, and the palms, which then look at the thighs, forward
        down = Rotation.from_rotvec([0.0, 0.0, -sign * np.pi / 2])
        supine = Rotation.from_rotvec([0.0, sign * np.pi / 2, 0.0]) * down
        aligned = {"shoulder": down, "elbow": down, "wrist": supine}
        for joint, segment in SEGMENTS.items():
            own = turned[:, skeleton.body(f"{segment}_{letter}")]
            put(f"{side}_{joint}", own @ aligned[joint].as_matrix() if joint in aligned else own)
        put(f"{side}_hand", world[:, SMPL_JOINTS.index(f"{side}_wrist")])
    parents = np.array(SMPL_PARENTS[1:])
    local = world.copy()
    local[:, 1:] = world[:, parents].swapaxes(-1, -2) @ world[:, 1:]
    hips = poses.position.numpy()[:, [skeleton.body("femur_r"), skeleton.body("femur_l")]].mean(axis=1) @ _TO_GROUND
    return local, hips - pelvis @ (0.5 * (rest[1] + rest[2]) - rest[0])


@cache
def _stride(height: float, duration: float) -> tuple[Skeleton, Stride]:
    skeleton = fullbody(height=height)
    return skeleton, fit_stride(skeleton, duration=duration)
