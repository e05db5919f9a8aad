"""Rates of sampled poses: known motions, ends, half turns, missing frames and derivatives of every method."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.signals.pose_rates import METHODS, CentralDifferences, PoseRates, pose_rates
from motorque.signals.pose_rates.rotation_calculus import rotation_exp, rotation_log, turned_by, turning_rates

methods = pytest.mark.parametrize("method", list(METHODS))


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


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


def errors(found: PoseRates, wanted: PoseRates, inner: slice = slice(None)) -> tuple[float, ...]:
    names = ("angular_velocity", "angular_acceleration", "velocity", "acceleration")
    return tuple(float((getattr(found, n) - getattr(wanted, n))[inner].abs().max()) for n in names)


def test_rotation_vectors_there_and_back() -> None:
    vector = 2.0 * seeded(2000, 3)
    matrix = rotation_exp(vector)
    eye = torch.eye(3, dtype=torch.float64)
    assert float((matrix @ matrix.mT - eye).abs().max()) < 1e-14
    assert float((rotation_exp(rotation_log(matrix)) - matrix).abs().max()) < 1e-14
    short = vector[vector.norm(dim=-1) < 3.1]
    assert float((rotation_log(rotation_exp(short)) - short).abs().max()) < 1e-13
    half = torch.tensor([[math.pi, 0.0, 0.0], [0.0, -math.pi, 0.0]], dtype=torch.float64)
    assert torch.allclose(rotation_log(rotation_exp(half)).abs(), half.abs(), atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-3, 0.99, 1.01, 3.1])
def test_rotation_vectors_have_two_derivatives(angle: float) -> None:
    x = torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64) * angle
    y, z = seeded(2, 3)
    inputs = [v.clone().requires_grad_() for v in (x, y, z)]
    assert torch.autograd.gradcheck(rotation_exp, inputs[:1])
    assert torch.autograd.gradcheck(lambda v: rotation_log(rotation_exp(v)), inputs[:1])
    assert torch.autograd.gradgradcheck(lambda v: rotation_log(rotation_exp(v)), inputs[:1], atol=1e-4)
    assert torch.autograd.gradcheck(turning_rates, inputs)
    assert torch.autograd.gradgradcheck(turning_rates, inputs, atol=1e-4)


@pytest.mark.parametrize("size", [1e-3, 0.5, 2.0])
def test_turning_rates_are_those_of_the_rotation(size: float) -> None:
    c, h = size * seeded(4, 3), 1e-4

    def at(t: float) -> Tensor:
        return c[0] + c[1] * t + c[2] * t**2 + c[3] * t**3

    w, dw = turning_rates(at(0.1), c[1] + 0.2 * c[2] + 0.03 * c[3], 2 * c[2] + 0.6 * c[3])
    turns = [rotation_exp(at(t)) for t in (0.1 - h, 0.1, 0.1 + h)]
    before, after = (rotation_log(two @ one.mT) for one, two in zip(turns[:-1], turns[1:], strict=True))
    assert torch.allclose(w, (after + before) / (2 * h), atol=3e-7 * size)
    assert torch.allclose(dw, (after - before) / h**2, atol=3e-7 * max(size, 0.1))


def test_central_differences_are_of_second_order() -> None:
    coarse, fine = (
        errors(pose_rates((x := analytic(n, fps)).rotation, x.translation, fps), x, slice(1, -1))
        for n, fps in ((41, 40.0), (81, 80.0))
    )
    for one, two in zip(coarse[:3], fine[:3], strict=True):
        assert 3.7 < one / two < 4.3 and two < 3e-3
    assert fine[3] < 1e-9  # a cubic's second difference is exact


def test_central_differences_at_the_ends() -> None:
    """Velocities to second order, accelerations to first."""
    coarse, fine = (
        errors(pose_rates((x := analytic(n, fps)).rotation, x.translation, fps), x, slice(0, 1))
        for n, fps in ((201, 200.0), (401, 400.0))
    )
    ratios = [one / two for one, two in zip(coarse, fine, strict=True)]
    assert ratios[0] == pytest.approx(4, abs=0.2) and ratios[2] == pytest.approx(4, abs=0.2)
    assert ratios[1] == pytest.approx(2, abs=0.1) and ratios[3] == pytest.approx(2, abs=0.1)
    x = analytic(9, 50.0)
    none = CentralDifferences(ends="nan")(x.rotation, x.translation, 50.0)
    for y in (none.angular_velocity, none.angular_acceleration, none.velocity, none.acceleration):
        assert y[[0, -1]].isnan().all() and y[1:-1].isfinite().all()


@methods
def test_a_constant_angular_velocity_beyond_half_turns(method: str) -> None:
    fps = 60.0
    w = torch.tensor([[0.4, 5.0, -0.3], [0.0, 0.0, 2.0]], dtype=torch.float64)
    t = torch.arange(240, dtype=torch.float64)[:, None, None] / fps
    r = rotation_exp(t * w) @ rotation_exp(seeded(2, 3))
    found = pose_rates(r, seeded(1, 3).expand(240, 3), fps, method=method)
    assert torch.allclose(found.angular_velocity, w.expand(240, 2, 3), atol=1e-6)
    assert torch.allclose(found.angular_acceleration, torch.zeros(240, 2, 3, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(found.rotation, r, atol=1e-7)
    assert float(found.velocity.abs().max()) < 1e-6 and float(found.acceleration.abs().max()) < 1e-5


def test_noise_in_central_differences() -> None:
    """White noise s gives s / (sqrt(2) h) and sqrt(6) s / h²."""
    fps, s = 30.0, 1e-3
    r = rotation_exp(s * seeded(4000, 20, 3))
    found = pose_rates(r, s * seeded(4000, 3, seed=1), fps)
    for w, dw in (
        (found.angular_velocity, found.angular_acceleration),
        (found.velocity, found.acceleration),
    ):
        assert float(w[1:-1].std()) == pytest.approx(s * fps / math.sqrt(2), rel=0.02)
        assert float(dw[1:-1].std()) == pytest.approx(math.sqrt(6) * s * fps**2, rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r, p: pose_rates(r, p, 0.0), "frame rate must be a positive"),
        (lambda r, p: pose_rates(r, p, float("nan")), "frame rate must be a positive"),
        (lambda r, p: pose_rates(r, p, None), "frame rate must be a positive"),
        (lambda r, p: pose_rates(r[:1], p[:1], 30.0), "1 frames are too few"),
        (lambda r, p: pose_rates(r[..., 0], p, 30.0), "must have the shape"),
        (lambda r, p: pose_rates(r, p[:3], 30.0), "want a translation of shape"),
        (lambda r, p: pose_rates(r, p.float(), 30.0), "bring one to the other"),
        (lambda r, p: pose_rates(r, p, 30.0, method="magic"), "no way to rates called 'magic'"),
        (lambda r, p: CentralDifferences(ends="repeat"), "end 'one-sided' or with 'nan'"),
    ],
)
def test_says_what_is_wrong(call, message: str) -> None:
    x = analytic(12, 30.0)
    with pytest.raises(DataError, match=message) as caught:
        call(x.rotation, x.translation)
    assert "\n" not in str(caught.value)
