"""A motion of SMPL's tree as mechanics takes it, and its torques as SMPL's users want them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.mechanics.arguments import Wrench
from motorque.mechanics.joint_reactions import joint_reactions
from motorque.mechanics.kinematics import BodyPoses, center_of_mass, forward_kinematics
from motorque.mechanics.tree import Layout, turn
from motorque.signals.pose_rates.interface import PoseRates, where_there
from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import SMPL_JOINTS, smpl_positions

_JOINTS = len(SMPL_JOINTS)
TorqueFrame = Literal["world", "parent"]


@dataclass(frozen=True, eq=False)
class SMPLMotion:
    """Positions, speeds and accelerations of the SMPL skeleton, with rotations as matrices.

    Args:
        skeleton: The skeleton.
        rotation: Joints' rotations, child to parent, shape [..., T, 24, 3, 3].
        q: Positions, shape [..., T, nq].
        v: Speeds, shape [..., T, 75].
        a: Accelerations, shape [..., T, 75].
        there: At which frames all is a number, shape [..., T]; None for all. What is none has been put to rest.
    """

    skeleton: Skeleton
    rotation: Tensor
    q: Tensor
    v: Tensor
    a: Tensor
    there: Tensor | None

    @staticmethod
    def of(skeleton: Skeleton, rates: PoseRates) -> SMPLMotion:
        """The motion of poses with rates.

        Raises:
            DataError: There are not 24 joints.
        """
        if rates.rotation.ndim < 3 or rates.rotation.shape[-3] != _JOINTS:
            raise DataError(f"SMPL has {_JOINTS} joints; got rotations of shape {list(rates.rotation.shape)}")
        rotation, translation = rates.rotation, rates.translation
        v = _speeds(rates.angular_velocity, rates.velocity)
        a = _speeds(rates.angular_acceleration, rates.acceleration)
        there = rotation.isfinite().flatten(-3).all(-1) & translation.isfinite().all(-1)
        there = there & v.isfinite().all(-1) & a.isfinite().all(-1)
        if bool(there.all()):
            return SMPLMotion(skeleton, rotation, smpl_positions(rotation, translation), v, a, None)
        eye = torch.eye(3, dtype=rotation.dtype, device=rotation.device)
        rotation = torch.where(there[..., None, None, None], rotation, eye)
        translation, v, a = (torch.where(there[..., None], x, 0.0) for x in (translation, v, a))
        return SMPLMotion(skeleton, rotation, smpl_positions(rotation, translation), v, a, there)

    @property
    def world(self) -> Tensor:
        """Rotation of the poses' world to ground, shape [3, 3]."""
        return self.skeleton.parent_rotation[0]

    def to_ground(self, wrench: Wrench) -> Wrench:
        """Force and moment about the origin, from the world's axes to ground's; both origins are one point."""
        if not (isinstance(wrench, tuple) and len(wrench) == 2 and all(isinstance(x, Tensor) for x in wrench)):
            raise DataError("SMPL: a load must be a force and a moment about the world's origin, two tensors")
        return turn(self.world, wrench[0]), turn(self.world, wrench[1])

    def from_ground(self, x: Tensor) -> Tensor:
        """Vectors [..., 3] from ground's axes to the world's."""
        return turn(self.world.mT, x)

    def masked(self, x: Tensor) -> Tensor:
        """NaN at frames that are not there; shape [..., T, *any], frames where those of ``q`` are."""
        if self.there is None:
            return x
        return where_there(self.there.reshape(*self.there.shape, *[1] * (x.ndim - self.there.ndim)), x)

    @cached_property
    def global_rotation(self) -> Tensor:
        """Rotations of all bodies to the world, shape [..., T, 24, 3, 3]."""
        layout = Layout.of(self.skeleton)
        found: list[Tensor] = []
        for bodies, parents in layout.levels:
            here = self.rotation.index_select(-3, bodies)
            found.append(found[-1].index_select(-3, parents) @ here if found else here)
        return torch.cat(found, dim=-3).index_select(-3, layout.order)

    @cached_property
    def poses(self) -> BodyPoses:
        """Poses of all bodies in ground."""
        return forward_kinematics(self.skeleton, self.q)


def _speeds(spin: Tensor, slide: Tensor) -> Tensor:
    """The root's three turns, its three slides, the other joints' turns; [..., 75]."""
    return torch.cat([spin[..., 0, :], slide, spin[..., 1:, :].flatten(-2)], dim=-1)


@dataclass(frozen=True, eq=False)
class SMPLDynamicsOutput:
    """What moves a person, in the axes of the poses' world; frames that are missing are NaN.

    Quantities beyond ``torques`` and the root's are computed when they are first asked for.

    Args:
        motion: The motion, with the rates that were found.
        tau: Generalized forces [N·m, N], shape [..., T, 75].
        loads: What acted on bodies, force and moment about the origin, in **ground**; None for nothing.
        contact_found: Whether these are the contact model's.
        frame: Axes of ``torques``.
    """

    motion: SMPLMotion
    tau: Tensor
    loads: Mapping[str, Wrench] | None
    contact_found: bool = False
    frame: TorqueFrame = "world"

    @cached_property
    def torques(self) -> Tensor:
        """Moment by the parent on the child about each joint [N·m], shape [..., T, 24, 3]; the root's is what nothing
        explains: :attr:`root_moment`.
        """
        return self.torques_in(self.frame)

    def torques_in(self, frame: TorqueFrame) -> Tensor:
        """As :attr:`torques`, in the axes of the ``world`` or of each joint's ``parent``; the root's is in the world's
        either way.
        """
        if frame == "parent":
            return self.motion.masked(self._local)
        parents = self.motion.global_rotation.index_select(-3, Layout.of(self.motion.skeleton).parents)
        local = self._local
        turned = turn(parents[..., 1:, :, :], local[..., 1:, :])
        return self.motion.masked(torch.cat([local[..., :1, :], turned], dim=-2))

    @cached_property
    def root_force(self) -> Tensor:
        """Force on the pelvis that nothing explains [N], shape [..., T, 3]: without loads what ground must have given,
        with them the residual.
        """
        return self.motion.masked(self.tau[..., 3:6])

    @cached_property
    def root_moment(self) -> Tensor:
        """Moment on the pelvis about its joint that nothing explains [N·m], shape [..., T, 3]."""
        return self.motion.masked(self.tau[..., :3])

    @cached_property
    def forces(self) -> Tensor:
        """Force by the parent on the child at each joint [N], shape [..., T, 24, 3]; the root's is `root_force`. They
        are what Newton asks for: muscles press joints together with more.
        """
        m = self.motion
        return m.masked(m.from_ground(joint_reactions(m.skeleton, m.q, m.v, m.a, loads=self.loads).force))

    @cached_property
    def com(self) -> Tensor:
        """Centre of mass of the body [m], shape [..., T, 3]."""
        return self.motion.masked(self.motion.from_ground(center_of_mass(self.motion.skeleton, self.motion.poses)))

    @cached_property
    def joint_positions(self) -> Tensor:
        """Where the joints are [m], shape [..., T, 24, 3]."""
        return self.motion.masked(self.motion.from_ground(self.motion.poses.position))

    @property
    def contact_loads(self) -> dict[str, Wrench] | None:
        """Force [N] and moment about the world's origin [N·m] that contact put on bodies, by name, in the world's axes,
        each [..., T, 3]; None where no contact was asked for.
        """
        if not self.contact_found or self.loads is None:
            return None
        m = self.motion
        return {name: (m.masked(m.from_ground(f)), m.masked(m.from_ground(t))) for name, (f, t) in self.loads.items()}

    @cached_property
    def _local(self) -> Tensor:
        """Moments in parents' axes, shape [..., T, 24, 3]."""
        return torch.cat([self.tau[..., :3], self.tau[..., 6:]], dim=-1).unflatten(-1, (_JOINTS, 3))
