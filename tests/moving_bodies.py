"""Motions of trees as curves, for derivatives by forward-mode differentiation; and states of the `opensim` wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from motorque.files.osim import read_osim
from motorque.mechanics.kinematics import BodyPoses, forward_kinematics
from motorque.skeleton.rotations import convert_positions, join_positions
from motorque.skeleton.skeleton import Skeleton


def positions_along(skeleton: Skeleton, q: Tensor, v: Tensor, time: Tensor, a: Tensor | None = None) -> Tensor:
    """Positions, rotations as matrices, a time after a motion had given positions, speeds and accelerations.

    A ball joint's rotation is R(t) = exp([v t + a t²/2]) R(0): its angular velocity in F is v at zero and changes by a.
    """
    matrices = skeleton.with_rotations("matrix")
    coordinates, rotations = matrices.split_positions(convert_positions(q, skeleton, matrices))
    step = v * time if a is None else v * time + 0.5 * a * time**2
    if rotations is not None:
        w = step[..., torch.tensor([skeleton.joints[body].ball for body in skeleton.balls])]
        zero = torch.zeros_like(w[..., 0])
        rows = (zero, -w[..., 2], w[..., 1], w[..., 2], zero, -w[..., 0], -w[..., 1], w[..., 0], zero)
        rotations = torch.linalg.matrix_exp(torch.stack(rows, -1).unflatten(-1, (3, 3))) @ rotations
    return join_positions(matrices, coordinates + step, rotations)


def poses_along(skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor, time: Tensor) -> BodyPoses:
    """Bodies a time after a motion had given positions, speeds and accelerations (:func:`positions_along`)."""
    return forward_kinematics(skeleton.with_rotations("matrix"), positions_along(skeleton, q, v, time, a))


def derivatives(along: Any) -> tuple[Tensor, Tensor]:
    """First and second derivative at zero of a function of time."""
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)

    def rate(time: Tensor) -> Tensor:
        return torch.func.jvp(along, (time,), (one,))[1]

    return torch.func.jvp(rate, (zero,), (one,))


def spin_of(turning: Tensor) -> Tensor:
    """Vectors of skew matrices [..., 3, 3]."""
    return torch.stack([turning[..., 2, 1], turning[..., 0, 2], turning[..., 1, 0]], -1)


class WheelState:
    """A model of the `opensim` wheel without forces, and its state; vectors in motorque's order.

    The wheel rounds what it reads from files older than 4.0. It writes the model anew into its working folder, so that
    both sides read the same numbers.
    """

    def __init__(self, opensim: Any, path: Path) -> None:
        old = opensim.Model(str(path))
        old.updForceSet().clearAndDestroy()
        old.finalizeConnections()
        old.printToXML("again.osim")
        self.opensim, self.skeleton = opensim, read_osim(Path("again.osim")).skeleton
        self.model, skeleton = opensim.Model("again.osim"), self.skeleton
        self.state = self.model.initSystem()
        self.coordinates = self.model.getCoordinateSet()
        slots = []
        for c in skeleton.coordinates:
            self.coordinates.get(c.name).setLocked(self.state, False)
        for c in skeleton.coordinates:
            for other in skeleton.coordinates:
                self.coordinates.get(other.name).setSpeedValue(self.state, float(other.name == c.name))
            slots.append(int(np.argmax(np.abs(self.state.getU().to_numpy()))))
        self.slots = slots

    def set(self, q: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Put it into a state; the positions that it then has (clamped coordinates may not take every value)."""
        for c, x, y in zip(self.skeleton.coordinates, q, v, strict=True):
            self.coordinates.get(c.name).setValue(self.state, float(x), False)
            self.coordinates.get(c.name).setSpeedValue(self.state, float(y))
        self.model.realizeVelocity(self.state)
        return np.array([self.coordinates.get(c.name).getValue(self.state) for c in self.skeleton.coordinates])

    def accelerations(self) -> np.ndarray:
        """Accelerations that nothing but gravity gives, in motorque's order."""
        self.model.realizeAcceleration(self.state)
        return self.state.getUDot().to_numpy()[self.slots]

    def body(self, name: str) -> Any:
        """A body of the model."""
        return self.model.getBodySet().get(name)
