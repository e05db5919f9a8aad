"""Error bars: each step against what it claims to be, and the whole against drawn noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from motorque.errors import DataError
from motorque.files.external_loads import read_plates
from motorque.files.osim import load_skeleton
from motorque.files.trc import read_trc
from motorque.fitting.ground_loads import estimate_ground_loads
from motorque.fitting.ik import inverse_kinematics
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Markers
from motorque.signals import NaturalSpline, butterworth
from motorque.uncertainty.bands import SOURCES, Bands, bands_of_analysis
from motorque.uncertainty.cutoff import choose_cutoff, cross_validation, residual_analysis
from motorque.uncertainty.evidence import marker_evidence
from motorque.uncertainty.marker_gain import marker_gain
from motorque.uncertainty.marker_noise import estimate_marker_noise
from motorque.uncertainty.model_errors import MODEL_SOURCES, ModelErrors
from motorque.uncertainty.motion_bands import bands_of_motion
from motorque.uncertainty.smoother import Smoother, amplitude
from motorque.uncertainty.temporal import Process
from motorque.uncertainty.torque_gain import generalized_forces, torque_gain
from motorque.workflows.analyze import smooth
from motorque.workflows.trial_loads import loads_from_plates


def smoothed_by_the_chain(x: np.ndarray, rate: float, cutoff: float | None) -> np.ndarray:
    times = np.arange(len(x)) / rate
    values = x if cutoff is None else np.ascontiguousarray(butterworth(x, rate, cutoff))
    spline = NaturalSpline(times, values, degree=5)
    return np.stack([spline(times, order) for order in (0, 1, 2)])


@pytest.mark.parametrize(("frames", "cutoff"), [(60, 6.0), (400, 6.0), (400, 15.0), (130, None)])
def test_the_smoother_is_the_chains_own_smoothing(frames: int, cutoff: float | None) -> None:
    x = np.random.default_rng(0).standard_normal((frames, 3)).cumsum(0)
    true = smoothed_by_the_chain(x, 100.0, cutoff)

    found = Smoother.of(frames, 100.0, cutoff)(x)

    size = np.abs(true).max((1, 2), keepdims=True)
    assert np.abs((found - true) / size).max() < 1e-3


def test_a_pelvis_that_walks_away_has_the_acceleration_of_the_chain() -> None:
    """Weights that are cut off must not turn metres into accelerations, which are rate² as large."""
    time = np.arange(235) / 200
    walking = (1 + 1.3 * time + 0.02 * np.sin(2 * np.pi * 2 * time))[:, None]
    for cutoff in (6.0, 20.0, 50.0):
        true = smoothed_by_the_chain(walking, 200.0, cutoff)

        assert Smoother.of(235, 200.0, cutoff)(walking) == pytest.approx(true, abs=1e-4)


def test_the_filters_amplitude_is_what_it_does_to_a_sine() -> None:
    time = np.arange(1000) / 100
    for frequency in (3.0, 6.0, 12.0):
        passed = butterworth(np.sin(2 * np.pi * frequency * time), 100.0, 6.0)[300:700]

        assert np.sqrt(2) * passed.std() == pytest.approx(amplitude(np.array(frequency), 100.0, 6.0), rel=5e-3)


@pytest.mark.parametrize("process", [Process(), Process(0.0, 0.9), Process(0.4, 0.8), Process(0.0, 0.8, 3)])
def test_processes_are_drawn_with_their_own_correlation(process: Process) -> None:
    drawn = process.draw(np.random.default_rng(0), 60, (20_000,))

    found = np.array([(drawn[20] * drawn[20 + lag]).mean() for lag in range(8)])
    assert found == pytest.approx(process.correlation(8), abs=0.03)
    assert drawn[0].var() == pytest.approx(1, abs=0.03)


def test_variances_after_smoothing_are_those_of_drawn_noise() -> None:
    smoother, process = Smoother.of(300, 100.0, 6.0), Process(0.3, 0.85)

    smooth_draws = smoother(process.draw(np.random.default_rng(1), 300, (4000,)).astype(float))

    predicted = smoother.covariance(process.correlation(300))
    for k in range(3):
        for other in range(3):
            found = (smooth_draws[k] * smooth_draws[other]).mean(1)
            size = np.sqrt(predicted[:, k, k] * predicted[:, other, other])
            # At the first and last frame the second derivative is zero by construction.
            assert np.abs((found - predicted[:, k, other]) / size.max()).max() < 0.1


@dataclasses.dataclass(frozen=True)
class Walk:
    """A synthetic walk: what went in, and what the chain makes of it."""

    skeleton: object
    markers: Markers
    plates: object


@pytest.fixture(scope="module")
def walk() -> Walk:
    from conftest import data_folder

    folder = data_folder() / "arnold_synthetic" / "subject01"
    if not folder.is_dir():
        pytest.skip("the reference recordings are not here; set MOTORQUE_DATA to their folder")
    quiet = Journal()
    skeleton = load_skeleton(folder / "subject01.osim", journal=quiet)
    return Walk(
        skeleton, read_trc(folder / "markers.trc", journal=quiet), read_plates(folder / "grf.mot", journal=quiet)
    )


def analysis(walk: Walk, markers: Markers, cutoff: float, **options) -> tuple[Bands, np.ndarray]:
    quiet = Journal()
    fit = inverse_kinematics(walk.skeleton, markers, journal=quiet)
    motion, rate, acceleration, _ = smooth(walk.skeleton, fit.motion, cutoff, True, quiet)
    loads = loads_from_plates(walk.plates, walk.skeleton, motion, turn=np.eye(3), cutoff=cutoff, journal=quiet)
    bands = bands_of_analysis(
        walk.skeleton,
        markers=markers,
        found=fit.motion,
        motion=motion,
        rate=rate,
        acceleration=acceleration,
        loads=loads,
        plates=walk.plates,
        cutoff=cutoff,
        **options,
    )
    return bands, motion.values


def noisy(walk: Walk, size: float, seed: int = 0) -> Markers:
    noise = size * np.random.default_rng(seed).standard_normal(walk.markers.positions.shape)
    return Markers(walk.markers.times, walk.markers.positions + noise, walk.markers.names)


def test_the_gain_is_what_inverse_kinematics_does_to_a_small_displacement(walk: Walk) -> None:
    some = Markers(walk.markers.times[:5], walk.markers.positions[:5], walk.markers.names)
    found = inverse_kinematics(walk.skeleton, some)
    gain = marker_gain(walk.skeleton, some, found.motion.values)
    push = 1e-5 * np.random.default_rng(0).standard_normal((len(gain.names), 3))
    turn = forward_kinematics(walk.skeleton, torch.as_tensor(found.motion.values)).rotation.numpy()
    moved = some.positions.copy()
    for number, name in enumerate(gain.names):
        body = walk.skeleton.marker_body[walk.skeleton.marker_names.index(name)]
        moved[:, some.names.index(name)] += turn[:, body] @ push[number]

    again = inverse_kinematics(walk.skeleton, Markers(some.times, moved, some.names))

    predicted = np.einsum("tqn,tnma,ma->tq", gain.coupling, gain.gain, push)
    assert again.motion.values - found.motion.values == pytest.approx(predicted, abs=2e-2 * np.abs(predicted).max())


@pytest.mark.parametrize("size", [1e-3, 5e-3])
def test_the_size_of_white_noise_is_found(walk: Walk, size: float) -> None:
    markers = noisy(walk, size)
    found = inverse_kinematics(walk.skeleton, markers)

    gain = marker_gain(walk.skeleton, markers, found.motion.values)
    noise, tissue, offset = estimate_marker_noise(gain.residual, gain.mixing)

    assert noise.typical == pytest.approx(size, rel=0.05)
    assert np.sqrt(tissue.typical**2 + offset.typical**2) < 0.15 * size


def test_derivatives_of_torques_tell_what_a_change_does(walk: Walk) -> None:
    rng = np.random.default_rng(3)
    count = walk.skeleton.nq
    motion = rng.standard_normal((3, 4, count)) * np.array([0.2, 1.0, 5.0])[:, None, None]
    loads = {"calcn_r": rng.standard_normal((4, 6)) * 100}
    change, push = 1e-5 * rng.standard_normal(motion.shape), 1e-3 * rng.standard_normal((4, 6))

    gain = torque_gain(walk.skeleton, motion, loads)

    before = generalized_forces(walk.skeleton, motion, loads)
    after = generalized_forces(walk.skeleton, motion + change, {"calcn_r": loads["calcn_r"] + push})
    predicted = np.einsum("ktvq,ktq->tv", gain.motion, change) + np.einsum("tvc,tc->tv", gain.loads["calcn_r"], push)
    assert after - before == pytest.approx(predicted, abs=1e-3 * np.abs(predicted).max())


def test_linear_propagation_agrees_with_monte_carlo(walk: Walk) -> None:
    markers = noisy(walk, 1e-3)

    linear, _ = analysis(walk, markers, 8.0, method="linear")
    drawn, _ = analysis(walk, markers, 8.0, method="monte carlo", draws=1000)

    # A standard deviation from 1000 draws is itself 2 % off, its largest among thousands 8 %.
    for one, other in ((linear.angles, drawn.angles), (linear.torques, drawn.torques)):
        ratio = one / other
        assert np.median(ratio) == pytest.approx(1, abs=0.01)
        assert np.sqrt(((ratio - 1) ** 2).mean()) < 0.05


def test_bands_cover_what_noise_does(walk: Walk) -> None:
    true = inverse_kinematics(walk.skeleton, walk.markers).motion.values
    inside = []
    for seed in range(4):
        bands, values = analysis(walk, noisy(walk, 2e-3, seed), 8.0, method="linear")
        inside.append(np.abs(values - true) < 1.645 * bands.angles)

    assert 0.85 < np.mean(inside) < 0.95


def test_the_same_seed_gives_the_same_bands(walk: Walk) -> None:
    markers = noisy(walk, 1e-3)
    one, _ = analysis(walk, markers, 8.0, draws=20, seed=4)
    two, _ = analysis(walk, markers, 8.0, draws=20, seed=4)

    assert np.array_equal(one.torques, two.torques)


def test_a_source_that_is_left_out_is_said(walk: Walk) -> None:
    bands, _ = analysis(walk, noisy(walk, 1e-3), 8.0, method="linear", sources=("marker noise",))

    assert set(bands.included) == {"marker noise"}
    assert "smoothing" in bands.excluded
    with pytest.raises(DataError, match="no source 'luck'"):
        analysis(walk, noisy(walk, 1e-3), 8.0, sources=("luck",))


def test_the_cutoff_rises_as_noise_falls_and_says_why(walk: Walk) -> None:
    quiet, chosen = Journal(), []
    for size in (5e-3, 1e-3):
        markers = noisy(walk, size)
        fit = inverse_kinematics(walk.skeleton, markers, journal=quiet)
        motion, rate, acceleration, _ = smooth(walk.skeleton, fit.motion, 6.0, True, quiet)
        loads = loads_from_plates(walk.plates, walk.skeleton, motion, turn=np.eye(3), cutoff=6.0, journal=quiet)
        chosen.append(
            choose_cutoff(
                walk.skeleton,
                evidence=marker_evidence(walk.skeleton, markers, fit.motion),
                motion=motion,
                rate=rate,
                acceleration=acceleration,
                loads=loads,
                plates=walk.plates,
                cutoff=6.0,
            )
        )

    assert 3 < chosen[0].cutoff < chosen[1].cutoff < 12
    assert chosen[0].residual_analysis < chosen[1].residual_analysis
    assert f"low-pass filtered at {chosen[1].cutoff:g} Hz" in chosen[1].reason
    best = np.argmin(np.hypot(chosen[1].noise, chosen[1].loss))
    assert chosen[1].tried[best] == chosen[1].cutoff


def test_residual_analysis_and_cross_validation_find_where_a_tone_ends() -> None:
    time = np.arange(1000) / 100
    tone = np.sin(2 * np.pi * 2 * time)[:, None] + 0.02 * np.random.default_rng(0).standard_normal((1000, 3))

    assert 3 < residual_analysis(tone, 100.0) < 12
    assert 3 < cross_validation(tone, 100.0) < 12


def analysis_without_plates(walk: Walk, markers: Markers, **options) -> tuple[Bands, np.ndarray]:
    quiet = Journal()
    fit = inverse_kinematics(walk.skeleton, markers, journal=quiet)
    motion, rate, acceleration, _ = smooth(walk.skeleton, fit.motion, 6.0, True, quiet)
    loads = estimate_ground_loads(walk.skeleton, motion, cutoff=None, journal=quiet)
    series = {"motion": motion, "rate": rate, "acceleration": acceleration, "loads": loads}
    bands = bands_of_analysis(
        walk.skeleton, markers=markers, found=fit.motion, cutoff=6.0, sources=("marker noise",), **series, **options
    )
    return bands, loads


def test_estimated_loads_have_bands_and_leave_nothing_to_the_root(walk: Walk) -> None:
    bands, loads = analysis_without_plates(walk, noisy(walk, 1e-3), method="linear")
    drawn, _ = analysis_without_plates(walk, noisy(walk, 1e-3), method="monte carlo", draws=300)

    root = [walk.skeleton.coordinate(n) for n in ("pelvis_tx", "pelvis_ty", "pelvis_tz")]
    carried = loads.total_force()[:, 1] > 200
    assert bands.torques[carried][:, root].max() < 1e-6 * bands.torques.max()
    for load in loads.loads:
        standing = load.force[:, 1] > 200
        one, other = bands.loads[load.name], drawn.loads[load.name]
        assert one.force[standing, 1].min() > 0
        assert np.median(one.force[standing] / other.force[standing]) == pytest.approx(1, abs=0.05)
        assert np.median(one.point[standing][:, [0, 2]] / other.point[standing][:, [0, 2]]) == pytest.approx(1, abs=0.1)
    assert np.median(bands.torques / np.maximum(drawn.torques, 1e-9)) == pytest.approx(1, abs=0.05)


def test_an_estimated_load_spreads_as_estimates_of_noisy_motions_do(walk: Walk) -> None:
    """Against the estimate itself, run anew for each of some noisy motions."""
    results = [analysis_without_plates(walk, noisy(walk, 1e-3, seed), method="linear") for seed in range(12)]

    upward = np.stack([loads.total_force()[:, 1] for _, loads in results])
    bands = results[0][0]
    alone = [load.force[:, 1] > 0.98 * results[0][1].total_force()[:, 1] for load in results[0][1].loads]
    for load, single in zip(results[0][1].loads, alone, strict=True):
        inner = single & (np.arange(len(single)) > 20) & (np.arange(len(single)) < len(single) - 20)
        found, said = upward[:, inner].std(0, ddof=1), bands.loads[load.name].force[inner, 1]
        assert np.sqrt((found**2).mean() / (said**2).mean()) == pytest.approx(1, abs=0.25)


def test_model_errors_are_options_and_their_sizes_count(walk: Walk) -> None:
    markers = noisy(walk, 1e-3)
    plain, _ = analysis(walk, markers, 8.0, method="linear")
    some, _ = analysis(walk, markers, 8.0, method="linear", sources=(*SOURCES, *MODEL_SOURCES))
    twice, _ = analysis(
        walk, markers, 8.0, method="linear", sources=MODEL_SOURCES, model_errors=ModelErrors(0.2, 0.02, 0.01)
    )
    once, _ = analysis(walk, markers, 8.0, method="linear", sources=MODEL_SOURCES)

    assert set(MODEL_SOURCES) <= set(plain.excluded) and set(MODEL_SOURCES) <= set(some.included)
    assert (some.torques >= plain.torques - 1e-12).all()
    assert twice.torques == pytest.approx(2 * once.torques)
    hip = walk.skeleton.coordinate("hip_flexion_r")
    weight = walk.skeleton.total_mass() * 9.80665
    # A centre that is off by 10 mm under about the body's weight: 7 N·m at most and half of it on average.
    assert 0.002 * weight < once.by_source["joint centres"]["torques"][hip] < 0.02 * weight


def test_a_motion_with_its_own_standard_deviations_has_bands(walk: Walk) -> None:
    quiet = Journal()
    fit = inverse_kinematics(walk.skeleton, walk.markers, journal=quiet)
    motion, rate, acceleration, _ = smooth(walk.skeleton, fit.motion, 6.0, True, quiet)
    loads = estimate_ground_loads(walk.skeleton, motion, cutoff=None, journal=quiet)
    series = {"rate": rate, "acceleration": acceleration, "loads": loads, "estimated": True, "cutoff": 6.0}
    with pytest.raises(DataError, match="no standard deviations"):
        bands_of_motion(walk.skeleton, motion=motion, **series)
    motion = dataclasses.replace(motion, std=np.full(motion.values.shape, 0.05))

    slow, fast = (
        bands_of_motion(walk.skeleton, motion=motion, lasting=lasting, method="linear", **series)
        for lasting in (1.0, 0.25)
    )

    assert np.array_equal(slow.angles, motion.std)
    assert (slow.torques.mean(0)[6:] < fast.torques.mean(0)[6:]).all()
    assert "sharing between the feet" in slow.excluded
