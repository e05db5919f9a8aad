"""What a body's mechanics say about poses, as residuals with derivatives: torques without jerks, feet that stay.

All residuals are in units of their standard deviations. Derivatives are by small rotations of each joint in its
parent's axes and by the root's translation, [T, 72] and [T, 3], for which everything is banded in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.fitting.pose_torques import TURNS, PoseTorques
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TorqueBend:
    """Second differences of joints' torques, linearised.

    Args:
        residual: In units of ``scale``, shape [T - 4, 72].
        by_turn: Of torques by rotation, its rate and its second derivative, three of shape [T - 2, 72, 72].
        by_place: The same by the root's place, three of shape [T - 2, 72, 3].
        scale: Standard deviation of each torque's second difference [N·m], shape [72].
        step: Time between frames [s].
    """

    residual: Array
    by_turn: tuple[Array, Array, Array]
    by_place: tuple[Array, Array, Array]
    scale: Array
    step: float

    @staticmethod
    def at(body: PoseTorques, quaternion: Array, translation: Array, scale: Array | None, share: float) -> TorqueBend:
        """Linearised at some poses.

        Args:
            body: Whose torques.
            quaternion: Shape [T, 24, 4].
            translation: The root's [m], shape [T, 3].
            scale: Standard deviation of each torque's second difference [N·m], shape [72].
            share: Where no scale is given, it is this share of each joint's own second differences.
        """
        turned, placed = torch.as_tensor(quaternion), torch.as_tensor(translation)
        forces, by_q, by_v, by_a = body.linearized(turned, placed)
        bend = np.diff(forces[:, TURNS], n=2, axis=0)
        if scale is None:
            size = np.sqrt((bend.reshape(len(bend), -1, 3) ** 2).mean((0, 2)))
            scale = np.repeat(share * size + 1e-3 * share * size.max() + 1e-9, 3)
        _, v, a = (x.numpy() for x in body.motion(turned, placed))
        spin, spin_rate = v[:, TURNS], a[:, TURNS]
        by_turn = [x[:, TURNS][:, :, TURNS] for x in (by_q, by_v, by_a)]
        place = slice(3, 6)
        by_place = tuple(np.ascontiguousarray(x[:, TURNS, place]) for x in (by_q, by_v, by_a))
        # A body that is turned carries its velocity along: w + d' + d x w, and w' + d'' + d' x w + d x w'
        w, dw = _crossing(spin), _crossing(spin_rate)
        position = by_turn[0] + _per_joint(by_turn[1], w) + _per_joint(by_turn[2], dw)
        speed = by_turn[1] + _per_joint(by_turn[2], w)
        return TorqueBend(bend / scale, (position, speed, by_turn[2]), (*by_place,), scale, body.step)  # type: ignore[arg-type]

    def forward(self, turn: Array, place: Array) -> Array:
        """Change of the residual with rotations [T, 72] and translation [T, 3]."""
        torque = sum(
            (by @ x[..., None])[..., 0]
            for x_of, bys in ((turn, self.by_turn), (place, self.by_place))
            for by, x in zip(bys, self._rates(x_of), strict=True)
        )
        return np.diff(torque, n=2, axis=0) / self.scale

    def backward(self, weight: Array) -> tuple[Array, Array]:
        """The adjoint of :meth:`forward`: [T - 4, 72] to rotations [T, 72] and translation [T, 3]."""
        scaled = weight / self.scale
        torque = np.zeros((len(weight) + 2, scaled.shape[1]))
        torque[2:] += scaled
        torque[1:-1] -= 2 * scaled
        torque[:-2] += scaled
        found = []
        for bys in (self.by_turn, self.by_place):
            position, speed, acceleration = ((torque[:, None] @ by)[:, 0] for by in bys)
            total = np.zeros((len(torque) + 2, position.shape[1]))
            total[1:-1] += position - 2 * acceleration / self.step**2
            total[2:] += speed / (2 * self.step) + acceleration / self.step**2
            total[:-2] += acceleration / self.step**2 - speed / (2 * self.step)
            found.append(total)
        return found[0], found[1]

    def _rates(self, x: Array) -> tuple[Array, Array, Array]:
        h = self.step
        return x[1:-1], (x[2:] - x[:-2]) / (2 * h), (x[2:] - 2 * x[1:-1] + x[:-2]) / h**2


def _crossing(vectors: Array) -> Array:
    """Matrices of d ↦ d × v for the vectors of all joints, shape [T, 3 J] to [T, J, 3, 3]."""
    x, y, z = np.moveaxis(vectors.reshape(len(vectors), -1, 3), -1, 0)
    o = np.zeros_like(x)
    return np.stack([o, z, -y, -z, o, x, y, -x, o], -1).reshape(*x.shape, 3, 3)


def _per_joint(by: Array, matrices: Array) -> Array:
    """Derivatives [T, K, 3 J] times a matrix for each joint [T, J, 3, 3]."""
    frames, rows, _ = by.shape
    split = by.reshape(frames, rows, -1, 3).transpose(0, 2, 1, 3)
    return (split @ matrices).transpose(0, 2, 1, 3).reshape(by.shape)


@dataclass(frozen=True, eq=False)
class StandingPoints:
    """Points under the feet, and how fast those that stand move.

    Args:
        residual: Steps of the points from frame to frame in units of ``scale``, weighted, shape [T - 1, K, 3].
        weight: How surely each point stands during each step, square root of 0 to 1, shape [T - 1, K].
        lever: How a point moves with small rotations of the joints that carry it, shape [T, K, 3, 3 A].
        carriers: Columns of those rotations, shape [K, 3 A].
        scale: Standard deviation of a standing point's step [m].
    """

    residual: Array
    weight: Array
    lever: Array
    carriers: NDArray[np.int64]
    scale: float

    @staticmethod
    def at(
        skeleton: Skeleton,
        rotations: Array,
        translation: Array,
        weight: Array,
        belt: Array,
        scale: float | None,
        least: float,
    ) -> StandingPoints:
        """Linearised at some poses.

        Args:
            skeleton: SMPL's tree.
            rotations: Local rotations, shape [T, 24, 3, 3].
            translation: The root's [m], shape [T, 3].
            weight: As of the class.
            belt: Step of the ground itself from frame to frame, in the poses' world [m], shape [3].
            scale: As of the class; from the points' own steps if not given.
            least: The scale is no smaller than this [m].
        """
        points, joints, frames, chains = foot_points(skeleton, rotations, translation)
        longest = max(len(chain) for chain in chains)
        lever = np.zeros((*points.shape, 3 * longest))
        carriers = np.zeros((len(chains), 3 * longest), dtype=np.int64)
        for k, chain in enumerate(chains):
            for n, joint in enumerate(chain):
                arm = points[:, k] - joints[:, joint]
                # d in the parent's axes moves the point by (G d) x arm
                lever[:, k, :, 3 * n : 3 * n + 3] = _crossing(arm)[:, 0] @ frames[:, joint]
                carriers[k, 3 * n : 3 * n + 3] = np.arange(3 * joint, 3 * joint + 3)
        steps = np.diff(points, axis=0) - belt
        if scale is None:
            sure = weight**2
            size = (sure[..., None] * steps**2).sum() / max(3 * sure.sum(), 1e-9)
            scale = max(float(np.sqrt(size)), least)
        return StandingPoints(weight[..., None] * steps / scale, weight, lever, carriers, scale)

    def forward(self, turn: Array, place: Array) -> Array:
        """Change of the residual with rotations [T, 72] and translation [T, 3]."""
        moved = (self.lever @ turn[:, self.carriers][..., None])[..., 0] + place[:, None]
        return self.weight[..., None] / self.scale * np.diff(moved, axis=0)

    def backward(self, weight: Array) -> tuple[Array, Array]:
        """The adjoint of :meth:`forward`: [T - 1, K, 3] to rotations [T, 72] and translation [T, 3]."""
        scaled = self.weight[..., None] / self.scale * weight
        moved = np.zeros((len(weight) + 1, *weight.shape[1:]))
        moved[1:] += scaled
        moved[:-1] -= scaled
        shares = (moved[..., None, :] @ self.lever)[..., 0, :]
        gather = np.zeros((self.carriers.size, 72))
        gather[np.arange(self.carriers.size), self.carriers.ravel()] = 1.0
        turn: Array = shares.reshape(len(moved), -1) @ gather
        return turn, moved.sum(1)


def foot_points(
    skeleton: Skeleton, rotations: Array, translation: Array
) -> tuple[Array, Array, Array, list[list[int]]]:
    """The centres of the spheres under the feet, in the poses' world.

    Returns:
        Points [m], shape [T, K, 3]; joints [m], shape [T, 24, 3]; rotation of each joint's parent into the world, shape
        [T, 24, 3, 3]; and the joints that carry each point.
    """
    world = skeleton.parent_rotation[0].numpy()  # the poses' world in ground
    offsets = skeleton.parent_position.numpy().copy()
    root = world.T @ offsets[0]
    frames, count = rotations.shape[:2]
    bodies, parents = np.empty_like(rotations), np.empty_like(rotations)
    joints = np.empty((frames, count, 3))
    for joint, parent in enumerate(skeleton.parents):
        if parent < 0:
            parents[:, joint], joints[:, joint] = np.eye(3), root + translation
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
