"""Rotations and places as a filter sees them: points, small steps between points, and how an error moves along."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from motorque.signals.pose_rates.rotation_calculus import left_jacobian, rotation_exp, rotation_log


class Manifold(Protocol):
    """Where a path lies."""

    def step(self, point: Tensor, vector: Tensor) -> Tensor:
        """The point that a vector [..., 3] leads to."""
        ...

    def between(self, one: Tensor, two: Tensor) -> Tensor:
        """The vector [..., 3] that leads from one point to another."""
        ...

    def displacement(self, rate: Tensor, change: Tensor) -> Tensor:
        """The step of one frame at a rate and with its constant change, both by frames; [..., 3]."""
        ...

    def carried(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """What a step makes of an error of its start, and of one of itself; each [..., 3, 3]."""
        ...


class Rotations:
    """Rotations [..., 3, 3]; vectors are rotation vectors in the axes that they map to."""

    def step(self, point: Tensor, vector: Tensor) -> Tensor:
        """See `Manifold`."""
        return rotation_exp(vector) @ point

    def between(self, one: Tensor, two: Tensor) -> Tensor:
        """See `Manifold`."""
        return rotation_log(two @ one.mT)

    def displacement(self, rate: Tensor, change: Tensor) -> Tensor:
        """By Magnus' series to fourth order."""
        return rate + 0.5 * change - torch.linalg.cross(rate, change) / 12

    def carried(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """See `Manifold`."""
        return rotation_exp(step), left_jacobian(step)


class Places:
    """Places [..., 3]."""

    def step(self, point: Tensor, vector: Tensor) -> Tensor:
        """See `Manifold`."""
        return point + vector

    def between(self, one: Tensor, two: Tensor) -> Tensor:
        """See `Manifold`."""
        return two - one

    def displacement(self, rate: Tensor, change: Tensor) -> Tensor:
        """See `Manifold`."""
        return rate + 0.5 * change

    def carried(self, step: Tensor) -> tuple[Tensor, Tensor]:
        """See `Manifold`."""
        eye = torch.eye(3, dtype=step.dtype, device=step.device).expand(*step.shape, 3)
        return eye, eye
