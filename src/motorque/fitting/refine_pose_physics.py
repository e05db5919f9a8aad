"""The residuals of `refine_physics` for poses on SMPL's tree, by small rotations of each joint and the root's place."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.fitting.pose_chart import vectors_of
from motorque.fitting.pose_torques import TURNS, PoseTorques, quaternions
from motorque.fitting.refine_physics import StandingPoints, TorqueBend, crossing
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]


def torque_bend(body: PoseTorques, rotations: Array, translation: Array, scale: Array | float) -> TorqueBend:
    """How joints' torques bend at some poses.

    Args:
        body: Whose torques.
        rotations: Local rotations, shape [T, 24, 3, 3].
        translation: The root's [m], shape [T, 3].
        scale: Of each torque's second difference [N·m], shape [72]; or the share of each joint's own.
    """
    turned, placed = quaternions(torch.as_tensor(vectors_of(rotations))), torch.as_tensor(translation)
    forces, *by = body.linearized(turned, placed)
    _, v, a = (x.numpy() for x in body.motion(turned, placed))
    position, speed, acceleration = (x[:, TURNS][:, :, TURNS] for x in by)
    # A body that is turned carries its velocity along: w + d' + d x w, and w' + d'' + d' x w + d x w'
    w, dw = (crossing(x[:, TURNS].reshape(len(x), -1, 3)) for x in (v, a))
    turn = (position + _per_joint(speed, w) + _per_joint(acceleration, dw), speed + _per_joint(acceleration, w))
    place = [np.ascontiguousarray(x[:, TURNS, 3:6]) for x in by]
    parts = ((*turn, acceleration), (place[0], place[1], place[2]))
    return TorqueBend.at(forces[:, TURNS], parts, scale, body.step, group=3)


def standing_points(
    body: PoseTorques,
    rotations: Array,
    translation: Array,
    *,
    weight: Array,
    belt: Array,
    scale: float | None,
    least: float,
) -> StandingPoints:
    """How far standing feet move at some poses; for the other arguments see :meth:`StandingPoints.at`."""
    points, joints, frames, chains = foot_points(body.skeleton, rotations, translation)
    longest = max(len(chain) for chain in chains)
    lever = np.zeros((*points.shape, 3 * longest))
    carriers = np.zeros((len(chains), 3 * longest), dtype=np.int64)
    for k, chain in enumerate(chains):
        for n, joint in enumerate(chain):
            arm = points[:, k] - joints[:, joint]
            # d in the parent's axes moves the point by (G d) x arm
            lever[:, k, :, 3 * n : 3 * n + 3] = crossing(arm) @ frames[:, joint]
            carriers[k, 3 * n : 3 * n + 3] = np.arange(3 * joint, 3 * joint + 3)
    along = np.broadcast_to(np.eye(3), (*points.shape, 3))
    levers = ((lever, carriers), (along, np.tile(np.arange(3), (len(chains), 1))))
    widths = (3 * joints.shape[1], 3)
    return StandingPoints.at(points, levers, widths, weight=weight, belt=belt, scale=scale, least=least)


def foot_points(
    skeleton: Skeleton, rotations: Array, translation: Array
) -> tuple[Array, Array, Array, list[list[int]]]:
    """The centres of the spheres under the feet, in the poses' world.

    Args:
        skeleton: SMPL's tree.
        rotations: Local rotations, shape [T, 24, 3, 3].
        translation: The root's [m], shape [T, 3].

    Returns:
        Points [m], shape [T, K, 3]; joints [m], shape [T, 24, 3]; rotation of each joint's parent into the world, shape
        [T, 24, 3, 3]; and the joints that carry each point.
    """
    world = skeleton.parent_rotation[0].numpy()  # the poses' world in ground
    offsets = skeleton.parent_position.numpy()
    frames, count = rotations.shape[:2]
    bodies, parents = np.empty_like(rotations), np.empty_like(rotations)
    joints = np.empty((frames, count, 3))
    for joint, parent in enumerate(skeleton.parents):
        if parent < 0:
            parents[:, joint], joints[:, joint] = np.eye(3), world.T @ offsets[joint] + translation
        else:
            parents[:, joint] = bodies[:, parent]
            joints[:, joint] = joints[:, parent] + bodies[:, parent] @ offsets[joint]
        bodies[:, joint] = parents[:, joint] @ rotations[:, joint]
    spheres = skeleton.contact_spheres
    points = np.stack([joints[:, s.body] + bodies[:, s.body] @ np.asarray(s.center) for s in spheres], axis=1)
    chains = []
    for sphere in spheres:
        chain, joint = [], sphere.body
        while joint >= 0:
            chain.append(joint)
            joint = skeleton.parents[joint]
        chains.append(chain)
    return points, joints, parents, chains


def _per_joint(by: Array, matrices: Array) -> Array:
    """Derivatives [T, K, 3 J] times a matrix for each joint [T, J, 3, 3]."""
    frames, rows, _ = by.shape
    split = by.reshape(frames, rows, -1, 3).transpose(0, 2, 1, 3)
    return (split @ matrices).transpose(0, 2, 1, 3).reshape(by.shape)
