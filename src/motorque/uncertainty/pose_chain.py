"""From small changes of SMPL poses to those of torques and ground forces: through the dynamics, or linearly.

Rates are central differences of neighbouring frames, as of poses that were smoothed; the first and the last frame take
the acceleration of the frame beside them, as `signals.pose_rates.central` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.fitting.pose_chart import turned_by, vectors_of
from motorque.fitting.pose_torques import angles_between, quaternions
from motorque.fitting.refine_physics import crossing
from motorque.mechanics.arguments import Wrench
from motorque.mechanics.backends import Backend
from motorque.mechanics.compiled import machine
from motorque.mechanics.derivatives import inverse_dynamics_derivatives
from motorque.mechanics.dynamics import inverse_dynamics
from motorque.series import Loads
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.following_loads import FollowingLoads, following_loads
from motorque.uncertainty.pose_posterior import PosePosterior
from motorque.uncertainty.torque_gain import TorqueGain, Wrenches

Array = NDArray[np.float64]
Single = NDArray[np.float32]

_Real = TypeVar("_Real", np.float32, np.float64)

TURNS = np.r_[0:3, 6:75]
"""Columns of speeds that are angular velocities; the others are the root's velocity."""


@dataclass(frozen=True, eq=False)
class PoseChain:
    """The dynamics behind one recording.

    Args:
        skeleton: SMPL's tree with quaternions.
        posterior: The poses, and what is open in them.
        wrenches: Force and moment about the ground origin on bodies by name, shape [T, 6] each; they stay as they are.
        following: How loads that were estimated from the motion change with it, or None.
        load_gain: Derivatives of generalized forces by the wrench of each body that carries loads, shape [T, nv, 6].
    """

    skeleton: Skeleton
    posterior: PosePosterior
    wrenches: dict[str, Array]
    following: FollowingLoads | None
    load_gain: Wrenches

    @staticmethod
    def of(skeleton: Skeleton, posterior: PosePosterior, loads: Loads | None, *, estimated: bool) -> PoseChain:
        """The chain of a recording.

        Args:
            skeleton: SMPL's tree in any format, its bodies called as the loads call them, y up.
            posterior: The poses, in a world with y up.
            loads: Loads in ground at the poses' times.
            estimated: Whether these were found in the motion, and so follow it.
        """
        body = skeleton.with_rotations("quaternion")
        wrenches: dict[str, Array] = {}
        for load in () if loads is None else loads.loads:
            own = np.concatenate([load.force, load.moment_about_origin], axis=1)
            wrenches[load.body] = wrenches.get(load.body, np.zeros(1)) + own
        if not estimated or loads is None:
            return PoseChain(body, posterior, wrenches, None, {})
        gain = _load_gain(body, posterior, loads)
        return PoseChain(body, posterior, wrenches, following_loads(body, gain, loads), gain.loads)

    @cached_property
    def step(self) -> float:
        """Time between frames [s]."""
        return 1.0 / self.posterior.poses.rate

    @property
    def rows(self) -> int:
        """Generalized forces and, behind them, six numbers of each load that follows."""
        nv = int(self.skeleton.nv)
        return nv if self.following is None else int(self.following.rows.shape[1])

    @property
    def backend(self) -> Backend:
        """Kernels wherever they can run."""
        return "torch" if machine.why_not() else "compiled"

    @cached_property
    def _reference(self) -> Tensor:
        return quaternions(torch.as_tensor(vectors_of(self.posterior.chart.reference))).float()

    @cached_property
    def _turned(self) -> Tensor:
        return quaternions(torch.as_tensor(vectors_of(self.posterior.poses.rotations)))

    def changes(self, moved: Single, plain: Single) -> Single:
        """Changes of forces by changes of poses.

        Args:
            moved: Of the vectors in the chart and of the place, shape [D, T, 75].
            plain: :meth:`forces` of no change, shape [T, nv].

        Returns:
            Shape [T, rows, D].
        """
        gap = (self.forces(moved) - plain).transpose(1, 2, 0)
        return gap if self.following is None else np.asarray(self.following(gap), dtype=np.float32)

    def forces(self, moved: Single) -> Single:
        """Generalized forces of changed poses, loads as they are; shape [D, T, nv]."""
        draws, frames = moved.shape[:2]
        change = torch.as_tensor(
            self.posterior.vectors.astype(np.float32) + moved[..., :72].reshape(draws, frames, -1, 3)
        )
        place = torch.as_tensor(self.posterior.poses.translation.astype(np.float32) + moved[..., 72:])
        motion = self._motion(_product(quaternions(change), self._reference), place)
        flat = [x.reshape(draws * frames, -1) for x in motion]
        loads: dict[str, Wrench] = {}
        for name, wrench in self.wrenches.items():
            whole = torch.as_tensor(wrench.astype(np.float32)).repeat(draws, 1)
            loads[name] = (whole[:, :3], whole[:, 3:])
        body = self.skeleton.to(dtype=torch.float32)
        tau = inverse_dynamics(body, *flat, loads=loads or None, backend=self.backend)
        found: Single = tau.reshape(draws, frames, -1).numpy()
        return found

    def _motion(self, quaternion: Tensor, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions, speeds and accelerations, shape [D, T, ...], of quaternions [D, T, 24, 4] and places."""
        h = self.step
        steps = angles_between(quaternion[:, 1:], quaternion[:, :-1])
        moves = place[:, 1:] - place[:, :-1]

        def column(turn: Tensor, slide: Tensor) -> Tensor:
            return torch.cat([turn[:, :, 0], slide, turn[:, :, 1:].flatten(2)], -1)

        v = column(steps[:, 1:] + steps[:, :-1], moves[:, 1:] + moves[:, :-1]) / (2 * h)
        a = column(steps[:, 1:] - steps[:, :-1], moves[:, 1:] - moves[:, :-1]) / h**2
        v = torch.cat([v[:, :1] - h * a[:, :1], v, v[:, -1:] + h * a[:, -1:]], 1)
        a = torch.cat([a[:, :1], a, a[:, -1:]], 1)
        return column(quaternion, place), v, a

    def linear(self, frames: slice) -> tuple[Single, Array]:
        """Derivatives of :meth:`changes` by vectors and place, their first and second time derivatives, at some frames.

        Returns:
            Those of generalized forces, shape [3, frames, nv, 75], in single precision, as the draws are: error bars
            need no more. Those of the loads behind them, shape [3, frames, rows - nv, 75], in double precision:
            moments about the ground's origin are large far from there, and their differences place a load.
        """
        around = slice(max(frames.start - 2, 0), min(frames.stop + 2, len(self.posterior.poses.times)))
        inner = slice(frames.start - around.start, frames.stop - around.start)
        turned = self._turned[around]
        place = torch.as_tensor(self.posterior.poses.translation[around])
        q, v, a = (x[0, inner].contiguous() for x in self._motion(turned[None], place[None]))
        loads: dict[str, Wrench] = {}
        for name, wrench in self.wrenches.items():
            part = torch.as_tensor(wrench[frames])
            loads[name] = (part[:, :3], part[:, 3:])
        by = inverse_dynamics_derivatives(self.skeleton, q, v, a, loads=loads or None, backend=self.backend)
        gains = [x.numpy() for x in (by.by_position, by.by_speed, by.by_acceleration)]
        # A body that is turned by d carries its velocity along: w + d' + d x w, and w' + d'' + d' x w + d x w'.
        w, dw = (crossing(x[:, TURNS].numpy().reshape(len(x), -1, 3)) for x in (v, a))
        # The left turn d = J x of vectors x in the chart has d' = J x' + J' x, d'' = J x'' + 2 J' x' + J'' x.
        jacobian = turned_by(self.posterior.vectors[around])
        rate = np.gradient(jacobian, self.step, axis=0)
        bend = np.gradient(rate, self.step, axis=0)
        j, dj, ddj = (x[inner] for x in (jacobian, rate, bend))
        none = np.zeros_like(j)
        # Rows: position, speed and acceleration of each joint; columns: x, x' and x''.
        both = np.block([[j, none, none], [w @ j + dj, j, none], [dw @ j + w @ dj + ddj, w @ j + 2 * dj, j]])
        single = [x.astype(np.float32) for x in gains]
        found = np.concatenate([_per_joint(single, both.astype(np.float32)), np.stack(single)[..., 3:6]], axis=-1)
        if self.following is None:
            return found, np.zeros((*found.shape[:2], 0, found.shape[-1]))
        nv, rows = int(self.skeleton.nv), self.following.rows[frames]
        of_root = [np.ascontiguousarray(x[:, list(self.following.root)]) for x in gains]
        on_root = np.concatenate([_per_joint(of_root, both), np.stack(of_root)[..., 3:6]], axis=-1)
        found += (rows[:, :nv] @ on_root).astype(np.float32)
        return found, np.asarray(rows[:, nv:] @ on_root)


def _load_gain(skeleton: Skeleton, posterior: PosePosterior, loads: Loads) -> TorqueGain:
    """Derivatives of generalized forces by the wrenches of bodies that carry loads; none by the motion."""
    turned = quaternions(torch.as_tensor(vectors_of(posterior.poses.rotations)))
    q = torch.cat([turned[:, 0], torch.as_tensor(posterior.poses.translation), turned[:, 1:].flatten(1)], -1)
    frames, nv = len(q), skeleton.nv
    still = torch.zeros(7 * frames, nv, dtype=q.dtype)
    found = {}
    for body in {load.body for load in loads.loads}:
        units = torch.cat([torch.zeros(1, 6), torch.eye(6)]).double().repeat_interleave(frames, dim=0)
        wrench = {body: (units[:, :3], units[:, 3:])}
        tau = inverse_dynamics(skeleton, q.repeat(7, 1), still, still, loads=wrench).reshape(7, frames, nv)
        found[body] = (tau[1:] - tau[:1]).permute(1, 2, 0).contiguous().numpy()
    return TorqueGain(np.zeros((3, frames, nv, 0)), found)


def _product(first: Tensor, second: Tensor) -> Tensor:
    """Quaternions of one rotation after another, [..., 4], x, y, z, w."""
    v1, w1, v2, w2 = first[..., :3], first[..., 3:], second[..., :3], second[..., 3:]
    v = w1 * v2 + w2 * v1 + torch.linalg.cross(v1, v2.expand_as(v1))
    return torch.cat([v, w1 * w2 - (v1 * v2).sum(-1, keepdim=True)], -1)


def _per_joint(gains: list[NDArray[_Real]], matrices: NDArray[_Real]) -> NDArray[_Real]:
    """Derivatives by three things of each joint, [T, K, nv] each, times a matrix for each joint [T, J, 9, 9].

    Returns:
        Derivatives by three others, shape [3, T, K, 3 J].
    """
    frames, rows = gains[0].shape[:2]
    joints = matrices.shape[1]
    split = np.concatenate([x[..., TURNS].reshape(frames, rows, joints, 3) for x in gains], axis=-1)
    found = split.transpose(0, 2, 1, 3) @ matrices
    return np.asarray(
        found.reshape(frames, joints, rows, 3, 3).transpose(3, 0, 2, 1, 4).reshape(3, frames, rows, 3 * joints)
    )
