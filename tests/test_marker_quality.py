"""Marker problems: found in the right marker and frames, and never in a clean recording."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from motorque.files.c3d import read_c3d
from motorque.files.trc import read_trc
from motorque.fitting.marker_neighbours import distance_spread, predict
from motorque.fitting.marker_quality import MarkerProblem, fill_gaps, find_problems, repair
from motorque.fitting.side_names import swap_sides
from motorque.journal import Journal
from motorque.series import Markers

WALK = "rajagopal_walk/markers_walk.trc"
# True defects of the recordings, beside gaps: a sample 8 cm off the path on either side of it, and two thigh markers
# that carry each other's label for the few frames in which only one of them is seen at a time.
DEFECTS = {
    "opencap_subject4/markers/DJ1.trc": {"r_5meta": "jumping"},
    "opencap_subject4/markers/walking1.trc": {"r_thigh3": "swapped", "r_thigh5": "swapped"},
    "opencap_subject4/markers/walkingTS1.trc": {"r_thigh3": "swapped", "r_thigh5": "swapped"},
}
CLEAN = (
    WALK,
    "opensim_tests/Scale/init100.trc",
    "opensim_tests/Scale/subject01_static.trc",
    "opensim_tests/IK/subject01_synthetic_marker_data.trc",
    "opensim_tests/IK/abdbonepin.trc",
    "arnold_synthetic/subject01/markers.trc",
    "arnold_synthetic/subject02/markers.trc",
    "opencap_subject4/markers/STS1.trc",
    "opencap_subject4/markers/DJ1.trc",
    "opencap_subject4/markers/static1.trc",
    "opencap_subject4/markers/squats1.trc",
    "opencap_subject4/markers/walking1.trc",
    "opencap_subject4/markers/walkingTS1.trc",
    "video/pose2sim_balancing/reference/S00_P00_T01_BalancingTrial_0-100_filt_butterworth.trc",
    "c3d/FunctionalWalk.c3d",
    "c3d/Gait.c3d",
    "c3d/pycgm_Movement_trial.c3d",
    "c3d/walking2.c3d",
    "c3d/walking5.c3d",
)


def recording(path: Path) -> Markers:
    if path.suffix == ".c3d":
        return read_c3d(path, journal=Journal()).markers
    return read_trc(path, end=0.1, journal=Journal())


def thinned(markers: Markers, share: float, seed: int = 5) -> Markers:
    positions = markers.positions.copy()
    positions[np.random.default_rng(seed).random(positions.shape[:2]) < share] = np.nan
    return Markers(markers.times, positions, markers.names)


def changed(markers: Markers, positions: np.ndarray) -> Markers:
    return Markers(markers.times, positions, markers.names)


def faults(markers: Markers) -> list[MarkerProblem]:
    return [problem for problem in find_problems(markers) if problem.kind != "gap"]


@pytest.mark.parametrize(
    ("right", "left"),
    [
        ("RASI", "LASI"),
        ("R.ASIS", "L.ASIS"),
        ("r.ASIS", "L.ASIS"),
        ("r_knee", "L_knee"),
        ("r_asis_study", "L_asis_study"),
        ("RKNE", "LKNE"),
        ("knee_r", "knee_l"),
        ("ankle_r_med", "ankle_l_med"),
        ("R Knee", "L Knee"),
        ("RightKnee", "LeftKnee"),
        ("right_knee", "left_knee"),
        ("RBigToe", "LBigToe"),
        ("RRAO", "LRAO"),
        ("Person:RASI", "Person:LASI"),
        ("KneeR", "KneeL"),
    ],
)
def test_both_sides_are_recognised(right: str, left: str) -> None:
    assert swap_sides(["C7", right, "Sternum", left]) == {right: left, left: right}


def test_names_without_counterpart_are_absent() -> None:
    assert swap_sides(["RKNE", "C7", "Sternum", "lumbar", "Rib", "R.Knee.Lat", "L.Knee.Med"]) == {}


def test_lateral_is_not_left() -> None:
    names = ["lat_knee_r", "lat_knee_l", "R.Lateral", "L.Lateral"]
    assert swap_sides(names) == {
        "lat_knee_r": "lat_knee_l",
        "lat_knee_l": "lat_knee_r",
        "R.Lateral": "L.Lateral",
        "L.Lateral": "R.Lateral",
    }


@pytest.mark.parametrize("name", CLEAN)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_clean_recordings_have_no_faults(data: Path, name: str, missing: float) -> None:
    found = faults(thinned(recording(data / name), missing))
    assert {p.marker for p in found} <= set(DEFECTS.get(name, ())), [str(p) for p in found]


@pytest.mark.parametrize("name", sorted(DEFECTS))
def test_defects_of_real_recordings_are_found_and_small(data: Path, name: str) -> None:
    found = faults(recording(data / name))
    assert {p.marker: p.kind for p in found} == DEFECTS[name]
    assert all(p.samples == 1 for p in found)


@pytest.fixture(scope="module")
def walk(data: Path) -> Markers:
    return recording(data / WALK)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_a_frozen_marker_is_found(walk: Markers, missing: float) -> None:
    rng = np.random.default_rng(3)
    for column in range(0, len(walk.names), 4):
        start = int(rng.integers(5, len(walk.times) - 60))
        positions = walk.positions.copy()
        positions[start : start + 50, column] = positions[start, column]
        found = faults(thinned(changed(walk, positions), missing))
        assert [(p.kind, p.marker) for p in found] == [("frozen", walk.names[column])]
        assert start <= found[0].first <= start + 6 and start + 43 <= found[0].last < start + 50


@pytest.mark.parametrize("together", [True, False])
def test_a_jumping_marker_is_found(walk: Markers, together: bool) -> None:
    rng = np.random.default_rng(4)
    for column in range(len(walk.names)):
        start, count = int(rng.integers(5, len(walk.times) - 30)), int(rng.integers(3, 20))
        off = rng.normal(size=(1 if together else count, 3))
        off *= rng.uniform(0.1, 0.3, (len(off), 1)) / np.linalg.norm(off, axis=1, keepdims=True)
        positions = walk.positions.copy()
        positions[start : start + count, column] += off
        found = faults(changed(walk, positions))
        assert {(p.kind, p.marker) for p in found} == {("jumping", walk.names[column])}
        frames = np.concatenate([np.arange(p.first, p.last + 1) for p in found])
        assert set(frames) == set(range(start, start + count))


def test_most_jumps_are_found_with_a_third_of_the_samples_missing(walk: Markers) -> None:
    # A step that falls into a gap of five frames can be smaller than what a swinging foot may do in that time.
    rng = np.random.default_rng(4)
    named = 0
    for column in range(len(walk.names)):
        start = int(rng.integers(5, len(walk.times) - 30))
        off = rng.normal(size=3)
        positions = walk.positions.copy()
        positions[start : start + 12, column] += off * rng.uniform(0.1, 0.3) / np.linalg.norm(off)
        found = faults(thinned(changed(walk, positions), 0.3, seed=column))
        assert {p.marker for p in found} <= {walk.names[column]}
        named += bool(found)
    assert named >= 0.9 * len(walk.names)


def test_a_marker_that_stays_off_is_found(walk: Markers) -> None:
    rng = np.random.default_rng(6)
    for column in range(len(walk.names)):
        start = int(rng.integers(80, 160))
        off = rng.normal(size=3)
        positions = walk.positions.copy()
        positions[start:, column] += off * rng.uniform(0.1, 0.3) / np.linalg.norm(off)
        found = faults(changed(walk, positions))
        assert [(p.kind, p.marker) for p in found] == [("jumping", walk.names[column])]
        # Either part may be the true one.
        assert (found[0].first, found[0].last) in [(start, len(walk.times) - 1), (0, start - 1)]


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_exchanged_labels_are_found_and_put_right(walk: Markers, missing: float) -> None:
    rng = np.random.default_rng(8)
    pairs = [("R.Knee", "L.Knee"), ("R.Toe", "R.MT5"), ("R.TH1", "R.TH3"), ("L.ASIS", "L.PSIS"), ("R.SH1", "L.Wrist")]
    for one, two in pairs:
        columns = [walk.names.index(one), walk.names.index(two)]
        start = int(rng.integers(10, len(walk.times) - 70))
        truth = thinned(walk, missing)
        positions = truth.positions.copy()
        positions[start : start + 50, columns] = positions[start : start + 50, columns[::-1]]
        wrong = changed(walk, positions)
        found = faults(wrong)
        assert {(p.kind, p.marker, p.other) for p in found} == {("swapped", one, two), ("swapped", two, one)}
        journal = Journal()
        assert np.array_equal(repair(wrong, found, journal=journal).positions, truth.positions, equal_nan=True)
        assert [n.kind for n in journal.notices] == ["repair"] and one in journal.notices[0].text


def exchanged(markers: Markers, first: int, stop: int, only: str = "") -> Markers:
    """Left and right exchanged in some frames, for the markers whose names match."""
    mapping = {a: b for a, b in swap_sides(markers.names).items() if re.search(only, a)}
    columns = [markers.names.index(mapping.get(name, name)) for name in markers.names]
    positions = markers.positions.copy()
    positions[first:stop] = positions[first:stop, columns]
    return changed(markers, positions)


@pytest.mark.parametrize("name", [WALK, "opencap_subject4/markers/squats1.trc", "c3d/Gait.c3d"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_sides_exchanged_for_part_of_the_time_are_put_right_at_once(data: Path, name: str, missing: float) -> None:
    truth = thinned(recording(data / name), missing)
    count = len(truth.times)
    for first, stop in ((count // 3, count // 2), (count // 2 + 1, count)):
        wrong = exchanged(truth, first, stop)
        found = faults(wrong)
        assert [(p.kind, p.first, p.last) for p in found] == [("sides", first, stop - 1)]
        journal = Journal()
        assert np.array_equal(repair(wrong, found, journal=journal).positions, truth.positions, equal_nan=True)
        (said,) = journal.notices
        assert said.kind == "repair" and "left and right are exchanged on the whole body from" in said.text


def test_exchanged_legs_leave_the_trunk_alone(walk: Markers) -> None:
    # Every marker of one leg is near to where each of the other's was; the nearest one is its counterpart.
    legs = r"Knee|Ankle|Heel|Toe|MT5|TH\d|SH\d"
    wrong, journal = exchanged(walk, 80, 120, legs), Journal()
    found = find_problems(wrong)
    assert {p.kind for p in found} == {"swapped"}
    assert np.array_equal(repair(wrong, found, journal=journal).positions, walk.positions)
    assert not [n for n in journal.notices if n.kind == "warning"]


def test_great_losses_are_warned_of(walk: Markers) -> None:
    rng = np.random.default_rng(1)
    for count in (2, 3):
        positions, journal = walk.positions.copy(), Journal()
        for column in range(2, 2 + 9 * count, 9):
            positions[30:100, column] += rng.normal(size=3) * 0.3
        wrong = changed(walk, positions)
        repair(wrong, find_problems(wrong), journal=journal)
        warned = [n.text for n in journal.notices if n.kind == "warning"]
        assert len(warned) == (count >= 3)
        assert all("over 20 % of the samples of 3 markers were taken out" in text for text in warned)


def test_repair_takes_bad_samples_out_and_says_so(walk: Markers) -> None:
    positions = walk.positions.copy()
    column = walk.names.index("R.Ankle")
    positions[100:110, column] += [0.2, 0, 0]
    wrong, journal = changed(walk, positions), Journal()
    mended = repair(wrong, find_problems(wrong), journal=journal)
    assert not mended.seen[100:110, column].any() and mended.seen.sum() == walk.seen.sum() - 10
    assert "R.Ankle is off by 20 cm from 1.0" in journal.notices[0].text and journal.notices[0].about == "R.Ankle"
    filled = fill_gaps(mended, journal=journal)
    # A tenth of a second of a swinging foot, by a spline.
    assert np.linalg.norm(filled.positions[:, column] - walk.positions[:, column], axis=1).max() < 0.01


def test_short_gaps_are_filled_and_long_ones_left(walk: Markers) -> None:
    positions = walk.positions.copy()
    positions[50:70, 3] = np.nan  # 0.20 s
    positions[50:71, 4] = np.nan  # 0.21 s
    positions[:5, 5] = np.nan  # nothing before it
    holed, journal = changed(walk, positions), Journal()
    filled = fill_gaps(holed, journal=journal)
    assert filled.seen[:, 3].all()
    assert not filled.seen[50:71, 4].any() and not filled.seen[:5, 5].any()
    assert np.array_equal(filled.positions[holed.seen], holed.positions[holed.seen])
    assert [n.kind for n in journal.notices] == ["repair", "info"]
    assert journal.notices[0].text.startswith("20 missing samples")
    assert fill_gaps(walk, journal=journal) is walk


def test_a_third_of_the_samples_missing_is_filled_closely(walk: Markers) -> None:
    filled = fill_gaps(thinned(walk, 0.3), journal=Journal())
    off = np.linalg.norm(filled.positions - walk.positions, axis=-1)
    assert filled.seen.mean() > 0.99
    assert np.nanquantile(off, 0.99) < 0.002


def test_gaps_are_counted(walk: Markers) -> None:
    positions = walk.positions.copy()
    positions[[10, 11, 12, 40], 7] = np.nan
    (gap,) = find_problems(changed(walk, positions))
    assert (gap.kind, gap.marker, gap.samples, gap.stretches, gap.first, gap.last) == (
        "gap",
        walk.names[7],
        4,
        2,
        10,
        12,
    )
    assert "4 samples are missing in 2 gaps" in str(gap)


def test_neighbours_carry_a_marker_along() -> None:
    rng = np.random.default_rng(0)
    body = rng.uniform(-0.2, 0.2, (7, 3))
    angle = np.linspace(0, 3, 120)
    turn = np.stack(
        [
            np.stack([np.cos(angle), -np.sin(angle), 0 * angle], 1),
            np.stack([np.sin(angle), np.cos(angle), 0 * angle], 1),
            np.stack([0 * angle, 0 * angle, 1 + 0 * angle], 1),
        ],
        axis=1,
    )
    positions = np.einsum("tij,mj->tmi", turn, body) + np.linspace(0, 2, 120)[:, None, None]
    spread, middle = distance_spread(positions, 100.0)
    assert np.abs(predict(positions, [2], spread, middle)[:, 0] - positions[:, 2]).max() < 1e-9
    in_line = positions[:, :3] * 0 + np.arange(3)[:, None] * [0.1, 0, 0] + positions[:, :1]
    spread, middle = distance_spread(in_line, 100.0)
    assert np.isnan(predict(in_line, [0], spread, middle)).all()


def test_very_short_recordings_do_not_break() -> None:
    for frames in (1, 2, 3, 6):
        positions = np.random.default_rng(1).normal(size=(frames, 4, 3))
        positions[0, 1] = np.nan
        markers = Markers(np.arange(frames) / 100, positions, ("a", "b", "c", "d"))
        problems = find_problems(markers)
        fill_gaps(repair(markers, problems, journal=Journal()), journal=Journal())
        assert any(p.kind == "gap" and p.marker == "b" for p in problems)
