"""What a body's mechanics say about a motion, as residuals with derivatives: torques without jerks, feet that stay.

All residuals are in units of their standard deviations. A motion comes in parts, each an array of unknowns over time
[T, n]: small rotations of joints in their parents' axes and the root's place for poses, coordinates for a model's
motion. Everything is banded in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rates = tuple[Array, Array, Array]


class Residual(Protocol):
    """Something linearised that a motion's parts change.

    Args:
        residual: Its value, of any shape.
    """

    @property
    def residual(self) -> Array:
        """The value."""
        ...

    def forward(self, *parts: Array) -> Array:
        """Change of the residual with changes of the parts, each [T, n]."""
        ...

    def backward(self, weight: Array) -> tuple[Array, ...]:
        """The adjoint of :meth:`forward`."""
        ...


@dataclass(frozen=True, eq=False)
class TorqueBend:
    """Second differences of torques, linearised.

    Args:
        residual: In units of ``scale``, shape [T - 4, K].
        parts: Of torques by each part, by its rate and by its second derivative, three of shape [T - 2, K, n].
        scale: Standard deviation of each torque's second difference [N·m], shape [K].
        step: Time between frames [s].
    """

    residual: Array
    parts: tuple[Rates, ...]
    scale: Array
    step: float

    @staticmethod
    def at(torques: Array, parts: tuple[Rates, ...], scale: Array | float, step: float, *, group: int) -> TorqueBend:
        """From torques and their derivatives.

        Args:
            torques: Of all frames but the first and last [N·m], shape [T - 2, K].
            parts: As of the class.
            scale: As of the class; a number is the share of each group's own second differences.
            step: Time between frames [s].
            group: How many neighbouring torques have one scale: the three of a joint.
        """
        bend = np.diff(torques, n=2, axis=0)
        if not isinstance(scale, np.ndarray):
            size = np.sqrt((bend.reshape(len(bend), -1, group) ** 2).mean((0, 2)))
            scale = np.repeat(scale * size + 1e-3 * scale * size.max() + 1e-9, group)
        return TorqueBend(bend / scale, parts, scale, step)

    def forward(self, *parts: Array) -> Array:
        """Change of the residual with changes of the parts, each [T, n]."""
        torque: Array | float = 0.0
        for (position, speed, acceleration), x in zip(self.parts, parts, strict=True):
            rate, second = (x[2:] - x[:-2]) / (2 * self.step), (x[2:] - 2 * x[1:-1] + x[:-2]) / self.step**2
            for by, change in ((position, x[1:-1]), (speed, rate), (acceleration, second)):
                torque = torque + (by @ change[..., None])[..., 0]
        found: Array = np.diff(torque, n=2, axis=0) / self.scale
        return found

    def backward(self, weight: Array) -> tuple[Array, ...]:
        """The adjoint of :meth:`forward`: [T - 4, K] to the parts."""
        scaled = weight / self.scale
        torque = np.zeros((len(weight) + 2, scaled.shape[1]))
        torque[2:] += scaled
        torque[1:-1] -= 2 * scaled
        torque[:-2] += scaled
        found = []
        for part in self.parts:
            position, speed, acceleration = ((torque[:, None] @ by)[:, 0] for by in part)
            total = np.zeros((len(torque) + 2, position.shape[1]))
            total[1:-1] += position - 2 * acceleration / self.step**2
            total[2:] += speed / (2 * self.step) + acceleration / self.step**2
            total[:-2] += acceleration / self.step**2 - speed / (2 * self.step)
            found.append(total)
        return tuple(found)


@dataclass(frozen=True, eq=False)
class StandingPoints:
    """Points under the feet, and how far those that stand move from frame to frame.

    Args:
        residual: Steps of the points in units of ``scale``, weighted, shape [T - 1, K, 3].
        weight: How surely each point stands during each step, square root of 0 to 1, shape [T - 1, K].
        levers: How points move with each part, shape [T, K, 3, c], and with which of its columns, shape [K, c].
        widths: Numbers of columns n of the parts.
        scale: Standard deviation of a standing point's step [m].
    """

    residual: Array
    weight: Array
    levers: tuple[tuple[Array, NDArray[np.int64]], ...]
    widths: tuple[int, ...]
    scale: float

    @staticmethod
    def at(
        points: Array,
        levers: tuple[tuple[Array, NDArray[np.int64]], ...],
        widths: tuple[int, ...],
        *,
        weight: Array,
        belt: Array,
        scale: float | None,
        least: float,
    ) -> StandingPoints:
        """From points and their levers.

        Args:
            points: Places of the points [m], shape [T, K, 3].
            levers: As of the class.
            widths: As of the class.
            weight: As of the class.
            belt: Step of the ground itself from frame to frame [m], shape [3].
            scale: As of the class; from the points' own steps if not given.
            least: The scale is no smaller than this [m].
        """
        steps = np.diff(points, axis=0) - belt
        if scale is None:
            sure = weight**2
            size = (sure[..., None] * steps**2).sum() / max(3 * sure.sum(), 1e-9)
            scale = max(float(np.sqrt(size)), least)
        return StandingPoints(weight[..., None] * steps / scale, weight, levers, widths, scale)

    def forward(self, *parts: Array) -> Array:
        """Change of the residual with changes of the parts, each [T, n]."""
        moved = sum(
            (lever @ x[:, columns][..., None])[..., 0] for (lever, columns), x in zip(self.levers, parts, strict=True)
        )
        return self.weight[..., None] / self.scale * np.diff(moved, axis=0)

    def backward(self, weight: Array) -> tuple[Array, ...]:
        """The adjoint of :meth:`forward`: [T - 1, K, 3] to the parts."""
        scaled = self.weight[..., None] / self.scale * weight
        moved = np.zeros((len(weight) + 1, *weight.shape[1:]))
        moved[1:] += scaled
        moved[:-1] -= scaled
        found = []
        for (lever, columns), width in zip(self.levers, self.widths, strict=True):
            shares = (moved[..., None, :] @ lever)[..., 0, :]
            gather = np.zeros((columns.size, width))
            gather[np.arange(columns.size), columns.ravel()] = 1.0
            found.append(shares.reshape(len(moved), -1) @ gather)
        return tuple(found)


def crossing(vectors: Array) -> Array:
    """Matrices of d ↦ d × v, shape [..., 3] to [..., 3, 3]."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    o = np.zeros_like(x)
    return np.stack([o, z, -y, -z, o, x, y, -x, o], -1).reshape(*x.shape, 3, 3)
