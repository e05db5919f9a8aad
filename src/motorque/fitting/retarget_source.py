"""Anatomical axes of the segments of somebody else's skeleton, found from how it moves.

What a file's bones call their axes differs from program to program. Anatomy does not: a thigh's long axis runs from
knee to hip, and its axis to the right is the one that the knee bends about; a sole is level while the foot stands; the
trunk is upright on average while a person stands or walks. So the axes of each segment are found in its bone's own axes
from the recordings themselves. As in OpenSim, x points forward, y up and z to the right when somebody stands upright.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.series.bones import BoneMotion

Array = NDArray[np.float64]
SIDES = ("r", "l")

PELVIS_TILT = np.deg2rad(0.5)
"""Mean pelvis_tilt upright [rad], as experts' inverse kinematics with this family of models have it in walking: 2.1 and
-1.4 degrees in OpenCap's validation (subject 4), 0.7 in Rajagopal's walk. By anatomy it would be -6: the line through
the iliac spines falls forward by 10 to 13 degrees in adults, and by 4.7 in OpenSim's pelvis when its tilt is 0; but
markers placed on a standing person's model take most of that out, and angles are compared with such models'."""

TRUNK_TILT = np.deg2rad(-5.0)
"""Mean forward lean of OpenSim's torso upright [rad]: hip and shoulder then stand above each other; untilted, its
shoulders are 41 mm behind the hips and 0.53 m above."""

UPRIGHT_LEAN = np.cos(np.deg2rad(20.0))
"""Cosine of the lean up to which a trunk, from hips to shoulders, counts as upright."""

LEAST_UPRIGHT = 1.5
"""How long somebody must stand or walk upright for the trunk's own axes to be told from that [s]."""

UPRIGHT_LEG = 0.94
"""Share of its length by which the longer leg must reach down for its owner to be standing."""

FOOT_SPEED = 0.15
"""Speed up to which a foot's joints stand [m/s]."""

FOOT_LOW = 0.02
"""How far above their lowest tenth ankle, ball and toes of a foot that stands may be [m]."""

LEAST_STANCE = 0.3
"""How long a foot must stand in a recording for its sole to be told [s]."""

LEAST_BEND = 0.15
"""Sine of a hinge's angle from which on its axis is told by its two bones."""

LEG_TILTS = (np.deg2rad(-5.3), np.deg2rad(6.0))
"""How far thigh and shank of CMU's skeletons are turned about z against the lines between their joints [rad]. Their
knees are too far forward: over whole strides of 75 walks thighs lean forward by 12.3 degrees on average and shanks by
21.7, where people's do by 7.0 and 15.7 (:data:`WALKING_LEANS`), and knees bend from 10 to 73 degrees instead of 4 to
60. Their iClone versions copy the same directions to 1.5 degrees."""

WALKING_LEANS = (np.deg2rad(7.0), np.deg2rad(15.7))
"""Mean forward lean of thigh and shank over a stride [rad]: mean hip flexion less pelvic tilt, and mean knee flexion
less that, of :mod:`motorque.series.normative_gait`."""

MOST_TILT = np.deg2rad(15.0)
"""A leg's segment off by more than this is walking unusually, not measured wrongly [rad]."""

LEAST_WALK = 1.5
"""How long somebody must walk for the legs' tilts to be told from that [s]."""

FOREARM_TURNS = {"Acclaim (CMU)": np.deg2rad(-15.0), "BVH (CMU by MotionBuilder)": np.deg2rad(-15.0)}
"""How far CMU's forearms are supinated about their length [rad]: with arms hanging their thumbs point inward by that
much beyond forward, on average."""

# What each role is called in a family of skeletons; {s} is r or l, {S} Right or Left, {C} R or L. The hands of iClone's
# characters are turned differently on both sides, so their thumbs tell nothing.
FAMILIES: dict[str, dict[str, str]] = {
    "Acclaim (CMU)": {
        "pelvis": "root", "chest": "thorax", "neck": "lowerneck", "hip": "{s}femur", "knee": "{s}tibia",
        "ankle": "{s}foot", "ball": "{s}toes", "toe_end": "{s}toes_end", "shoulder": "{s}humerus",
        "elbow": "{s}radius", "wrist": "{s}wrist", "thumb": "{s}thumb_end",
    },
    "BVH (CMU by MotionBuilder)": {
        "pelvis": "Hips", "chest": "Chest2", "neck": "Neck", "hip": "{S}Hip", "knee": "{S}Knee", "ankle": "{S}Ankle",
        "ball": "{S}Toe", "toe_end": "{S}Toe_end", "shoulder": "{S}Shoulder", "elbow": "{S}Elbow",
        "wrist": "{S}Wrist", "thumb": "{C}Thumb_end",
    },
    "BVH (iClone)": {
        "pelvis": "CC_Base_Pelvis", "chest": "CC_Base_Spine02", "neck": "CC_Base_NeckTwist01",
        "hip": "CC_Base_{C}_Thigh", "knee": "CC_Base_{C}_Calf", "ankle": "CC_Base_{C}_Foot",
        "ball": "CC_Base_{C}_ToeBase", "toe_end": "CC_Base_{C}_MidToe1", "shoulder": "CC_Base_{C}_Upperarm",
        "elbow": "CC_Base_{C}_Forearm", "wrist": "CC_Base_{C}_Hand",
    },
}  # fmt: skip


def roles_of(motion: BoneMotion) -> tuple[str, dict[str, int]]:
    """The family of a skeleton and the joint that plays each role, as ``knee_r`` or ``chest``.

    Raises:
        DataError: Its joints are called like no family's.
    """
    for family, patterns in FAMILIES.items():
        named: dict[str, str] = {}
        for role, pattern in patterns.items():
            if "{" not in pattern:
                named[role] = pattern
                continue
            for side, word in zip(SIDES, ("Right", "Left"), strict=True):
                named[f"{role}_{side}"] = pattern.format(s=side, S=word, C=word[0])
        if set(named.values()) <= set(motion.names):
            return family, {role: motion.index(name) for role, name in named.items()}
    raise DataError(
        f"a skeleton whose joints are called {', '.join(motion.names[:4])}… is not known; known are "
        f"{', '.join(FAMILIES)}"
    )


@dataclass(frozen=True)
class SegmentAxes:
    """Anatomical axes of the segments (columns x, y, z) in their bones' own axes, each of shape [3, 3].

    Args:
        axes: By segment: ``pelvis``, ``torso`` and, with a side, ``femur``, ``tibia``, ``calcn``, ``toes``,
            ``humerus``, ``ulna``, ``radius``.
        joint: Role of the joint whose bone carries each segment.
    """

    axes: dict[str, Array]
    joint: dict[str, str]

    def in_ground(self, motion: BoneMotion, roles: dict[str, int]) -> dict[str, Array]:
        """The segments' axes in ground over time, by segment, shape [T, 3, 3]."""
        return {name: motion.rotations[:, roles[self.joint[name]]] @ axes for name, axes in self.axes.items()}


def segment_axes(
    motions: Sequence[BoneMotion],
    *,
    family: Sequence[BoneMotion] | None = None,
    walks: Sequence[BoneMotion] = (),
) -> SegmentAxes:
    """Find the axes of all segments of one skeleton from its recordings.

    Args:
        motions: Recordings of one person, for the hinges and for what is upright on average.
        family: Recordings of as many persons as there are on skeletons of the same family, for what is level on average
            and for persons who are hardly ever upright; None for the same ones.
        walks: Recordings in which that person simply walks over level ground, for the legs' tilts and for what is
            upright; without them :data:`LEG_TILTS` and all recordings count. Their skeleton is the same.

    Raises:
        DataError: A knee or an elbow never bends, a foot never stands or nobody ever stands upright in them.
    """
    name, roles = roles_of(motions[0])
    axes: dict[str, Array] = {}
    joint: dict[str, str] = {"pelvis": "pelvis", "torso": "chest"}
    whose = next(
        (some for some in (walks, motions) if sum(upright(m).sum() / m.rate for m in some) >= LEAST_UPRIGHT),
        family or motions,
    )
    axes["pelvis"] = _trunk_axes(whose, "pelvis", "hip", PELVIS_TILT)
    axes["torso"] = _trunk_axes(whose, "chest", "shoulder", TRUNK_TILT)
    for side in SIDES:
        for segment, proximal, middle, distal, sign in (
            ("femur", "hip", "knee", "ankle", -1.0),
            ("humerus", "shoulder", "elbow", "wrist", 1.0),
        ):
            upper, lower = f"{segment}_{side}", f"{'tibia' if segment == 'femur' else 'ulna'}_{side}"
            ends = [f"{role}_{side}" for role in (proximal, middle, distal)]
            hinge = _hinge(motions, ends, sign) or _hinge(family or motions, ends, sign)
            if hinge is None:
                raise DataError(f"{ends[1]} never bends, so its axis can't be told")
            axes[upper], axes[lower] = hinge
            if segment == "femur":
                tilts = leg_tilts(walks, side)
                axes[upper], axes[lower] = (
                    _tilted(a, t) for a, t in zip((axes[upper], axes[lower]), tilts, strict=True)
                )
            joint[upper], joint[lower] = f"{proximal}_{side}", f"{middle}_{side}"
        wrist = roles[f"wrist_{side}"]
        thumb = roles.get(f"thumb_{side}", wrist)
        axes[f"radius_{side}"] = _forearm(
            motions[0], (roles[f"elbow_{side}"], wrist, thumb), FOREARM_TURNS.get(name, 0.0), side
        )
        joint[f"radius_{side}"] = f"wrist_{side}"
        sole = [f"{role}_{side}" for role in ("ankle", "ball", "toe_end")]
        axes[f"calcn_{side}"], axes[f"toes_{side}"] = _sole(family or motions, sole)
        joint[f"calcn_{side}"], joint[f"toes_{side}"] = f"ankle_{side}", f"ball_{side}"
    return SegmentAxes(axes, joint)


def leg_tilts(walks: Sequence[BoneMotion], side: str) -> tuple[float, float]:
    """How far thigh and shank of one leg are turned about z against the lines between their joints [rad].

    Args:
        walks: Recordings of one person who simply walks over level ground.
        side: ``r`` or ``l``.
    """
    leans: list[Array] = []
    for walk in walks:
        _, roles = roles_of(walk)
        p = walk.positions
        hip, knee, ankle = (p[:, roles[f"{role}_{side}"]] for role in ("hip", "knee", "ankle"))
        ahead = unit(np.cross([0.0, 1.0, 0.0], p[:, roles["hip_r"]] - p[:, roles["hip_l"]]))
        leans.append(
            np.stack(
                [np.arctan2(sign * (v * ahead).sum(1), v[:, 1]) for v, sign in ((hip - knee, -1), (knee - ankle, 1))],
                -1,
            )[:: max(1, round(walk.rate / 30.0))]
        )
    if sum(map(len, leans)) < 30 * LEAST_WALK:
        return LEG_TILTS
    # A thigh that leans forward is turned about z, one with its shank leaning forward the other way. People differ, and
    # a few strides say little: what one person's walks say counts half.
    thigh, shank = np.concatenate(leans).mean(0) - WALKING_LEANS
    own = np.clip(np.array([-thigh, shank]) - LEG_TILTS, -MOST_TILT, MOST_TILT)
    return LEG_TILTS[0] + 0.5 * float(own[0]), LEG_TILTS[1] + 0.5 * float(own[1])


def upright(motion: BoneMotion) -> NDArray[np.bool_]:
    """Frames in which somebody stands or walks upright, shape [T], bool."""
    _, roles = roles_of(motion)
    p = motion.positions
    hips, shoulders, ankles, knees = (
        p[:, [roles[f"{role}_{side}"] for side in SIDES]] for role in ("hip", "shoulder", "ankle", "knee")
    )
    spine = unit(shoulders.mean(1) - hips.mean(1))
    length = np.linalg.norm(hips - knees, axis=-1) + np.linalg.norm(knees - ankles, axis=-1)
    reach = ((hips - ankles)[..., 1] / length).max(1)
    return np.asarray((spine[:, 1] > UPRIGHT_LEAN) & (reach > UPRIGHT_LEG))


def _trunk_axes(motions: Sequence[BoneMotion], bone: str, pair: str, tilt: float) -> Array:
    """Axes of pelvis or chest: z between the joints of a pair, upright on average but for a tilt about z."""
    up, right = np.zeros(3), np.zeros(3)
    for motion in motions:
        _, roles = roles_of(motion)
        standing = upright(motion)
        if not standing.any():
            continue
        turn = motion.rotations[standing, roles[bone]]
        across = motion.positions[standing, roles[f"{pair}_r"]] - motion.positions[standing, roles[f"{pair}_l"]]
        # Every recording counts alike, whoever stands around in it.
        up += unit(turn[:, 1, :].mean(0))
        right += unit((turn.transpose(0, 2, 1) @ across[..., None])[..., 0].mean(0))
    if not up.any():
        raise DataError("nobody stands or walks upright in these recordings, so the trunk's axes can't be told")
    z = unit(right)
    level = _frame(up, z, keep="y")
    # A segment that is upright on average has turned by the tilt against its neutral pose.
    return _tilted(level, tilt)


def _hinge(motions: Sequence[BoneMotion], ends: list[str], sign: float) -> tuple[Array, Array] | None:
    """Axes of the two segments that meet in a hinge: y along each, z the axis that both turn about.

    Args:
        motions: Recordings of one person.
        ends: Roles of the joints at the upper end, at the hinge and at the lower end.
        sign: 1 where bending brings the lower segment forward, -1 where backward.

    Returns:
        The axes, or None if it hardly ever bends.
    """
    moments = np.zeros((2, 3, 3))
    along, toward = np.zeros((2, 3)), np.zeros((2, 3))
    for motion in motions:
        _, roles = roles_of(motion)
        proximal, middle, distal = (roles[end] for end in ends)
        p = motion.positions
        upper, lower = unit(p[:, middle] - p[:, proximal]), unit(p[:, distal] - p[:, middle])
        normal = sign * np.cross(upper, lower)
        bent = np.linalg.norm(normal, axis=1) > LEAST_BEND
        for i, (bone, direction) in enumerate(((proximal, upper), (middle, lower))):
            back = motion.rotations[:, bone].transpose(0, 2, 1)
            local = (back @ normal[..., None])[bent, :, 0]
            moments[i] += local.T @ local
            toward[i] += local.sum(0)
            along[i] -= (back @ direction[..., None])[..., 0].sum(0)
    if not moments.any():
        return None
    found = []
    for i in range(2):
        axis = np.linalg.eigh(moments[i])[1][:, -1]
        y = unit(along[i])
        found.append(_frame(y, axis * np.sign(axis @ toward[i]), keep="y"))
    return found[0], found[1]


def _forearm(motion: BoneMotion, joints: tuple[int, int, int], turn: float, side: str) -> Array:
    """Axes of the forearm at the wrist: y from wrist to elbow, z to the thumb's side of a right arm that hangs down
    with the palm forward, away from it on the left.

    Args:
        motion: A recording.
        joints: Elbow, wrist and a joint of the thumb, the wrist again if there is none (z is then arbitrary).
        turn: How far pronation is more than the bones say [rad].
        side: ``r`` or ``l``.
    """
    elbow, wrist, thumb = joints
    radial, joint = np.zeros(3), thumb
    while joint != wrist:
        radial, joint = radial + motion.offsets[joint], motion.parents[joint]
    up = (
        motion.rotations[:, wrist].transpose(0, 2, 1)
        @ (motion.positions[:, elbow] - motion.positions[:, wrist])[..., None]
    )[..., 0].mean(0)
    radial = radial if radial.any() else np.cross(up, np.roll(up, 1))
    axes = _frame(unit(up), radial if side == "r" else -radial, keep="y")
    # Pronation turns a right forearm about its y, a left one the other way.
    c, s = np.cos(turn), np.sin(turn) * (1 if side == "r" else -1)
    return np.asarray(axes @ np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]]))


def _sole(motions: Sequence[BoneMotion], ends: list[str]) -> tuple[Array, Array]:
    """Axes of foot and toes: level while they stand, x from the ankle to the ball; the median over recordings."""
    found: list[list[Array]] = [[], []]
    for motion in motions:
        _, roles = roles_of(motion)
        joints = [roles[end] for end in ends]
        ankle, ball, _ = joints
        p = motion.positions
        speed = np.linalg.norm(np.gradient(p[:, joints], motion.times, axis=0), axis=-1).max(1)
        height = p[:, joints, 1]
        low = (height < np.percentile(height, 10, axis=0) + FOOT_LOW).all(1)
        stands = (speed < FOOT_SPEED) & low & upright(motion)
        if stands.sum() < LEAST_STANCE * motion.rate:
            continue
        forward = p[stands, ball] - p[stands, ankle]
        for bone, axes in zip((ankle, ball), found, strict=True):
            back = motion.rotations[stands, bone].transpose(0, 2, 1)
            axes.append(np.stack([np.median(back[:, :, 1], axis=0), np.median((back @ forward[..., None])[..., 0], 0)]))
    if not found[0]:
        raise DataError(f"{ends[0]} never stands, so its sole can't be told")
    foot, toes = (np.median(np.stack(axes), axis=0) for axes in found)
    return tuple(_frame(up, np.cross(ahead, up), keep="y") for up, ahead in (foot, toes))  # type: ignore[return-value]


def unit(v: Array) -> Array:
    """Vectors of length one, shape [..., 3]."""
    return np.asarray(v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12))


def _tilted(axes: Array, angle: float) -> Array:
    """Axes turned by an angle about their own z [rad]."""
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(axes @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]))


def _frame(y: Array, z: Array, *, keep: str = "z") -> Array:
    """Right-handed axes as columns from directions of y and z, of which one is kept and the other made square to it."""
    if keep == "z":
        z = unit(z)
        y = unit(y - (y @ z) * z)
    else:
        y = unit(y)
        z = unit(z - (z @ y) * y)
    return np.stack([np.cross(y, z), y, z], axis=1)
