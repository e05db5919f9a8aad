"""Forces that a model carries besides its muscles: limits, springs and expressions on single coordinates.

OpenSim's inverse dynamics takes them off what the joints have to provide. Each law gives the generalized force on its
coordinate from the coordinate and its rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from motorque.mechanics.expressions import Expression
from motorque.skeleton.constants import constant


class Law(Protocol):
    """A generalized force as a function of one coordinate and its rate."""

    def __call__(self, q: Tensor, rate: Tensor) -> Tensor:
        """Force [N·m or N] at coordinate values [rad or m] and rates; all of shape [...]."""
        ...


@dataclass(frozen=True)
class Constant:
    """A force that does not change (a coordinate actuator with its default activation)."""

    value: float

    def __call__(self, q: Tensor, rate: Tensor) -> Tensor:
        """See :class:`Law`."""
        return torch.full_like(q, self.value)


@dataclass(frozen=True)
class Spring:
    """OpenSim's ``SpringGeneralizedForce``: ``-stiffness (q - rest) - viscosity q̇``."""

    stiffness: float
    rest: float
    viscosity: float

    def __call__(self, q: Tensor, rate: Tensor) -> Tensor:
        """See :class:`Law`."""
        return -self.stiffness * (q - self.rest) - self.viscosity * rate


@dataclass(frozen=True)
class Limit:
    """OpenSim's ``CoordinateLimitForce``: stiffness and damping that set in over a transition beyond either limit.

    Args:
        upper: Upper limit [rad or m].
        upper_stiffness: Stiffness beyond it [N·m/rad or N/m].
        lower: Lower limit [rad or m].
        lower_stiffness: Stiffness below it [N·m/rad or N/m].
        damping: Damping where a stiffness is fully on [N·m·s/rad or N·s/m].
        transition: Width over which the stiffness sets in [rad or m].

    Source: OpenSim's documentation of the class; checked against the wheel. The onset is SimTK's step,
    10 s³ - 15 s⁴ + 6 s⁵ for 0 ≤ s ≤ 1.
    """

    upper: float
    upper_stiffness: float
    lower: float
    lower_stiffness: float
    damping: float
    transition: float

    def __call__(self, q: Tensor, rate: Tensor) -> Tensor:
        """See :class:`Law`."""
        above = _onset((q - self.upper) / self.transition)
        below = _onset((self.lower - q) / self.transition)
        stiff = self.upper_stiffness * above * (self.upper - q) + self.lower_stiffness * below * (self.lower - q)
        return stiff - self.damping * (above + below) * rate


def _onset(share: Tensor) -> Tensor:
    s = share.clamp(0.0, 1.0)
    return s**3 * (10 - 15 * s + 6 * s**2)


@dataclass(frozen=True)
class Formula:
    """OpenSim's ``ExpressionBasedCoordinateForce``: a written expression of ``q`` and ``qdot``."""

    expression: Expression

    def __call__(self, q: Tensor, rate: Tensor) -> Tensor:
        """See :class:`Law`."""
        return self.expression(q=q, qdot=rate)


@dataclass(frozen=True)
class CoordinateForce:
    """A law on one coordinate.

    Args:
        name: The force's name in the model.
        coordinate: Index of the coordinate.
        law: Its law.
    """

    name: str
    coordinate: int
    law: Law


def coordinate_forces(forces: Sequence[CoordinateForce], q: Tensor, rate: Tensor) -> Tensor:
    """Sum of all coordinate forces [N·m or N], shape [..., nq].

    Args:
        forces: The forces.
        q: Coordinates [rad or m], shape [..., nq].
        rate: Their time derivatives, shape [..., nq].
    """
    total = torch.zeros_like(q)
    if not forces:
        return total
    values = [force.law(q[..., force.coordinate], rate[..., force.coordinate]) for force in forces]
    index = constant([force.coordinate for force in forces], q.device)
    return total.index_add(-1, index, torch.stack(values, dim=-1))
