"""SMPL's tree under the names that the rest of the package and OpenSim's users know, and what each segment is.

Ground forces, gait events and reports look for ``calcn_r`` and ``toes_r``; SMPL calls the same bodies by the joint that
they hang on, ``right_ankle`` and ``right_foot``. Only names change: bodies, joints and coordinates keep their order.
"""

from __future__ import annotations

import dataclasses

from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import SMPL_JOINTS

_BODIES = {
    "pelvis": "pelvis", "spine1": "spine1", "spine2": "spine2", "spine3": "torso", "neck": "neck", "head": "head",
    "hip": "femur", "knee": "tibia", "ankle": "calcn", "foot": "toes", "collar": "clavicle", "shoulder": "humerus",
    "elbow": "ulna", "wrist": "hand", "hand": "fingers",
}  # fmt: skip

SEGMENTS = {
    "pelvis": "lower trunk, below the joint of spine1",
    "spine1": "trunk between the joints of spine1 and spine2 (with rest joints from anthropometry: middle trunk, lower "
    "half)",
    "spine2": "trunk between the joints of spine2 and spine3 (with rest joints from anthropometry: middle trunk, upper "
    "half)",
    "spine3": "upper trunk without what moves with the collars",
    "neck": "head and neck of de Leva, below the atlas",
    "head": "head and neck of de Leva, above the atlas",
    "collar": "8 % of the upper trunk (assumed): clavicle, scapula and their muscles; de Leva has no such segment",
    "hip": "thigh",
    "knee": "shank",
    "ankle": "foot, behind the toe joint",
    "foot": "foot, before the toe joint: the toes",
    "shoulder": "upper arm",
    "elbow": "forearm",
    "wrist": "hand, up to the end of the third metacarpal",
    "hand": "hand, beyond the third metacarpal: the fingers",
}
"""What of de Leva's (1996) table each of SMPL's segments is, by joint without its side."""


def anatomical_name(joint: str) -> str:
    """A joint's body as the rest of the package calls it: ``left_knee`` → ``tibia_l``."""
    side, _, role = joint.rpartition("_")
    return f"{_BODIES[role]}_{side[0]}" if side else _BODIES[role]


def segment_of(joint: str) -> str:
    """What of de Leva's table a joint's segment is."""
    return SEGMENTS[joint.rpartition("_")[2]]


def with_anatomical_names(skeleton: Skeleton) -> Skeleton:
    """The SMPL skeleton with bodies called as in OpenSim's models and sides at the ends of all names.

    Coordinates become ``knee_rx_l``, joints ``knee_l``, the toes' ``mtp_l``.
    """

    def sided(name: str) -> str:
        side, _, rest = name.partition("_")
        if side not in ("left", "right"):
            return name
        role, *axis = rest.split("_")
        return "_".join(["mtp" if role == "foot" else role, *axis, side[0]])

    return dataclasses.replace(
        skeleton,
        body_names=tuple(anatomical_name(name) for name in SMPL_JOINTS),
        coordinates=tuple(
            dataclasses.replace(c, name=sided(c.name), joint=sided(c.joint)) for c in skeleton.coordinates
        ),
        joints=tuple(dataclasses.replace(j, name=sided(j.name)) for j in skeleton.joints),
    )
