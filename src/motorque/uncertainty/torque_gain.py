"""How generalized forces follow coordinates, their derivatives and loads, frame by frame.

By differences of inverse dynamics itself, which is linear in accelerations and loads and quadratic in speeds, so that
only the derivative by position carries a truncation error, of 1e-8 of the force. A thousand frames take as many
evaluations as a small Monte Carlo run, some tenths of a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.mechanics.backends import may_compile
from motorque.mechanics.compiled import machine
from motorque.mechanics.dynamics import inverse_dynamics
from motorque.mechanics.speeds import speeds_from_rates
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
Wrenches = Mapping[str, Floats]
"""Force [N] and moment about the ground origin [N·m] on bodies by name, side by side, each of shape [..., 6]."""

STEP = 1e-4
"""Change of a position for its derivative [rad or m]; the next term is its square."""

ROWS = 60_000
"""Evaluations at once: some tens of MB."""


@dataclass(frozen=True, eq=False)
class TorqueGain:
    """Derivatives of generalized forces.

    Args:
        motion: By value, first and second time derivative of each coordinate, shape [3, T, nv, nq].
        loads: By force and moment about the ground origin of each loaded body, shape [T, nv, 6] each.
    """

    motion: Array
    loads: Wrenches


def generalized_forces(skeleton: Skeleton, motion: Floats, loads: Wrenches, *, many: bool = False) -> Floats:
    """Inverse dynamics of coordinates and their time derivatives, as `analyze` does it; float32 stays float32.

    Args:
        skeleton: The skeleton, of the arrays' precision.
        motion: Coordinates, their first and their second time derivatives, shape [3, N, nq].
        loads: Wrenches on bodies, shape [N, 6] each.
        many: Whether so many more will be asked for that compiling pays at once, which takes a second or two and is
            kept.

    Returns:
        Shape [N, nv] [N·m or N].
    """
    position, v, a = (torch.as_tensor(x) for x in motion)
    if skeleton.balls:
        v, a = speeds_from_rates(skeleton, position, v, a)
    wrenches = {body: (torch.as_tensor(x[..., :3]), torch.as_tensor(x[..., 3:])) for body, x in loads.items()}
    able = many and not machine.why_not() and may_compile(skeleton, "auto")
    tau: Floats = inverse_dynamics(
        skeleton, position, v, a, loads=wrenches, ignore_constraints=True, backend="compiled" if able else "auto"
    ).numpy()
    return tau


def torque_gain(skeleton: Skeleton, motion: Array, loads: Wrenches) -> TorqueGain:
    """Derivatives of generalized forces along a motion; arguments as for :func:`generalized_forces`, [T, ...]."""
    frames, count = motion.shape[1:]
    names = list(loads)
    wide = np.concatenate([*motion, *(loads[n] for n in names)], axis=1)
    steps = np.concatenate([np.full(count, STEP), np.ones(2 * count + 6 * len(names))])
    columns = wide.shape[1]
    change = np.concatenate([np.diag(steps), -np.diag(steps)])
    gain = np.empty((frames, columns, skeleton.nv))
    block = max(1, ROWS // len(change))
    for start in range(0, frames, block):
        part = wide[start : start + block]
        moved = (part[:, None] + change).reshape(-1, columns)
        pieces = np.split(moved, np.cumsum([count, count, count, *([6] * len(names))])[:-1], axis=1)
        pieces = [np.ascontiguousarray(x) for x in pieces]
        tau = generalized_forces(skeleton, np.stack(pieces[:3]), dict(zip(names, pieces[3:], strict=True)))
        tau = tau.reshape(len(part), 2, columns, -1)
        gain[start : start + block] = (tau[:, 0] - tau[:, 1]) / (2 * steps[:, None])
    by_motion = np.stack(np.split(gain[:, : 3 * count], 3, axis=1)).transpose(0, 1, 3, 2)
    by_loads = {n: gain[:, 3 * count + 6 * i : 3 * count + 6 * i + 6].transpose(0, 2, 1) for i, n in enumerate(names)}
    return TorqueGain(np.ascontiguousarray(by_motion), by_loads)
