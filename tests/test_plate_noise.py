"""The noise of force plates is told from their own samples, whatever the cameras' rate and whatever was set to zero."""

from __future__ import annotations

import numpy as np
import pytest

from motorque.fitting.load_filtering import filter_loads
from motorque.journal import Journal
from motorque.series import Load, Loads
from motorque.signals import butterworth
from motorque.uncertainty.evidence import LoadEvidence, load_evidence
from motorque.uncertainty.load_noise import resampled
from motorque.uncertainty.temporal import Process

STRIDE, SECONDS = 1.1, 6.0


def stepped_on(rate: float, noise: float, *, zeroed: bool = False, standing: bool = False, seed: int = 0) -> Loads:
    """A plate under one foot of a walker with white noise of force [N] and moment about its middle [N·m]."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(SECONDS * rate) + 1) / rate
    phase = (times / STRIDE) % 1 / 0.62
    stance = np.where(phase < 1, np.sin(np.pi * np.minimum(phase, 1)) ** 0.6, 0.0)
    double = np.where(phase < 1, 1 - 0.25 * np.cos(4 * np.pi * phase), 0.0)
    vertical = 700 * stance * double if not standing else 700 + 10 * np.sin(2 * np.pi * 0.4 * times)
    force = np.stack([-0.15 * vertical * np.cos(np.pi * phase), vertical, 0.03 * vertical], axis=1)
    moment = 0.1 * noise * rng.standard_normal(force.shape)
    moment[:, 1] += 0.005 * vertical
    force = force + noise * rng.standard_normal(force.shape)
    if zeroed:
        off = vertical < 1.0
        force[off], moment[off] = 0.0, 0.0
    # The wrench is given at a fixed middle, whatever that makes of the centre of pressure.
    middle = np.tile([0.4, 0.0, 0.1], (len(times), 1))
    return Loads(times, (Load("plate_r", "calcn_r", force, middle, moment),))


def evidence(plates: Loads, rate: float) -> LoadEvidence:
    times = np.arange(round((SECONDS - 0.1) * rate)) / rate + 0.05
    return load_evidence(filter_loads(plates, times, 6.0, journal=Journal()), plates)


def passing(found: LoadEvidence, rate: float, cutoff: float = 6.0) -> float:
    """Standard deviation of force [N] that passes a low-pass filter: power per hertz up to its cutoff."""
    noise = found.noise[0]
    density = noise.process.spectrum(np.array([0.5 * cutoff / rate]))[0] / rate
    return float(np.sqrt((noise.spreading[:3, :3] ** 2).sum() / 3 * density * 2 * cutoff))


@pytest.mark.parametrize("camera", [25.0, 50.0, 200.0])
@pytest.mark.parametrize("rate", [200.0, 1000.0])
def test_slow_cameras_leave_the_plates_noise_as_it_is(rate: float, camera: float) -> None:
    true = 2.0 * np.sqrt(2 * 6.0 / rate)

    assert passing(evidence(stepped_on(rate, 2.0), camera), camera) == pytest.approx(true, rel=0.25)


def test_stance_alone_is_no_noise() -> None:
    """Exact loads at 25 frames a second: under a thousandth of the weight, where stance's wiggles were tens of N."""
    assert passing(evidence(stepped_on(200.0, 0.01), 25.0), 25.0) < 0.02


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("camera", [30.0, 100.0])
def test_a_plate_that_was_set_to_zero_is_heard_under_load(camera: float, filtered: bool) -> None:
    plates = stepped_on(1000.0, 2.0, zeroed=True)
    if filtered:
        load = plates.loads[0]
        soft = butterworth(np.concatenate([load.force, load.moment], axis=1), 1000.0, 300.0, what="plates")
        plates = Loads(plates.times, (Load(load.name, load.body, soft[:, :3], load.point, soft[:, 3:]),))
    true = 2.0 * np.sqrt(2 * 6.0 / 1000.0)

    found = evidence(plates, camera)

    assert passing(found, camera) == pytest.approx(true, rel=0.3)
    assert np.all(found.noise[0].offset == 0)


def test_a_plate_that_is_never_unloaded_is_heard_under_load() -> None:
    true = 2.0 * np.sqrt(2 * 6.0 / 500.0)

    assert passing(evidence(stepped_on(500.0, 2.0, standing=True), 100.0), 100.0) == pytest.approx(true, rel=0.3)


def test_a_plate_that_nobody_steps_on_and_that_is_zero_has_no_noise() -> None:
    plates = stepped_on(200.0, 0.0)
    silent = Load("plate_r", "calcn_r", *(0 * plates.loads[0].force for _ in range(3)))

    found = evidence(Loads(plates.times, (silent,)), 100.0)

    assert not found.noise[0].spreading.any()


@pytest.mark.parametrize("process", [Process(), Process(0.3, 0.95, 1), Process(0.0, 0.5, 1)])
def test_noise_at_another_rate_has_the_same_power_per_hertz(process: Process) -> None:
    other, variance = resampled(process, 10.0)

    low = np.array([1e-4])
    assert variance * other.spectrum(10 * low)[0] * 10 == pytest.approx(process.spectrum(low)[0], rel=1e-2)
    assert 0 <= other.white <= 1
