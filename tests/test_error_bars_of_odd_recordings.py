"""Error bars of recordings that are short, slow, long, still, broken or without plates: numbers, or one clear line."""

from __future__ import annotations

import numpy as np
import pytest

from motorque.errors import DataError
from motorque.files.osim import load_skeleton
from motorque.files.trc import read_trc
from motorque.fitting.ground_loads import estimate_ground_loads
from motorque.fitting.ik import inverse_kinematics
from motorque.journal import Journal
from motorque.series import Load, Loads, Markers, Motion
from motorque.uncertainty import evidence as evidence_module
from motorque.uncertainty.bands import Bands, bands_of_analysis
from motorque.uncertainty.cutoff import CutoffChoice, choose_cutoff
from motorque.uncertainty.evidence import marker_evidence
from motorque.workflows.smoothing import smooth
from motorque.workflows.trial_loads import loads_from_plates

RATE = 100.0


@pytest.fixture(scope="module")
def recorded():
    """A model and a walk of its markers, 1 mm of noise added, at 100 Hz."""
    from conftest import data_folder

    folder = data_folder() / "arnold_synthetic" / "subject01"
    if not folder.is_dir():
        pytest.skip("the reference recordings are not here; set MOTORQUE_DATA to their folder")
    quiet = Journal()
    skeleton = load_skeleton(folder / "subject01.osim", journal=quiet)
    markers = read_trc(folder / "markers.trc", journal=quiet)
    positions = markers.positions[::2]
    noise = 1e-3 * np.random.default_rng(0).standard_normal(positions.shape)
    return skeleton, Markers(np.arange(len(positions)) / RATE, positions + noise, markers.names)


def standing_on_plates(skeleton, times: np.ndarray, found: Motion) -> Loads:
    """Half of the weight under each foot all the time, never unloaded."""
    half = skeleton.total_mass() * 9.80665 / 2
    every = np.arange(0, times[-1] + 0.01, 0.005)
    one = np.ones((len(every), 1))
    x, z = (float(found.column(n)[0]) for n in ("pelvis_tx", "pelvis_tz"))
    return Loads(
        every,
        tuple(
            Load(f"plate_{side}", f"calcn_{side}", one * [0, half, 0], one * [x, 0, z + across], 0 * one * np.ones(3))
            for side, across in (("r", 0.1), ("l", -0.1))
        ),
    )


def analysed(
    skeleton, markers: Markers, plates: bool = False, cutoff: float | None = 6.0, **options
) -> tuple[Bands, CutoffChoice | None]:
    """Bands, and the cutoff that would be chosen, as `analyze` finds them."""
    quiet = Journal()
    found = inverse_kinematics(skeleton, markers, journal=quiet).motion
    motion, rate, acceleration, applied = smooth(skeleton, found, cutoff or 1e9, False, quiet)
    own = standing_on_plates(skeleton, found.times, found) if plates else None
    if own is None:
        loads = estimate_ground_loads(skeleton, motion, cutoff=None, journal=quiet)
    else:
        loads = loads_from_plates(own, skeleton, motion, turn=np.eye(3), cutoff=applied, journal=quiet)
    evidence = marker_evidence(skeleton, markers, found)
    series = {"motion": motion, "rate": rate, "acceleration": acceleration, "loads": loads, "plates": own}
    try:
        choice = choose_cutoff(skeleton, evidence=evidence, cutoff=applied, **series)
    except DataError:
        choice = None
    options = {"method": "linear"} | options
    bands = bands_of_analysis(
        skeleton, markers=markers, found=found, cutoff=applied, evidence=evidence, **series, **options
    )
    return bands, choice


def is_whole(bands: Bands) -> bool:
    """Whether every angle, torque and force has a standard deviation of a sensible size."""
    forces = np.concatenate([b.force for b in bands.loads.values()], axis=1)
    return bool(bands.angles.max() < 0.5 and bands.torques.max() < 2000 and np.isfinite(forces).all())


@pytest.mark.parametrize("frames", [6, 7, 12, 33])
@pytest.mark.parametrize("method", ["linear", "monte carlo"])
def test_a_handful_of_frames_has_bands(recorded, frames: int, method: str) -> None:
    skeleton, markers = recorded
    few = Markers(markers.times[:frames], markers.positions[:frames], markers.names)

    bands, _ = analysed(skeleton, few, method=method, draws=20)

    assert is_whole(bands)


@pytest.mark.parametrize("rate", [5.0, 30.0, 500.0])
def test_any_frame_rate_has_bands(recorded, rate: float) -> None:
    skeleton, markers = recorded
    frames = len(markers.times)
    positions = markers.positions if rate <= RATE else np.repeat(markers.positions, 5, axis=0)[: 5 * frames]
    other = Markers(np.arange(len(positions)) / rate, positions, markers.names)

    bands, choice = analysed(skeleton, other)

    assert np.isfinite(bands.torques).all() and np.isfinite(bands.angles).all()
    assert (choice is None) == (rate == 5.0)


@pytest.mark.parametrize("plates", [False, True])
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_a_person_who_stands_has_bands(recorded, plates: bool, noise: float) -> None:
    skeleton, markers = recorded
    still = np.repeat(markers.positions[:1], 200, axis=0)
    still = still + noise * np.random.default_rng(1).standard_normal(still.shape)

    bands, choice = analysed(skeleton, Markers(np.arange(200) / RATE, still, markers.names), plates)

    assert is_whole(bands)
    assert choice is not None


def test_an_unfiltered_motion_has_bands(recorded) -> None:
    bands, _ = analysed(*recorded, cutoff=None)

    assert np.isfinite(bands.torques).all() and "smoothing" in bands.by_source


def broken(markers: Markers, missing: list[int], frames: slice) -> Markers:
    positions = markers.positions.copy()
    positions[frames, missing] = np.nan
    return Markers(markers.times, positions, markers.names)


def right_side(skeleton, markers: Markers) -> list[int]:
    names = [skeleton.body_names[skeleton.marker_body[skeleton.marker_names.index(n)]] for n in markers.names]
    return [number for number, name in enumerate(names) if name.endswith("_r")]


def test_a_side_that_is_lost_for_a_while_spoils_those_frames_alone(recorded) -> None:
    skeleton, markers = recorded
    whole, best = analysed(skeleton, markers)

    bands, choice = analysed(skeleton, broken(markers, right_side(skeleton, markers), slice(40, 60)))

    assert np.isnan(bands.torques[40:60]).all()
    assert np.isfinite(bands.torques[:40]).all() and np.isfinite(bands.torques[60:]).all()
    assert np.isnan(bands.angles[40:60]).any() and np.isfinite(bands.angles[:40]).all()
    # A fifth of the recording is lost, and the ground forces there with it: its jumps must not pass for movement of the
    # rest, whose torques would then have bands of hundreds of N·m.
    far = np.r_[0:15, 85 : len(markers.times)]
    assert np.median(bands.torques[far] / whole.torques[far]) < 4
    assert choice is not None and best is not None and choice.cutoff < 2 * best.cutoff


def test_markers_that_are_never_seen_are_left_out(recorded) -> None:
    skeleton, markers = recorded
    some = right_side(skeleton, markers)[:3]

    bands, _ = analysed(skeleton, broken(markers, some, slice(None)))

    assert is_whole(bands)
    found = inverse_kinematics(skeleton, markers).motion
    with pytest.raises(DataError, match="none of the skeleton's markers was seen"):
        marker_evidence(skeleton, broken(markers, list(range(len(markers.names))), slice(None)), found)


def test_frames_that_do_not_belong_together_are_said(recorded) -> None:
    skeleton, markers = recorded
    found = inverse_kinematics(skeleton, markers).motion

    with pytest.raises(DataError, match="of markers and"):
        marker_evidence(skeleton, Markers(markers.times[:50], markers.positions[:50], markers.names), found)


def test_a_recording_in_pieces_has_the_bands_of_the_whole(recorded, monkeypatch) -> None:
    """Long recordings are taken in pieces, whose seams must not show."""
    skeleton, markers = recorded
    there_and_back = np.concatenate([markers.positions, markers.positions[::-1]])
    longer = Markers(np.arange(len(there_and_back)) / RATE, there_and_back, markers.names)
    sources = ("marker noise", "soft tissue", "marker placement")
    whole, _ = analysed(skeleton, longer, sources=sources)

    monkeypatch.setattr(evidence_module, "LONG", 90)
    pieces, choice = analysed(skeleton, longer, sources=sources)

    assert choice is not None
    assert np.array_equal(pieces.times, whole.times)
    assert pieces.angles == pytest.approx(whole.angles, rel=0.02)
    assert pieces.torques == pytest.approx(whole.torques, rel=0.03, abs=1e-3)
    for name, band in whole.loads.items():
        assert pieces.loads[name].force == pytest.approx(band.force, rel=0.03, abs=1e-3)
    for source, sizes in whole.by_source.items():
        assert pieces.by_source[source]["torques"] == pytest.approx(sizes["torques"], rel=0.1, abs=0.02)
