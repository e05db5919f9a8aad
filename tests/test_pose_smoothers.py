"""What smoothing rates do to noise, against theory, and the linear maps that they are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import savgol_coeffs
from torch import Tensor

from known_rotations import analytic, seeded
from motorque.signals import NaturalSpline, butterworth
from motorque.signals.pose_rates import (
    CentralDifferences,
    FilteredDifferences,
    RauchTungStriebel,
    SavitzkyGolay,
    SmoothingSpline,
)
from motorque.signals.pose_rates.butterworth import _filter
from motorque.signals.pose_rates.likelihood import likely_noise
from motorque.signals.pose_rates.manifold import Rotations
from motorque.signals.pose_rates.quintic import (
    QuinticEquations,
    QuinticSmoother,
    _by_modes,
    _by_solving,
    degrees_of_freedom,
)
from motorque.signals.pose_rates.rotation_calculus import rotation_exp, rotation_log


def gain(weights: Tensor) -> float:
    """What white noise of one becomes under weights of samples."""
    return float(weights.square().sum().sqrt())


def test_noise_in_savitzky_golay() -> None:
    """As by the weights that SciPy has for it, in the middle and at the first frame."""
    fps, s = 30.0, 1e-3
    method = SavitzkyGolay(window=7, degree=4)
    r, p = rotation_exp(s * seeded(60, 300, 3)), s * seeded(300, 60, 3)
    found = method(r, torch.zeros(60, 3, dtype=torch.float64), fps)
    moved = method(torch.eye(3, dtype=torch.float64).expand(300, 60, 1, 3, 3), p, fps)
    for at, position in ((30, 3), (0, 0)):
        for order, turned, slid in (
            (1, found.angular_velocity, moved.velocity),
            (2, found.angular_acceleration, moved.acceleration),
        ):
            weights = savgol_coeffs(7, 4, deriv=order, pos=position, delta=1 / fps)
            wanted = s * gain(torch.tensor(weights))
            assert float(turned[at].std()) == pytest.approx(wanted, rel=0.06)
            assert float(slid[:, at].std()) == pytest.approx(wanted, rel=0.06)


def test_noise_in_filtered_differences() -> None:
    """The filter's gain times that of the differences, over all frequencies."""
    fps, cutoff, s = 100.0, 6.0, 1e-3
    found = FilteredDifferences(cutoff)(rotation_exp(s * seeded(3000, 20, 3)), s * seeded(3000, 3, seed=1), fps)
    f = torch.linspace(0, fps / 2, 20001, dtype=torch.float64)
    sharp = math.tan(math.pi * cutoff / fps) / (math.sqrt(2) - 1) ** 0.25  # warped, and corrected for two passes
    passed = 1 / (1 + (torch.tan(math.pi * f / fps) / sharp) ** 4)
    second = 4 * torch.sin(math.pi * f / fps) ** 2 * fps**2
    wanted = s * float((passed * second).square().mean().sqrt())
    assert float(found.angular_acceleration[100:-100].std()) == pytest.approx(wanted, rel=0.03)
    assert float(found.acceleration[100:-100].std()) == pytest.approx(wanted, rel=0.06)


@pytest.mark.parametrize("name", ["spline", "rts"])
def test_noise_in_smoothing_splines(name: str) -> None:
    """λ lets a frequency through with the gain 1 / (1 + λ ω⁶); the Kalman smoother with λ = h noise² / jerk² too."""
    fps, s, cutoff = 100.0, 1e-3, 4.0
    penalty = (2 * math.pi * cutoff) ** -6
    jerk = s * math.sqrt(1 / (fps * penalty))
    frames = 2000 if name == "spline" else 500
    method = {"spline": SmoothingSpline(penalty=penalty), "rts": RauchTungStriebel(s, jerk, s, jerk)}[name]
    joints = 40000 // frames
    found = method(rotation_exp(s * seeded(frames, joints, 3)), s * seeded(frames, 3, seed=1), fps)
    f = torch.linspace(0, fps / 2, 20001, dtype=torch.float64)
    omega = 2 * math.pi * f
    passed = 1 / (1 + penalty * omega**6)
    for order, turned in ((1, found.angular_velocity), (2, found.angular_acceleration)):
        wanted = s * float((passed * omega**order).square().mean().sqrt())
        assert float(turned[60:-60].std()) == pytest.approx(wanted, rel=0.03)


def test_the_kalman_smoother_is_the_smoothing_spline() -> None:
    """Two ways to one curve: an integrated random walk, and the integral of a squared derivative (Wahba 1978)."""
    fps, s = 60.0, 0.02
    spline = SmoothingSpline.at_cutoff(3.0)
    jerk = s * math.sqrt(1 / (fps * spline.penalty))
    x = analytic(150, fps, pace=1.0)
    turned = rotation_exp(s * seeded(150, 2, 3)) @ x.rotation
    place = x.translation + s * seeded(150, 3, seed=1)
    one, two = spline(turned, place, fps), RauchTungStriebel(s, jerk, s, jerk)(turned, place, fps)
    assert torch.allclose(one.translation, two.translation, atol=1e-6)
    assert torch.allclose(one.acceleration, two.acceleration, atol=1e-3)
    # The faster joints turn the more they differ: the spline leaves an error's axis in the parent, the filter takes it
    # along.
    assert float(rotation_log(one.rotation @ two.rotation.mT)[20:-20].abs().max()) < 0.05 * s
    assert float((one.angular_acceleration - two.angular_acceleration)[20:-20].abs().max()) < 0.15


def test_noise_is_found() -> None:
    """Cross-validation and likelihood come near the best that a single number can do; likelihood names the noise."""
    fps, s = 60.0, 0.02
    x = analytic(240, fps, pace=4.0)
    turned = rotation_exp(s * seeded(240, 2, 3, seed=4)) @ x.rotation

    def error(method: object) -> float:
        found = method(turned, x.translation, fps)
        return float((found.angular_acceleration - x.angular_acceleration)[30:-30].square().mean().sqrt())

    best = min(error(SmoothingSpline.at_cutoff(f)) for f in (0.7, 1.0, 1.4, 2.0, 2.8, 4.0))
    assert error(SmoothingSpline()) < 1.5 * best
    assert error(RauchTungStriebel()) < 2.5 * best
    assert best < 0.01 * error(CentralDifferences())
    found, _ = likely_noise(Rotations(), turned, None, None, None)
    assert torch.allclose(found.sqrt(), torch.tensor(s, dtype=torch.float64), rtol=0.07)
    known = torch.full((2,), s**2, dtype=torch.float64)
    _, free = likely_noise(Rotations(), turned, None, None, None)
    _, jerk = likely_noise(Rotations(), turned, None, known, None)
    again, _ = likely_noise(Rotations(), turned, None, None, jerk)
    assert torch.allclose(jerk.log(), free.log(), atol=0.5) and torch.allclose(again, known, rtol=0.25)


def test_a_filter_of_one_axis_is_the_packages_filter() -> None:
    fps = 50.0
    angle = 0.8 * torch.sin(torch.arange(100, dtype=torch.float64) / 8) + 0.05 * seeded(100)
    axis = torch.tensor([0.0, 0.6, 0.8], dtype=torch.float64)
    found = FilteredDifferences(6.0)(rotation_exp(angle[:, None, None] * axis), seeded(100, 3), fps)
    wanted = torch.tensor(butterworth(angle.numpy(), fps, 6.0).copy())
    assert torch.allclose(rotation_log(found.rotation)[:, 0] @ axis, wanted, atol=1e-12)


@pytest.mark.parametrize("frames", [7, 40])
def test_linear_maps_and_their_transposes(frames: int) -> None:
    eye = np.eye(frames)
    weights = np.ones(frames)
    weights[[1, 4]] = 0
    maps = [_filter(frames, 50.0, 8.0, 4)]
    maps += [QuinticSmoother(QuinticEquations.of(frames, 30.0, weights), order) for order in (0, 1, 2)]
    for linear in maps:
        np.testing.assert_allclose(linear.backward(eye), linear.forward(eye).T, atol=1e-12)


def test_smoothing_splines_are_natural_and_keep_parabolas() -> None:
    t = np.arange(50.0)
    parabola = (3 - 2 * t + 0.1 * t**2)[:, None]
    for penalty in (1e-2, 1e4, 1e10):
        equations = QuinticEquations.of(50, penalty)
        for order, wanted in enumerate((parabola, -2 + 0.2 * t[:, None], np.full((50, 1), 0.2))):
            np.testing.assert_allclose(QuinticSmoother(equations, order).forward(parabola), wanted, atol=1e-6)
    noise = np.random.default_rng(0).normal(size=50)
    spline = NaturalSpline(t, QuinticSmoother(QuinticEquations.of(50, 20.0), 0).forward(noise[:, None])[:, 0])
    for order in (1, 2):
        found = QuinticSmoother(QuinticEquations.of(50, 20.0), order).forward(noise[:, None])[:, 0]
        np.testing.assert_allclose(found, spline(t, order), atol=1e-9)


@pytest.mark.parametrize("frames", [12, 60, 200])
def test_degrees_of_freedom_are_the_trace(frames: int) -> None:
    for penalty in (1.0, 1e3, 1e6):
        trace = np.trace(QuinticSmoother(QuinticEquations.of(frames, penalty), 0).forward(np.eye(frames)))
        assert float(degrees_of_freedom(frames, np.array(penalty))) == pytest.approx(trace, abs=0.12)


def test_two_ways_to_cross_validation_agree() -> None:
    columns, tried = np.random.default_rng(0).normal(size=(80, 6)), np.geomspace(1e-2, 1e8, 11)
    columns += 10 * np.sin(np.arange(80) / 9)[:, None]
    (squares, freedom), (wanted, about) = _by_modes(columns, tried), _by_solving(columns, np.ones(80), tried)
    np.testing.assert_allclose(squares, wanted, rtol=1e-5)
    np.testing.assert_allclose(freedom, about, rtol=0.01)  # the one exact, the other for many frames
