"""Forces of a model between bodies: bushings, and spheres that touch the floor."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from motorque.mechanics.arguments import Wrench, check
from motorque.mechanics.contact_laws import ContactLaw
from motorque.mechanics.expressions import Expression
from motorque.mechanics.inverse_dynamics import BodyMotion, tree_motion
from motorque.mechanics.kinematics import BodyPoses
from motorque.mechanics.reduced import fill
from motorque.mechanics.tree import tree_pose
from motorque.skeleton.constants import constant
from motorque.skeleton.skeleton import GROUND, Skeleton

DEFLECTIONS = ("theta_x", "theta_y", "theta_z", "delta_x", "delta_y", "delta_z")
"""Names of a bushing's deflections in its expressions: body-fixed x-y-z angles [rad], then displacements [m]."""


@dataclass(frozen=True, eq=False)
class BodyFrame:
    """A frame fixed to a body.

    Args:
        body: Index of the body, -1 for ground.
        rotation: Maps the frame to the body, shape [3, 3].
        position: Its origin in the body [m], shape [3].
    """

    body: int
    rotation: Tensor
    position: Tensor

    def in_ground(self, poses: BodyPoses) -> tuple[Tensor, Tensor]:
        """Rotation to ground, shape [..., 3, 3], and origin in ground [m], shape [..., 3]."""
        origin = poses.point(self.body, self.position)
        if self.body == GROUND:
            return self.rotation.expand(*origin.shape[:-1], 3, 3), origin
        return poses.rotation[..., self.body, :, :] @ self.rotation, origin


class BodyForce(Protocol):
    """Wrenches on bodies that follow from where they are and how they move."""

    @property
    def name(self) -> str:
        """The force's name in the model."""
        ...

    def __call__(self, poses: BodyPoses, motion: BodyMotion) -> list[tuple[int, Wrench]]:
        """Body index, force [N] and moment about the ground origin [N·m], each [..., 3], for every body acted on."""
        ...


def _turn(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector[..., None])[..., 0]


def velocity_at(poses: BodyPoses, motion: BodyMotion, body: int, point: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity of a body at a point in ground [m/s] and its angular velocity [rad/s], each [..., 3]."""
    if body == GROUND:
        return torch.zeros_like(point), torch.zeros_like(point)
    angular = motion.angular_velocity[..., body, :]
    arm = point - poses.position[..., body, :]
    return motion.velocity[..., body, :] + torch.linalg.cross(angular, arm), angular


class Stiffness(Protocol):
    """What a bushing's six deflections are resisted with."""

    def __call__(self, deflection: Tensor) -> Tensor:
        """Resistance [N·m, N] to deflections [rad, m]; both [..., 6]."""
        ...


@dataclass(frozen=True)
class LinearStiffness:
    """One stiffness per deflection [N·m/rad, N/m]."""

    values: tuple[float, ...]

    def __call__(self, deflection: Tensor) -> Tensor:
        """See :class:`Stiffness`."""
        return deflection * constant(self.values, deflection.device, deflection.dtype)


@dataclass(frozen=True)
class WrittenStiffness:
    """One expression of the six deflections per deflection."""

    expressions: tuple[Expression, ...]

    def __call__(self, deflection: Tensor) -> Tensor:
        """See :class:`Stiffness`."""
        values = dict(zip(DEFLECTIONS, deflection.unbind(-1), strict=True))
        return torch.stack([expression(**values) for expression in self.expressions], dim=-1)


@dataclass(frozen=True, eq=False)
class Bushing:
    """OpenSim's ``BushingForce`` and ``ExpressionBasedBushingForce``.

    The deflections are the body-fixed x-y-z angles and the displacement of the second frame in the first one.

    Args:
        name: Its name.
        first: Frame on one body.
        second: Frame on the other one.
        stiffness: Resistance to deflection.
        damping: Resistance to its rate [N·m·s/rad, N·s/m], six numbers.

    Source: Sherman, Seth, Delp, Procedia IUTAM 2 (2011) 241-261, section on bushings; checked against the wheel.
    """

    name: str
    first: BodyFrame
    second: BodyFrame
    stiffness: Stiffness
    damping: tuple[float, ...]

    def __call__(self, poses: BodyPoses, motion: BodyMotion) -> list[tuple[int, Wrench]]:
        """See :class:`BodyForce`."""
        r1, p1 = self.first.in_ground(poses)
        r2, p2 = self.second.in_ground(poses)
        into = r1.transpose(-1, -2)
        relative = into @ r2
        x = torch.atan2(-relative[..., 1, 2], relative[..., 2, 2])
        y = torch.asin(relative[..., 0, 2].clamp(-1.0, 1.0))
        z = torch.atan2(-relative[..., 0, 1], relative[..., 0, 0])
        deflection = torch.cat([torch.stack([x, y, z], dim=-1), _turn(into, p2 - p1)], dim=-1)
        rates = _angle_rates(y, z)
        v1, w1 = velocity_at(poses, motion, self.first.body, p2)
        v2, w2 = velocity_at(poses, motion, self.second.body, p2)
        turning = _turn(rates @ r2.transpose(-1, -2), w2 - w1)
        rate = torch.cat([turning, _turn(into, v2 - v1)], dim=-1)
        damping = constant(self.damping, rate.device, rate.dtype)
        answer = -(self.stiffness(deflection) + damping * rate)
        # Angles' generalized forces do work on angle rates; as a moment they need the transposed map.
        moment = _turn(r2 @ rates.transpose(-1, -2), answer[..., :3])
        force = _turn(r1, answer[..., 3:])
        about_origin = moment + torch.linalg.cross(p2, force)
        return [(self.second.body, (force, about_origin)), (self.first.body, (-force, -about_origin))]


def _angle_rates(y: Tensor, z: Tensor) -> Tensor:
    """Rates of body-fixed x-y-z angles from the angular velocity in the turned frame; shape [..., 3, 3]."""
    sy, cy, sz, cz = torch.sin(y), torch.cos(y), torch.sin(z), torch.cos(z)
    zero, one = torch.zeros_like(y), torch.ones_like(y)
    rows = (cz / cy, -sz / cy, zero, sz, cz, zero, -cz * sy / cy, sz * sy / cy, one)
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


@dataclass(frozen=True, eq=False)
class SphereOnFloor:
    """A sphere and a half space, either of which may move; OpenSim's ``SmoothSphereHalfSpaceForce``.

    Many spheres on floors that do not move are quicker as a `contact.ContactModel`.

    Args:
        name: Its name.
        body: Index of the sphere's body.
        center: Its centre in that body [m], shape [3].
        radius: Its radius [m].
        floor: The half space; it lies where the frame's x is positive.
        law: How they touch.
    """

    name: str
    body: int
    center: Tensor
    radius: float
    floor: BodyFrame
    law: ContactLaw

    def __call__(self, poses: BodyPoses, motion: BodyMotion) -> list[tuple[int, Wrench]]:
        """See :class:`BodyForce`."""
        rotation, origin = self.floor.in_ground(poses)
        inward = rotation[..., :, 0]
        center = poses.point(self.body, self.center)
        depth = ((center - origin) * inward).sum(-1) + self.radius
        point = center + (self.radius - 0.5 * depth)[..., None] * inward
        moving, _ = velocity_at(poses, motion, self.body, point)
        floor, _ = velocity_at(poses, motion, self.floor.body, point)
        slip = moving - floor
        closing = (slip * inward).sum(-1)
        pressed, rubbed = self.law(depth, closing, slip - closing[..., None] * inward, self.radius)
        force = rubbed - pressed[..., None] * inward
        moment = torch.linalg.cross(point, force)
        return [(self.body, (force, moment)), (self.floor.body, (-force, -moment))]


def body_wrenches(forces: Sequence[BodyForce], poses: BodyPoses, motion: BodyMotion) -> dict[int, Wrench]:
    """Sum of the forces on each moving body: force [N] and moment about the ground origin [N·m], by body index."""
    total: dict[int, Wrench] = {}
    for acting in forces:
        for body, (force, moment) in acting(poses, motion):
            if body == GROUND:
                continue
            before = total.get(body)
            total[body] = (force, moment) if before is None else (before[0] + force, before[1] + moment)
    return total


def body_states(skeleton: Skeleton, q: Tensor, v: Tensor) -> tuple[BodyPoses, BodyMotion]:
    """Poses and velocities of all bodies in ground, for forces that follow from them.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        v: Speeds, shape [..., nv], alike.

    Raises:
        DataError: Shapes, devices or precisions do not fit.
    """
    given = check(skeleton, q, {"v": v})
    q, v, still = given.tensors["q"], given.tensors["v"], None
    if given.reduced:
        q, v, still = fill(skeleton, q, v)
    tree = tree_pose(skeleton, q)
    motion, _ = tree_motion(skeleton, tree, q, v, torch.zeros_like(v) if still is None else still)
    position = tree.poses.position + tree.anchor[..., None, :]
    return dataclasses.replace(tree.poses, position=position), motion
