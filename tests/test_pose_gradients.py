"""Gradients of all inputs by every way to rates and through the physics loss, to 1e-6 of central differences (float64).

Two seconds of movement; `benchmarks/pose_gradients.py` prints the differences for 10,000 frames.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gradient_checks import checked_gradients
from known_rotations import seeded
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.signals.pose_rates import METHODS, RateMethod, RauchTungStriebel, SmoothingSpline

FPS, FRAMES = 30.0, 60


def method(name: str) -> str | RateMethod:
    """Strengths that are chosen from the data are taken as given by gradients; here they are given."""
    if name == "spline":
        return SmoothingSpline.at_cutoff(6.0)
    if name == "rts":
        return RauchTungStriebel(noise=0.02, jerk=100.0, place_noise=0.005, place_jerk=30.0)
    return name


def swinging() -> list[Tensor]:
    times = torch.arange(FRAMES, dtype=torch.float64)[:, None] / FPS
    return [
        0.3 * torch.sin(2 * math.pi * (0.3 + seeded(n, seed=n).abs().clamp(max=1)) * times + seeded(n, seed=n + 1))
        for n in (3, 69, 3)
    ]


@pytest.mark.parametrize("rates", list(METHODS))
def test_torques_by_every_input(rates: str) -> None:
    def torques(*x: Tensor) -> list[Tensor]:
        layer = SMPLDynamics(fps=FPS, mass=x[3], height=x[4], rates=method(rates))
        return [layer(*x[:3], {"left_ankle": (x[5], x[6])}).torques]

    person = [torch.tensor(72.0, dtype=torch.float64), torch.tensor(1.75, dtype=torch.float64)]
    load = [300 * seeded(FRAMES, 3), 30 * seeded(FRAMES, 3, seed=1)]
    checked_gradients(torques, [*swinging(), *person, *load], step=1e-5)


def test_the_physics_loss_by_every_input() -> None:
    given = [x + 0.05 * seeded(*x.shape, seed=5) for x in swinging()]

    def loss(*x: Tensor) -> list[Tensor]:
        layer = SMPLDynamics(fps=FPS, mass=x[3], height=x[4])
        return [layer.physics_loss(*x[:3], given=tuple(given))[None]]

    person = [torch.tensor(72.0, dtype=torch.float64), torch.tensor(1.75, dtype=torch.float64)]
    checked_gradients(loss, [*swinging(), *person], step=1e-6)
