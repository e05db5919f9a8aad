"""Torques of a person's poses by central differences, quick enough to be asked for hundreds of times.

The numbers are those of `mechanics.SMPLDynamics` with its central differences (a test holds the two together). What
makes them quick is that rotations are quaternions throughout: few operations on small arrays, where each one costs what
it costs to be called.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.mechanics.backends import Backend
from motorque.mechanics.compiled import machine
from motorque.mechanics.derivatives import inverse_dynamics_derivatives
from motorque.mechanics.dynamics import inverse_dynamics, mass_matrix
from motorque.series.poses import Poses, Up
from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import smpl

Array = NDArray[np.float64]

TURNS = np.r_[0:3, 6:75]
"""Speeds of the SMPL skeleton that are angular velocities; the others are the root's velocity."""
_TINY = 1e-30
# Rotations of worlds into one with y up, about their x axes
_WORLDS = {
    "y": np.eye(3),
    "-y": np.diag([1.0, -1.0, -1.0]),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "-z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
}


@dataclass(frozen=True, eq=False)
class PoseTorques:
    """The inverse dynamics of one person at one frame rate.

    Args:
        skeleton: SMPL's tree with quaternions.
        step: Time between frames [s].
        twice: Whether accelerations are central differences of velocities, over five frames, instead of second
            differences of three neighbours.
    """

    skeleton: Skeleton
    step: float
    twice: bool = False

    @staticmethod
    def of(poses: Poses, *, twice: bool = False) -> PoseTorques:
        """For poses with their own height, mass and sex, or the means of de Leva's people; see :func:`upright`."""
        joints = None if poses.joint_positions is None else torch.as_tensor(poses.joint_positions)
        skeleton = smpl(
            height=poses.height if joints is None else None,
            mass=poses.mass,
            sex=poses.sex,
            joint_positions=joints,
            rotations="quaternion",
        )
        return PoseTorques(skeleton, 1.0 / poses.rate, twice)

    @property
    def backend(self) -> Backend:
        """Kernels wherever they can run: they are kept from one run to the next, and eager derivatives take seconds."""
        return "torch" if machine.why_not() else "compiled"

    def motion(self, quaternion: Tensor, translation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions, speeds and accelerations of all frames but the first and the last, or two at each end.

        Args:
            quaternion: x, y, z, w of each joint, shape [T, 24, 4].
            translation: The root's [m], shape [T, 3].
        """
        h = self.step
        if self.twice:
            inner, there = quaternion[2:-2], translation[2:-2]
            spin = _log_between(quaternion[2:], quaternion[:-2]) / (2 * h)
            slide = (translation[2:] - translation[:-2]) / (2 * h)
            spin_rate, slide_rate = ((x[2:] - x[:-2]) / (2 * h) for x in (spin, slide))
            spin, slide = spin[1:-1], slide[1:-1]
        else:
            inner, there = quaternion[1:-1], translation[1:-1]
            steps, moves = _log_between(quaternion[1:], quaternion[:-1]), translation[1:] - translation[:-1]
            spin, slide = ((x[1:] + x[:-1]) / (2 * h) for x in (steps, moves))
            spin_rate, slide_rate = ((x[1:] - x[:-1]) / h**2 for x in (steps, moves))
        q = torch.cat([inner[:, 0], there, inner[:, 1:].flatten(1)], -1)
        v = torch.cat([spin[:, 0], slide, spin[:, 1:].flatten(1)], -1)
        a = torch.cat([spin_rate[:, 0], slide_rate, spin_rate[:, 1:].flatten(1)], -1)
        return q, v, a

    def forces(self, quaternion: Tensor, translation: Tensor) -> Tensor:
        """Generalized forces of the inner frames, shape [T - 2, 75] (or T - 4)."""
        return inverse_dynamics(self.skeleton, *self.motion(quaternion, translation), backend=self.backend)

    def torques(self, quaternion: Tensor, translation: Tensor) -> Tensor:
        """Torques of the inner frames in each joint's parent's axes, the root's moment in the world's [N·m], shape
        [T - 2, 24, 3] (or T - 4).
        """
        return self.forces(quaternion, translation)[:, TURNS].unflatten(-1, (-1, 3))

    def linearized(self, quaternion: Tensor, translation: Tensor) -> tuple[Array, Array, Array, Array]:
        """Generalized forces [T - 2, 75] and their derivatives by position, speed and acceleration, [T - 2, 75, 75]."""
        with torch.no_grad():
            q, v, a = self.motion(quaternion, translation)
            forces = inverse_dynamics(self.skeleton, q, v, a, backend=self.backend)
            by = inverse_dynamics_derivatives(self.skeleton, q, v, a, backend=self.backend)
        return forces.numpy(), by.by_position.numpy(), by.by_speed.numpy(), by.by_acceleration.numpy()

    def inertia(self, quaternion: Tensor) -> Array:
        """Torques [N·m] by angular accelerations, each in its joint's parent's axes.

        Args:
            quaternion: x, y, z, w of each joint, shape [T, 24, 4].

        Returns:
            Shape [T, 72, 72].
        """
        place = quaternion.new_zeros(len(quaternion), 3)
        q = torch.cat([quaternion[:, 0], place, quaternion[:, 1:].flatten(1)], -1)
        with torch.no_grad():
            found = mass_matrix(self.skeleton, q).numpy()
        return np.ascontiguousarray(found[:, TURNS][:, :, TURNS])


def upright(poses: Poses) -> Poses:
    """The same poses in a world with y up, for which all people share one kernel."""
    return _in_world(poses, "y")


def as_before(poses: Poses, given: Poses) -> Poses:
    """Poses from :func:`upright` in the world of the given ones."""
    return _in_world(poses, given.up)


def _in_world(poses: Poses, up: Up) -> Poses:
    if poses.up == up:
        return poses
    turn = _WORLDS[up].T @ _WORLDS[poses.up]
    rotations = poses.rotations.copy()
    rotations[:, 0] = turn @ rotations[:, 0]
    # SMPL turns about the pelvis, which is at its rest position plus the translation.
    rest = np.zeros(3) if poses.joint_positions is None else poses.joint_positions[0]
    translation = (poses.translation + rest) @ turn.T - rest
    return dataclasses.replace(poses, rotations=rotations, translation=translation, up=up)


def quaternions(vectors: Tensor) -> Tensor:
    """Unit quaternions x, y, z, w of rotation vectors [rad], [..., 3] → [..., 4]; differentiable at zero too."""
    angle = (vectors.square().sum(-1, keepdim=True) + _TINY).sqrt()
    return torch.cat([vectors * (0.5 * torch.sinc(angle / (2 * math.pi))), (0.5 * angle).cos()], -1)


def _log_between(after: Tensor, before: Tensor) -> Tensor:
    """Rotation vectors from one rotation to another in the axes in which both are given, [..., 4] → [..., 3]."""
    x1, w1, x0, w0 = after[..., :3], after[..., 3:], before[..., :3], before[..., 3:]
    w = w1 * w0 + (x1 * x0).sum(-1, keepdim=True)
    x = x1 * w0 - x0 * w1 - torch.linalg.cross(x1, x0)
    sign = torch.where(w < 0, -1.0, 1.0)
    sine = (x.square().sum(-1, keepdim=True) + _TINY).sqrt()
    return x * (sign * 2 * torch.atan2(sine, w.abs()) / sine)


def angles_between(one: Tensor, two: Tensor) -> Tensor:
    """Rotation vectors from ``two`` to ``one`` [rad], quaternions [..., 4] → [..., 3]."""
    return _log_between(one, two)
