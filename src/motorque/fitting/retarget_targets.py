"""Virtual markers: the same points on a segment of our skeleton and on the bone of somebody else's that it follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.fitting.retarget_source import SIDES
from motorque.mechanics.kinematics import BodyPoses, forward_kinematics
from motorque.series import Markers
from motorque.skeleton.landmarks import LANDMARKS
from motorque.skeleton.skeleton import Marker, Skeleton

Array = NDArray[np.float64]

REACH = 0.2
"""How far from a segment's origin the points lie that carry its rotation [m]: 1 degree moves them by 3.5 mm."""

WEIGHTS: dict[str, tuple[float, float, float, float]] = {
    "pelvis": (1.0, 1.0, 1.0, 1.0),
    "torso": (0.3, 1.0, 1.0, 1.0),
    "femur": (0.0, 1.0, 1.0, 1.0),
    "tibia": (1.0, 0.0, 2.0, 0.0),
    "calcn": (1.0, 1.0, 1.0, 1.0),
    "toes": (0.1, 0.2, 0.2, 0.2),
    "humerus": (0.1, 0.02, 0.1, 0.02),
    "ulna": (0.3, 0.0, 0.0, 0.0),
    "radius": (0.3, 0.1, 0.0, 0.1),
}
"""Weight of each segment's joint centre and of the points off it along x, y and z. An upper arm's turn about its length
comes from where the forearm points: another skeleton's straight elbow has no carrying angle, so its own says little. A
shank has only a direction, as our knee twists while it bends."""

SEGMENTS = tuple(
    f"{stem}_{side}" if stem not in ("pelvis", "torso") else stem
    for stem in WEIGHTS
    for side in SIDES
    if stem not in ("pelvis", "torso") or side == SIDES[0]
)
"""Bodies that follow a bone of the other skeleton."""


@dataclass(frozen=True)
class SegmentFrames:
    """Where our skeleton's segments have their joint centres and anatomical axes, in their bodies' own frames.

    Args:
        origin: The joint at which the segment begins [m], by segment, shape [3].
        axes: Anatomical axes as columns, made as the other skeleton's are, by segment, shape [3, 3].
    """

    origin: dict[str, Array]
    axes: dict[str, Array]


def segment_frames(skeleton: Skeleton) -> SegmentFrames:
    """Anatomical axes of our skeleton's segments by the recipe of :mod:`motorque.fitting.retarget_source`.

    Thigh, shank and arm have y along the line between their joints. The leg's z is the bodies' own: our knee also
    twists while it bends, which a hinge does not, so that the axis it bends about is 8 degrees off. The arm's z is the
    axis about which the elbow bends, the forearm's at the wrist points from the ulna's to the radius' side.
    """
    neutral = _poses(skeleton, {})
    origin: dict[str, Array] = {}
    axes: dict[str, Array] = {"pelvis": np.eye(3), "torso": np.eye(3)}

    def at(body: str, point: Array, poses: BodyPoses = neutral) -> Array:
        """A point in ground in a body's frame."""
        index = skeleton.body(body)
        turn, place = poses.rotation[0, index].numpy(), poses.position[0, index].numpy()
        return np.asarray(turn.T @ (point - place))

    def joint(body: str) -> Array:
        return np.asarray(neutral.position[0, skeleton.body(body)].numpy())

    origin["pelvis"] = at("pelvis", (joint("femur_r") + joint("femur_l")) / 2)
    origin["torso"] = at("torso", (joint("humerus_r") + joint("humerus_l")) / 2)
    for side in SIDES:
        for upper, lower, end, angle, turns in (
            (f"femur_{side}", f"tibia_{side}", f"talus_{side}", f"knee_angle_{side}", False),
            (f"humerus_{side}", f"ulna_{side}", f"hand_{side}", f"elbow_flex_{side}", True),
        ):
            bent = _poses(skeleton, {angle: 1.2})
            for body, first, last in ((upper, upper, lower), (lower, lower, end)):
                z = np.array([0.0, 0.0, 1.0])
                if turns:
                    z = _turn_axis(neutral, bent, skeleton.body(upper), skeleton.body(lower), skeleton.body(body))
                origin[body], axes[body] = (
                    at(body, joint(first)),
                    _along(at(body, joint(first)) - at(body, joint(last)), z),
                )
        radius = f"radius_{side}"
        thumb, little = (np.array(LANDMARKS[f"wrist_{bone}_{side}"].position) for bone in ("radius", "ulna"))
        origin[radius] = at(radius, joint(f"hand_{side}"))
        across = (thumb - little) if side == "r" else (little - thumb)
        axes[radius] = _along(at(radius, joint(f"ulna_{side}")) - origin[radius], across)
        calcn, toes = f"calcn_{side}", f"toes_{side}"
        origin[calcn], origin[toes] = at(calcn, joint(f"talus_{side}")), at(toes, joint(toes))
        ahead = at(calcn, joint(toes)) - origin[calcn]
        axes[calcn] = _along(np.array([0.0, 1.0, 0.0]), np.cross(ahead, [0.0, 1.0, 0.0]))
        axes[toes] = axes[calcn]
    return SegmentFrames(origin, axes)


def virtual_skeleton(skeleton: Skeleton, frames: SegmentFrames) -> Skeleton:
    """The skeleton with the virtual markers instead of its own: ``femur_r`` its joint, ``femur_r x`` … off it."""
    markers, places = [], []
    for name in SEGMENTS:
        body = skeleton.body(name)
        markers.append(Marker(name, body))
        places.append(frames.origin[name])
        for axis in range(3):
            markers.append(Marker(f"{name} {'xyz'[axis]}", body))
            places.append(frames.origin[name] + REACH * frames.axes[name][:, axis])
    return skeleton.with_markers(markers, torch.as_tensor(np.stack(places)))


def virtual_markers(times: Array, origin: dict[str, Array], axes: dict[str, Array]) -> Markers:
    """The virtual markers on the other skeleton.

    Args:
        times: Time of each frame [s], shape [T].
        origin: Each segment's first joint in ground [m], shape [T, 3].
        axes: Its axes in ground, shape [T, 3, 3].
    """
    names, points = [], []
    for name in SEGMENTS:
        names += [name, *(f"{name} {axis}" for axis in "xyz")]
        points += [origin[name], *(origin[name] + REACH * axes[name][:, :, i] for i in range(3))]
    return Markers(times, np.stack(points, axis=1), tuple(names))


def turns_of(markers: Markers) -> dict[str, Array]:
    """The segments' axes in ground that virtual markers tell, by segment, shape [T, 3, 3]."""
    found = {}
    for name in SEGMENTS:
        origin, *tips = markers.select((name, *(f"{name} {axis}" for axis in "xyz"))).positions.transpose(1, 0, 2)
        u, _, v = np.linalg.svd(np.stack([tip - origin for tip in tips], axis=-1))
        found[name] = u @ v  # filtering has shrunk them a little
    return found


def marker_weights(*, thumbs: bool = True) -> dict[str, float]:
    """Weight of each virtual marker; without thumbs nothing tells how a forearm is turned about its length."""
    weights: dict[str, float] = {}
    for name in SEGMENTS:
        values = WEIGHTS[name.removesuffix("_r").removesuffix("_l")]
        values = values if thumbs or not name.startswith("radius") else (values[0], 0.0, 0.0, 0.0)
        weights |= dict(zip((name, *(f"{name} {axis}" for axis in "xyz")), values, strict=True))
    return weights


def _poses(skeleton: Skeleton, values: dict[str, float]) -> BodyPoses:
    q = skeleton.default_pose.clone()
    for name, value in values.items():
        q[skeleton.coordinate(name)] = value
    return forward_kinematics(skeleton, skeleton.couple(q[None]))


def _turn_axis(first: BodyPoses, second: BodyPoses, parent: int, child: int, body: int) -> Array:
    """Axis about which a child has turned against its parent between two poses, in the frame of one of the two."""
    turns = [p.rotation[0, parent].numpy().T @ p.rotation[0, child].numpy() for p in (first, second)]
    change = turns[1] @ turns[0].T  # in the parent's frame
    axis = np.array([change[2, 1] - change[1, 2], change[0, 2] - change[2, 0], change[1, 0] - change[0, 1]])
    axis = axis / np.linalg.norm(axis)
    return np.asarray(axis if body == parent else turns[0].T @ axis)


def _along(y: Array, z: Array) -> Array:
    """Right-handed axes as columns: y as given, z square to it."""
    y = y / np.linalg.norm(y)
    z = z - (z @ y) * y
    z = z / np.linalg.norm(z)
    return np.stack([np.cross(y, z), y, z], axis=1)
