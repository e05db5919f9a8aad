"""Motion capture's jointed bones as poses on SMPL's tree of 24 joints.

Each body of the tree turns as one bone of the file does. Between the two lies a fixed rotation, which makes SMPL's
T-pose the zero: the file's own rest pose is brought into it by turning each limb's bone the shortest way until it
points where SMPL's does, feet with their shanks and hands with their forearms. Rest joints are the file's own lengths
in that T-pose, so that the tree's joint centres are the file's again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import DataError
from motorque.files.bone_axes import TO_GROUND
from motorque.fitting.retarget_source import roles_of, unit
from motorque.journal import Journal
from motorque.series.bones import BoneMotion
from motorque.series.poses import Poses
from motorque.skeleton.anthropometry import Sex, segments
from motorque.skeleton.smpl import SMPL_JOINTS, SMPL_PARENTS

Array = NDArray[np.float64]

# Joint of the tree: the file's joint that it lies at, and the one whose bone its body turns with. {s} is l or r, {S}
# Left or Right, {C} L or R. A neck of three bones is SMPL's neck and head: the upper joint of the two is the head's
# place, the third bone its turn.
_BONES: dict[str, dict[str, tuple[str, str]]] = {
    "Acclaim (CMU)": {
        "pelvis": ("root", "root"), "spine1": ("lowerback", "lowerback"), "spine2": ("upperback", "upperback"),
        "spine3": ("thorax", "thorax"), "neck": ("lowerneck", "lowerneck"), "head": ("upperneck", "head"),
        "hip": ("{s}femur", "{s}femur"), "knee": ("{s}tibia", "{s}tibia"), "ankle": ("{s}foot", "{s}foot"),
        "foot": ("{s}toes", "{s}toes"), "collar": ("{s}clavicle", "{s}clavicle"),
        "shoulder": ("{s}humerus", "{s}humerus"), "elbow": ("{s}radius", "{s}radius"), "wrist": ("{s}hand", "{s}hand"),
        "hand": ("{s}fingers", "{s}fingers"),
    },
    "BVH (CMU by MotionBuilder)": {
        "pelvis": ("Hips", "Hips"), "spine1": ("lowerback", "lowerback"), "spine2": ("Chest", "Chest"),
        "spine3": ("Chest2", "Chest2"), "neck": ("Neck", "Neck"), "head": ("Head", "Head"),
        "hip": ("{S}Hip", "{S}Hip"), "knee": ("{S}Knee", "{S}Knee"), "ankle": ("{S}Ankle", "{S}Ankle"),
        "foot": ("{S}Toe", "{S}Toe"), "collar": ("{S}Collar", "{S}Collar"), "shoulder": ("{S}Shoulder", "{S}Shoulder"),
        "elbow": ("{S}Elbow", "{S}Elbow"), "wrist": ("{S}Wrist", "{s}hand"), "hand": ("{C}Fingers", "{C}Fingers"),
    },
    "BVH (iClone)": {
        "pelvis": ("CC_Base_Pelvis", "CC_Base_Pelvis"), "spine1": ("CC_Base_Waist", "CC_Base_Waist"),
        "spine2": ("CC_Base_Spine01", "CC_Base_Spine01"), "spine3": ("CC_Base_Spine02", "CC_Base_Spine02"),
        "neck": ("CC_Base_NeckTwist01", "CC_Base_NeckTwist01"), "head": ("CC_Base_Head", "CC_Base_Head"),
        "hip": ("CC_Base_{C}_Thigh", "CC_Base_{C}_Thigh"), "knee": ("CC_Base_{C}_Calf", "CC_Base_{C}_Calf"),
        "ankle": ("CC_Base_{C}_Foot", "CC_Base_{C}_Foot"), "foot": ("CC_Base_{C}_ToeBase", "CC_Base_{C}_ToeBase"),
        "collar": ("CC_Base_{C}_Clavicle", "CC_Base_{C}_Clavicle"),
        "shoulder": ("CC_Base_{C}_Upperarm", "CC_Base_{C}_Upperarm"),
        "elbow": ("CC_Base_{C}_Forearm", "CC_Base_{C}_Forearm"), "wrist": ("CC_Base_{C}_Hand", "CC_Base_{C}_Hand"),
        "hand": ("CC_Base_{C}_Mid1", "CC_Base_{C}_Mid1"),
    },
}  # fmt: skip

# Where a bone's own axes point (columns x, y, z in ground: X forward, Y up, Z right) when the skeleton is in its rest
# pose. In most families they are ground's. iClone's bones have y along themselves, and a pose of zeros is nobody's:
# axes as in its characters' T-pose, told from how they stand in recordings.
_LEG = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
_FOOT = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
_ARM = {
    "left": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "right": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
}
_ICLONE = {"hip": _LEG, "knee": _LEG, "ankle": _FOOT, "foot": _FOOT}
# By how much such a character's bone is turned against CMU's own of the same name, in SMPL's axes of the body [deg],
# left side; right ones are mirrored. From the eight of CMU's recordings here (05, 06, 07) that are there in both: mean
# of them all, which differ by 1 degree (feet 2), and bones turn alike within 0.3 to 4.4 after it. Other bones are
# within 2 degrees; wrists, whose markers slip, are left as they are.
_ICLONE_OFF = {
    "pelvis": (-12.0, 0.0, 0.0), "spine1": (-16.0, 0.0, 0.0), "spine2": (5.0, 0.0, 0.0), "spine3": (10.0, 0.0, 0.0),
    "neck": (-11.0, 0.0, 0.0), "collar": (0.0, -15.0, -2.0), "ankle": (7.0, -7.3, 1.0), "foot": (6.0, -4.3, -1.0),
}  # fmt: skip

_DOWN, _AHEAD = np.array([0.0, -1.0, 0.0]), np.array([1.0, 0.0, 0.0])
# From ankle to ball in a foot whose sole is level, as `rest_joints` has it
_FOOT_SLOPE = np.array([0.953, -0.303, 0.0])
_SIDEWARD = {"left": np.array([0.0, 0.0, -1.0]), "right": np.array([0.0, 0.0, 1.0])}
_NEXT = {"hip": "knee", "knee": "ankle", "ankle": "foot", "shoulder": "elbow", "elbow": "wrist"}

LIKELY_HAND = (0.6, 1.7)
"""Factors of de Leva's hand, for a forearm's length, between which a file's distance from wrist to fingers is taken."""


def poses_from_bones(
    motion: BoneMotion,
    *,
    sex: Sex = "unknown",
    mass: float | None = None,
    source: str = "",
    journal: Journal | None = None,
) -> Poses:
    """Bring a recording of jointed bones onto SMPL's tree.

    Args:
        motion: The recording, in ground.
        sex: Whose proportions, for the masses.
        mass: Body mass [kg].
        source: Where it comes from, for people to read.
        journal: Where is noted how far joint centres are off, and what was taken for granted.

    Returns:
        Poses with the recording's own rest joints, in SMPL's world with y up; the pelvis lies at the translation.

    Raises:
        DataError: The joints are called like no known family's, or make no person's rest pose.
    """
    journal = Journal() if journal is None else journal
    family, _ = roles_of(motion)
    place, bone = _joints_of(motion, family)
    positions = motion.positions[:, place] @ TO_GROUND  # into SMPL's world, which is ground turned about the vertical
    turns = motion.rotations[:, bone]
    world = np.empty((len(motion.times), len(SMPL_JOINTS), 3, 3))
    for joint, name in enumerate(SMPL_JOINTS):
        fixed = _from_rest(name, family, positions, turns)
        world[:, joint] = TO_GROUND.T @ turns[:, joint] @ fixed @ TO_GROUND
    rest = np.zeros((len(SMPL_JOINTS), 3))
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            arm = positions[:, joint] - positions[:, parent]
            rest[joint] = rest[parent] + np.einsum("tji,tj->i", world[:, parent], arm) / len(arm)
    _hands(rest, sex, journal, source)
    local = world.copy()
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            local[:, joint] = world[:, parent].swapaxes(-1, -2) @ world[:, joint]
    poses = Poses(motion.times, _orthonormal(local), positions[:, 0], "y", sex, None, mass, rest, None, source)
    off = np.linalg.norm(joint_centres(poses)[:, :22] - positions[:, :22], axis=-1)
    worst = int(off.mean(axis=0).argmax())
    most = f", the {SMPL_JOINTS[worst].replace('_', ' ')} most with {1000 * off[:, worst].mean():.1f} mm"
    journal.info(
        f"bones of the family {family} brought onto SMPL's 24 joints: joint centres are {1000 * off.mean():.1f} mm off "
        f"on average{most if off.mean() > 5e-5 else ''}",
        source,
    )
    return poses


def joint_centres(poses: Poses) -> Array:
    """Joint centres of poses with rest joints, in the poses' world [m], shape [T, 24, 3].

    Raises:
        DataError: The poses have no rest joints.
    """
    if poses.joint_positions is None:
        raise DataError("these poses have no rest joints, so their joint centres are not known")
    rest = poses.joint_positions
    positions = np.empty((len(poses.times), len(SMPL_JOINTS), 3))
    turns = np.empty((len(poses.times), len(SMPL_JOINTS), 3, 3))
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent < 0:
            positions[:, joint], turns[:, joint] = rest[0] + poses.translation, poses.rotations[:, 0]
            continue
        turns[:, joint] = turns[:, parent] @ poses.rotations[:, joint]
        positions[:, joint] = positions[:, parent] + turns[:, parent] @ (rest[joint] - rest[parent])
    return positions


def source_joints(motion: BoneMotion) -> list[int]:
    """For each of SMPL's 24 joints the recording's own joint at its place.

    Raises:
        DataError: The joints are called like no known family's.
    """
    return _joints_of(motion, roles_of(motion)[0])[0]


def _role(joint: str) -> tuple[str, str]:
    """Side and role of a joint: ``left``, ``hip``; the trunk's have no side."""
    side, _, role = joint.rpartition("_")
    return side, role


def _joints_of(motion: BoneMotion, family: str) -> tuple[list[int], list[int]]:
    """For each joint of the tree, the file's joint at its place and the one whose bone turns its body."""
    place, bone = [], []
    for joint in SMPL_JOINTS:
        side, role = _role(joint)
        words = {"s": side[:1], "S": side.capitalize(), "C": side[:1].upper()}
        at, turn = (name.format(**words) for name in _BONES[family][role])
        place.append(motion.index(at))
        bone.append(motion.index(turn))
    return place, bone


def _from_rest(name: str, family: str, positions: Array, turns: Array) -> Array:
    """Ground's axes in a bone's own when SMPL is in its T-pose, shape [3, 3].

    Args:
        name: Joint of the tree.
        family: Family of the file's skeleton.
        positions: Joint centres in SMPL's world [m], shape [T, 24, 3].
        turns: Rotations of the bones into ground, shape [T, 24, 3, 3].
    """
    side, role = _role(name)
    own_axes = family == "BVH (iClone)"

    def axes_of(part: str) -> Array:
        return _ICLONE.get(part, _ARM[side] if side else np.eye(3)) if own_axes else np.eye(3)

    def direction(part: str) -> Array:
        """Where the next joint lies in the rest pose, in ground."""
        first, last = (SMPL_JOINTS.index(f"{side}_{r}") for r in (part, _NEXT[part]))
        span = (positions[:, last] - positions[:, first]) @ TO_GROUND.T
        return unit(axes_of(part) @ np.einsum("tji,tj->i", turns[:, first], span))

    # Toes are turned with the foot, hands with the forearm: where arms hang in the rest pose, hands do too
    follower = {"foot": "ankle", "wrist": "elbow", "hand": "elbow"}.get(role, role)
    if follower not in _NEXT or (role == "foot" and own_axes):
        turn = np.eye(3)
    elif follower == "ankle" and own_axes:
        turn = _shortest(_FOOT_SLOPE, direction("ankle"))
    elif follower == "ankle":
        # A splayed leg's sole is splayed with it: with the shank brought under the knee only toe-out is left.
        shank = _shortest(_DOWN, direction("knee"))
        turn = shank @ _shortest(_AHEAD, unit((shank.T @ direction("ankle")) * (1.0, 0.0, 1.0)))
    else:
        turn = _shortest(_DOWN if follower in ("hip", "knee") else _SIDEWARD[side], direction(follower))
    off = np.eye(3)
    if own_axes and role in _ICLONE_OFF:
        mirror = -1.0 if side == "right" else 1.0
        vector = np.radians(_ICLONE_OFF[role]) * (1.0, mirror, mirror)
        off = TO_GROUND @ Rotation.from_rotvec(vector).as_matrix() @ TO_GROUND.T
    return np.asarray(axes_of(role).T @ turn @ off)


def _shortest(start: Array, end: Array) -> Array:
    """The rotation by the smallest angle that takes one direction into another, shape [3, 3]."""
    axis, cosine = np.cross(start, end), float(start @ end)
    if cosine < -0.999:
        raise DataError("a limb of these bones points against SMPL's in the rest pose, so it can't be aligned")
    skew = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1.0 + cosine))


def _hands(rest: Array, sex: Sex, journal: Journal, source: str) -> None:
    """Put a hand's joint where a hand ends if the file's fingers begin elsewhere, as CMU's do 3 cm from the wrist."""
    table = segments(sex)
    low, high = LIKELY_HAND
    said = []
    for elbow, wrist, hand in ((18, 20, 22), (19, 21, 23)):
        arm = rest[hand] - rest[wrist]
        length = float(np.linalg.norm(arm))
        likely = float(np.linalg.norm(rest[wrist] - rest[elbow]) * table["hand"].length / table["forearm"].length)
        if not low * likely < length < high * likely:
            direction = unit(arm) if length > 0.005 else unit(rest[wrist] - rest[elbow])
            rest[hand] = rest[wrist] + likely * direction
            said.append(f"{100 * likely:.1f} instead of {100 * length:.1f} cm")
    if said:
        journal.assume(
            f"a hand from wrist to knuckles is taken as long as de Leva (1996) has it for the forearm, {said[0]}, "
            "since the file's fingers begin elsewhere",
            source,
        )


def _orthonormal(turns: Array) -> Array:
    """Rotations without the rounding that products of many leave."""
    u, _, vt = np.linalg.svd(turns)
    return np.asarray(u @ vt)
