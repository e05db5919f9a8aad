"""What people call a coordinate, which joint it belongs to and which way is positive in this very skeleton.

Models disagree about signs (knee flexion is positive in Rajagopal 2016 and negative in gait2392; toe extension is
positive in one and negative in the other), so the direction is measured: each coordinate is moved a little in the
neutral pose and the axis about which its body then turns decides, ground being X forward, Y up, Z to the right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from motorque.mechanics.kinematics import forward_kinematics
from motorque.skeleton.skeleton import GROUND, Skeleton

GROUPS = (
    "Pelvis",
    "Hip",
    "Knee",
    "Ankle and foot",
    "Trunk",
    "Neck",
    "Shoulder",
    "Elbow and wrist",
    "Other",
    "Position",
)

# SMPL's ball joints, three rotations each about the axes of the parent's body: joint in the coordinate's name → (joint,
# group, what people call it, what turns about the parent's axes to the left, up and forward are)
_BENDS = ("flexion / extension", "rotation", "adduction / abduction")
_TRUNK_BENDS = ("flexion / extension", "rotation", "bending")
_BALLS: tuple[tuple[str, str, str, str, tuple[str, str, str]], ...] = (
    ("hip", "hip", "Hip", "Hip", _BENDS),
    ("knee", "knee", "Knee", "Knee", _BENDS),
    ("ankle", "ankle", "Ankle and foot", "Ankle", ("dorsi- / plantarflexion", "rotation", "inversion / eversion")),
    ("mtp", "mtp", "Ankle and foot", "Toe", ("extension / flexion", "rotation", "inversion / eversion")),
    ("spine1", "lumbar", "Trunk", "Spine 1", _TRUNK_BENDS),
    ("spine2", "spine 2", "Trunk", "Spine 2", _TRUNK_BENDS),
    ("spine3", "spine 3", "Trunk", "Spine 3", _TRUNK_BENDS),
    ("neck", "neck", "Neck", "Neck", _TRUNK_BENDS),
    ("head", "head", "Neck", "Head", _TRUNK_BENDS),
    ("collar", "collar", "Shoulder", "Collar", ("rotation", "protraction / retraction", "elevation / depression")),
    ("shoulder", "glenohumeral", "Shoulder", "Shoulder", ("rotation", "horizontal flexion / extension", _BENDS[2])),
    ("elbow", "elbow joint", "Elbow and wrist", "Elbow", ("rotation", "flexion / extension", "adduction / abduction")),
    ("wrist", "wrist joint", "Elbow and wrist", "Wrist", ("rotation", "deviation", "flexion / extension")),
    ("hand", "fingers", "Elbow and wrist", "Fingers", ("rotation", "deviation", "flexion / extension")),
    ("pelvis", "pelvis", "Pelvis", "Pelvis", ("tilt", "rotation", "obliquity")),
)

# Prefix of the coordinate's name → (joint, group, title). The first that matches counts.
_NAMES: tuple[tuple[str, str, str, str], ...] = (
    *(
        (f"{stem}_r{a}", joint, group, f"{title} {bend}")
        for stem, joint, group, title, bends in _BALLS
        for a, bend in zip("xyz", bends, strict=True)
    ),
    ("pelvis_tilt", "pelvis", "Pelvis", "Pelvic tilt"),
    ("pelvis_list", "pelvis", "Pelvis", "Pelvic obliquity"),
    ("pelvis_rotation", "pelvis", "Pelvis", "Pelvic rotation"),
    ("pelvis_tx", "pelvis", "Position", "Pelvis position, forward"),
    ("pelvis_ty", "pelvis", "Position", "Pelvis position, up"),
    ("pelvis_tz", "pelvis", "Position", "Pelvis position, to the right"),
    ("hip_flexion", "hip", "Hip", "Hip flexion / extension"),
    ("hip_adduction", "hip", "Hip", "Hip adduction / abduction"),
    ("hip_rotation", "hip", "Hip", "Hip rotation"),
    ("knee_adduction", "knee", "Knee", "Knee adduction / abduction"),
    ("knee_rotation", "knee", "Knee", "Knee rotation"),
    ("knee_angle", "knee", "Knee", "Knee flexion / extension"),
    ("knee_flexion", "knee", "Knee", "Knee flexion / extension"),
    ("ankle", "ankle", "Ankle and foot", "Ankle dorsi- / plantarflexion"),
    ("subtalar", "subtalar", "Ankle and foot", "Subtalar inversion / eversion"),
    ("mtp", "mtp", "Ankle and foot", "Toe extension / flexion"),
    ("lumbar_extension", "lumbar", "Trunk", "Trunk extension / flexion"),
    ("lumbar_bending", "lumbar", "Trunk", "Trunk bending"),
    ("lumbar_rotation", "lumbar", "Trunk", "Trunk rotation"),
    ("neck_extension", "neck", "Neck", "Neck extension / flexion"),
    ("neck_bending", "neck", "Neck", "Neck bending"),
    ("neck_rotation", "neck", "Neck", "Neck rotation"),
    ("arm_flex", "shoulder", "Shoulder", "Shoulder flexion / extension"),
    ("arm_add", "shoulder", "Shoulder", "Shoulder adduction / abduction"),
    ("arm_rot", "shoulder", "Shoulder", "Shoulder rotation"),
    ("elbow_flex", "elbow", "Elbow and wrist", "Elbow flexion / extension"),
    ("pro_sup", "forearm", "Elbow and wrist", "Forearm pronation / supination"),
    ("wrist_flex", "wrist", "Elbow and wrist", "Wrist flexion / extension"),
    ("wrist_dev", "wrist", "Elbow and wrist", "Wrist deviation"),
)

# Joint → what a positive turn about ground X, Y, Z of its right-hand (or midline) child does in the neutral pose, and
# what a negative turn does. Left-hand joints turn the other way about X and Y. Right-hand rule: +Z swings a hanging
# segment forward, +X swings it to the left (towards the midline for a right leg), +Y turns its front to the left.
_ROTATION = ("internal rotation", "external rotation")
_TURNS: dict[str, tuple[tuple[str, str], tuple[str, str], tuple[str, str]]] = {
    "pelvis": (
        ("right side down", "right side up"),
        ("turned left", "turned right"),
        ("backward tilt", "forward tilt"),
    ),
    "hip": (("adduction", "abduction"), _ROTATION, ("flexion", "extension")),
    "knee": (("adduction", "abduction"), _ROTATION, ("extension", "flexion")),
    "ankle": (("inversion", "eversion"), _ROTATION, ("dorsiflexion", "plantarflexion")),
    "subtalar": (("inversion", "eversion"), _ROTATION, ("dorsiflexion", "plantarflexion")),
    "mtp": (("inversion", "eversion"), _ROTATION, ("toe extension", "toe flexion")),
    "lumbar": (("bent right", "bent left"), ("turned left", "turned right"), ("extension", "flexion")),
    "neck": (("bent right", "bent left"), ("turned left", "turned right"), ("extension", "flexion")),
    "shoulder": (("adduction", "abduction"), _ROTATION, ("flexion", "extension")),
    "elbow": (("adduction", "abduction"), ("pronation", "supination"), ("flexion", "extension")),
    "forearm": (("adduction", "abduction"), ("pronation", "supination"), ("flexion", "extension")),
    "wrist": (("ulnar deviation", "radial deviation"), ("pronation", "supination"), ("flexion", "extension")),
    # Arms of a T-pose, thumbs forward
    "collar": (("depression", "elevation"), ("protraction", "retraction"), ("", "")),
    "glenohumeral": (("adduction", "abduction"), ("horizontal flexion", "horizontal extension"), _ROTATION[::-1]),
    "elbow joint": (("", ""), ("flexion", "extension"), ("supination", "pronation")),
    "wrist joint": (("flexion", "extension"), ("radial deviation", "ulnar deviation"), ("supination", "pronation")),
    "fingers": (("flexion", "extension"), ("", ""), ("", "")),
}
_TURNS |= dict.fromkeys(("spine 2", "spine 3", "head"), _TURNS["lumbar"])
_TRANSLATIONS = {"tx": ("forward", "backward"), "ty": ("up", "down"), "tz": ("right", "left")}


@dataclass(frozen=True)
class Label:
    """How a coordinate is presented.

    Args:
        name: The coordinate's own name.
        key: The name without its side; the same for both sides of a pair.
        side: ``r``, ``l`` or empty for the midline.
        joint: Joint that it belongs to (``hip``); coordinates of one joint and side add up to its power.
        group: Heading under which it is shown, one of :data:`GROUPS`.
        title: What people call it.
        rotational: Whether it is an angle.
        positive: What a larger value means (``flexion``); empty where that is not known.
        negative: What a smaller value means.
        follows: Whether a coupler drives it.
        root: Whether it places the body in the room, so that its force is a residual.
    """

    name: str
    key: str
    side: str
    joint: str
    group: str
    title: str
    rotational: bool
    positive: str
    negative: str
    follows: bool
    root: bool

    @property
    def mirrored(self) -> bool:
        """Whether left and right swap when a midline coordinate is seen from the other side (bending, turning)."""
        return (
            self.rotational
            and not self.side
            and bool(re.search(r"\b(left|right)\b", f"{self.positive} {self.negative}"))
        )


def split_side(name: str) -> tuple[str, str]:
    """A name without its side, and the side (``r``, ``l`` or empty): ``knee_angle_r_beta`` → ``knee_angle_beta``, r."""
    match = re.fullmatch(r"(.*)_([rlRL])(_.*)?", name)
    if match is None:
        return name, ""
    return match[1] + (match[3] or ""), match[2].lower()


def labels(skeleton: Skeleton) -> dict[str, Label]:
    """Labels of all coordinates, by name, in the skeleton's order."""
    turns = _turns(skeleton)
    driven = {c.dependent: c.independent for c in skeleton.couplers}
    body_of = {c: body for body, joint in enumerate(skeleton.joints) for c in joint.coordinates}
    return {
        c.name: _label(skeleton, i, turns[i], root=skeleton.parents[body_of[i]] == GROUND, driver=driven.get(i))
        for i, c in enumerate(skeleton.coordinates)
    }


def _label(skeleton: Skeleton, index: int, turn: np.ndarray, *, root: bool, driver: int | None) -> Label:
    coordinate = skeleton.coordinates[index]
    key, side = split_side(coordinate.name)
    known = next((entry for entry in _NAMES if key.startswith(entry[0])), None)
    if known is None:
        joint, group = split_side(coordinate.joint)[0] or key, "Other"
        title = key.replace("_", " ").strip().capitalize()
    else:
        _, joint, group, title = known
        if key != known[0] and key not in (f"{known[0]}_angle", f"{known[0]}ion") and driver is not None:
            title = f"{title} ({key})"
    if driver is not None:  # a patella shares the power of the knee that drives it
        other = split_side(skeleton.coordinates[driver].name)[0]
        joint = next((entry[1] for entry in _NAMES if other.startswith(entry[0])), joint)
    positive, negative = _words(key, joint, side, coordinate.rotational, turn) if known is not None else ("", "")
    return Label(
        coordinate.name,
        key,
        side,
        joint,
        group,
        title,
        coordinate.rotational,
        positive,
        negative,
        driver is not None,
        root,
    )


def _words(key: str, joint: str, side: str, rotational: bool, turn: np.ndarray) -> tuple[str, str]:
    """What positive and negative mean, from the axis about which the body turns."""
    if not rotational:
        return _TRANSLATIONS.get(key[-2:], ("", ""))
    if joint not in _TURNS or not turn.any():
        return "", ""
    axis = int(np.abs(turn).argmax())
    sign = float(np.sign(turn[axis])) * (-1.0 if side == "l" and axis < 2 else 1.0)
    positive, negative = _TURNS[joint][axis]
    return (positive, negative) if sign > 0 else (negative, positive)


def _turns(skeleton: Skeleton) -> np.ndarray:
    """Turn of the moved body per small step of each coordinate in the neutral pose, in ground [-], shape [nq, 3]."""
    step = 1e-3
    with torch.no_grad():
        neutral = torch.zeros(skeleton.nq, dtype=skeleton.mass.dtype)
        q = torch.cat([neutral[None], neutral + step * torch.eye(skeleton.nq, dtype=neutral.dtype)])
        rotation = forward_kinematics(skeleton, q).rotation.cpu().numpy()
    result = np.zeros((skeleton.nq, 3))
    for body, joint in enumerate(skeleton.joints):
        for c in joint.coordinates:
            result[c] = Rotation.from_matrix(rotation[1 + c, body] @ rotation[0, body].T).as_rotvec() / step
    return np.where(np.abs(result) < 1e-6, 0.0, result)


_ACTORS = {
    "flexion": "flexors", "extension": "extensors", "adduction": "adductors", "abduction": "abductors",
    "internal rotation": "internal rotators", "external rotation": "external rotators", "dorsiflexion": "dorsiflexors",
    "plantarflexion": "plantarflexors", "inversion": "invertors", "eversion": "evertors", "pronation": "pronators",
    "supination": "supinators", "toe extension": "toe extensors", "toe flexion": "toe flexors",
    "bent right": "bending to the right", "bent left": "bending to the left",
    "turned right": "turning to the right", "turned left": "turning to the left",
}  # fmt: skip


def actors(direction: str) -> str:
    """Who pulls in a direction: ``flexion`` → ``flexors``; the direction itself where there is no such word."""
    return _ACTORS.get(direction, f"towards {direction}" if direction else "")


def both_sides(chosen: Iterable[Label]) -> list[str]:
    """Titles in order and in small letters, each once: with its side where only one is there."""
    sides: dict[str, list[str]] = {}
    for label in chosen:
        sides.setdefault(label.title, []).append(label.side)
    words = {"r": "right ", "l": "left "}
    return [
        (words.get(found[0], "") if len(found) == 1 else "") + title[:1].lower() + title[1:]
        for title, found in sides.items()
    ]
