"""Coordinates read off the turns of segments, on a steady course through gimbal lock: where inverse kinematics starts.

Hips, trunk and shoulders turn about z, x, y. An arm that is raised to the side brings the first and the third of these
axes together; passing there, both jump by half a turn in each frame's own solution. Every pose has a second solution,
(a + π, π - b, c + π), and more that are whole turns off: the course among them is taken that jumps least, but does not
leave an arm that hangs again with angles of half and whole turns for long. Where the axes nearly meet the first angle
is only as certain as they are apart.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation

from motorque.fitting.retarget_source import SIDES
from motorque.fitting.retarget_targets import SegmentFrames
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]

BEND_COST = 0.01
"""Weight of the squared second difference of an angle against its squared distance from what a frame says, where that
is certain; movements of up to 5 Hz stay as they are at 30 frames per second."""

ARM_MIDDLES, ARM_REACHES = np.deg2rad([50.0, 0.0, 0.0]), np.deg2rad([150.0, 90.0, 130.0])
"""Angles of a right shoulder about z, x and y for which no other solution is needed: middle, and how far from it
[rad]."""

STRAY_COST = 0.1
"""Price per frame of the squared angle by which a shoulder's are beyond that, against squared steps."""

JUMP, JUMP_COST = 1.2, 15.0
"""Step that is a jump [rad], 36 rad/s at 30 frames per second, and its price, whatever its size [rad²]."""

BALLS = (("hip", "pelvis", "femur"), ("arm", "torso", "humerus"))


def starting_coordinates(skeleton: Skeleton, frames: SegmentFrames, turns: dict[str, Array]) -> Array:
    """Coordinates that turn our segments as the other skeleton's are turned, without translations [rad], shape [T, nq].

    Args:
        skeleton: Our skeleton.
        frames: Its segments' anatomical axes.
        turns: The other's in ground, by segment, shape [T, 3, 3].
    """
    bodies = {name: turns[name] @ axes.T for name, axes in frames.axes.items()}
    q = np.tile(skeleton.default_pose.numpy(), (len(turns["pelvis"]), 1))

    def put(name: str, values: Array | float) -> None:
        coordinate = skeleton.coordinates[skeleton.coordinate(name)]
        low, high = coordinate.range if coordinate.clamped else (-np.inf, np.inf)
        q[:, skeleton.coordinate(name)] = np.clip(values, low, high)

    pelvis = steady_angles(bodies["pelvis"])
    lumbar = steady_angles(bodies["pelvis"].transpose(0, 2, 1) @ bodies["torso"])
    for angles, names in (
        (pelvis, ("pelvis_tilt", "pelvis_list", "pelvis_rotation")),
        (lumbar, ("lumbar_extension", "lumbar_bending", "lumbar_rotation")),
    ):
        for name, values in zip(names, angles.T, strict=True):
            put(name, values)
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        for joint, parent, child in BALLS:
            turn = bodies[parent].transpose(0, 2, 1) @ bodies[f"{child}_{side}"]
            angles = steady_angles(turn, arm=joint == "arm", mirrored=sign < 0) * (1.0, sign, sign)
            names = ("flexion", "adduction", "rotation") if joint == "hip" else ("flex", "add", "rot")
            for name, values in zip(names, angles.T, strict=True):
                put(f"{joint}_{name}_{side}", values)
        put(f"knee_angle_{side}", -_bend(turns[f"femur_{side}"], turns[f"tibia_{side}"][:, :, 1]))
        put(f"elbow_flex_{side}", _bend(turns[f"humerus_{side}"], turns[f"radius_{side}"][:, :, 1]))
        # Ankle: how far the foot's up is from the shank's length.
        put(f"ankle_angle_{side}", _bend(turns[f"tibia_{side}"], turns[f"calcn_{side}"][:, :, 1]))
        put(f"pro_sup_{side}", np.pi / 2)
    return q


def steady_angles(turn: Array, *, arm: bool = False, mirrored: bool = False) -> Array:
    """Angles a, b, c of rotations Rz(a) Rx(b) Ry(c) on a steady course [rad], shape [T, 3, 3] → [T, 3].

    Args:
        turn: The rotations.
        arm: Whether they are a shoulder's, which may pass gimbal lock; others turn about x by less than a quarter turn,
            and as often as they like about y.
        mirrored: Whether it is a left shoulder's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # in gimbal lock, which is what this is about
        angles = Rotation.from_matrix(turn).as_euler("ZXY")
    if not arm:
        angles = np.unwrap(angles, axis=0)
        return np.asarray(angles - 2 * np.pi * np.round(np.median(angles, axis=0) / (2 * np.pi)))
    angles = _least_jumps(angles, mirrored)
    jumps = np.flatnonzero((np.abs(np.diff(angles, axis=0)) > JUMP).any(1)) + 1
    pieces = zip(np.split(angles, jumps), np.split(turn, jumps), strict=True)
    return np.concatenate([_through_lock(piece, part) for piece, part in pieces])


def _through_lock(angles: Array, turn: Array) -> Array:
    """A course without jumps, its first angle smooth where the axes nearly meet, the others what is left for them."""
    if len(angles) < 4:
        return angles
    first = _smooth(angles[:, 0], np.maximum(np.cos(angles[:, 1]) ** 2, 1e-6))
    c, s = np.cos(first), np.sin(first)
    back = np.zeros_like(turn)
    back[:, 0, 0], back[:, 0, 1], back[:, 1, 0], back[:, 1, 1], back[:, 2, 2] = c, s, -s, c, 1.0
    rest = back @ turn
    second, third = np.arctan2(rest[:, 2, 1], rest[:, 1, 1]), np.arctan2(rest[:, 0, 2], rest[:, 0, 0])
    found = np.stack([first, second, third], axis=-1)
    return np.asarray(angles + (found - angles + np.pi) % (2 * np.pi) - np.pi)


def _least_jumps(angles: Array, mirrored: bool) -> Array:
    """One of the solutions of each frame, so that their course is near to usual angles and jumps seldom.

    Args:
        angles: One solution [rad], shape [T, 3].
        mirrored: Whether usual angles about x and y are a left shoulder's.
    """
    middle = ARM_MIDDLES * (1.0, -1.0, -1.0) if mirrored else ARM_MIDDLES
    both = np.stack([angles, np.stack([angles[:, 0] + np.pi, np.pi - angles[:, 1], angles[:, 2] + np.pi], -1)], axis=1)
    both = middle + (both - middle + np.pi) % (2 * np.pi) - np.pi  # within half a turn of the usual ones
    turns = 2 * np.pi * np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], [-1, 0, 1], indexing="ij"), -1).reshape(-1, 3)
    choices = (both[:, :, None] + turns).reshape(len(both), -1, 3)
    stray = STRAY_COST * (np.maximum(np.abs(choices - middle) - ARM_REACHES, 0.0) ** 2).sum(-1)
    cost, came = stray[0], np.zeros(choices.shape[:2], dtype=np.int64)
    for t in range(1, len(choices)):
        step = np.abs(choices[t][None] - choices[t - 1][:, None])  # [from, to, angle]
        price = np.where(step.max(-1) > JUMP, JUMP_COST, (step**2).sum(-1))
        total = cost[:, None] + price
        came[t] = total.argmin(0)
        cost = total.min(0) + stray[t]
    pick = np.empty(len(choices), dtype=np.int64)
    pick[-1] = int(cost.argmin())
    for t in range(len(choices) - 1, 0, -1):
        pick[t - 1] = came[t, pick[t]]
    return choices[np.arange(len(choices)), pick]


def _smooth(values: Array, weights: Array) -> Array:
    """The course that stays near the values by their weights and bends little, shape [T]."""
    count = len(values)
    bands = np.zeros((3, count))  # upper bands of the matrix of squared second differences
    for offset, terms in enumerate(((1.0, 4.0, 1.0), (-2.0, -2.0), (1.0,))):
        for start, term in enumerate(terms):
            bands[2 - offset, offset + start : offset + start + count - 2] += term
    bands *= BEND_COST
    bands[2] += weights
    return np.asarray(solveh_banded(bands, weights * values))


def _bend(parent: Array, length: Array) -> Array:
    """Angle about a segment's z from its y to another's [rad], shapes [T, 3, 3], [T, 3] → [T]."""
    local = (parent.transpose(0, 2, 1) @ length[..., None])[..., 0]
    return np.asarray(np.arctan2(-local[:, 0], local[:, 1]))
