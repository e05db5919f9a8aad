"""Forces along straight lines from point to point: ligaments and springs that wrap over nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from motorque.mechanics.arguments import Wrench
from motorque.mechanics.body_forces import velocity_at
from motorque.mechanics.inverse_dynamics import BodyMotion
from motorque.mechanics.kinematics import BodyPoses
from motorque.skeleton.functions import Function, FunctionTable


class Tension(Protocol):
    """How hard a path pulls its ends together."""

    def __call__(self, length: Tensor, rate: Tensor) -> Tensor:
        """Tension [N] from length [m] and lengthening speed [m/s], all of shape [...]; negative where it pushes."""
        ...


@dataclass(frozen=True)
class PointSpring:
    """OpenSim's ``PointToPointSpring``: it pulls when longer than at rest, and pushes when shorter.

    Args:
        stiffness: [N/m].
        rest_length: [m].
    """

    stiffness: float
    rest_length: float

    def __call__(self, length: Tensor, rate: Tensor) -> Tensor:
        """See :class:`Tension`."""
        return self.stiffness * (length - self.rest_length)


@dataclass(frozen=True)
class SlackSpring:
    """OpenSim's ``PathSpring``: ``stiffness stretch (1 + dissipation rate)``, nothing when slack, and never a push.

    Args:
        stiffness: [N/m].
        resting_length: [m].
        dissipation: [s/m].
    """

    stiffness: float
    resting_length: float
    dissipation: float

    def __call__(self, length: Tensor, rate: Tensor) -> Tensor:
        """See :class:`Tension`."""
        stretch = (length - self.resting_length).clamp(min=0.0)
        return self.stiffness * stretch * (1 + self.dissipation * rate).clamp(min=0.0)


@dataclass(frozen=True, eq=False)
class LigamentCurve:
    """OpenSim's ``Ligament``: a force times a function of its relative length; nothing when shorter than at rest.

    Args:
        resting_length: [m].
        force: By which the curve is multiplied [N].
        curve: Force [-] over length as a share of the resting length [-].
    """

    resting_length: float
    force: float
    curve: Function
    _table: FunctionTable = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_table", FunctionTable((self.curve,)))

    def __call__(self, length: Tensor, rate: Tensor) -> Tensor:
        """See :class:`Tension`."""
        value = self._table((length / self.resting_length)[..., None])[0][..., 0]
        return torch.where(length > self.resting_length, self.force * value, 0.0)


@dataclass(frozen=True, eq=False)
class PathForce:
    """Tension along straight lines through points fixed to bodies.

    Args:
        name: Its name.
        bodies: Index of each point's body, -1 for ground.
        points: The points in their bodies [m], shape [P, 3].
        tension: How hard it pulls.

    Source: OpenSim's documentation of the classes; checked against the wheel.
    """

    name: str
    bodies: Sequence[int]
    points: Tensor
    tension: Tension

    def __call__(self, poses: BodyPoses, motion: BodyMotion) -> list[tuple[int, Wrench]]:
        """See :class:`motorque.mechanics.body_forces.BodyForce`."""
        places = [poses.point(body, point) for body, point in zip(self.bodies, self.points, strict=True)]
        moving = [velocity_at(poses, motion, b, place)[0] for b, place in zip(self.bodies, places, strict=True)]
        place, velocity = torch.stack(places, -2), torch.stack(moving, -2)
        step = place.diff(dim=-2)
        square = step.square().sum(-1, keepdim=True)
        apart = square > 0  # points in one place have no direction, and no derivative of it
        lengths = torch.where(apart, torch.where(apart, square, 1.0).sqrt(), 0.0)
        along = torch.where(apart, step / torch.where(apart, lengths, 1.0), 0.0)
        rate = (velocity.diff(dim=-2) * along).sum((-1, -2))
        pull = self.tension(lengths.sum((-1, -2)), rate)[..., None, None] * along
        none = torch.zeros_like(pull[..., :1, :])
        force = torch.cat([pull, none], -2) - torch.cat([none, pull], -2)
        moment = torch.linalg.cross(place, force)
        return [(body, (force[..., i, :], moment[..., i, :])) for i, body in enumerate(self.bodies)]
