"""SMPL's tree of 24 joints as a skeleton with masses, for poses as SMPL's users have them.

Only the tree is SMPL's (Loper et al. 2015, ACM Trans Graph 34: 248): names and parents of joints. Lengths are published
anthropometry or the user's own joint positions; nothing of the model's licensed data is here.

Frames. Bodies have SMPL's own axes: x to the person's left, y up, z forward, all parallel in the rest pose, a T-pose;
a body's origin is its joint. The root's joint frame F is the world in which its orientation and translation are given,
set into motorque's ground (X forward, Y up, Z to the right), so that poses are used as they come, gravity is right, and
bodies, contacts and loads are in ground as with every other skeleton.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.series.poses import Up as Up
from motorque.skeleton import fullbody_tables
from motorque.skeleton.anthropometry import BODY_MASS, STATURE, Sex, level_above_hips, segments
from motorque.skeleton.builder import ZERO, Body, Frame, JointSpec, build_skeleton
from motorque.skeleton.functions import Linear
from motorque.skeleton.skeleton import ContactSphere, Coordinate, Element, Skeleton
from motorque.skeleton.smpl_segments import ANKLE_ALONG_FOOT, BALL_ALONG_FOOT, segment_masses
from motorque.spatial import RotationFormat

SMPL_JOINTS = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
)  # fmt: skip
SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

ANKLE_HEIGHT = 0.039  # of the stature; Drillis and Contini 1966, as in Winter 2009, fig. 4.1
# The toe joint's height over the sole, as a fraction of the ankle's: from joints and contact spheres of the built-in
# skeleton's foot, whose sources are in `fullbody_tables`
BALL_HEIGHT = 0.48
# Half the distances between the hips, the shoulders (Rajagopal et al. 2016) and the sternoclavicular joints
# (`landmarks`), for its stature of 1.70 m [m]
HALF_WIDTH = {"hip": 0.07726, "shoulder": 0.170, "collar": 0.024}
# The head turns on the atlas, half-way between the levels of tragion and gonion: 0.064 of the stature below the vertex
# (Drillis and Contini 1966) and de Leva's length of the head
TRAGION = 0.064

# Rotation of the world into one with y up, by what is up there: about its x axis
_UPRIGHT = {"y": 0.0, "z": -math.pi / 2, "-y": math.pi, "-z": math.pi / 2}
# SMPL's axes in ground: left, up, forward
_TO_GROUND = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
_FREE = tuple(Element(Linear(1.0, 0.0), i) for i in range(6))


def smpl(
    *,
    height: float | Tensor | None = None,
    mass: float | Tensor | None = None,
    sex: Sex = "unknown",
    joint_positions: Tensor | None = None,
    rotations: RotationFormat = "axis-angle",
    up: Up = "y",
) -> Skeleton:
    """SMPL's 24 joints with masses: a free root and 23 ball joints, 75 speeds.

    Positions are the root's orientation, its translation, then the other joints' rotations in SMPL's order
    (:func:`smpl_positions` puts them so). Speeds of a joint are the angular velocity in its parent's axes, the root's
    in the axes of the world. Masses, centres of mass and inertias are de Leva's 1996, cut for SMPL's joints
    (`smpl_segments`). Each foot has six contact spheres.

    Args:
        height: Stature [m]; the mean of de Leva's people if not given. All lengths are in proportion to it. As a
            tensor of one number, all but the contact spheres follow it with gradients.
        mass: Body mass [kg]; the mean of de Leva's people if not given. As a tensor of one number, segments follow it
            with gradients.
        sex: Whose proportions: ``f``, ``m``, or ``unknown`` for the mean of the two.
        joint_positions: A person's own rest joints in SMPL's axes [m], shape [24, 3], such as SMPL's joint regressor
            gives for shape parameters; lengths and masses follow it with gradients. The root's translation is then
            SMPL's ``transl``: the pelvis lies at its rest position plus the translation.
        rotations: How positions give rotations.
        up: What is up in the world in which the root's orientation and translation are given: ``y`` for SMPL's own,
            ``z`` as in AMASS, ``-y`` for a level camera's axes.

    Raises:
        DataError: A height, mass, sex, up axis or rotation format that is none; height and joint positions are both
            given; or joint positions that are no rest pose in SMPL's axes.
    """
    if sex not in ("f", "m", "unknown"):
        raise DataError(f"sex must be f, m or unknown, got {sex!r}")
    if up not in _UPRIGHT:
        raise DataError(f"up must be y, z, -y or -z, got {up!r}")
    if height is not None and joint_positions is not None:
        raise DataError("give either a height or joint positions, which say how tall somebody is")
    if height is not None and not 0.4 < _number(height, "height") < 2.8:
        raise DataError(f"a height of {height:g} m is no person's; give it in metres")
    if mass is not None and not 2.0 < _number(mass, "mass") < 650.0:
        raise DataError(f"a mass of {mass:g} kg is no person's; give it in kilograms")
    if mass is None:
        mass = BODY_MASS[sex] if sex != "unknown" else 0.5 * (BODY_MASS["f"] + BODY_MASS["m"])
    if joint_positions is None:
        one = height.double() if isinstance(height, Tensor) else torch.ones((), dtype=torch.float64)
        rest = rest_joints(height=1.0 if isinstance(height, Tensor) else height, sex=sex)
        joints = one * torch.tensor(rest, dtype=torch.float64, device=one.device)
    else:
        _check_joints(joint_positions)
        joints = joint_positions.double()
    masses, centers, inertias = segment_masses(joints, mass, sex)
    skeleton = _tree(joints.detach().cpu().numpy(), _ankle_height(joints, sex), up)
    parents = torch.tensor(SMPL_PARENTS[1:], device=joints.device)
    to_ground = torch.tensor(_world(up), dtype=joints.dtype, device=joints.device)
    filled = dataclasses.replace(
        skeleton.to(device=joints.device),
        mass=masses,
        mass_center=centers,
        inertia=inertias,
        parent_position=torch.cat([(to_ground @ joints[0])[None], joints[1:] - joints[parents]]),
        contact_spheres=_contact_spheres(joints.detach().cpu().numpy(), _ankle_height(joints, sex)),
        rotations=rotations,
    )
    return filled if joint_positions is None else filled.to(dtype=joint_positions.dtype)


def smpl_positions(pose: Tensor, translation: Tensor) -> Tensor:
    """Positions of the SMPL skeleton from SMPL's parameters.

    Args:
        pose: The root's orientation, then the other 23 joints' rotations, in SMPL's order; shape [..., 72] as rotation
            vectors, [..., 24, w] in any format of ``w`` numbers, or [..., 24, 3, 3].
        translation: The root's [m], shape [..., 3].

    Returns:
        Shape [..., nq].

    Raises:
        DataError: The shapes do not fit.
    """
    joints = len(SMPL_JOINTS)
    if pose.ndim > 2 and pose.shape[-3:] == (joints, 3, 3):
        pose = pose.flatten(-3)
    elif pose.ndim > 1 and pose.shape[-2] == joints and pose.shape[-1] in (3, 4, 6, 9):
        pose = pose.flatten(-2)
    width, rest = divmod(pose.shape[-1] if pose.ndim else 0, joints)
    if rest or width not in (3, 4, 6, 9) or translation.shape[-1:] != (3,):
        raise DataError(
            f"SMPL's pose has 24 rotations and its translation three numbers, got shapes {list(pose.shape)} and "
            f"{list(translation.shape)}"
        )
    batch = np.broadcast_shapes(pose.shape[:-1], translation.shape[:-1])
    pose, translation = pose.expand(*batch, -1), translation.expand(*batch, -1)
    return torch.cat([pose[..., :width], translation, pose[..., width:]], dim=-1)


def rest_joints(*, height: float | None = None, sex: Sex = "unknown") -> list[list[float]]:
    """Rest positions of SMPL's joints from published body dimensions, from the pelvis's [m]; 24 rows of 3.

    Lengths of limbs, hands and feet and the levels of trunk and head are de Leva's 1996, all times one factor that
    makes the stature. The joints of the spine have no such levels: pelvis and ``spine2`` are put in the middle of the
    lower and of the middle trunk, ``spine1`` at the navel (about L4), ``spine3`` at the xiphoid (about T9), the neck at
    C7.
    """
    table = segments(sex)
    cervicale, vertex = level_above_hips("cervicale", sex), level_above_hips("vertex", sex)
    own = 0.5 * (STATURE["f"] + STATURE["m"]) if sex == "unknown" else STATURE[sex]
    stature = own if height is None else height
    lengths = {name: segment.length for name, segment in table.items()}
    factor = stature * (1 - ANKLE_HEIGHT) / (lengths["shank"] + lengths["thigh"] + vertex)
    navel = lengths["lower_trunk"]
    xiphion = navel + lengths["middle_trunk"]
    suprasternale = xiphion + lengths["upper_trunk"]
    side = {name: half * stature / fullbody_tables.GENERIC_HEIGHT for name, half in HALF_WIDTH.items()}
    # Above the hips, before the factor
    levels = {
        "pelvis": 0.5 * navel,
        "spine1": navel,
        "spine2": 0.5 * (navel + xiphion),
        "spine3": xiphion,
        "neck": cervicale,
        "head": vertex - 0.5 * (lengths["head"] + TRAGION * own),
    }
    found = {name: (0.0, factor * (level - levels["pelvis"]), 0.0) for name, level in levels.items()}
    hip = -factor * levels["pelvis"]
    knee = hip - factor * lengths["thigh"]
    ankle = knee - factor * lengths["shank"]
    ball = ankle - ANKLE_HEIGHT * stature * (1 - BALL_HEIGHT)
    ahead = factor * lengths["foot"] * (BALL_ALONG_FOOT - ANKLE_ALONG_FOOT)
    arm = factor * (level_above_hips("shoulders", sex) - levels["pelvis"])
    reach = side["shoulder"] + factor * np.cumsum([0.0, *(lengths[n] for n in ("upper_arm", "forearm", "hand"))])
    for name, sign in (("left", 1.0), ("right", -1.0)):
        x = sign * side["hip"]
        found |= {f"{name}_hip": (x, hip, 0.0), f"{name}_knee": (x, knee, 0.0), f"{name}_ankle": (x, ankle, 0.0)}
        found |= {f"{name}_foot": (x, ball, ahead)}
        found |= {f"{name}_collar": (sign * side["collar"], factor * (suprasternale - levels["pelvis"]), 0.0)}
        found |= {
            f"{name}_{joint}": (sign * float(x), arm, 0.0)
            for joint, x in zip(("shoulder", "elbow", "wrist", "hand"), reach, strict=True)
        }
    return [list(found[name]) for name in SMPL_JOINTS]


def _number(value: float | Tensor, what: str) -> float:
    if isinstance(value, Tensor) and value.ndim:
        raise DataError(f"SMPL: the {what} must be one number, got a tensor of shape {list(value.shape)}")
    return float(value.detach() if isinstance(value, Tensor) else value)


def _check_joints(joints: Tensor) -> None:
    shape = (len(SMPL_JOINTS), 3)
    if joints.shape != shape or not joints.is_floating_point():
        raise DataError(f"joint positions must be a float tensor of shape {list(shape)}, got {list(joints.shape)}")
    x, y, z = joints.detach().cpu().double().numpy().T
    spine = [y[[1, 2]].mean(), *y[[3, 6, 9, 12, 15]]]
    # Left of the right, one above the other, and toes ahead of ankles; a NaN is none of it.
    fits = (x[1] > x[2], x[16] > x[17], np.all(np.diff(spine) > 0), y[7] < y[4] < y[1], y[8] < y[5] < y[2])
    if not (all(fits) and z[10] > z[7] and z[11] > z[8] and np.isfinite([*x, *y, *z]).all()):
        raise DataError(
            "joint positions are not SMPL's rest pose in its axes (x to the person's left, y up, z forward, metres, "
            "joints in SMPL's order)"
        )
    if not 0.2 < spine[-1] - min(y[7], y[8]) < 2.6:
        raise DataError(
            f"joint positions span {spine[-1] - min(y[7], y[8]):.3g} from ankle to head; give them in metres"
        )


def _ankle_height(joints: Tensor, sex: Sex) -> float:
    """How high the ankles are above the soles, in proportion to the shanks [m]."""
    shank = 0.5 * sum(float((joints[7 + i] - joints[4 + i]).detach().norm()) for i in (0, 1))
    table = segments(sex)
    stack = table["shank"].length + table["thigh"].length + level_above_hips("vertex", sex)
    return ANKLE_HEIGHT / (1 - ANKLE_HEIGHT) * stack * shank / table["shank"].length


def _world(up: Up) -> np.ndarray:
    """Rotation of the world of the poses into ground; shape [3, 3]."""
    c, s = round(math.cos(_UPRIGHT[up])), round(math.sin(_UPRIGHT[up]))
    return _TO_GROUND @ np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def _tree(joints: np.ndarray, ankle_height: float, up: Up) -> Skeleton:
    """The tree with its lengths; standing upright on the ground by default."""
    world = _world(up)
    standing = world.T @ [0.0, joints[0, 1] - joints[[7, 8], 1].min() + ankle_height, 0.0] - joints[0]
    specs = []
    for i, (name, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS, strict=True)):
        turns = [Coordinate(f"{name}_r{axis}") for axis in "xyz"]
        if parent < 0:
            turns[0] = dataclasses.replace(turns[0], default=-_UPRIGHT[up])
            slides = [Coordinate(f"{name}_t{a}", False, float(x)) for a, x in zip("xyz", standing, strict=True)]
            frame = Frame("ground", world @ joints[0], world)
            specs.append(JointSpec(name, "FreeJoint", frame, Frame(name), (*turns, *slides), _FREE, ball=True))
        else:
            frame = Frame(SMPL_JOINTS[parent], joints[i] - joints[parent])
            elements = (*_FREE[:3], ZERO, ZERO, ZERO)
            specs.append(JointSpec(name, "BallJoint", frame, Frame(name), tuple(turns), elements, ball=True))
    bodies = [Body(name, 1.0, np.zeros(3), np.eye(3)) for name in SMPL_JOINTS]  # filled in by the caller
    return _in_smpl_order(build_skeleton("smpl", bodies, specs))


def _in_smpl_order(skeleton: Skeleton) -> Skeleton:
    """Bodies in SMPL's order, which is parents first too, instead of limb by limb."""
    order = [skeleton.body_names.index(name) for name in SMPL_JOINTS]
    per_body = (
        "mass", "mass_center", "inertia", "parent_rotation", "parent_position", "child_rotation", "child_position",
        "rotation_axes", "translation_axes", "translation_scale",
    )  # fmt: skip
    return dataclasses.replace(
        skeleton,
        body_names=SMPL_JOINTS,
        parents=SMPL_PARENTS,
        joints=tuple(skeleton.joints[i] for i in order),
        **{name: getattr(skeleton, name)[order] for name in per_body},
    )


def _contact_spheres(joints: np.ndarray, ankle_height: float) -> tuple[ContactSphere, ...]:
    """The built-in skeleton's spheres under SMPL's feet: in proportion to the foot's length, touching its sole."""
    found = []
    at_ankle, at_ball = (np.array(fullbody_tables.JOINTS[n][2], dtype=float) for n in ("subtalar_r", "mtp_r"))
    generic = np.hypot(*(at_ankle + at_ball)[[0, 2]])
    for side, sign, ankle, ball in (("l", 1.0, 7, 10), ("r", -1.0, 8, 11)):
        ahead = (joints[ball] - joints[ankle]) * (1.0, 0.0, 1.0)
        factor = float(np.linalg.norm(ahead)) / generic
        ahead = ahead / np.linalg.norm(ahead)
        outward = sign * np.array([ahead[2], 0.0, -ahead[0]])
        radius = factor * fullbody_tables.CONTACT_RADIUS
        for name, (body, center) in fullbody_tables.CONTACT_SPHERES.items():
            joint, from_joint = (ankle, at_ankle) if body == "calcn_r" else (ball, np.zeros(3))
            x, _, z = factor * (np.array(center) + from_joint)
            low = joints[ankle, 1] - ankle_height + radius - joints[joint, 1]
            place: Sequence[float] = (x * ahead + z * outward + (0.0, low, 0.0)).tolist()
            found.append(ContactSphere(name.replace("_r", f"_{side}"), joint, (place[0], place[1], place[2]), radius))
    return tuple(found)
