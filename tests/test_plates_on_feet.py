"""Plates on feet, and their filtering before the centre of pressure is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorque.errors import DataError
from motorque.files.external_loads import interpolate_loads, read_plates
from motorque.files.motion_files import read_motion
from motorque.files.osim import read_osim
from motorque.fitting.feet import find_feet
from motorque.fitting.load_checks import carrying_both, check_loads
from motorque.fitting.load_filtering import center_of_pressure, filter_loads
from motorque.fitting.plates_to_feet import assign_plates, reassign_misplaced
from motorque.journal import Journal
from motorque.series import Load, Loads
from motorque.skeleton.fullbody import fullbody


def texts(journal: Journal, kind: str) -> list[str]:
    return [notice.text for notice in journal.notices if notice.kind == kind]


def standing(frames: int = 200) -> tuple:
    """The built-in skeleton standing still: skeleton, coordinates, times, right and left foot."""
    skeleton = fullbody()
    q = skeleton.default_pose.numpy()[None].repeat(frames, axis=0)
    times = np.arange(frames) / 100
    return skeleton, q, times, *find_feet(skeleton, q, times)


def plate(name: str, point: np.ndarray, vertical: np.ndarray, body: str = "") -> Load:
    force = np.stack([0.05 * vertical, vertical, -0.02 * vertical], axis=1)
    return Load(name, body, force, np.broadcast_to(point, force.shape), np.zeros_like(force))


def pulse(frames: int, start: int, stop: int, height: float = 600.0) -> np.ndarray:
    """Force between two frames, 3 N of noise elsewhere."""
    vertical = np.full(frames, 3.0)
    vertical[start:stop] = height
    return vertical


def test_plates_go_to_the_foot_above_them():
    skeleton, q, times, right, left = standing()
    plates = Loads(times, (
        plate("plate_1", left.middle[0], pulse(200, 20, 90)),
        plate("plate_2", right.middle[0], pulse(200, 60, 150)),
    ))  # fmt: skip
    found = assign_plates(plates, skeleton, q, journal=Journal())
    assert [load.body for load in found.loads] == ["calcn_l", "calcn_r"]
    assert all(np.array_equal(a.force, b.force) for a, b in zip(found.loads, plates.loads, strict=True))


@pytest.mark.parametrize("pause", [0, 30], ids=["without a pause", "with a pause"])
def test_a_plate_hit_by_one_foot_after_the_other_is_split(pause):
    skeleton, q, times, right, left = standing()
    point = np.where((np.arange(200) < 100)[:, None], right.middle, left.middle)
    vertical = pulse(200, 20, 180)
    vertical[100 : 100 + pause] = 3.0
    plates = Loads(times, (plate("plate_1", point, vertical),))
    journal = Journal()
    found = assign_plates(plates, skeleton, q, journal=journal)
    assert {load.body for load in found.loads} == {"calcn_r", "calcn_l"}
    by_body = {load.body: load for load in found.loads}
    assert (by_body["calcn_r"].force[20:95, 1] == 600).all() and not by_body["calcn_r"].force[135:].any()
    assert (by_body["calcn_l"].force[135:180, 1] == 600).all() and not by_body["calcn_l"].force[:95].any()
    assert np.array_equal(found.total_force(), plates.total_force())
    warned = any("one after the other without a pause" in text for text in texts(journal, "warning"))
    assert warned == (pause == 0)


def test_a_plate_under_both_feet_is_said():
    skeleton, q, times, right, left = standing()
    between = 0.5 * (right.middle[0] + left.middle[0])
    journal = Journal()
    assign_plates(Loads(times, (plate("plate_1", between, pulse(200, 20, 180)),)), skeleton, q, journal=journal)
    assert any("seems to carry both feet from 0.20 to 1.79 s" in text for text in texts(journal, "warning"))


def measured(data: Path, trial: str) -> tuple:
    """Skeleton, coordinates and plates without bodies of a trial with one foot on each plate."""
    folder = data / "opencap_subject4"
    skeleton = read_osim(folder / "models/manually_scaled.osim", journal=Journal()).skeleton
    motion = read_motion(folder / f"ik/{trial}_manual_scaling_ik.mot", skeleton)
    plates = interpolate_loads(read_plates(folder / f"grf/{trial}_grf.mot", journal=Journal()), motion.times)
    return skeleton, motion.values, Loads(plates.times, plates.loads[:2])


def as_one_plate(plates: Loads) -> Loads:
    force = plates.total_force()
    point, moment = center_of_pressure(force, np.sum([x.moment_about_origin for x in plates.loads], axis=0))
    return Loads(plates.times, (Load("ground_force_1", "", force, point, moment),))


@pytest.mark.parametrize(("trial", "share"), [("squats1", 0.9), ("STS1", 0.6)])
def test_one_plate_under_feet_that_stand_apart_is_said(data, trial, share):
    """The centre of pressure is 18 cm from either foot: that is no load on the wrong foot."""
    skeleton, q, plates = measured(data, trial)
    journal = Journal()
    found = assign_plates(as_one_plate(plates), skeleton, q, journal=journal)
    both = carrying_both(found, find_feet(skeleton, q, plates.times))
    assert np.any([*both.values()], axis=0).mean() > share
    warnings = texts(journal, "warning")
    assert warnings and all("seems to carry both feet" in x and "both legs are void there" in x for x in warnings)
    quiet = Journal()
    kept = reassign_misplaced(found, skeleton, q, journal=quiet)
    assert [load.body for load in kept.loads] == [load.body for load in found.loads]
    assert texts(quiet, "warning") == warnings and not texts(quiet, "repair")


def test_two_plates_on_one_foot_are_said():
    skeleton, q, times, right, _ = standing()
    loads = Loads(times, (
        plate("plate_1", right.middle[0], pulse(200, 20, 180), "calcn_r"),
        plate("plate_2", right.heel[0], pulse(200, 20, 180), "calcn_r"),
    ))  # fmt: skip
    journal = Journal()
    check_loads(loads, skeleton, q, journal=journal)
    assert any("plate_1, plate_2 act on the right foot together" in text for text in texts(journal, "warning"))


def test_sound_loads_raise_no_warning():
    skeleton, q, times, right, left = standing()
    loads = Loads(times, (
        plate("plate_r", right.middle[0], pulse(200, 20, 180), "calcn_r"),
        plate("plate_l", left.toe[0], pulse(200, 20, 180), "talus_l"),
    ))  # fmt: skip
    journal = Journal()
    assert not check_loads(loads, skeleton, q, journal=journal)
    assert not journal.notices


def test_names_win_but_are_checked():
    skeleton, q, times, right, left = standing()
    plates = Loads(times, (
        plate("ground_force_r", left.middle[0], pulse(200, 20, 180)),
        plate("ground_force_l", right.middle[0], pulse(200, 20, 180)),
    ))  # fmt: skip
    journal = Journal()
    found = assign_plates(plates, skeleton, q, journal=journal)
    assert [load.body for load in found.loads] == ["calcn_r", "calcn_l"]
    warnings = texts(journal, "warning")
    assert any("ground_force_r is said to act on calcn_r" in text and "left one" in text for text in warnings)


@pytest.mark.parametrize("trial", ["walking1", "walkingTS1", "DJ1", "squats1"])
def test_wrong_files_are_repaired_on_request(data, trial):
    """Every plate of these files is said to be on talus_r; the second one is under the left foot."""
    skeleton, q, plates = measured(data, trial)
    wrong = Loads(plates.times, tuple(Load(p.name, "talus_r", p.force, p.point, p.moment) for p in plates.loads))
    journal = Journal()
    found = reassign_misplaced(wrong, skeleton, q, journal=journal)
    assert [load.body for load in found.loads] == ["talus_r", "calcn_l"]
    assert any("ground_force_2 was moved from talus_r to calcn_l" in text for text in texts(journal, "repair"))
    assert not texts(journal, "warning")


COORDINATE = st.floats(-2.0, 2.0)


@settings(deadline=None, max_examples=50)
@given(COORDINATE, COORDINATE, st.floats(-0.1, 0.3), st.floats(25.0, 2000.0), COORDINATE, COORDINATE, COORDINATE)
def test_center_of_pressure_undoes_itself(x, z, height, vertical, fx, fz, free):
    point = np.array([[x, height, z]])
    force = np.array([[100 * fx, vertical, 100 * fz]])
    moment = np.array([[0.0, 10 * free, 0.0]])
    found, left = center_of_pressure(force, moment + np.cross(point, force), height=height)
    assert np.abs(found - point).max() < 1e-9
    assert np.abs(left - moment).max() < 1e-9 * 2000


def test_center_of_pressure_is_undefined_under_20_newton():
    force = np.array([[0.0, 19.99, 0.0], [0.0, 20.0, 0.0], [5.0, -300.0, 0.0]])
    moment = np.ones((3, 3))
    point, about = center_of_pressure(force, moment)
    assert np.isnan(point[[0, 2]]).all() and np.isfinite(point[1]).all()
    assert np.array_equal(about[[0, 2]], moment[[0, 2]])


def steady(rate: float, seconds: float = 2.0, tone: float = 0.0) -> Loads:
    """800 N at a fixed point 6 mm above the floor with a free moment, and a tone on the force."""
    times = np.arange(round(rate * seconds) + 1) / rate
    force = np.stack([50 + 0 * times, 800 + 100 * np.sin(2 * np.pi * tone * times), -20 + 0 * times], axis=1)
    point = np.broadcast_to([0.3, 0.006, -0.1], force.shape)
    return Loads(times, (Load("plate_1", "calcn_r", force, point, np.broadcast_to([0.0, 4.0, 0.0], force.shape)),))


def test_filtering_leaves_a_steady_load_alone():
    times = np.arange(150) / 100
    found = filter_loads(steady(2000.0), times, 6.0, journal=Journal()).loads[0]
    assert np.abs(found.force - [50.0, 800.0, -20.0]).max() < 1e-6
    assert np.abs(found.point - [0.3, 0.006, -0.1]).max() < 1e-9
    assert np.abs(found.moment - [0.0, 4.0, 0.0]).max() < 1e-6


def test_plates_without_a_cutoff_are_not_aliased():
    """A tone of 190 Hz would show up as 10 Hz at 100 frames a second."""
    times = np.arange(150) / 100
    journal = Journal()
    found = filter_loads(steady(2000.0, tone=190.0), times, None, journal=journal).loads[0]
    assert np.abs(found.force[20:-20, 1] - 800).max() < 5.0
    assert any("low-pass filtered at 40 Hz" in text for text in texts(journal, "info"))


def test_the_wrench_is_filtered_before_the_point():
    """Unloaded frames have no point, and the filtered wrench is that of the filtered force and moment."""
    times = np.arange(200) / 100
    load = steady(100.0).loads[0]
    weight = np.clip((np.arange(201) - 60) / 20, 0, 1)[:, None]
    point = np.where(weight > 0, load.point, np.nan)
    step = Load("plate_1", "calcn_r", weight * load.force, point, weight * load.moment)
    stepping = Loads(np.arange(201) / 100, (step,))
    found = filter_loads(stepping, times, 6.0, journal=Journal()).loads[0]
    assert np.isnan(found.point[:50]).all() and np.isfinite(found.point[80:]).all()
    assert np.abs(found.point[np.isfinite(found.point).all(axis=1)] - [0.3, 0.006, -0.1]).max() < 1e-6
    loaded = np.isfinite(found.point).all(axis=1)
    assert (found.force[loaded, 1] >= 20.0).all() and (found.force[~loaded, 1] < 20.0).all()


@pytest.mark.parametrize("cutoff", [6.0, None])
def test_loads_that_end_early_are_refused(cutoff):
    with pytest.raises(DataError, match="loads run from 0 to 2 s but the motion from 0 to 2.49 s; cut"):
        filter_loads(steady(1000.0), np.arange(250) / 100, cutoff, journal=Journal())
