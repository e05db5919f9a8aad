"""Motion of somebody else's skeleton brought onto ours: proportions, and the whole motion by inverse kinematics.

Joint centres and the turns of all segments are given to inverse kinematics as virtual markers, so that our skeleton's
own joints (a knee that glides and twists, an oblique ankle) find the angles that fit best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from motorque.errors import DataError
from motorque.fitting.ik import CoordinateTask, inverse_kinematics
from motorque.fitting.retarget_source import SIDES, SegmentAxes, roles_of, unit
from motorque.fitting.retarget_start import starting_coordinates
from motorque.fitting.retarget_targets import (
    marker_weights,
    segment_frames,
    turns_of,
    virtual_markers,
    virtual_skeleton,
)
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Markers, Motion
from motorque.series.bones import BoneMotion
from motorque.signals.filters import butterworth
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.scaling import scale_lengths
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]

CUTOFF_SHARE = 0.4
"""Cutoff of the filter before frames are left out, as a share of the new rate: 12 Hz for 30 frames a second."""

LIKELY_FACTORS = (0.7, 1.4)
"""Factors of a segment relative to the legs' between which another skeleton's length can be a person's, or a
character's that a person's motion was put on."""

LIKELY_FOREARMS = (0.8, 1.25)
"""The forearm's relative to the upper arm's; those of CMU's files are 0.72, as their second half is called the
wrist."""

PULLS = {"arm_flex": 5e-5, "pro_sup": 1e-6}
"""How strongly coordinates are held to their start [m²/rad²], which is steady through gimbal lock, and a palm to the
thigh where no thumb tells how a forearm is turned. An arm that hangs has ten times that about its axes, a thumb a
hundred times."""

STANDING_SPEED = 0.3
"""Speed under which the lowest point of a foot stands [m/s]."""

JOINTS = {"hip": "femur", "knee": "tibia", "ankle": "talus", "ball": "toes", "shoulder": "humerus", "elbow": "ulna",
          "wrist": "hand"}  # fmt: skip
"""Our bodies that begin at the joints of other skeletons."""


@dataclass(frozen=True)
class Retargeted:
    """What became of somebody else's motion.

    Args:
        skeleton: Our skeleton in that person's proportions.
        motion: Its coordinates.
        factors: What each part's length was multiplied by, by name.
        errors: Distance of our joint centres from the other skeleton's [m], by joint, shape [T].
    """

    skeleton: Skeleton
    motion: Motion
    factors: Mapping[str, float]
    errors: Mapping[str, Array]


# Part: bodies and axes that it stretches
PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "pelvis width": (("pelvis", "z"),),
    "pelvis": (("pelvis", "xy"),),
    "thigh": (("femur", "xyz"), ("patella", "xyz")),
    "shank": (("tibia", "xyz"),),
    "foot": (("talus", "xyz"), ("calcn", "xyz"), ("toes", "xyz")),
    "torso": (("torso", "xy"),),
    "shoulder width": (("torso", "z"),),
    "upper arm": (("humerus", "xyz"),),
    "forearm": (("ulna", "xyz"), ("radius", "xyz"), ("hand", "xyz")),
}


def proportions(motions: Sequence[BoneMotion], *, journal: Journal) -> dict[str, float]:
    """Factors on our skeleton's parts that give it another one's lengths, both sides alike.

    Args:
        motions: Recordings of one person.
        journal: Where lengths are noted that can't be a person's, and what is taken instead.

    Raises:
        DataError: The legs' lengths can't be a person's.
    """
    theirs, ours = _lengths(motions), _own_lengths(fullbody())
    factors = {part: theirs[part] / ours[part] for part in theirs}
    leg = (theirs["thigh"] + theirs["shank"]) / (ours["thigh"] + ours["shank"])
    if not 0.3 < leg < 1.6:
        raise DataError(
            f"legs of {100 * (theirs['thigh'] + theirs['shank']):.3g} cm are no person's; check the recording's units"
        )
    factors["pelvis"] = (leg + factors["pelvis width"]) / 2
    for part in PARTS:
        scale, name = (factors["upper arm"], "upper arms") if part == "forearm" else (leg, "legs")
        low, high = LIKELY_FOREARMS if part == "forearm" else LIKELY_FACTORS
        if not low < factors[part] / scale < high:
            journal.assume(
                f"the {part} is {factors[part] / scale:.2f} times as long as the {name} let expect, which is no "
                f"person's; it is taken as long as they let expect",
                "proportions",
            )
            factors[part] = scale
    return {part: float(factors[part]) for part in PARTS}


def person_skeleton(factors: Mapping[str, float]) -> Skeleton:
    """Our skeleton with its parts stretched by the factors of :func:`proportions`."""
    skeleton = fullbody()
    table = torch.ones(len(skeleton.body_names), 3, dtype=skeleton.mass.dtype)
    for part, members in PARTS.items():
        for stem, axes in members:
            for body in (stem, *(f"{stem}_{side}" for side in SIDES)):
                if body in skeleton.body_names:
                    table[skeleton.body(body), ["xyz".index(axis) for axis in axes]] = factors[part]
    return scale_lengths(skeleton, table)


def retarget(
    motion: BoneMotion,
    axes: SegmentAxes,
    factors: Mapping[str, float],
    *,
    rate: float = 30.0,
    journal: Journal | None = None,
) -> Retargeted:
    """Bring a recording onto our skeleton.

    Args:
        motion: The recording.
        axes: Its segments' anatomical axes, from :func:`motorque.fitting.retarget_source.segment_axes`.
        factors: The person's proportions, from :func:`proportions`.
        rate: Frames per second of the result; nothing is added where the recording has fewer.
        journal: Where what was repaired is recorded.

    Raises:
        DataError: The skeleton's joints are called like no known family's, or the recording is too short to filter.
    """
    journal = journal if journal is not None else Journal()
    _, roles = roles_of(motion)
    skeleton = person_skeleton(factors)
    frames = segment_frames(skeleton)
    turns = axes.in_ground(motion, roles)
    markers = virtual_markers(motion.times, _origins(motion, roles, skeleton, turns), turns)
    markers = resampled(markers, rate)
    start = starting_coordinates(skeleton, frames, turns_of(markers))
    pelvis = markers.select(("pelvis",)).positions[:, 0]
    start[:, [skeleton.coordinate(f"pelvis_t{axis}") for axis in "xyz"]] = pelvis
    body = virtual_skeleton(skeleton, frames)
    tasks = {
        f"{name}_{side}": CoordinateTask(pull, start[:, skeleton.coordinate(f"{name}_{side}")])
        for name, pull in PULLS.items()
        for side in SIDES
    }
    weights = marker_weights(thumbs=all(f"thumb_{side}" in roles for side in SIDES))
    fit = inverse_kinematics(
        body, markers, weights=weights, tasks=tasks, start=start, in_sequence=False, journal=journal
    )
    found = on_the_floor(skeleton, fit.motion, journal=journal)
    return Retargeted(skeleton, found, dict(factors), _errors(skeleton, fit.motion, motion, roles))


def on_the_floor(skeleton: Skeleton, motion: Motion, *, journal: Journal) -> Motion:
    """The motion raised or lowered as a whole so that standing feet are on Y = 0.

    The height of a foot is that of its lowest contact sphere; it stands while that moves slower than
    :data:`STANDING_SPEED` near the lowest height of the recording.
    """
    poses = forward_kinematics(skeleton, torch.as_tensor(motion.values))
    points = torch.stack(
        [
            poses.point(s.body, torch.tensor(s.center, dtype=torch.float64)) - torch.tensor([0.0, s.radius, 0.0])
            for s in skeleton.contact_spheres
        ],
        dim=1,
    ).numpy()
    height = points[..., 1]
    speed = np.linalg.norm(np.gradient(points, motion.times, axis=0), axis=-1) if len(motion.times) > 1 else 0 * height
    lowest = height.argmin(1)
    every = np.arange(len(height))
    low, slow = height[every, lowest], speed[every, lowest]
    stands = (slow < STANDING_SPEED) & (low < np.percentile(low, 10) + 0.05)
    floor = float(np.median(low[stands])) if stands.any() else float(np.percentile(low, 10))
    values = motion.values.copy()
    values[:, motion.names.index("pelvis_ty")] -= floor
    journal.info(f"the floor was at {100 * floor:.1f} cm; the motion was moved onto Y = 0", "floor")
    return Motion(motion.times, values, motion.names, motion.std)


def _errors(skeleton: Skeleton, motion: Motion, source: BoneMotion, roles: dict[str, int]) -> dict[str, Array]:
    """Distance of our joint centres from the source's own [m], by role, shape [T]; before the floor is moved."""
    poses = forward_kinematics(skeleton, torch.as_tensor(motion.values))
    errors = {}
    for role, body in JOINTS.items():
        for side in SIDES:
            ours = poses.position[:, skeleton.body(f"{body}_{side}")].numpy()
            theirs = np.stack(
                [np.interp(motion.times, source.times, x) for x in source.positions[:, roles[f"{role}_{side}"]].T], -1
            )
            errors[f"{role}_{side}"] = np.linalg.norm(ours - theirs, axis=1)
    return errors


def resampled(markers: Markers, rate: float) -> Markers:
    """Markers at fewer frames per second, without what the lower rate cannot show; as they are if they have no more."""
    if not markers.rate > rate * 1.001 or len(markers.times) < 16:
        return markers
    smooth = butterworth(markers.positions, markers.rate, CUTOFF_SHARE * rate, what="virtual markers")
    count = int(np.floor((markers.times[-1] - markers.times[0]) * rate + 1e-6)) + 1
    times = markers.times[0] + np.arange(count) / rate
    return Markers(times, CubicSpline(markers.times, smooth)(times), markers.names)


def _origins(
    motion: BoneMotion, roles: dict[str, int], skeleton: Skeleton, turns: dict[str, Array]
) -> dict[str, Array]:
    """Where each segment's first joint goes in ground over time [m], shape [T, 3].

    Our segments are put together, as long as ours are, along the other skeleton's axes, from the hips on: the turns of
    its bones count, not the lengths. The whole is then moved, frame by frame, so that the foot that stands is where the
    other one is. Only the shoulders are the other skeleton's own, less what they are off on average from where our
    spine carries them: its spine bends in more places than ours.
    """
    p = motion.positions

    def joint(role: str) -> Array:
        return p[:, roles[role]]

    neutral = forward_kinematics(skeleton, skeleton.default_pose[None]).position[0].numpy()
    frames = segment_frames(skeleton)

    def step(segment: str, first: str, last: str) -> Array:
        """From one joint of ours to the next, along the other skeleton's segment."""
        body = segment if segment in frames.axes else "pelvis"
        local = frames.axes[body].T @ (neutral[skeleton.body(last)] - neutral[skeleton.body(first)])
        return np.asarray(turns[segment] @ local)

    hips = (joint("hip_r") + joint("hip_l")) / 2
    between = (neutral[skeleton.body("femur_r")] + neutral[skeleton.body("femur_l")]) / 2
    origin = {"pelvis": hips}
    for side in SIDES:
        hip = hips + turns["pelvis"] @ (neutral[skeleton.body(f"femur_{side}")] - between)
        knee = hip + step(f"femur_{side}", f"femur_{side}", f"tibia_{side}")
        ankle = knee + step(f"tibia_{side}", f"tibia_{side}", f"talus_{side}")
        ball = ankle + step(f"calcn_{side}", f"talus_{side}", f"toes_{side}")
        for segment, place in (("femur", hip), ("tibia", knee), ("calcn", ankle), ("toes", ball)):
            origin[f"{segment}_{side}"] = place
    carried = _carried_shoulders(skeleton, hips, turns)
    shoulders = (joint("shoulder_r") + joint("shoulder_l")) / 2
    off = np.median((turns["torso"].transpose(0, 2, 1) @ (shoulders - carried)[..., None])[..., 0], axis=0)
    origin["torso"] = shoulders - turns["torso"] @ off
    across = turns["torso"] @ (neutral[skeleton.body("humerus_r")] - neutral[skeleton.body("humerus_l")]) / 2
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        shoulder = origin["torso"] + sign * across
        elbow = shoulder + step(f"humerus_{side}", f"humerus_{side}", f"ulna_{side}")
        length = np.linalg.norm(neutral[skeleton.body(f"hand_{side}")] - neutral[skeleton.body(f"ulna_{side}")])
        wrist = elbow + length * unit(joint(f"wrist_{side}") - joint(f"elbow_{side}"))
        origin |= {f"humerus_{side}": shoulder, f"ulna_{side}": elbow, f"radius_{side}": wrist}
    shift = _standing_shift(
        motion, [joint(f"ball_{side}") for side in SIDES], [origin[f"toes_{side}"] for side in SIDES]
    )
    return {segment: place + shift for segment, place in origin.items()}


def _standing_shift(motion: BoneMotion, theirs: list[Array], ours: list[Array]) -> Array:
    """From our feet to the other skeleton's, of the one that stands, or between both [m], shape [T, 3]."""
    weights = []
    for foot in theirs:
        speed = np.linalg.norm(np.gradient(foot, motion.times, axis=0), axis=1)
        weights.append(1.0 / (STANDING_SPEED**2 + speed**2))
    total = weights[0] + weights[1]
    shift = sum(w[:, None] * (t - o) for w, t, o in zip(weights, theirs, ours, strict=True)) / total[:, None]
    return np.asarray(butterworth(shift, motion.rate, 6.0, what="shift") if len(shift) > 24 else shift)


def _carried_shoulders(skeleton: Skeleton, hips: Array, turns: dict[str, Array]) -> Array:
    """The middle between our shoulders if hips, pelvis and torso are as the other skeleton's [m], shape [T, 3]."""
    place = forward_kinematics(skeleton, skeleton.default_pose[None]).position[0].numpy()

    def middle(stem: str) -> Array:
        return np.asarray((place[skeleton.body(f"{stem}_r")] + place[skeleton.body(f"{stem}_l")]) / 2)

    spine = place[skeleton.body("torso")]
    return np.asarray(hips + turns["pelvis"] @ (spine - middle("femur")) + turns["torso"] @ (middle("humerus") - spine))


def _lengths(motions: Sequence[BoneMotion]) -> dict[str, float]:
    """Lengths of another skeleton's parts [m], the mean of both sides."""
    places = [(m.positions, roles_of(m)[1]) for m in motions]

    def joint(role: str) -> Array:
        return np.concatenate([p[:, roles[role]] for p, roles in places])

    def between(*pair: str) -> float:
        return float(np.median(np.linalg.norm(joint(pair[0]) - joint(pair[1]), axis=1)))

    def both(one: str, other: str) -> float:
        return (between(f"{one}_r", f"{other}_r") + between(f"{one}_l", f"{other}_l")) / 2

    trunk = (joint("shoulder_r") + joint("shoulder_l") - joint("hip_r") - joint("hip_l")) / 2
    return {
        "pelvis width": between("hip_r", "hip_l"),
        "thigh": both("hip", "knee"),
        "shank": both("knee", "ankle"),
        "foot": both("ankle", "ball"),
        # Straight, not bent over.
        "torso": float(np.percentile(np.linalg.norm(trunk, axis=1), 80)),
        "shoulder width": between("shoulder_r", "shoulder_l"),
        "upper arm": both("shoulder", "elbow"),
        "forearm": both("elbow", "wrist"),
    }


def _own_lengths(skeleton: Skeleton) -> dict[str, float]:
    """The same lengths of our skeleton [m]."""
    place = forward_kinematics(skeleton, skeleton.default_pose[None]).position[0].numpy()

    def at(name: str) -> Array:
        return np.asarray(place[skeleton.body(name)])

    def between(one: str, other: str) -> float:
        return float(np.linalg.norm(at(one) - at(other)))

    middle = (at("humerus_r") + at("humerus_l") - at("femur_r") - at("femur_l")) / 2
    return {
        "pelvis width": between("femur_r", "femur_l"),
        "thigh": between("femur_r", "tibia_r"),
        "shank": between("tibia_r", "talus_r"),
        "foot": between("talus_r", "toes_r"),
        "torso": float(np.linalg.norm(middle)),
        "shoulder width": between("humerus_r", "humerus_l"),
        "upper arm": between("humerus_r", "ulna_r"),
        "forearm": between("ulna_r", "hand_r"),
    }
