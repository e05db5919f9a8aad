"""Smoothing that sets itself: what it makes of noise whose size and kind are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from motorque.errors import DataError
from motorque.signals import butterworth
from motorque.signals.adaptive import LEAST, adaptive_fit, adaptive_smoothing, blend, windows

RATE, FRAMES = 30.0, 150


def moving(frames: int = FRAMES, channels: int = 12, seed: int = 3) -> np.ndarray:
    """A few slow courses in many channels, as joints move together; shape [T, C]."""
    generator = np.random.default_rng(seed)
    times = np.arange(frames) / RATE
    courses = np.stack([np.sin(2 * np.pi * f * times + p) for f, p in ((0.5, 0.0), (1.0, 1.0), (2.0, 2.0))], axis=1)
    return courses @ (generator.normal(size=(3, channels)) * [[0.3], [0.2], [0.05]])


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))


def noise(shape: tuple[int, ...], kept: float, seed: int) -> np.ndarray:
    white = np.random.default_rng(seed).normal(size=shape)
    white[1:] *= np.sqrt(1 - kept**2)
    return np.asarray(lfilter([1.0], [1.0, -kept], white, axis=0))


def test_white_noise_is_measured_and_taken_away() -> None:
    clean = moving()
    noisy = clean + 0.05 * noise(clean.shape, 0.0, 1)
    fit = adaptive_fit(noisy)
    assert np.sqrt(np.diag(fit.noise)) == pytest.approx(np.full(12, 0.05), rel=0.25)
    best = min(rms(butterworth(noisy, RATE, f) - clean) for f in (1.5, 2, 2.5, 3, 4, 5, 6))
    # As good as the best cutoff that is known only afterwards
    assert rms(fit.smoothed - clean) < 1.1 * best


def test_standard_deviations_are_those_of_the_errors() -> None:
    clean = moving()
    ratios = []
    for seed in range(10):
        fit = adaptive_fit(clean + 0.05 * noise(clean.shape, 0.0, seed))
        ratios.append(rms((fit.smoothed - clean) / fit.standard_deviation()))
    assert 0.85 < np.mean(ratios) < 1.15


def test_noise_that_lasts_is_told_from_white_noise() -> None:
    # Much of it must be faster than the motion: what is as slow as the motion can't be told from it.
    clean = moving(frames=240)
    fit = adaptive_fit(clean + 0.05 * noise(clean.shape, 0.7, 1))
    white = adaptive_fit(clean + 0.05 * noise(clean.shape, 0.0, 1))
    lag = fit.kept * (1 - fit.white_share)
    assert 0.4 < lag < 0.9
    assert white.kept * (1 - white.white_share) < 0.2


def test_a_noisy_direction_is_smoothed_and_the_others_are_left() -> None:
    clean = moving()
    axis = np.array([2.0, 1.0, 2.0]) / 3
    along = 0.08 * noise((FRAMES, 4), 0.0, 2)[..., None] * axis
    across = 0.002 * noise((FRAMES, 4, 3), 0.0, 3)
    fit = adaptive_fit(clean + (along + across).reshape(FRAMES, 12), block=3)
    block = fit.noise[:3, :3]
    values, vectors = np.linalg.eigh(block)
    assert abs(vectors[:, 2] @ axis) > 0.98
    off = (fit.smoothed - clean).reshape(FRAMES, 4, 3)
    across_left = off - (off @ axis)[..., None] * axis
    assert rms(off @ axis) < 0.4 * 0.08
    assert rms(across_left) < 0.01


def test_what_channels_bring_about_together_is_believed_to_be_slow() -> None:
    """Pairs of channels swing against each other; a heavy load that both carry hardly notices."""
    generator = np.random.default_rng(5)
    swing = moving(seed=7)
    clean = np.concatenate([swing, -swing], axis=1)
    effects = np.concatenate([np.eye(24), 30 * np.tile(np.eye(12), 2)])[None]
    gains = []
    for _ in range(3):
        noisy = clean + 0.05 * generator.normal(size=clean.shape)
        one, two = adaptive_fit(noisy), adaptive_fit(noisy, effects=effects)
        loads = [np.diff((fit.smoothed - clean) @ effects[0, 24:].T, n=2, axis=0) for fit in (one, two)]
        gains.append([rms(loads[1]) / rms(loads[0]), rms(two.smoothed - clean) / rms(one.smoothed - clean)])
    load, value = np.mean(gains, axis=0)
    assert load < 0.8 and value < 1.0


def test_a_clean_motion_stays_as_it_is() -> None:
    clean = moving()
    assert np.abs(adaptive_smoothing(clean) - clean).max() < 1e-3 * np.ptp(clean)


def test_what_does_not_move_and_has_no_noise_stays_exactly() -> None:
    still = np.zeros((FRAMES, 6))
    still[:, 3:] = 0.05 * noise((FRAMES, 3), 0.0, 1)
    smoothed = adaptive_smoothing(still, block=3)
    assert np.abs(smoothed[:, :3]).max() < 1e-9


def test_outliers_do_not_pull() -> None:
    clean = moving()
    noisy = clean + 0.02 * noise(clean.shape, 0.0, 1)
    spoiled = noisy.copy()
    for frame, channel in ((30, 0), (60, 4), (61, 4), (100, 7)):
        spoiled[frame, channel] += 1.5
    fit = adaptive_fit(spoiled)
    assert fit.weights[30, 0] < 0.2 and fit.weights[100, 7] < 0.2
    assert np.median(fit.weights) == 1.0
    assert np.abs(fit.smoothed - clean).max() < 0.15


def test_a_change_and_its_adjoint() -> None:
    fit = adaptive_fit(moving() + 0.05 * noise((FRAMES, 12), 0.0, 1), block=3)
    generator = np.random.default_rng(0)
    units, change = generator.normal(size=(2, FRAMES, 12))
    assert np.sum(fit.moved(units) * change) == pytest.approx(np.sum(units * fit.moved_back(change)), rel=1e-9)
    draws = np.std([fit.moved(generator.normal(size=(FRAMES, 12))) for _ in range(400)], axis=0)
    assert np.median(draws / fit.standard_deviation()) == pytest.approx(1.0, abs=0.03)


def test_windows_cover_every_frame_and_blend_to_one() -> None:
    for frames in (20, 240, 241, 700, 1001):
        weight = np.zeros(frames)
        for first, last in windows(frames):
            assert last - first <= 240
            weight[first:last] += blend(first, last, frames)
        assert weight.min() > 0.2


def test_a_long_recording_is_smoothed_as_well_as_a_short_one() -> None:
    clean = moving(frames=700)
    noisy = clean + 0.05 * noise(clean.shape, 0.0, 1)
    whole, part = adaptive_smoothing(noisy), adaptive_smoothing(noisy[:200])
    assert rms(whole - clean) < 1.15 * rms(part - clean[:200])
    # Seams between windows leave no steps
    assert np.abs(np.diff(whole - clean, axis=0)).max() < 0.05


def test_answers_repeat() -> None:
    noisy = moving() + 0.05 * noise((FRAMES, 12), 0.0, 1)
    assert np.array_equal(adaptive_smoothing(noisy), adaptive_smoothing(noisy))


def test_what_is_refused() -> None:
    with pytest.raises(DataError, match=f"{LEAST - 1} frames are too few to tell noise from motion"):
        adaptive_smoothing(np.zeros((LEAST - 1, 3)))
    holes = moving()
    holes[17, 2] = np.nan
    with pytest.raises(DataError, match="frame 17 is not a number"):
        adaptive_smoothing(holes)
