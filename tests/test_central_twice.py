"""Central differences taken twice: what they leave of motion, what they make of noise, and where they end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motorque.errors import DataError
from motorque.signals.pose_rates import CentralTwice, pose_rates
from motorque.signals.pose_rates.rotation_calculus import rotation_exp

FPS = 30.0


def swing(frequency: float, frames: int = 90) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A turn to and fro about a fixed axis, and the same of the root; its angle [rad, m]."""
    times = torch.arange(frames, dtype=torch.float64) / FPS
    angle = 0.4 * torch.sin(2 * torch.pi * frequency * times)
    vector = angle[:, None, None] * torch.tensor([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]], dtype=torch.float64)
    return rotation_exp(vector), vector[:, 0], vector


@pytest.mark.parametrize("frequency", [1.0, 6.0])
def test_a_swing_is_left_with_the_share_that_is_promised(frequency) -> None:
    rotations, translation, vector = swing(frequency)
    found = pose_rates(rotations, translation, FPS, method="central-twice")
    x = 2 * np.pi * frequency / FPS
    truth = -((2 * np.pi * frequency) ** 2) * vector * (np.sin(x) / x) ** 2
    inner = slice(2, -2)
    assert torch.allclose(found.angular_acceleration[inner], truth[inner], atol=1e-9)
    assert torch.allclose(found.acceleration[inner], truth[inner, 0], atol=1e-9)


def test_white_noise_is_amplified_as_promised() -> None:
    noise = 1e-4 * torch.from_numpy(np.random.default_rng(0).standard_normal((4000, 3, 3)))
    translation = noise[:, 0]
    found = pose_rates(rotation_exp(noise), translation, FPS, method="central-twice")
    expected = 1e-4 * FPS**2 * 6**0.5 / 4
    assert float(found.angular_acceleration.std()) == pytest.approx(expected, rel=0.02)
    assert float(found.acceleration.std()) == pytest.approx(expected, rel=0.03)
    central = pose_rates(rotation_exp(noise), translation, FPS)
    assert float(central.angular_acceleration.std()) == pytest.approx(4 * expected, rel=0.02)


def test_angular_velocity_is_in_the_parents_axes() -> None:
    """A turn about a fixed axis of the parent, of a child that stands askew."""
    askew = rotation_exp(torch.tensor([0.3, -0.5, 0.9], dtype=torch.float64))
    rotations, translation, vector = swing(1.0)
    plain = pose_rates(rotations, translation, FPS, method="central-twice")
    turned = pose_rates(rotations @ askew, translation, FPS, method="central-twice")
    assert torch.allclose(plain.angular_velocity, turned.angular_velocity, atol=1e-12)
    assert torch.allclose(plain.angular_acceleration, turned.angular_acceleration, atol=1e-10)


def test_ends_and_gaps() -> None:
    rotations, translation, _ = swing(1.0, 20)
    translation = translation.clone()
    translation[10] = torch.nan
    found = CentralTwice(ends="nan")(rotations, translation, FPS)
    turning = found.angular_acceleration.isfinite().all(-1).all(-1)
    assert turning.tolist() == [False] * 2 + [True] * 16 + [False] * 2
    sliding = found.acceleration.isfinite().all(-1)
    assert sliding.tolist() == [False] * 2 + [True] * 6 + [False] * 5 + [True] * 5 + [False] * 2
    speed = found.velocity.isfinite().all(-1)
    assert speed.tolist() == [False] + [True] * 8 + [False] * 3 + [True] * 7 + [False]
    whole = CentralTwice()(rotations, translation, FPS)
    assert whole.angular_acceleration.isfinite().all()
    assert whole.acceleration.isfinite().all(-1).tolist() == [True] * 8 + [False] * 5 + [True] * 7
    with pytest.raises(DataError, match="one-sided"):
        CentralTwice(ends="mirror")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="at least 5"):
        CentralTwice()(rotations[:4], translation[:4], FPS)


def test_gradients_agree_with_differences() -> None:
    vectors = torch.from_numpy(np.random.default_rng(2).normal(0, 0.3, (6, 2, 3))).requires_grad_()
    path = torch.from_numpy(np.random.default_rng(3).normal(0, 0.3, (6, 3))).requires_grad_()

    def rates(x: torch.Tensor, p: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = CentralTwice()(rotation_exp(x), p, 2.0)
        return found.angular_velocity, found.angular_acceleration, found.acceleration

    assert torch.autograd.gradcheck(rates, (vectors, path))
