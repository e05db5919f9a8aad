"""Gaps are bridged without stretching noise over them, and error bars know what was filled."""

from __future__ import annotations

import numpy as np
import pytest

from motorque.fitting.gap_bridging import bridge, slow_course, white_noise
from motorque.fitting.marker_quality import fill_gaps
from motorque.journal import Journal
from motorque.series import Load, Markers
from motorque.uncertainty.bands import load_band
from motorque.uncertainty.marker_noise import estimate_marker_noise
from motorque.workflows.recording import Recording

RATE = 200.0


def walking(frames: int = 300) -> np.ndarray:
    """A marker of a foot: 1.2 m/s on average, swinging once a second."""
    t = np.arange(frames) / RATE
    along = 1.2 * t - 0.2 * np.sin(2 * np.pi * t) + 0.03 * np.sin(4 * np.pi * t + 1)
    return np.stack([along, 0.05 * np.cos(2 * np.pi * t), 0.02 * np.sin(2 * np.pi * t)], axis=1)


@pytest.mark.parametrize("noise", [0.0, 1e-4, 2e-3])
def test_the_size_of_white_noise_shows_in_differences(noise: float) -> None:
    path = walking() + noise * np.random.default_rng(0).standard_normal((300, 3))

    assert white_noise(path, np.ones(300, dtype=bool)) == pytest.approx(noise, rel=0.15, abs=1e-6)
    assert np.isnan(white_noise(path, np.arange(300) % 3 > 0))


def test_exact_samples_are_interpolated_and_noisy_ones_smoothed() -> None:
    seen = np.ones(300, dtype=bool)
    seen[140:170] = False
    exact = bridge(walking(), seen, RATE, white_noise(walking(), seen))
    assert np.abs(exact - walking()[~seen]).max() < 1e-3

    errors = []
    for seed in range(20):
        path = walking() + 2e-3 * np.random.default_rng(seed).standard_normal((300, 3))
        errors.append(bridge(path, seen, RATE, white_noise(path, seen)) - walking()[~seen])
    # Splines through the samples are off by 17 mm here, swinging out.
    assert np.sqrt(np.mean(np.square(errors))) < 3e-3


def test_a_slow_course_keeps_half_of_a_wave_at_its_cutoff() -> None:
    wave = np.sin(2 * np.pi * 8.0 * np.arange(1000) / RATE)[:, None]

    kept = slow_course(wave, np.ones(1000, dtype=bool), RATE, 8.0)

    assert np.abs(kept[300:700]).max() == pytest.approx(0.5, abs=0.02)


def test_a_recording_knows_what_was_filled() -> None:
    positions = np.stack([walking(), walking() + 0.1], axis=1)
    positions[100:110, 1] = np.nan
    holed = Markers(np.arange(300) / RATE, positions, ("a", "b"))
    whole = fill_gaps(holed, journal=Journal())
    recording = Recording(whole, None, np.eye(3), filled=whole.seen & ~holed.seen)

    turned = Markers(whole.times, whole.positions[..., ::-1], ("b", "a"))

    assert recording.measured(turned).names == ("b", "a")
    assert np.array_equal(recording.measured(turned).seen, holed.seen)
    assert Recording(whole, None, np.eye(3)).measured(whole) is whole


def test_a_gap_in_residuals_is_no_soft_tissue() -> None:
    residual = 2e-3 * np.random.default_rng(0).standard_normal((220, 20, 3))
    residual[100:120] = np.nan

    fast, slow, offset = estimate_marker_noise(residual, np.eye(20))

    assert fast.typical == pytest.approx(2e-3, rel=0.05)
    assert slow.typical < 4e-4 and offset.typical < 3e-4


def test_the_centre_of_pressure_of_a_faint_load_has_no_bound() -> None:
    force = np.array([[0.0, 22.0, 0.0], [0.0, 60.0, 0.0], [0.0, 600.0, 0.0]])
    point = np.tile([0.3, 0.0, 0.1], (3, 1))
    wrench = np.tile(np.diag([4.0, 8.0, 4.0, 1.0, 1.0, 1.0]) ** 2, (3, 1, 1))

    band = load_band(Load("plate", "calcn_r", force, point, 0 * force), wrench)

    assert np.isnan(band.point[0]).all() and np.isfinite(band.point[1:]).all()
    assert np.isfinite(band.force).all() and band.point[1, 0] > band.point[2, 0]
