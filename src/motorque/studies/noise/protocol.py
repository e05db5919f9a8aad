"""The paper's protocol: 30 frames a second, 120 frames, torques of clean and noisy poses by the same chain.

Torque errors are those of the moments by the parent on the child about each joint, in the axes of the world, without
ground forces, as in the paper's equations 3 and 4: the root's is then what the ground would have to give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.series.poses import Poses, matrices
from motorque.signals.pose_rates import RateMethod
from motorque.skeleton import Skeleton
from motorque.studies.noise.models import NoiseModel, PoseNoise

Array = NDArray[np.float64]

RATE, FRAMES, DRAWS = 30.0, 120, 20
MASS = 75.0
"""Of somebody whose mass is not known [kg]; the paper does not say its own, and torques are in proportion to it."""

LEAST = 16
"""Fewest frames of a motion that can be studied."""
ENDS = 2
"""Frames at each end whose differences are one-sided with one stencil or the other: left out with both."""
CHUNK = 12_000
"""Frames of one call of the chain, to bound its memory."""

STENCILS = {"central": "x₊ − 2x + x₋ over h²", "central-twice": "central differences of central differences"}
"""Both ways to read the paper's second central difference, by their names in `signals.pose_rates`."""


class TorqueErrors(NamedTuple):
    """Mean torque error of every draw, by four norms [N·m], each of shape [S].

    Args:
        joint: Mean over frames and the 24 joints of the length of a joint's error vector, the root in.
        joint_rootless: The same over the other 23 joints.
        body: Mean over frames of the length of all 72 numbers as one vector.
        body_rootless: The same without the root's.
    """

    joint: Array
    joint_rootless: Array
    body: Array
    body_rootless: Array


NORMS = {
    "joint": "mean over joints of the vector's length, root in",
    "joint_rootless": "the same without the root",
    "body": "length of all joints' errors as one vector, root in",
    "body_rootless": "the same without the root",
}


def torque_errors(error: Array) -> TorqueErrors:
    """The norms of torque errors [N·m], shape [S, T, 24, 3]."""
    squares = np.square(error).sum(-1)
    lengths = np.sqrt(squares)
    return TorqueErrors(
        lengths.mean((1, 2)),
        lengths[..., 1:].mean((1, 2)),
        np.sqrt(squares.sum(-1)).mean(1),
        np.sqrt(squares[..., 1:].sum(-1)).mean(1),
    )


@dataclass(frozen=True)
class Subject:
    """One motion in the paper's protocol.

    Args:
        name: What it is called in tables.
        poses: Clean poses, all known, at one rate.
        ends: Frames at each end that do not count.
    """

    name: str
    poses: Poses
    ends: int = ENDS

    @cached_property
    def vectors(self) -> Array:
        """Clean rotation vectors without jumps [rad], shape [T, 24, 3]."""
        return continuous_vectors(self.poses.rotations)

    @cached_property
    def mass(self) -> float:
        """Body mass [kg]."""
        return MASS if self.poses.mass is None else self.poses.mass

    def chain(self, stencil: str | RateMethod = "central") -> Chain:
        """From poses to torques."""
        return Chain(self, stencil)


class _Layer(SMPLDynamics):
    """The layer of a person who may be made up differently."""

    change: Callable[[Skeleton], Skeleton] | None = None

    def skeleton(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Skeleton:
        own = super().skeleton(dtype=dtype, device=device)
        return own if self.change is None else self.change(own)


class Chain:
    """From poses of a subject to torques, by one stencil.

    Args:
        subject: Whose poses.
        rates: A method, or a name of ``pose_rates.METHODS``.
        body: What is changed about the person's skeleton; nothing by default.
    """

    def __init__(
        self,
        subject: Subject,
        rates: str | RateMethod = "central",
        *,
        body: Callable[[Skeleton], Skeleton] | None = None,
    ) -> None:
        poses = subject.poses
        joints = None if poses.joint_positions is None else torch.from_numpy(poses.joint_positions)
        self.subject, self.rates = subject, rates
        self.layer = _Layer(
            fps=poses.rate,
            mass=subject.mass,
            height=poses.height if joints is None else None,
            sex=poses.sex,
            joint_positions=joints,
            up=poses.up,
            rates=rates,
        )
        self.layer.change = body
        self.clean = self.torques(poses.rotations[None], poses.translation[None])

    def torques(self, rotations: Array, translation: Array) -> Array:
        """Torques at frames that count.

        Args:
            rotations: Local rotations, shape [S, T, 24, 3, 3].
            translation: Of the root [m], shape [S, T, 3] or [1, T, 3].

        Returns:
            [N·m], shape [S, T - 2 ends, 24, 3].
        """
        translation = np.broadcast_to(translation, (*rotations.shape[:2], 3))
        ends, size = self.subject.ends, max(1, CHUNK // rotations.shape[1])
        found = []
        for first in range(0, len(rotations), size):
            r, t = (torch.from_numpy(x[first : first + size].copy()) for x in (rotations, translation))
            with torch.no_grad():
                torques = self._torques(r, t).numpy()
            found.append(torques[:, ends : torques.shape[1] - ends])
        return np.concatenate(found)

    def _torques(self, rotations: Tensor, translation: Tensor) -> Tensor:
        """Torques at all frames [N·m], shape [S, T, 24, 3]."""
        return self.layer.from_rates(self.layer.rates(rotations, translation, self.layer.fps)).torques

    def error(self, noise: PoseNoise) -> Array:
        """Torques of noisy poses less those of clean ones [N·m], shape [S, T - 2 ends, 24, 3]."""
        return self.error_of(self.subject.vectors + noise.rotation, self.subject.poses.translation + noise.translation)

    def error_of(self, vectors: Array, translation: Array) -> Array:
        """The same of poses given as rotation vectors [rad], shape [S, T, 24, 3], and the root's translation [m]."""
        return self.torques(matrices(vectors), translation) - self.clean

    def errors(self, model: NoiseModel, draws: int = DRAWS, *, seed: int = 0) -> TorqueErrors:
        """Norms of the torque errors that a noise model makes."""
        return torque_errors(self.error(model.draw(self.subject.poses, draws, seed=seed)))


def subject(poses: Poses, name: str = "", *, rate: float | None = RATE, frames: int | None = FRAMES) -> Subject:
    """A motion brought into the protocol.

    Args:
        poses: Any motion without gaps.
        name: What to call it; its source by default.
        rate: Frames per second; rotations are interpolated along great arcs, places in straight lines. None keeps it.
        frames: How many, from the middle of the motion; all that there are if it has fewer. None takes all.

    Raises:
        DataError: Frames are missing, or there are too few.
    """
    name = name or poses.source or "motion"
    if not poses.known.all():
        frame = int(np.flatnonzero(~poses.known)[0])
        raise DataError(f"{name}: the pose of frame {frame} is not all there; study a stretch without gaps")
    if len(poses.times) >= 2 and rate is not None:
        poses = resampled(poses, rate)
    if len(poses.times) == 1:
        raise DataError(f"{name}: a single frame does not move, so there are no torques to study; {LEAST} are needed")
    if len(poses.times) < LEAST:
        raise DataError(f"{name}: {len(poses.times)} frames at {poses.rate:g} a second are too few; {LEAST} are needed")
    if frames is not None and len(poses.times) > frames:
        first = (len(poses.times) - frames) // 2
        poses = poses.frames(slice(first, first + frames))
    return Subject(name, poses)


def resampled(poses: Poses, rate: float) -> Poses:
    """Poses at another rate, between the first and the last frame."""
    span = poses.times[-1] - poses.times[0]
    steps = np.arange(int(np.floor(span * rate + 1e-6)) + 1) / rate
    times = np.minimum(poses.times[0] + steps, poses.times[-1])
    turns = [Slerp(poses.times, Rotation.from_matrix(poses.rotations[:, j]))(times) for j in range(24)]
    rotations = np.stack([turn.as_matrix() for turn in turns], axis=1)
    places = np.stack([np.interp(times, poses.times, x) for x in poses.translation.T], axis=1)
    return Poses(
        poses.times[0] + steps, rotations, places, poses.up, poses.sex, poses.height, poses.mass,
        poses.joint_positions, poses.betas, poses.source,
    )  # fmt: skip


def continuous_vectors(rotations: Array) -> Array:
    """Rotation vectors that do not jump where an angle passes half a turn [rad].

    Args:
        rotations: Shape [T, J, 3, 3].

    Returns:
        Shape [T, J, 3]; at most a half turn in the first frame, at most a whole one later.
    """
    quaternions = Rotation.from_matrix(rotations).as_quat(canonical=True)
    turned = (quaternions[1:] * quaternions[:-1]).sum(-1) < 0
    sign = np.concatenate([np.ones_like(turned[:1], dtype=float), np.where(turned, -1.0, 1.0)]).cumprod(axis=0)
    quaternions = quaternions * sign[..., None]
    part, cosine = quaternions[..., :3], quaternions[..., 3]
    sine = np.linalg.norm(part, axis=-1)
    angle = 2 * np.arctan2(sine, cosine)
    factor = np.divide(angle, sine, out=np.full_like(angle, 2.0), where=sine > 1e-12)
    return np.asarray(factor[..., None] * part)
