"""Rotations whose rates are known in closed form, and seeded numbers, for tests of pose rates."""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.signals.pose_rates import PoseRates
from motorque.signals.pose_rates.rotation_calculus import rotation_exp, rotation_log, turned_by

FPS = 30.0
UP = {"y": (0, 1, 0), "z": (0, 0, 1), "-y": (0, -1, 0), "-z": (0, 0, -1)}
"""What is up in a world, by the layer's names."""


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def analytic(frames: int, fps: float, *, joints: int = 2, pace: float = 2.0, size: float = 0.8) -> PoseRates:
    """Two swings about two axes, one after the other: rotations with rates in closed form."""
    t = torch.arange(frames, dtype=torch.float64)[:, None, None] / fps
    rotation = torch.eye(3, dtype=torch.float64).expand(frames, joints, 3, 3)
    w, dw = torch.zeros(2, frames, joints, 3, dtype=torch.float64)
    for part in range(2):
        axis, phase = seeded(joints, 3, seed=part), seeded(joints, 1, seed=5 + part)
        axis = axis / axis.norm(dim=-1, keepdim=True)
        k = pace * (1 + 0.3 * part)
        angle, rate, change = size * torch.sin(k * t + phase), size * k * torch.cos(k * t + phase), 0.0
        change = -(k**2) * angle
        rotation, w, dw = turned_by(angle * axis, rate * axis, change * axis, rotation, w, dw)
    c = seeded(4, 3, seed=9)
    s = t[:, 0]
    place = c[0] + c[1] * s + c[2] * s**2 + c[3] * s**3
    return PoseRates(rotation, place, w, dw, c[1] + 2 * c[2] * s + 3 * c[3] * s**2, 2 * c[2] + 6 * c[3] * s)


def moving(frames: int, *, batch: tuple[int, ...] = (), seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Somebody swings every joint by up to 0.5 rad with up to 1 Hz, and goes astray; the root turns far."""
    t = torch.arange(frames, dtype=torch.float64)[:, None] / FPS
    pace, phase = 6 * torch.rand(2, *batch, 1, 75, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    swing = 0.5 * torch.sin(pace * t + phase)
    turn = torch.tensor([0.0, 2.5, 0.0], dtype=torch.float64) * t
    return rotation_log(rotation_exp(turn) @ rotation_exp(swing[..., :3])), swing[..., 3:72], swing[..., 72:]
